// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Clerk: a client of the kv service that finds the leader and does not give up.
#ifndef RSM_EXAMPLES_KV_CLERK_HPP
#define RSM_EXAMPLES_KV_CLERK_HPP

#include "caller.hpp"
#include "reply.hpp"

#include <rsm/node/completion.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

struct ClerkOptions {
    /// "host:port" where the servers serve clients. At least one; not all need to be listed: the
    /// latest that have answered besides are remembered, for those listed may all be replaced.
    std::vector<std::string> servers;
    /// How long a server may be silent until others are asked, too, while it is waited for; one
    /// after the other, at twice this pace. More than 0.
    std::chrono::nanoseconds doubt_timeout = std::chrono::milliseconds(200);
    /// How long to wait for a server that nobody else names as the leader. More than 0.
    std::chrono::nanoseconds attempt_timeout = std::chrono::seconds(1);
    /// How long to wait for one that others name: it may be slow, as where disks are. At least
    /// attempt_timeout; longer than kv-server takes to say that an outcome is unknown.
    std::chrono::nanoseconds answer_timeout = std::chrono::seconds(6);
    /// How long to wait for a connection to a server, within attempt_timeout. More than 0.
    std::chrono::nanoseconds connect_timeout = std::chrono::milliseconds(300);
    /// How long an operation may take in all. 0: no limit.
    std::chrono::nanoseconds operation_timeout{0};
    /// The pause after all servers have been asked in vain, doubled each time up to pause_max.
    std::chrono::nanoseconds pause_min = std::chrono::milliseconds(10);
    std::chrono::nanoseconds pause_max = std::chrono::milliseconds(200);
    /// Said to every server. One that does not accept them refuses the operation.
    Credentials credentials{};
    /// What connections are under; null: nothing, they are plain.
    Tls tls = own_tls();
};

/// What the service said.
enum class Err : std::uint8_t {
    ok,
    no_key,   ///< the key is absent; a put has not taken effect
    version,  ///< the key has another version than a put expected; it has not taken effect
    maybe,    ///< a put may have taken effect or not; it will not any more
};

struct Answer {
    Err err = Err::ok;
    /// Of a get; with invalid_argument, permission_denied: why the server refused; with timed_out:
    /// what was wrong with the last server that could not be talked to, if anything was.
    std::string value;
    std::uint64_t version = 0;  ///< of a get; of a put that took effect: the new version
    /// With timed_out: whether a server may have been sent the request. If not, nothing is done.
    bool sent = true;
};

/// Each operation goes to the server that led last; an answer that names another leader, or a
/// failed connection, lead on, until a server gives a final answer. A silent server is waited for,
/// for attempt_timeout, while others are sent the request as well: whoever leads now carries it
/// out, and whoever does not names the leader. As long as they name the silent one the wait goes
/// on, for answer_timeout at most. One that was given up is not followed to again for
/// attempt_timeout, whoever names it.
///
/// A put may so be sent more than once, but it takes effect at most once, since it does so only at
/// the version that it expects, and versions only grow. Version 0, which asks for an absent key, is
/// the exception where others delete: it can take effect again after such a deletion. When the
/// request has been sent again and the answer is that the version differs, or the key is gone, this
/// may be the doing of its own first copy: the result is then `maybe`. A resend counts even if a
/// server had refused the first copy, but for one that was asked besides and refused. `maybe` says
/// that the put will not take effect later either, provided that the caller learned the version it
/// expects from the service; a made-up one may come true at any time.
///
/// Errors, as error codes: timed_out (operation_timeout has passed, or a server refuses for good
/// what an earlier one was sent; a put may have taken effect, or still may, unless the answer says
/// that it was not sent), operation_aborted (the clerk was destroyed; likewise in doubt),
/// invalid_argument (the server refuses the request for what it is, e.g. its size),
/// permission_denied (a server refuses the clerk for who it is), in_progress (see below).
///
/// One operation at a time; one that is started while another is under way completes with
/// in_progress and does nothing. To have several at once use several clerks.
///
/// Thread safety: operations may be started from any thread if `executor` is a strand or run by
/// one thread. Destruction: on that executor, or when it does not run.
class Clerk {
    using Signature = void(boost::system::error_code, Answer);

public:
    /// @throws std::invalid_argument  if no server is listed, or one that is not "host:port"
    Clerk(const boost::asio::any_io_executor& executor, ClerkOptions options)
        : state_(std::make_shared<State>(executor, checked(std::move(options)))) {}
    Clerk(const Clerk&) = delete;
    Clerk& operator=(const Clerk&) = delete;
    ~Clerk() { state_->close(); }

