// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Asks one server one thing at a time. What clients are built from.
#ifndef RSM_EXAMPLES_KV_CALLER_HPP
#define RSM_EXAMPLES_KV_CALLER_HPP

#include "client_socket.hpp"
#include "credentials.hpp"
#include "reply.hpp"
#include "resp.hpp"

#include <rsm/transport/tcp/socket.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/errc.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// How a call ended.
struct CallOutcome {
    boost::system::error_code error;  ///< then there is no reply
    Reply reply;        ///< if the request was not sent: why the server does not let this client in
    bool sent = false;  ///< the request, or a part of it, may have reached the server
    std::string detail{};  ///< what the error does not say; may be empty

    /// Of an error, in a sentence.
    std::string why() const { return detail.empty() ? error.message() : detail; }
};

struct CallerOptions {
    /// For finding and connecting to a server; within that of the call.
    std::chrono::nanoseconds connect_timeout = std::chrono::nanoseconds::max();
    /// Said to each server before anything else.
    Credentials credentials{};
    /// What connections are under; null: nothing, they are plain.
    Tls tls = own_tls();
};

/// A connection to one server at a time, kept from call to call while it works.
///
/// Thread safety: everything on `executor`, which one thread runs or which is a strand. Destruction
/// abandons a call under way; its callback is not called any more.
class Caller {
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;

public:
    using Answered = std::function<void(CallOutcome)>;

    explicit Caller(const boost::asio::any_io_executor& executor, CallerOptions options = {})
        : state_(std::make_shared<State>(executor, std::move(options))) {}
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;
    ~Caller() { state_->close(); }

    /// Sends `request` (see append_request()) to the server at `address`, "host:port", and calls
    /// `answered` once, never from inside. With an error the connection is closed, so that a late
    /// reply cannot be taken for that of the next call. @pre no call is under way
    void call(const std::string& address, std::string request, std::chrono::nanoseconds timeout,
              Answered answered) {
        state_->call(state_, address, std::move(request), timeout, std::move(answered));
    }

private:
    struct State {
        State(const boost::asio::any_io_executor& executor, CallerOptions given)
            : socket(std::make_shared<ClientSocket>(executor)),
              resolver(executor),
              timer(executor),
              options(std::move(given)) {}

        using Self = std::shared_ptr<State>;
        using Clock = boost::asio::steady_timer::clock_type;

        void call(const Self& self, const std::string& to, std::string text,
                  std::chrono::nanoseconds timeout, Answered then) {
            request = std::move(text);
            answered = std::move(then);
            sent = false;
            const std::uint64_t number = ++call_number;
            const Clock::time_point now = Clock::now();
            deadline =
                timeout < Clock::time_point::max() - now ? now + timeout : Clock::time_point::max();
            if (socket->is_open() && to == address) {
                wait(self, number, deadline);
                return send(self, number);
            }
            wait(self, number,
                 now + std::min<std::chrono::nanoseconds>(options.connect_timeout, deadline - now));
            disconnect();
            address = to;
            connect(self, number);
        }

        void wait(const Self& self, std::uint64_t number, Clock::time_point end) {
            timer.expires_at(end);
            timer.async_wait([self, number, end](Error error) {
                // The wait for a connection may be over although its end was on the way.
                if (!error && self->timer.expiry() == end) {
                    self->fail(number, boost::asio::error::timed_out);
                }
            });
        }

        void connect(const Self& self, std::uint64_t number) {
            const auto parsed = rsm::TcpAddress::parse(address);
            if (!parsed) {
                // As always, not from inside.
                boost::asio::post(timer.get_executor(), [self, number] {
                    self->fail(number, boost::asio::error::invalid_argument);
                });
                return;
            }
            Error no_address;
            const auto ip = boost::asio::ip::make_address(parsed->host, no_address);
            if (!no_address) return connect(self, number, {Tcp::endpoint(ip, parsed->port)});
            resolver.async_resolve(
                parsed->host, std::to_string(parsed->port),
                [self, number](Error error, const Tcp::resolver::results_type& found) {
                    if (self->is_over(number)) return;
                    if (error) return self->fail(number, error);
                    self->connect(self, number, {found.begin(), found.end()});
                });
        }

        void connect(const Self& self, std::uint64_t number, std::vector<Tcp::endpoint> found) {
            endpoints = std::move(found);
            boost::asio::async_connect(tcp_of(*socket), endpoints,
                                       [self, number, kept = socket](Error error, auto) {
                                           if (self->is_over(number)) return;
                                           if (error) return self->fail(number, error);
                                           Error ignored;
                                           kept->set_option(Tcp::no_delay(true), ignored);
                                           rsm::detail::repeat_soon(tcp_of(*kept));
                                           self->secure(self, number);
                                       });
        }

