// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One client's connection to a kv server.
#ifndef RSM_EXAMPLES_KV_CLIENT_CONNECTION_HPP
#define RSM_EXAMPLES_KV_CLIENT_CONNECTION_HPP

#include "command.hpp"
#include "pipeline.hpp"
#include "resp.hpp"
#include "service.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kv {

/// Reads requests, hands them to the replica in the order that Pipeline allows, and sends the
/// replies. Reaching a bound of ServerOptions stops the reading, never the serving.
///
/// Thread safety: everything on the replica's executor, which is also the socket's.
template <class Service>
class ClientConnection : public std::enable_shared_from_this<ClientConnection<Service>> {
    using Socket = boost::asio::ip::tcp::socket;
    using Error = boost::system::error_code;
    using Kind = typename Service::Kind;

public:
    /// @param closed  called once, when the connection has ended by itself
    ClientConnection(Socket socket, Service& service, std::uint64_t id,
                     std::function<void()> closed)
        : socket_(std::move(socket)),
          service_(&service),
          parser_(service.options().request),
          pipeline_(service.options().max_reply_bytes),
          closed_(std::move(closed)),
          linger_timer_(socket_.get_executor()) {
        client_.id = id;
    }

    void start() {
        Error ignored;
        socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
        work();
    }

    /// Says why and closes, without reading anything.
    void refuse(std::string_view why) {
        ReplyWriter(out_).error(why);
        last_ = true;
        send();
    }

    /// Ends the connection now. What is under way for it goes on, and nobody is told.
    void close() {
        if (service_ == nullptr) return;
        service_ = nullptr;
        Error ignored;
        socket_.close(ignored);
        linger_timer_.cancel();
    }

private:
    const ServerOptions& options() const { return service_->options(); }

    // ---- taking requests in ----

    std::size_t unsent_bytes() const { return out_.size() + sending_.size(); }
    bool has_room() const {
        return pipeline_.size() < options().max_requests &&
               unsent_bytes() + pipeline_.reply_bytes() < options().max_reply_bytes &&
               (pipeline_.empty() || pipeline_.request_bytes() < options().max_request_bytes);
    }

    /// Does whatever can be done now.
    void work() {
        if (service_ == nullptr) return;
        do {
            take_requests();
            start_requests();
        } while (pipeline_.take_replies(out_) && !starved_ && !last_);
        send();
        receive();
    }

    /// The same, soon: what completes together is then sent together.
    void work_soon() {
        if (std::exchange(work_posted_, true)) return;
        boost::asio::post(socket_.get_executor(), [self = this->shared_from_this()] {
            self->work_posted_ = false;
            self->work();
        });
    }

    void take_requests() {
        while (!last_ && !starved_ && has_room()) {
            switch (parser_.parse(input_.data())) {
                case ParseStatus::incomplete: starved_ = true; break;
                case ParseStatus::complete:
                    take_request(parser_.arguments(), parser_.consumed());
                    input_.consume(parser_.consumed());
                    break;
                case ParseStatus::failed:
                    add_error(parser_.error());
                    last_ = true;
                    break;
            }
        }
    }

    void take_request(Arguments arguments, std::size_t bytes) {
        if (arguments.empty()) return;
        ++service_->counters().commands;
        if (take_raft_request(arguments, bytes)) return;
        std::visit([this, bytes](auto&& command) { this->take(std::move(command), bytes); },
                   parse_command(arguments, client_));
    }

    // Answered by every replica for itself, so that replicas can be compared.
    bool take_raft_request(Arguments arguments, std::size_t bytes) {
        const bool status = detail::same_word(arguments[0], "raft.status");
        if (!status && !detail::same_word(arguments[0], "raft.digest")) return false;
        std::string reply;
        if (arguments.size() == 1) {
            ReplyWriter(reply).bulk(status ? service_->raft_status() : service_->digest());
        } else {
            reply = detail::wrong_arity(status ? "raft.status" : "raft.digest").reply;
        }
        pipeline_.add_reply(std::move(reply), bytes);
        return true;
    }

    void take(Immediate&& command, std::size_t bytes) {
        last_ = last_ || command.close;
        pipeline_.add_reply(std::move(command.reply), bytes);
    }
    void take(Write&& command, std::size_t bytes) { pipeline_.add(std::move(command), bytes); }
    void take(Read&& command, std::size_t bytes) { pipeline_.add(std::move(command), bytes); }
    void take(ClusterQuery query, std::size_t bytes) {
        std::string reply;
        answer(query, service_->topology(), reply);
        pipeline_.add_reply(std::move(reply), bytes);
    }
    void take(InfoQuery, std::size_t bytes) {
        std::string reply;
        ReplyWriter(reply).bulk(service_->info());
        pipeline_.add_reply(std::move(reply), bytes);
    }

    void add_error(std::string_view text) {
        std::string reply;
        ReplyWriter(reply).error(text);
        pipeline_.add_reply(std::move(reply), 0);
    }

    // ---- carrying them out ----

    void start_requests() {
        Sequence sequence = 0;
        while (Pipeline::Request* request = pipeline_.start(unsent_bytes(), sequence)) {
            if (Write* write = std::get_if<Write>(&request->work)) {
                submit(std::move(*write), sequence);
            } else {
                read(sequence);
            }
        }
    }