    /// Reads a key: ok with value and version, or no_key. Linearizable.
    /// Completion signature: void(boost::system::error_code, Answer).
    template <class CompletionToken>
    auto async_get(std::string_view key, CompletionToken&& token) {
        return start(Kind::get, {"VGET", key}, std::forward<CompletionToken>(token));
    }

    /// Writes a key if its version is `version` (0: if it is absent): ok, version, no_key or maybe.
    /// @param version  at most 2^63 - 1
    /// Completion signature: void(boost::system::error_code, Answer).
    template <class CompletionToken>
    auto async_put(std::string_view key, std::string_view value, std::uint64_t version,
                   CompletionToken&& token) {
        const std::string text = std::to_string(version);
        return start(Kind::put, {"VPUT", key, value, text}, std::forward<CompletionToken>(token));
    }

    /// Writes a key whatever its version is. It may take effect more than once, also after it has
    /// completed where a server was silent meanwhile, and so undo a write that was made in between.
    /// Completion signature: void(boost::system::error_code, Answer).
    template <class CompletionToken>
    auto async_set(std::string_view key, std::string_view value, CompletionToken&& token) {
        return start(Kind::set, {"SET", key, value}, std::forward<CompletionToken>(token));
    }

private:
    using Clock = std::chrono::steady_clock;
    using Error = boost::system::error_code;
    using Completion = rsm::detail::Completion<Error, Answer>;

    enum class Kind : std::uint8_t { get, put, set };

    struct Operation {
        Kind kind = Kind::get;
        std::string request;
        Completion done;
        Clock::time_point deadline = Clock::time_point::max();
        std::size_t sendings = 0;  // of the request
        std::size_t failures = 0;  // since the last pause
        std::chrono::nanoseconds pause{0};
        std::string trouble;  // with the last server that could not be talked to
    };

    /// A connection, and what it is used for.
    struct Line {
        std::unique_ptr<Caller> caller;
        std::string server;
        bool waits = false;  // for an answer
    };

    struct State : std::enable_shared_from_this<State> {
        State(const boost::asio::any_io_executor& given, ClerkOptions given_options)
            : executor(given),
              options(std::move(given_options)),
              timer(executor),
              doubt(executor),
              listed(options.servers.size()) {
            abandon(first);
            abandon(second);
            first.server = options.servers.front();
        }

        void begin(Operation started) {
            if (closed) return started.done(boost::asio::error::operation_aborted, {});
            if (operation.done) return started.done(boost::asio::error::in_progress, {});
            operation = std::move(started);
            operation.pause = options.pause_min;
            unwelcome.clear();
            if (options.operation_timeout > std::chrono::nanoseconds::zero()) {
                operation.deadline = later(options.operation_timeout);
            }
            attempt();
        }

        void attempt() {
            if (operation.deadline <= Clock::now()) return give_up();
            began = named = Clock::now();
            ask(first);
            doubt_after(options.doubt_timeout);
        }

        void ask(Line& line) {
            const auto limit = std::min<std::chrono::nanoseconds>(operation.deadline - Clock::now(),
                                                                  options.answer_timeout);
            line.waits = true;
            // The caller ends with this state and then calls nobody; so no ownership is needed.
            line.caller->call(line.server, operation.request, limit,
                              [this, caller = line.caller.get()](CallOutcome outcome) {
                                  answered(caller == first.caller.get() ? first : second,
                                           std::move(outcome));
                              });
        }

        void answered(Line& line, CallOutcome outcome) {
            line.waits = false;
            if (outcome.error && !outcome.detail.empty()) {
                operation.trouble = line.server + ": " + outcome.detail;
            }
            // Who is asked only because another one is silent, and refuses, raises no doubt.
            const bool nothing_done = is_refused(outcome) || is_turned_away(outcome);
            if (outcome.sent && (&line == &first || !nothing_done)) ++operation.sendings;
            if (!is_final(outcome)) return &line == &first ? go_on(outcome) : hear(outcome);
            if (is_turned_away(outcome)) return turned_away(line, std::move(outcome));
            // Who has answered is asked first from now on; the other one is not waited for.
            if (&line == &second) std::swap(first, second);
            if (second.waits) abandon(second);
            judge(outcome.reply);
        }

