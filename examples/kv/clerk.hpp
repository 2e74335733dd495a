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
    /// How long to wait for one server before the next is asked. More than 0.
    std::chrono::nanoseconds attempt_timeout = std::chrono::seconds(1);
    /// How long to wait for a connection to it, within attempt_timeout. More than 0.
    std::chrono::nanoseconds connect_timeout = std::chrono::milliseconds(300);
    /// How long an operation may take in all. 0: no limit.
    std::chrono::nanoseconds operation_timeout{0};
    /// The pause after all servers have been asked in vain, doubled each time up to pause_max.
    std::chrono::nanoseconds pause_min = std::chrono::milliseconds(10);
    std::chrono::nanoseconds pause_max = std::chrono::milliseconds(200);
    /// Said to every server. One that does not accept them refuses the operation.
    Credentials credentials;
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
    std::string value;  ///< of a get; with invalid_argument, permission_denied: why it refused
    std::uint64_t version = 0;  ///< of a get; of a put that took effect: the new version
};

/// Each operation goes to the server that led last; an answer that names another leader, silence
/// for attempt_timeout, or a failed connection lead on, until a server gives a final answer. A
/// server that was silent is not followed to again for attempt_timeout, whoever names it, so that a
/// wrong name holds an operation up for at most half of its time.
///
/// A put may so be sent more than once, but it takes effect at most once, since it does so only at
/// the version that it expects, and versions only grow. Version 0, which asks for an absent key, is
/// the exception where others delete: it can take effect again after such a deletion. When the
/// request has been sent again and the answer is that the version differs, or the key is gone, this
/// may be the doing of its own first copy: the result is then `maybe`. A resend counts even if a
/// server had refused the first copy. `maybe` says that the put will not take effect later either,
/// provided that the caller learned the version it expects from the service; a made-up one may come
/// true at any time.
///
/// Errors, as error codes: timed_out (operation_timeout has passed; a put may have taken effect,
/// or still may), operation_aborted (the clerk was destroyed; likewise), invalid_argument (the
/// server refuses the request for what it is, e.g. its size), permission_denied (a server refuses
/// the clerk for who it is), in_progress (see below).
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

    /// Writes a key whatever its version is. It may take effect more than once, and so undo a
    /// write that another client made in between.
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
    };

    struct State : std::enable_shared_from_this<State> {
        State(const boost::asio::any_io_executor& given, ClerkOptions given_options)
            : executor(given),
              options(std::move(given_options)),
              caller(executor, {options.connect_timeout, options.credentials}),
              timer(executor),
              listed(options.servers.size()),
              target(options.servers.front()) {}

        void begin(Operation started) {
            if (closed) return started.done(boost::asio::error::operation_aborted, {});
            if (operation.done) return started.done(boost::asio::error::in_progress, {});
            operation = std::move(started);
            operation.pause = options.pause_min;
            if (options.operation_timeout > std::chrono::nanoseconds::zero()) {
                operation.deadline = Clock::now() + std::min<std::chrono::nanoseconds>(
                                                        options.operation_timeout, endless);
            }
            attempt();
        }

        void attempt() {
            const auto left = operation.deadline - Clock::now();
            if (left <= Clock::duration::zero()) return finish(boost::asio::error::timed_out);
            const auto limit = std::min<std::chrono::nanoseconds>(left, options.attempt_timeout);
            // The caller ends with this state and then calls nobody; so no ownership is needed.
            caller.call(target, operation.request, limit,
                        [this](CallOutcome outcome) { answered(std::move(outcome)); });
        }

        void answered(CallOutcome outcome) {
            if (outcome.sent) ++operation.sendings;
            const Reply& reply = outcome.reply;
            if (outcome.error) {
                if (outcome.error == boost::asio::error::timed_out) shun(target);
                return ask_next();
            }
            if (reply.is_error("MOVED")) return follow(reply.text);
            // None of these is an answer to the question.
            for (const char* code : {"CLUSTERDOWN", "TRYAGAIN", "BUSY", "UNKNOWN"}) {
                if (reply.is_error(code)) return ask_next();
            }
            // As Redis says it, of the connection and not of the request.
            if (reply.type == Reply::Type::error &&
                reply.text.starts_with("ERR max number of clients")) {
                return ask_next();
            }
            // It did not do anything; an earlier server may have.
            if (reply.is_error("NOAUTH") || reply.is_error("WRONGPASS") || !outcome.sent) {
                return finish_refused(std::move(outcome));
            }
            judge(outcome.reply);
        }

        void finish_refused(CallOutcome outcome) {
            const std::size_t earlier = operation.sendings - (outcome.sent ? 1 : 0);
            Answer answer;
            if (earlier != 0 && operation.kind != Kind::get) {
                answer.err = Err::maybe;
                return finish({}, std::move(answer));
            }
            answer.value = std::move(outcome.reply.text);
            finish(make_error_code(boost::system::errc::permission_denied), std::move(answer));
        }

        // "MOVED <slot> <host:port>"
        void follow(const std::string& text) {
            std::string leader = text.substr(text.rfind(' ') + 1);
            if (leader == shunned && Clock::now() < shunned_until) return ask_next();
            target = std::move(leader);
            again();
        }
        void shun(const std::string& server) {
            shunned = server;
            shunned_until =
                Clock::now() + std::min<std::chrono::nanoseconds>(options.attempt_timeout, endless);
        }
        void remember(const std::string& server) {
            std::vector<std::string>& servers = options.servers;
            if (std::find(servers.begin(), servers.end(), server) != servers.end()) return;
            if (servers.size() == listed + most_remembered) {
                servers.erase(servers.begin() + static_cast<std::ptrdiff_t>(listed));
            }
            servers.push_back(server);
        }
        void ask_next() {
            position = (position + 1) % options.servers.size();
            target = options.servers[position];
            again();
        }

        void again() {
            if (++operation.failures <= options.servers.size()) return attempt();
            operation.failures = 0;
            timer.expires_at(std::min(operation.deadline, Clock::now() + operation.pause));
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
            } else if (reply.type == Reply::Type::error && operation.sendings > 1 &&
                       operation.kind != Kind::get) {
                answer.err = Err::maybe;  // this sending was refused, an earlier one may not be
            } else if (reply.type == Reply::Type::error) {
                answer.value = std::move(reply.text);
                return finish(make_error_code(boost::system::errc::invalid_argument),
                              std::move(answer));
            } else if (!take(reply, answer)) {
                return ask_next();  // whatever that is, it is no kv server
            }
            remember(target);
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

        void finish(Error error, Answer answer = {}) {
            timer.cancel();
            if (!operation.done) return;
            Completion done = std::exchange(operation, {}).done;
            done(error, std::move(answer));
        }

        void close() {
            closed = true;
            finish(boost::asio::error::operation_aborted);
        }

        static constexpr std::chrono::hours endless{24 * 365 * 10};
        static constexpr std::size_t most_remembered = 8;

        boost::asio::any_io_executor executor;
        ClerkOptions options;
        Caller caller;
        boost::asio::steady_timer timer;
        const std::size_t listed;  // of options.servers; those behind have been found
        Operation operation;       // `done` is empty: none is under way
        std::string target;        // who led last, as far as is known
        std::string shunned;       // who was silent
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