    void submit(Write&& write, Sequence sequence) {
        service_->replica().async_submit(
            std::move(write.operation),
            [self = this->shared_from_this(), sequence, form = write.form](Error error,
                                                                           const Result& result) {
                if (self->service_ == nullptr) return;
                std::string reply;
                if (error) {
                    self->write_error(error, Kind::write, reply);
                } else {
                    write_result(form, result, reply);
                }
                self->pipeline_.expect(reply.size());
                self->finish(sequence, std::move(reply));
            });
    }

    void read(Sequence sequence) {
        // The reply is written where the state is at hand, and counted there, so that many reads
        // of large values that become possible together do not pile up.
        using Answered = std::optional<std::string>;  // nothing: to be asked again
        service_->replica().async_read(
            [self = this->shared_from_this(), sequence](const Store& store) -> Answered {
                return self->answer_read(sequence, store);
            },
            [self = this->shared_from_this(), sequence](Error error, Answered reply) {
                if (self->service_ == nullptr) return;
                if (error) {
                    reply.emplace();
                    self->write_error(error, Kind::read, *reply);
                    self->pipeline_.expect(reply->size());
                }
                if (reply) return self->finish(sequence, *std::move(reply));
                self->pipeline_.give_back(sequence);
                self->work_soon();
            });
    }

    std::optional<std::string> answer_read(Sequence sequence, const Store& store) {
        std::optional<std::string> reply;
        if (service_ == nullptr || pipeline_.put_off(sequence, unsent_bytes())) return reply;
        reply.emplace();
        const Read& read = std::get<Read>(pipeline_[sequence].work);
        answer(read, store, *reply, options().max_mget_bytes);
        pipeline_.expect(reply->size());
        std::size_t& peak = service_->counters().reply_bytes_peak;
        peak = std::max(peak, unsent_bytes() + pipeline_.reply_bytes());
        return reply;
    }

    void write_error(Error error, Kind kind, std::string& reply) {
        if (service_->write_error(error, kind, reply)) last_ = true;
    }

    void finish(Sequence sequence, std::string reply) {
        pipeline_.finish(sequence, std::move(reply));
        work_soon();
    }

    // ---- the socket ----

    void receive() {
        if (service_ == nullptr || receiving_ || ended_ || last_) return;
        if (!starved_ || !has_room()) return;
        receiving_ = true;
        const std::span<char> room = input_.prepare();
        socket_.async_read_some(boost::asio::buffer(room.data(), room.size()),
                                [self = this->shared_from_this()](Error error, std::size_t count) {
                                    self->received(error, count);
                                });
    }

    void received(Error error, std::size_t count) {
        receiving_ = false;
        if (service_ == nullptr) return;
        if (lingering_) return error ? end() : discard();
        if (error && error != boost::asio::error::eof) return end();
        // A client that has only finished sending still waits for its replies.
        ended_ = error.failed();
        starved_ = ended_;  // what the parser could not use before is cut off now
        input_.commit(count);
        work();
    }

    void send() {
        if (!sending_.empty() || lingering_) return;
        if (out_.empty()) {
            if (!pipeline_.empty()) return;
            if (last_) return linger();
            if (ended_) end();
            return;
        }
        sending_.swap(out_);
        boost::asio::async_write(socket_, boost::asio::buffer(sending_),
                                 [self = this->shared_from_this()](Error error, std::size_t) {
                                     self->sent(error);
                                 });
    }

    void sent(Error error) {
        if (service_ == nullptr) return;
        if (error) return end();
        constexpr std::size_t kept_bytes_max = std::size_t{64} << 10;
        if (sending_.capacity() > kept_bytes_max) {
            sending_ = {};  // an idle connection does not keep what one reply needed
        } else {
            sending_.clear();
        }
        work();
    }

    // To close a socket while bytes are unread in it makes the system throw away what it has not
    // sent yet: the last reply. So wait for the client to take it and close, for a while.
    void linger() {
        lingering_ = true;
        Error ignored;
        socket_.shutdown(Socket::shutdown_send, ignored);
        linger_timer_.expires_after(options().linger);
        linger_timer_.async_wait([self = this->shared_from_this()](Error error) {
            if (!error) self->end();
        });
        discard();
    }
    void discard() {
        if (receiving_) return;  // received() comes back here
        receiving_ = true;
        const std::span<char> room{discarded_.emplace()};
        socket_.async_read_some(boost::asio::buffer(room.data(), room.size()),
                                [self = this->shared_from_this()](Error error, std::size_t) {
                                    self->receiving_ = false;
                                    if (self->service_ == nullptr) return;
                                    if (error) return self->end();
                                    self->discard();
                                });
    }

    void end() {
        if (service_ == nullptr) return;
        close();
        if (closed_) std::exchange(closed_, nullptr)();
    }

    Socket socket_;
    Service* service_;  // null once the connection is closed
    RequestParser parser_;
    InputBuffer input_;
    Pipeline pipeline_;
    Connection client_;
    std::function<void()> closed_;
    boost::asio::steady_timer linger_timer_;
    std::optional<std::array<char, 4096>> discarded_;
    std::string out_;      // replies to be sent next
    std::string sending_;  // being sent; not to be touched
    bool starved_ = true;  // the parser needs more bytes than there are
    bool receiving_ = false;
    bool ended_ = false;  // the client sends no more
    bool last_ = false;   // nothing more is taken in, and the connection ends after the last reply
    bool lingering_ = false;
    bool work_posted_ = false;
};

}  // namespace kv

#endif