        /// Nothing has happened, and another one is to be asked.
        static bool is_refused(const CallOutcome& outcome) {
            for (const char* code : {"MOVED", "CLUSTERDOWN", "TRYAGAIN", "BUSY"}) {
                if (!outcome.error && outcome.reply.is_error(code)) return true;
            }
            return false;
        }
        static bool is_final(const CallOutcome& outcome) {
            if (outcome.error || is_refused(outcome) || outcome.reply.is_error("UNKNOWN")) {
                return false;
            }
            // As Redis says it, of the connection and not of the request.
            return outcome.reply.type != Reply::Type::error ||
                   !outcome.reply.text.starts_with("ERR max number of clients");
        }
        /// The server does not let this client in, and has done nothing.
        static bool is_turned_away(const CallOutcome& outcome) {
            return outcome.reply.is_error("NOAUTH") || outcome.reply.is_error("WRONGPASS") ||
                   !outcome.sent;
        }
        /// An earlier server may have done it. What one says who was asked besides counts when the
        /// other one is given up.
        void turned_away(const Line& line, CallOutcome outcome) {
            if (outcome.sent && &line == &first) --operation.sendings;
            if (&line == &second) {
                unwelcome = std::move(outcome.reply.text);
                return;
            }
            if (second.waits) abandon(second);
            finish_refused(boost::system::errc::permission_denied, std::move(outcome.reply.text),
                           operation.sendings != 0);
        }
        /// "MOVED <slot> <host:port>"; empty: nobody is named.
        static std::string named_leader(const CallOutcome& outcome) {
            if (outcome.error || !outcome.reply.is_error("MOVED")) return {};
            return outcome.reply.text.substr(outcome.reply.text.rfind(' ') + 1);
        }

        /// The one who was asked first leads no further.
        void go_on(const CallOutcome& outcome) {
            if (outcome.error == boost::asio::error::timed_out) shun(first.server);
            if (second.waits) return take_other();
            follow(named_leader(outcome));
        }
        void follow(std::string leader) {
            if (leader.empty() || is_shunned(leader)) return ask_next();
            first.server = std::move(leader);
            again();
        }
        void take_other() {
            std::swap(first, second);
            began = named = Clock::now();
        }

        // ---- while a server is silent ----

        void doubt_after(std::chrono::nanoseconds time) {
            doubt.expires_at(later(time));
            doubt.async_wait([self = shared_from_this()](Error error) {
                if (!error && self->operation.done && self->first.waits) self->look_around();
            });
        }

        void look_around() {
            const Clock::time_point now = Clock::now();
            if (operation.deadline <= now) return give_up();
            doubt_after(options.doubt_timeout / 2);
            if (std::min(now - began, now - named) >= options.attempt_timeout) {
                shun(first.server);
                abandon(first);
                if (second.waits) return take_other();
                if (unwelcome.empty()) return ask_next();
                return finish_refused(boost::system::errc::permission_denied, unwelcome, true);
            }
            if (second.waits || options.servers.size() < 2) return;
            redirected = false;
            unreachable = 0;
            ask_another();
        }
        void ask_another() {
            second.server = next_server();
            if (second.server == first.server) second.server = next_server();
            ask(second);
        }

        /// What one says who was asked besides.
        void hear(const CallOutcome& outcome) {
            // No server is there: the next one, once around.
            const bool is_dead = outcome.error == boost::asio::error::connection_refused;
            if (is_dead && ++unreachable < options.servers.size()) return ask_another();
            std::string leader = named_leader(outcome);
            if (leader == first.server) named = Clock::now();
            if (leader.empty() || leader == first.server || is_shunned(leader)) return;
            // Not further than that: two that name each other would be asked without a pause.
            if (std::exchange(redirected, true)) return;
            second.server = std::move(leader);
            ask(second);
        }

        void shun(const std::string& server) {
            shunned = server;
            shunned_until = later(options.attempt_timeout);
        }
        bool is_shunned(const std::string& server) const {
            return server == shunned && Clock::now() < shunned_until;
        }

        // ---- one server after the other ----

        void remember(const std::string& server) {
            std::vector<std::string>& servers = options.servers;
            if (std::find(servers.begin(), servers.end(), server) != servers.end()) return;
            if (servers.size() == listed + most_remembered) {
                servers.erase(servers.begin() + static_cast<std::ptrdiff_t>(listed));
            }
            servers.push_back(server);
        }
        const std::string& next_server() {
            position = (position + 1) % options.servers.size();
            return options.servers[position];
        }
        void ask_next() {
            first.server = next_server();
            again();
        }

        void again() {
            if (++operation.failures <= options.servers.size()) return attempt();
            operation.failures = 0;
            timer.expires_at(std::min(operation.deadline, later(operation.pause)));
            operation.pause = std::min(2 * operation.pause, options.pause_max);
            timer.async_wait([self = shared_from_this()](Error error) {
                if (!error && self->operation.done) self->attempt();
            });
        }

