// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A client's socket: bytes in, bytes out, and an end that does not lose the last reply.
#ifndef RSM_EXAMPLES_KV_CLIENT_STREAM_HPP
#define RSM_EXAMPLES_KV_CLIENT_STREAM_HPP

#include "client_socket.hpp"
#include "input_buffer.hpp"
#include "socket_tuning.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace kv {

/// Receives and sends when it is told to, and tells the class that is derived from it what came of
/// that. While it waits for a client that has nothing to say it holds no buffer.
///
/// Thread safety: everything on the socket's executor.
class ClientStream : public std::enable_shared_from_this<ClientStream> {
public:
    using Socket = ClientSocket;
    using Clock = std::chrono::steady_clock;

    ClientStream(const ClientStream&) = delete;
    ClientStream& operator=(const ClientStream&) = delete;

    bool is_open() const { return open_; }

    /// That of the client; the unspecified address when it is gone.
    boost::asio::ip::address host() const {
        Error error;
        return socket_.remote_endpoint(error).address();
    }
    /// "host:port" of the client, as long as it is connected.
    std::string address() const {
        Error error;
        const auto remote = socket_.remote_endpoint(error);
        if (error) return "(gone)";
        const std::string host = remote.address().to_string();
        return (remote.address().is_v6() ? "[" + host + "]" : host) + ":" +
               std::to_string(remote.port());
    }

    /// Ends the connection now; none of the functions below is called any more.
    void close() {
        if (!std::exchange(open_, false)) return;
        Error ignored;
        socket_.close(ignored);
        linger_timer_.cancel();
    }

protected:
    using Error = boost::system::error_code;

    ClientStream(Socket socket, std::chrono::milliseconds linger, std::chrono::seconds keep_alive)
        : socket_(std::move(socket)), linger_timer_(socket_.get_executor()), linger_(linger) {
        tune_client_socket(tcp_of(socket_), keep_alive);
    }
    virtual ~ClientStream() = default;

    /// Bytes are in input(), or the client sends no more.
    virtual void received() = 0;
    /// All that send() was given has been taken by the client, or by the system for it.
    virtual void sent() = 0;
    /// Whether input() may hold so many bytes of memory more. If not, nothing is received.
    virtual bool admits_input(std::size_t more) = 0;
    /// The connection has ended by itself.
    virtual void ended() = 0;

    /// Begins with TLS, and then calls done(Handshake). @pre nothing was received or sent
    template <class Done>
    void secure(const Tls& tls, TlsAsks asks, Done done) {
        secure_client(socket_, tls, asks,
                      [self = shared_from_this(), done = std::move(done)](const Handshake& ended) {
                          if (self->open_) done(ended);
                      });
    }

    InputBuffer& input() { return input_; }
    /// Replies to be sent next.
    std::string& out() { return out_; }
    std::size_t unsent_bytes() const { return out_.size() + sending_.size(); }
    std::size_t memory_bytes() const {
        return input_.capacity() + out_.capacity() + sending_.capacity() + tls_memory(socket_);
    }

    /// The client sends no more. It may still wait for its replies.
    bool at_end() const { return at_end_; }
    bool is_sending() const { return !sending_.empty(); }
    /// Everything was sent, and the client has a moment to take it.
    bool is_lingering() const { return lingering_; }
    /// When the client last took bytes of what is being sent.
    Clock::time_point progress() const { return progress_; }

    /// Receives once, unless that is under way.
    void receive() {
        if (!open_ || receiving_ || at_end_ || lingering_) return;
        if (input_.data().empty()) return wait_for_input();
        if (!admits_input(input_.growth())) return;
        receiving_ = true;
        const std::span<char> room = room_for_input();
        socket_.async_read_some(boost::asio::buffer(room.data(), room.size()),
                                [self = shared_from_this()](Error error, std::size_t count) {
                                    self->take_in(error, count);
                                });
    }

    /// Sends what is in out(), unless something is being sent.
    void send() {
        if (is_sending() || out_.empty() || lingering_) return;
        sending_.swap(out_);
        progress_ = Clock::now();
        const auto see_progress = [this](const Error& error, std::size_t count) -> std::size_t {
            constexpr std::size_t sent_at_once = 65536;
            if (count != 0) progress_ = Clock::now();
            return error ? 0 : sent_at_once;
        };
        boost::asio::async_write(
            socket_, boost::asio::buffer(sending_), see_progress,
            [self = shared_from_this()](Error error, std::size_t) { self->have_sent(error); });
    }

    // To close a socket while bytes are unread in it makes the system throw away what it has not
    // sent yet: the last reply. So wait for the client to take it and close, for a while.
    void end_after_last() {
        if (!open_ || std::exchange(lingering_, true)) return;
        drop_input();
        Error ignored;
        socket_.shutdown(Socket::shutdown_send, ignored);
        linger_timer_.expires_after(linger_);
        linger_timer_.async_wait([self = shared_from_this()](Error error) {
            if (!error) self->end();
        });
        discard();
    }

    /// Gives the memory of what was received back, as far as nothing is being received into it.
    void drop_input() {
        if (!receiving_) input_.release();
    }

    void end() {
        if (!open_) return;
        const auto kept = shared_from_this();
        close();
        ended();
    }

private:
    void wait_for_input() {
        input_.release();
        receiving_ = true;
        socket_.async_wait(Socket::wait_read, [self = shared_from_this()](Error error) {
            self->receiving_ = false;
            if (!self->open_) return;
            if (self->lingering_) return self->discard();
            if (error) return self->end();
            self->read_at_once();
        });
    }

    /// Not all that there is: to receive megabytes in one go takes the others' time.
    std::span<char> room_for_input() {
        constexpr std::size_t received_at_once = 65536;
        const std::span<char> room = input_.prepare();
        return room.first(std::min(room.size(), received_at_once));
    }

    void read_at_once() {
        if (!admits_input(input_.growth())) return;
        const std::span<char> room = room_for_input();
        Error error;
        const std::size_t count =
            socket_.read_some(boost::asio::buffer(room.data(), room.size()), error);
        if (error == boost::asio::error::would_block) return receive();
        take_in(error, count);
    }

    void take_in(Error error, std::size_t count) {
        receiving_ = false;
        if (!open_) return;
        if (lingering_) return error ? end() : discard();
        if (error && error != boost::asio::error::eof) return end();
        at_end_ = error.failed();
        input_.commit(count);
        received();
    }

    void have_sent(Error error) {
        if (!open_) return;
        if (error) return end();
        constexpr std::size_t kept_bytes_max = std::size_t{64} << 10;
        if (sending_.capacity() > kept_bytes_max) {
            std::string().swap(sending_);  // an idle connection does not keep what a reply needed
        } else {
            sending_.clear();
        }
        sent();
    }

    void discard() {
        if (receiving_) return;  // what is under way comes back here
        drop_input();
        receiving_ = true;
        if (!discarded_) discarded_.emplace();
        socket_.async_read_some(boost::asio::buffer(*discarded_),
                                [self = shared_from_this()](Error error, std::size_t) {
                                    self->receiving_ = false;
                                    if (!self->open_) return;
                                    if (error) return self->end();
                                    self->discard();
                                });
    }

    Socket socket_;
    boost::asio::steady_timer linger_timer_;
    std::chrono::milliseconds linger_;
    InputBuffer input_;
    std::string out_;
    std::string sending_;  // not to be touched
    Clock::time_point progress_;
    std::optional<std::array<char, 4096>> discarded_;
    bool open_ = true;
    bool receiving_ = false;
    bool at_end_ = false;
    bool lingering_ = false;
};

}  // namespace kv

#endif