        void secure(const Self& self, std::uint64_t number) {
            if (options.tls == nullptr) return begin(self, number);
            secure_server(*socket, options.tls,
                          [self, number, kept = socket](const Handshake& ended) {
                              if (self->is_over(number)) return;
                              if (ended.failure.empty()) return self->begin(self, number);
                              self->fail(number, boost::asio::error::access_denied,
                                         "no TLS: " + ended.failure);
                          });
        }

        void begin(const Self& self, std::uint64_t number) {
            wait(self, number, deadline);
            introduce(self, number);
        }

        /// Says who it is. The request waits for the answer: one that a server refuses for want of
        /// a password has not been sent to it.
        void introduce(const Self& self, std::uint64_t number) {
            const Credentials& who = options.credentials;
            if (who.empty()) return send(self, number);
            is_introducing = true;
            const std::array<std::string_view, 3> words{"AUTH", who.user, who.password};
            std::string text;
            append_request(text, words);
            write(self, number, std::move(text));
        }

        void send(const Self& self, std::uint64_t number) {
            sent = true;
            write(self, number, std::move(request));
        }

        void write(const Self& self, std::uint64_t number, std::string bytes) {
            // The buffer must live as long as the write, which a closed socket only ends later.
            auto text = std::make_shared<const std::string>(std::move(bytes));
            boost::asio::async_write(*socket, boost::asio::buffer(*text),
                                     [self, number, text, kept = socket](Error error, std::size_t) {
                                         if (error) self->fail(number, error);
                                     });
            receive(self, number);
        }

        void receive(const Self& self, std::uint64_t number) {
            const std::span<char> room = input->prepare();
            socket->async_read_some(
                boost::asio::buffer(room.data(), room.size()),
                [self, number, into = input, kept = socket](Error error, std::size_t count) {
                    if (self->is_over(number)) return;
                    if (error) return self->fail(number, error);
                    into->commit(count);
                    self->parse(self, number);
                });
        }

        void parse(const Self& self, std::uint64_t number) {
            const ParseStatus status = parser.parse(input->data());
            input->consume(parser.consumed());
            if (status == ParseStatus::incomplete) return receive(self, number);
            // Bytes behind the reply would be one to a question that nobody asked.
            if (status == ParseStatus::failed || !input->data().empty()) {
                return fail(number, make_error_code(boost::system::errc::protocol_error));
            }
            Reply reply = parser.take();
            if (!std::exchange(is_introducing, false)) {
                return finish({{}, std::move(reply), true, {}});
            }
            if (reply.type != Reply::Type::error) return send(self, number);
            disconnect();
            finish({{}, std::move(reply), false, {}});
        }

        bool is_over(std::uint64_t number) const {
            return number != call_number || answered == nullptr;
        }
        void fail(std::uint64_t number, Error error, std::string detail = {}) {
            if (is_over(number)) return;
            disconnect();
            finish({error, {}, sent, std::move(detail)});
        }
        void finish(CallOutcome outcome) {
            timer.cancel();
            std::exchange(answered, nullptr)(std::move(outcome));
        }

        void disconnect() {
            Error ignored;
            socket->close(ignored);
            socket = std::make_shared<ClientSocket>(timer.get_executor());
            resolver.cancel();
            is_introducing = false;
            parser = ReplyParser();
            input = std::make_shared<InputBuffer>();
        }
        void close() {
            answered = nullptr;
            timer.cancel();
            disconnect();
        }

        // Replaced with each connection: an attempt to connect that is being cancelled would go on
        // with the next address in the one that it finds open.
        std::shared_ptr<ClientSocket> socket;
        Tcp::resolver resolver;
        boost::asio::steady_timer timer;
        CallerOptions options;
        Clock::time_point deadline;  // of the call
        std::string address;
        std::vector<Tcp::endpoint> endpoints;
        std::string request;
        Answered answered;  // null: no call is under way
        std::uint64_t call_number = 0;
        bool is_introducing = false;
        bool sent = false;  // the request
        ReplyParser parser;
        // Replaced with the connection: a read that is being cancelled may still hold the old one.
        std::shared_ptr<InputBuffer> input = std::make_shared<InputBuffer>();
    };

    std::shared_ptr<State> state_;
};

/// Asks one server once, word by word, and blocks until that has ended.
inline CallOutcome call_once(const std::string& address, const std::vector<std::string>& words,
                             std::chrono::nanoseconds timeout, CallerOptions options = {}) {
    boost::asio::io_context io;
    Caller caller(io.get_executor(), std::move(options));
    std::string request;
    const std::vector<std::string_view> views(words.begin(), words.end());
    append_request(request, views);
    CallOutcome outcome;
    caller.call(address, request, timeout,
                [&outcome](CallOutcome ended) { outcome = std::move(ended); });
    io.run();
    return outcome;
}

}  // namespace kv

#endif