        void judge(Reply& reply) {
            const bool resent = operation.sendings > 1 && operation.kind == Kind::put;
            Answer answer;
            if (reply.is_error("NOKEY")) {
                answer.err = resent ? Err::maybe : Err::no_key;
            } else if (reply.is_error("VERSION")) {
                answer.err = resent ? Err::maybe : Err::version;
            } else if (reply.type == Reply::Type::error) {
                return finish_refused(boost::system::errc::invalid_argument, std::move(reply.text),
                                      operation.sendings > 1);
            } else if (!take(reply, answer)) {
                return ask_next();  // whatever that is, it is no kv server
            }
            remember(first.server);
            finish({}, std::move(answer));
        }

        bool take(Reply& reply, Answer& answer) const {
            switch (operation.kind) {
                case Kind::get:
                    if (reply.type != Reply::Type::array || reply.elements.size() != 2) {
                        return false;
                    }
                    answer.value = std::move(reply.elements[0].text);
                    answer.version = static_cast<std::uint64_t>(reply.elements[1].integer);
                    return true;
                case Kind::put:
                    answer.version = static_cast<std::uint64_t>(reply.integer);
                    return reply.type == Reply::Type::integer;
                case Kind::set: return reply.type == Reply::Type::simple;
            }
            return false;
        }

        /// What one server refuses another one, that was sent it before, may yet carry out: that
        /// says nothing of how the key's version stands.
        void finish_refused(boost::system::errc::errc_t why, std::string text, bool sent_before) {
            Answer answer;
            answer.value = std::move(text);
            const bool in_doubt = sent_before && operation.kind != Kind::get;
            finish(in_doubt ? Error(boost::asio::error::timed_out) : make_error_code(why),
                   std::move(answer));
        }
        /// There is no time left. What was the matter with a server, if that is known, is told.
        void give_up() {
            Answer answer;
            answer.value = std::move(operation.trouble);
            answer.sent = operation.sendings != 0 || first.waits || second.waits;
            finish(boost::asio::error::timed_out, std::move(answer));
        }
        void finish(Error error, Answer answer = {}) {
            timer.cancel();
            doubt.cancel();
            for (Line* line : {&first, &second}) {
                if (line->waits) abandon(*line);
            }
            if (!operation.done) return;
            Completion done = std::exchange(operation, {}).done;
            done(error, std::move(answer));
        }

        void close() {
            closed = true;
            finish(boost::asio::error::operation_aborted);
        }

        /// A reply that comes later is not taken for another's. What was asked may have been done.
        void abandon(Line& line) {
            if (line.waits) ++operation.sendings;
            line.caller = std::make_unique<Caller>(
                executor, CallerOptions{options.connect_timeout, options.credentials, options.tls});
            line.waits = false;
        }
        static Clock::time_point later(std::chrono::nanoseconds time) {
            return Clock::now() + std::min<std::chrono::nanoseconds>(time, endless);
        }

        static constexpr std::chrono::hours endless{24 * 365 * 10};
        static constexpr std::size_t most_remembered = 8;

        boost::asio::any_io_executor executor;
        ClerkOptions options;
        Line first;                   // to who led last, as far as is known
        Line second;                  // to who is asked besides while that one is silent
        std::string unwelcome;        // what `second` said that lets this client not in
        bool redirected = false;      // `second`, by who was asked before
        std::size_t unreachable = 0;  // of those asked since the last look around
        Clock::time_point began;      // the wait for `first`
        Clock::time_point named;  // when another server last said that it leads; at least `began`
        boost::asio::steady_timer timer;
        boost::asio::steady_timer doubt;
        const std::size_t listed;  // of options.servers; those behind have been found
        Operation operation;       // `done` is empty: none is under way
        std::string shunned;       // who was given up
        Clock::time_point shunned_until;
        std::size_t position = 0;  // in options.servers
        bool closed = false;
    };

    static ClerkOptions checked(ClerkOptions options) {
        if (options.servers.empty()) throw std::invalid_argument("kv clerk: no servers");
        for (const std::string& server : options.servers) {
            if (rsm::TcpAddress::parse(server)) continue;
            throw std::invalid_argument("kv clerk: not host:port: \"" + server + "\"");
        }
        return options;
    }

    template <class CompletionToken>
    auto start(Kind kind, std::initializer_list<std::string_view> words, CompletionToken&& token) {
        std::string request;
        append_request(request, std::span(words.begin(), words.size()));
        return boost::asio::async_initiate<CompletionToken, Signature>(
            [state = state_](auto handler, Kind asked, std::string text) {
                Operation operation;
                operation.kind = asked;
                operation.request = std::move(text);
                operation.done = Completion(std::move(handler), state->executor);
                boost::asio::dispatch(state->executor,
                                      [state, operation = std::move(operation)]() mutable {
                                          state->begin(std::move(operation));
                                      });
            },
            token, kind, std::move(request));
    }

    std::shared_ptr<State> state_;
};

}  // namespace kv

#endif
