// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One client's connection to a kv server.
#ifndef RSM_EXAMPLES_KV_CLIENT_CONNECTION_HPP
#define RSM_EXAMPLES_KV_CLIENT_CONNECTION_HPP

#include "backups.hpp"
#include "client_backup.hpp"
#include "client_deadlines.hpp"
#include "client_memory.hpp"
#include "client_stream.hpp"
#include "command.hpp"
#include "pipeline.hpp"
#include "reply_writer.hpp"
#include "resp.hpp"
#include "service.hpp"
#include "work_queue.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kv {

/// Reads requests, hands them to the replica in the order that Pipeline allows, and sends the
/// replies. Reaching a bound of its own stops the reading, never the serving. It works when the
/// service's WorkQueue says so, and holds no more than the service's ClientMemory admits.
///
/// Thread safety: everything on the replica's executor, which is also the socket's. After close()
/// the service is not touched any more.
template <class Service>
class ClientConnection final : public ClientStream,
                               private WorkQueue::Worker,
                               private ClientMemory::Account {
    friend class ClientBackup<ClientConnection>;
    using Kind = typename Service::Kind;

public:
    /// @param closed  called once, when the connection has ended by itself
    ClientConnection(Socket socket, Service& service, std::uint64_t id,
                     std::function<void()> closed)
        : ClientStream(std::move(socket), service.options().linger, service.options().keep_alive),
          Account(service.memory()),
          service_(service),
          parser_(service.options().request),
          closed_(std::move(closed)) {
        client_.id = id;
        if (options().accounts.empty()) return;
        client_.accounts = &options().accounts;
        parser_.allow(stranger_limits);
    }

    void start() {
        secure([this] { receive(); });
    }

    /// Says why and closes, without reading a request.
    void refuse(std::string_view why) {
        refused_ = last_ = true;
        secure([this, why = std::string(why)] { say_last(why); });
    }

    /// Ends the connection now. What is under way for it goes on, and nobody is told.
    void close() {
        close_account();
        backup_.reset();
        ClientStream::close();
    }

    /// The time limit that the client has let pass, if there is one.
    Lapse lapse(Clock::time_point now) {
        // Time in which this side does not want to receive is not the client's.
        if (last_ || !has_room()) deadlines_.note_whole();
        const bool waits = last_ || !pipeline_.empty();
        // Whoever has been told, or is being seen off, has a limit of its own for that.
        const bool must_log_in = client_.is_stranger() && !told_ && !is_lingering();
        ClientDeadlines::State state{{}, must_log_in, waits};
        if (is_sending()) state.sending = progress();
        return deadlines_.lapse(state, options(), now);
    }
    /// Tells the client, if there is something to say and it listens, and closes.
    void end_for(Lapse lapse) {
        ++service_.counters().closed_for_time;
        report(std::string(describe(lapse)));
        // One that does not listen, or has had its last reply, would not hear it.
        if (last_ || is_sending() || farewell(lapse).empty()) return end();
        told_ = true;
        refuse_more(farewell(lapse));
    }
    /// Gives back what the client has asked for and does not use.
    void free_unused(Clock::time_point now) {
        backup_.free_unused(now, is_sending() || !pipeline_.empty());
    }

    /// Whether it has a place, and has yet to show who it is.
    bool is_stranger() const { return !refused_ && is_of_stranger(); }
    /// Closes, without a word: its place is wanted.
    void make_way() {
        report("it has not shown who it is, and its place is wanted (--max-clients)");
        end();
    }

private:
    // What a peer can make TLS hold before it has shown who it is.
    static constexpr std::size_t handshake_bytes = std::size_t{64} << 10;

    const ServerOptions& options() const { return service_.options(); }

    // ---- TLS ----

    /// Does `then` when the connection is as secure as the server wants it.
    template <class Then>
    void secure(Then then) {
        if (options().tls == nullptr) return then();
        if (!has_memory(handshake_bytes)) {
            ++service_.counters().closed_for_memory;
            report("no memory is left for its TLS handshake (--client-memory)");
            return end();
        }
        deadlines_.note_securing(Clock::now());
        account();
        ClientStream::secure(options().tls, options().tls_asks,
                             [this, then = std::move(then)](const Handshake& ended) {
                                 deadlines_.note_secured();
                                 secured_ = ended.failure.empty() && !ended.is_plain;
                                 account();
                                 if (secured_) return then();
                                 ++service_.counters().refused_by_tls;
                                 if (ended.is_plain) return end_plain();
                                 report("no TLS: " + ended.failure);
                                 end_after_last();
                             });
    }
    void end_plain() {
        report("it speaks no TLS, and this server takes nothing else from clients");
        last_ = true;
        say_last("ERR this server speaks TLS only (redis-cli --tls)");
    }
    void say_last(std::string_view why) {
        ReplyWriter(out()).error(why);
        send();
    }

    // ---- when to work ----

    void received() override {
        starved_ = at_end();  // what the parser could not use before is cut off then
        deadlines_.note_activity(Clock::now());
        work_soon();
    }
    void sent() override {
        deadlines_.note_activity(Clock::now());
        work_soon();
    }
    void ended() override {
        close_account();
        backup_.reset();
        if (closed_) std::exchange(closed_, nullptr)();
    }

    void work_soon() { service_.queue().add(worker()); }
    std::shared_ptr<WorkQueue::Worker> worker() {
        return {shared_from_this(), static_cast<WorkQueue::Worker*>(this)};
    }

    void work(Slice& slice) override {
        if (!is_open()) return;
        do {
            take_requests(slice);
            start_requests();
        } while (take_replies(slice) && !slice.over());
        if (slice.over()) work_soon();
        send_or_end();
        if (starved_ && has_room() && !last_) {
            if (!input().data().empty()) deadlines_.note_half(Clock::now());
            receive();
        }
        account();
    }

    void send_or_end() {
        send();
        if (is_sending() || !pipeline_.empty()) return;
        if (last_) return end_after_last();
        if (at_end() && starved_) end();
    }

    // ---- memory ----

    void account() {
        if (!is_open()) return;
        std::size_t& peak = service_.counters().unsent_bytes_peak;
        peak = std::max(peak, unsent_bytes() + pipeline_.reply_bytes());
        set(memory_bytes() + parser_.memory_bytes() + pipeline_.request_bytes() +
            pipeline_.reply_bytes() + queued_bytes() + watched_bytes() +
            (deadlines_.is_securing() ? handshake_bytes : 0));
    }

    std::size_t watched_bytes() const {
        constexpr std::size_t of_key = sizeof(decltype(Watch::seen)::value_type);
        return client_.watch == nullptr ? 0 : client_.watch->bytes + client_.watch->wanted * of_key;
    }
    std::size_t queued_bytes() const { return client_.queued ? client_.queued->script.bytes : 0; }

    bool has_memory(std::size_t more) {
        account();
        return admit(more);
    }

    bool admits_input(std::size_t more) override {
        if (more == 0 || has_memory(more)) return true;
        ++service_.counters().closed_for_memory;
        report("no memory is left for its request (--client-memory)");
        refuse_more(no_memory_text);
        return false;
    }

    bool is_of_stranger() const override { return client_.is_stranger() || !secured_; }

    void give_way() override {
        ++service_.counters().closed_for_memory;
        if (is_of_stranger()) {
            report("it has not shown who it is, and its memory is wanted (--client-memory)");
            return end();
        }
        report("it holds " + std::to_string(bytes() >> 10) +
               " KiB, the most of all clients, and their memory is used up (--client-memory)");
        end();
    }

    void report(const std::string& why) { service_.log("client " + address() + " closed: " + why); }

    // ---- taking requests in ----

    bool has_room() const {
        return pipeline_.size() < options().max_requests &&
               waiting_reply_bytes() < options().max_unsent_bytes &&
               (pipeline_.empty() || pipeline_.request_bytes() < options().max_request_bytes);
    }

    std::size_t waiting_reply_bytes() const { return unsent_bytes() + pipeline_.reply_bytes(); }

    void take_requests(Slice& slice) {
        while (!last_ && !starved_ && !slice.over() && has_room()) {
            switch (parser_.parse(input().data())) {
                case ParseStatus::incomplete: starved_ = true; break;
                case ParseStatus::complete:
                    deadlines_.note_whole();
                    take_request(parser_.arguments());
                    slice.spend(parser_.consumed());
                    input().consume(parser_.consumed());
                    break;
                case ParseStatus::failed: refuse_more(parser_.error()); break;
            }
        }
    }

    void take_request(Arguments arguments) {
        if (arguments.empty()) return;
        ++service_.counters().commands;
        if (auto refusal = detail::refuse_stranger(arguments, client_)) {
            return take(*std::move(refusal));
        }
        if (take_raft_request(arguments)) return;
        if (client_.queued && refuse_to_queue(arguments)) return;
        const bool was_stranger = client_.is_stranger();
        const std::size_t failed_logins = client_.failed_logins;
        if (client_.accounts != nullptr && detail::may_have_password(arguments)) {
            client_.may_log_in = service_.guesses().admits(host(), Clock::now());
        }
        Command command = parse_command(arguments, client_);
        if (client_.failed_logins != failed_logins) note_failed_login();
        if (was_stranger && !client_.is_stranger()) parser_.allow(options().request);
        std::visit([this](auto&& parsed) { this->take(std::move(parsed)); }, std::move(command));
    }

    // A transaction is known to be in vain as soon as its first command is: a client that follows
    // redirections wants to hear so then.
    bool refuse_to_queue(Arguments arguments) {
        Queued& queued = *client_.queued;
        const CommandSpec* const spec = detail::find_command(arguments[0]);
        if (spec == nullptr || detail::controls_transaction(*spec)) return false;
        std::string reply;
        if (!has_memory(2 * parser_.consumed())) {
            reply = detail::error(no_memory_text).reply;
        } else if (queued.script.parts.empty() && spec->first_key != 0 &&
                   service_.replica().status().role != raft::Role::leader) {
            write_redirect(service_.topology(), reply);
        } else {
            return false;
        }
        queued.give_up();
        take(Immediate{std::move(reply)});
        return true;
    }

    // What it said may be the password of somebody else, or a password in the place of a user.
    void note_failed_login() {
        ++service_.counters().failed_logins;
        service_.guesses().note_wrong(host(), Clock::now());
        service_.log("client " + address() + " gave a wrong user or password, " +
                     (client_.failed_logins < detail::failed_logins_max
                          ? "attempt " + std::to_string(client_.failed_logins)
                          : "which was its last attempt"));
    }

    // Answered by every replica for itself, so that replicas can be compared.
    bool take_raft_request(Arguments arguments) {
        if (detail::same_word(arguments[0], "raft.backup") ||
            detail::same_word(arguments[0], "raft.barrier")) {
            std::visit([this](auto&& command) { this->take(std::move(command)); },
                       detail::parse_backup(arguments));
            return true;
        }
        if (detail::same_word(arguments[0], "raft.snapshot")) {
            arguments.size() == 1 ? take(SnapshotRequest{})
                                  : take(detail::wrong_arity("raft.snapshot"));
            return true;
        }
        const bool status = detail::same_word(arguments[0], "raft.status");
        if (!status && !detail::same_word(arguments[0], "raft.digest")) return false;
        std::string reply;
        if (arguments.size() == 1) {
            ReplyWriter(reply).bulk(status ? service_.raft_status() : service_.digest());
        } else {
            reply = detail::wrong_arity(status ? "raft.status" : "raft.digest").reply;
        }
        take(Immediate{std::move(reply)});
        return true;
    }

    void take(Immediate&& command) {
        last_ = last_ || command.close;
        pipeline_.add_reply(std::move(command.reply), sizeof(Pipeline::Request));
    }
    void take(ClusterQuery query) {
        std::string reply;
        answer(query, service_.topology(), reply, client_.protocol);
        take(Immediate{std::move(reply)});
    }
    void take(const InfoQuery& query) {
        std::string reply;
        ReplyWriter(reply, client_.protocol).text(service_.info(query.sections));
        take(Immediate{std::move(reply)});
    }
    void take(MemberQuery query) {
        std::string reply;
        ReplyWriter(reply, client_.protocol)
            .text(query == MemberQuery::list ? service_.members_text() : service_.founding_text());
        take(Immediate{std::move(reply)});
    }
    void take(MemberEdit&& edit) { take_work(std::move(edit), 1); }
    void take(Transfer&& transfer) { take_work(std::move(transfer), 1); }
    void take(BackupRequest&& request) { take_work(std::move(request), 1); }
    void take(SnapshotRequest request) { take_work(request, 1); }
    void take(Read&& read) { take_work(std::move(read), 1); }
    // Counted twice: the operation, and its encoding in the replica.
    void take(Write&& write) {
        const std::size_t queued = write.script == nullptr ? 0 : write.script->bytes;
        take_work(std::move(write), 2, queued);
    }

    template <class Work>
    void take_work(Work&& work, std::size_t copies, std::size_t more = 0) {
        const std::size_t bytes = sizeof(Pipeline::Request) + copies * parser_.consumed() +
                                  parser_.arguments().size() * sizeof(std::string) + more;
        if (!has_memory(bytes)) return take(detail::error(no_memory_text));
        pipeline_.add(std::move(work), bytes);
    }

    /// The connection is of no further use: says so behind the replies that are due, and closes.
    void refuse_more(std::string_view text) {
        if (std::exchange(last_, true)) return;
        pipeline_.add_reply(detail::error(text).reply, 0);
        drop_input();
        work_soon();
    }

    // ---- carrying them out ----

    void start_requests() {
        Sequence sequence = 0;
        std::optional<Sequence> first_read;
        Sequence last_read = 0;
        WriteTicket ticket;
        const auto may_begin = [&](const Pipeline::Request& next) {
            const Write* const write = std::get_if<Write>(&next.work);
            if (write == nullptr) return true;
            if (waiting_reply_bytes() >= options().max_unsent_bytes) return false;
            ticket = service_.writes().admit(service_.cost_of(*write, next.bytes), worker());
            return ticket.is_valid();
        };
        while (Pipeline::Request* request = pipeline_.start(sequence, may_begin)) {
            if (Write* write = std::get_if<Write>(&request->work)) {
                submit(std::move(*write), sequence, std::move(ticket));
            } else if (const MemberEdit* edit = std::get_if<MemberEdit>(&request->work)) {
                service_.change_members(*edit, ended(sequence));
            } else if (const Transfer* transfer = std::get_if<Transfer>(&request->work)) {
                service_.transfer(*transfer, ended(sequence));
            } else if (const auto* backup = std::get_if<BackupRequest>(&request->work)) {
                backup_.answer(*backup, sequence);
            } else if (std::holds_alternative<SnapshotRequest>(request->work)) {
                service_.take_snapshot([self = self(), sequence](std::string reply) {
                    if (self->is_open()) self->finish(sequence, std::move(reply));
                });
            } else {
                if (!first_read) first_read = sequence;
                last_read = sequence;
            }
        }
        if (first_read) ask_for_reads(*first_read, last_read);
    }

    std::shared_ptr<ClientConnection> self() {
        return std::static_pointer_cast<ClientConnection>(shared_from_this());
    }

    typename Service::MembersEnded ended(Sequence sequence) {
        using End = typename Service::MembersEnd;
        return [self = self(), sequence](const End& end) {
            // Else the service may be gone.
            if (!self->is_open()) return;
            self->pipeline_.finish(sequence, self->service_.reply_to(end));
            self->work_soon();
        };
    }

    void finish(Sequence sequence, std::string reply) {
        pipeline_.finish(sequence, std::move(reply));
        work_soon();
    }

    void submit(Write&& write, Sequence sequence, WriteTicket ticket) {
        if (auto refusal = service_.prepare(write)) {
            return finish(sequence, std::move(refusal->reply));
        }
        service_.replica().async_submit(
            std::move(write.operation),
            [self = self(), sequence, form = write.form, protocol = write.protocol,
             script = std::move(write.script),
             ticket = std::move(ticket)](Error error, const Result& result) mutable {
                ticket.give_back();
                if (!self->is_open()) return;
                std::string reply;
                if (error) {
                    self->write_error(error, Kind::write, reply);
                } else {
                    write_result(form, result, reply, protocol, script.get());
                    self->service_.ticker().look();
                }
                const bool is_large = reply.size() >= large_reply_bytes;
                self->finish(sequence, std::move(reply));
                // Nobody was asked for room before the write: how large it would be, it has shown.
                if (is_large && !self->has_memory(1)) self->give_way();
            });
    }

    // Reads that begin together share one question to the replica. They are answered afterwards,
    // in slices and as there is room.
    void ask_for_reads(Sequence first, Sequence last) {
        service_.replica().async_read([](const Store&) { return true; },
                                      [self = self(), first, last](Error error, bool) {
                                          if (!self->is_open()) return;
                                          if (error) {
                                              std::string reply;
                                              self->write_error(error, Kind::read, reply);
                                              self->pipeline_.fail(first, last, reply);
                                          } else {
                                              self->pipeline_.allow(first, last);
                                          }
                                          self->work_soon();
                                      });
    }

    void write_error(Error error, Kind kind, std::string& reply) {
        const bool elsewhere = rsm::error_class(error) == rsm::ErrorClass::retry_elsewhere;
        if (kind == Kind::read && elsewhere && client_.wants_replica_reads) {
            // It would only come back: it takes this node for one that answers reads.
            return ReplyWriter(reply).error(
                "ERR this node is a replica and does not answer reads, although READONLY was asked "
                "for: connect without reads from replicas");
        }
        if (service_.write_error(error, kind, reply)) last_ = true;
    }

    // ---- giving replies out ----

    /// @return whether there was one
    bool take_replies(Slice& slice) {
        bool any = false;
        while (!slice.over()) {
            const std::size_t before = out().size();
            if (const Read* read = pipeline_.allowed_read()) {
                if (unsent_bytes() >= options().max_unsent_bytes) break;
                if (is_long_work(*read)) slice.spend(long_work_bytes);
                answer_read(*read);
                pipeline_.pop_read();
            } else if (!pipeline_.take_reply(out())) {
                break;
            }
            any = true;
            slice.spend(out().size() - before);
        }
        return any;
    }

    void answer_read(const Read& read) {
        const Store& store = service_.replica().machine();
        const std::size_t bytes = reply_bytes(read, store);
        if (bytes > options().max_reply_bytes) {
            return ReplyWriter(out()).error("ERR the reply would have more than " +
                                            std::to_string(options().max_reply_bytes) + " bytes");
        }
        if (!has_memory(bytes)) return ReplyWriter(out()).error(no_memory_text);
        if (bytes >= large_reply_bytes) out().reserve(out().size() + bytes);
        answer(read, store, asks_for_time(read) ? service_.ticker().now() : 0, out());
    }

    static constexpr std::size_t large_reply_bytes = std::size_t{64} << 10;
    // So much as makes a slice look at its clock.
    static constexpr std::size_t long_work_bytes = 8192;

    static constexpr std::string_view no_memory_text =
        "BUSY the memory for clients is used up, nothing happened, try again later";

    Service& service_;
    RequestParser parser_;
    Pipeline pipeline_;
    Connection client_;
    ClientBackup<ClientConnection> backup_{*this};
    std::function<void()> closed_;
    ClientDeadlines deadlines_{Clock::now()};
    bool starved_ = true;  // the parser needs more bytes than there are
    bool last_ = false;    // nothing more is taken in, and the connection ends after the last reply
    bool refused_ = false;  // it takes no place, since it was only let in to be told so
    bool told_ = false;     // that it has let a time limit pass
    bool secured_ = options().tls == nullptr;
};

}  // namespace kv

#endif
