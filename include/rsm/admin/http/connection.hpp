// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One client of the admin server: reads a request, has it answered, and goes on with the next.
#ifndef RSM_ADMIN_HTTP_CONNECTION_HPP
#define RSM_ADMIN_HTTP_CONNECTION_HPP

#include <rsm/admin/http/message.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// What a client may take.
struct HttpLimits {
    std::size_t max_header_bytes = 8192;              ///< of a request
    std::chrono::milliseconds request_timeout{5000};  ///< from its first byte to its last
    std::chrono::milliseconds idle_timeout{30'000};   ///< until it begins
    std::chrono::milliseconds reply_timeout{10'000};  ///< until it is answered, and that taken
};

/// Requests are taken one after another: those that a client sends ahead wait in the one buffer,
/// whose size bounds them.
///
/// Handlers own the connection. Everything on the executor. After close() nothing is called.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;
    using Parser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

public:
    using Respond = std::function<void(HttpReply)>;
    /// Answers a request, once, from its executor; possibly from within the call.
    using Answer = std::function<void(const HttpRequest&, Respond)>;

    HttpConnection(Tcp::socket socket, const HttpLimits& limits, Answer answer)
        : socket_(std::move(socket)),
          deadline_(socket_.get_executor()),
          limits_(limits),
          answer_(std::move(answer)),
          buffer_(limits.max_header_bytes) {}

    /// @param gone  called once, when the connection has come to its end by itself
    void start(std::function<void()> gone) {
        gone_ = std::move(gone);
        next_request();
    }

    using Clock = std::chrono::steady_clock;

    /// Whether it waits for the client: to ask for something, or for more than a second already, to
    /// take its reply.
    bool is_waiting(Clock::time_point now) const {
        const bool is_telling = state_ == State::writing || state_ == State::ending;
        return is_receiving() || (is_telling && now - since_ > std::chrono::seconds(1));
    }
    Clock::time_point waiting_since() const { return since_; }

    void close() {
        if (std::exchange(state_, State::closed) == State::closed) return;
        deadline_.cancel();
        Error ignored;
        socket_.close(ignored);
        answer_ = nullptr;
        gone_ = nullptr;
    }

private:
    enum class State : unsigned char { idle, reading, answering, writing, ending, closed };

    bool is_receiving() const { return state_ == State::idle || state_ == State::reading; }

    void next_request() {
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(limits_.max_header_bytes));
        parser_->skip(true);  // refused anyway, and then the connection ends
        since_ = Clock::now();
        state_ = State::idle;
        limit(limits_.idle_timeout);
        if (filled_ != 0) return parse();
        read();
    }

    void read() {
        const auto space = boost::asio::buffer(buffer_) + filled_;
        socket_.async_read_some(space, [self = shared_from_this()](Error error, std::size_t count) {
            if (!self->is_receiving()) return;
            if (error) return self->end();
            self->filled_ += count;
            self->parse();
        });
    }

    void parse() {
        if (std::exchange(state_, State::reading) == State::idle) limit(limits_.request_timeout);
        Error error;
        while (filled_ != 0 && !error && !parser_->is_done()) {
            const std::size_t used =
                parser_->put(boost::asio::buffer(buffer_.data(), filled_), error);
            filled_ -= used;
            std::memmove(buffer_.data(), buffer_.data() + used, filled_);
        }
        if (parser_->is_done()) return take();
        const bool needs_more = !error || error == boost::beast::http::error::need_more;
        if (needs_more && filled_ < buffer_.size()) return read();
        if (needs_more || error == boost::beast::http::error::header_limit) {
            return reply(plain_reply(431, "The request's header is too large."), true, false);
        }
        if (error == boost::beast::http::error::bad_version) {
            return reply(plain_reply(505, "This server speaks HTTP/1.1."), true, false);
        }
        reply(plain_reply(400, "That is no HTTP request."), true, false);
    }

    void take() {
        state_ = State::answering;
        limit(limits_.reply_timeout);
        const HttpRequest& request = parser_->get();
        const bool with_body = request.method() != boost::beast::http::verb::head;
        // What is refused may be followed by a body, which is nobody's.
        const bool keep = parser_->keep_alive();
        answer_(request, [weak = weak_from_this(), with_body, keep](HttpReply answered) {
            const auto self = weak.lock();
            if (self == nullptr || self->state_ != State::answering) return;
            const bool refused =
                answered.status >= 400 && answered.status < 500 && answered.status != 404;
            self->reply(answered, with_body, keep && !refused);
        });
    }

    void reply(const HttpReply& answered, bool with_body, bool keep_alive) {
        since_ = Clock::now();
        state_ = State::writing;
        limit(limits_.reply_timeout);
        reply_ = to_bytes(answered, with_body, keep_alive);
        boost::asio::async_write(socket_, boost::asio::buffer(reply_),
                                 [self = shared_from_this(), keep_alive](Error error, std::size_t) {
                                     if (self->state_ != State::writing) return;
                                     if (error) return self->end();
                                     keep_alive ? self->next_request() : self->see_off();
                                 });
    }

    /// What is unread when a socket is closed would take the reply with it.
    void see_off() {
        state_ = State::ending;
        limit(std::chrono::milliseconds(1000));
        Error ignored;
        socket_.shutdown(Tcp::socket::shutdown_send, ignored);
        discard();
    }
    void discard() {
        socket_.async_read_some(boost::asio::buffer(buffer_),
                                [self = shared_from_this()](Error error, std::size_t) {
                                    if (self->state_ != State::ending) return;
                                    error ? self->end() : self->discard();
                                });
    }

    void limit(std::chrono::milliseconds time) {
        deadline_.expires_after(time);
        deadline_.async_wait([weak = weak_from_this(), round = ++round_](Error error) {
            const auto self = weak.lock();
            if (error || self == nullptr || self->round_ != round) return;
            self->late();
        });
    }
    void late() {
        if (state_ != State::reading) return end();
        Error ignored;
        socket_.cancel(ignored);
        reply(plain_reply(408, "The request did not come to its end in time."), true, false);
    }

    void end() {
        const auto gone = std::move(gone_);
        const auto self = shared_from_this();
        close();
        if (gone) gone();
    }

    Tcp::socket socket_;
    boost::asio::steady_timer deadline_;
    std::uint64_t round_ = 0;  // of limit(): only the newest wait counts
    HttpLimits limits_;
    Answer answer_;
    std::function<void()> gone_;
    State state_ = State::idle;
    Clock::time_point since_{};  // it waits for the client
    std::vector<char> buffer_;
    std::size_t filled_ = 0;  // bytes of it that are not parsed
    std::optional<Parser> parser_;
    std::string reply_;
};

}  // namespace rsm::detail

#endif
