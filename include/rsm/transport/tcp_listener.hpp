// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The listening socket and the incoming connections: greet, read, deliver.
#ifndef RSM_TRANSPORT_TCP_LISTENER_HPP
#define RSM_TRANSPORT_TCP_LISTENER_HPP

#include <raft/message.hpp>
#include <raft/types.hpp>
#include <rsm/transport/tcp_connection.hpp>
#include <rsm/transport/tcp_inbox.hpp>
#include <rsm/transport/tcp_wire.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::detail {

/// Accepts connections. A connection is a stranger's until its hello was accepted; strangers are
/// limited in number and in time. Each peer has one connection here: a newer one replaces it.
///
/// Handlers own the listener and the connection that they work for; after close() they do nothing.
class TcpListener {
public:
    using Self = std::shared_ptr<TcpListener>;

    /// `greeted` is told of every peer that has introduced itself.
    TcpListener(std::shared_ptr<TcpShared> shared, std::function<void(raft::NodeId)> greeted)
        : shared_(std::move(shared)),
          greeted_(std::move(greeted)),
          acceptor_(shared_->executor),
          retry_(shared_->executor) {}

    /// Binds and listens; connections wait in the system until start(). May block on a lookup if
    /// the host is not numeric. Throws boost::system::system_error that names the address.
    void open(const TcpAddress& address) {
        boost::system::error_code error;
        boost::asio::ip::tcp::endpoint endpoint;
        const auto numeric = boost::asio::ip::make_address(address.host, error);
        if (!error) {
            endpoint = {numeric, address.port};
        } else {
            boost::asio::ip::tcp::resolver resolver(shared_->executor);
            const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
            if (!error) endpoint = found.begin()->endpoint();
        }
        if (!error) acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(boost::asio::socket_base::reuse_address(true), error);
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
        if (!error) port_ = acceptor_.local_endpoint(error).port();
        if (error) throw boost::system::system_error(error, "cannot listen on " + address.text());
    }

    std::uint16_t port() const { return port_; }

    static void start(const Self& self) {
        self->acceptor_.async_accept(
            [self](boost::system::error_code error, boost::asio::ip::tcp::socket socket) {
                if (self->stopped_) return;
                if (error) return pause(self);
                admit(self, std::make_shared<Connection>(std::move(socket), *self->shared_));
                start(self);
            });
    }

    /// Forgets a peer that is none any more.
    void remove(raft::NodeId peer) {
        const auto found = peers_.find(peer);
        if (found == peers_.end()) return;
        found->second->close();
        peers_.erase(found);
    }

    void stop() {
        stopped_ = true;
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        retry_.cancel();
        for (const ConnectionPtr& stranger : strangers_) stranger->close();
        for (const auto& [peer, connection] : peers_) connection->close();
        strangers_.clear();
        peers_.clear();
    }

private:
    struct Connection : TcpStream {
        Connection(boost::asio::ip::tcp::socket accepted, const TcpShared& shared)
            : TcpStream(std::move(accepted)),
              timer(shared.executor),
              inbox(shared.options.max_frame_bytes) {}

        boost::asio::steady_timer timer;
        bool closed = false;
        raft::NodeId peer;  ///< 0: a stranger
        std::array<std::byte, greeting_head_bytes + greeting_rest_max> hello{};
        std::vector<std::byte> answer;
        Inbox inbox;

        void close() {
            closed = true;
            timer.cancel();
            TcpStream::close();
        }
    };
    using ConnectionPtr = std::shared_ptr<Connection>;

    /// Accepting fails when descriptors run out, among others; a little later it may not.
    static void pause(const Self& self) {
        self->retry_.expires_after(std::chrono::milliseconds(100));
        self->retry_.async_wait([self](boost::system::error_code) {
            if (!self->stopped_) start(self);
        });
    }

    // ---- strangers ---------------------------------------------------------------------------

    static void admit(const Self& self, const ConnectionPtr& stranger) {
        if (self->strangers_.size() >= self->shared_->options.max_strangers) {
            ++self->shared_->counters.handshakes_refused;
            self->close(self->strangers_.front());
        }
        self->strangers_.push_back(stranger);
        stranger->tune();
        stranger->timer.expires_after(self->shared_->options.handshake_timeout);
        stranger->timer.async_wait([self, stranger](boost::system::error_code error) {
            // It may have become a peer just when the time was up.
            if (error || stranger->closed || stranger->peer) return;
            if (stranger->answer.empty()) return self->turn_away(stranger);
            self->close(stranger);  // refused already, and counted
        });
        const auto head = std::span(stranger->hello).first(greeting_head_bytes);
        read_exactly(stranger, head, [self, stranger](boost::system::error_code error) {
            if (stranger->closed) return;
            if (error) return self->turn_away(stranger);
            const GreetingHead got = load_greeting_head(stranger->hello.data());
            if (got.magic != hello_magic) return self->turn_away(stranger);
            if (got.version != wire_version) return refuse(self, stranger, Verdict::other_version);
            if (got.length == 0 || got.length > greeting_rest_max) {
                return self->turn_away(stranger);
            }
            read_rest(self, stranger, greeting_head_bytes + got.length);
        });
    }

    static void read_rest(const Self& self, const ConnectionPtr& stranger, std::size_t size) {
        const auto rest = std::span(stranger->hello).first(size).subspan(greeting_head_bytes);
        read_exactly(stranger, rest, [self, stranger, size](boost::system::error_code error) {
            if (stranger->closed) return;
            const auto hello = decode_hello(std::span(stranger->hello).first(size));
            if (error || !hello) return self->turn_away(stranger);
            const Verdict verdict = self->judge(*hello);
            if (verdict != Verdict::welcome) return refuse(self, stranger, verdict);
            welcome(self, stranger, *hello);
        });
    }

    Verdict judge(const Hello& hello) {
        if (hello.cluster != shared_->options.cluster) return Verdict::other_cluster;
        if (hello.to != shared_->options.self) return Verdict::other_node;
        // The peers never include this node itself.
        if (shared_->peer(hello.from) == nullptr) return Verdict::unknown_node;
        return Verdict::welcome;
    }

    /// Says why, then waits until the other side has closed (or its time is up): closing while
    /// bytes of its hello are unread would destroy the answer on its way.
    static void refuse(const Self& self, const ConnectionPtr& stranger, Verdict verdict) {
        ++self->shared_->counters.handshakes_refused;
        stranger->answer = encode(Answer{verdict, self->shared_->options.self, {}});
        stranger->parts = {boost::asio::buffer(stranger->answer)};
        write_parts(stranger, [self, stranger](boost::system::error_code error) {
            if (stranger->closed) return;
            if (error) return self->close(stranger);
            stranger->socket.shutdown(boost::asio::socket_base::shutdown_send, error);
            drain(self, stranger);
        });
    }

    static void drain(const Self& self, const ConnectionPtr& stranger) {
        stranger->socket.async_read_some(
            boost::asio::buffer(stranger->hello),
            [self, stranger](boost::system::error_code error, std::size_t) {
                if (stranger->closed) return;
                if (error) return self->close(stranger);
                drain(self, stranger);
            });
    }

    void turn_away(const ConnectionPtr& stranger) {
        ++shared_->counters.handshakes_refused;
        close(stranger);
    }

    static void welcome(const Self& self, const ConnectionPtr& connection, const Hello& hello) {
        std::erase(self->strangers_, connection);
        connection->timer.cancel();
        connection->peer = hello.from;
        ConnectionPtr& place = self->peers_[hello.from];
        if (place != nullptr) place->close();
        place = connection;
        ++self->shared_->counters.accepts;
        self->shared_->peers[hello.from].advertisement = hello.advertise;
        const TcpOptions& options = self->shared_->options;
        connection->answer = encode(Answer{Verdict::welcome, options.self, options.advertise});
        connection->parts = {boost::asio::buffer(connection->answer)};
        write_parts(connection, [self, connection](boost::system::error_code error) {
            if (connection->closed) return;
            if (error) return self->close(connection);
            read_frames(self, connection);
        });
        self->greeted_(hello.from);
    }

    // ---- peers -------------------------------------------------------------------------------

    static void read_frames(const Self& self, const ConnectionPtr& connection) {
        const std::span<std::byte> space = connection->inbox.free_space();
        connection->socket.async_read_some(
            boost::asio::buffer(space.data(), space.size()),
            [self, connection](boost::system::error_code error, std::size_t count) {
                if (connection->closed) return;
                if (error) return self->close(connection);
                self->shared_->counters.bytes_received += count;
                connection->inbox.received(count);
                const std::uint64_t before = self->shared_->counters.messages_received;
                self->deliver(connection);
                if (self->shared_->counters.messages_received != before) self->delivered();
                if (!connection->closed) read_frames(self, connection);
            });
    }

    /// Hands out every message that is complete.
    void deliver(const ConnectionPtr& connection) {
        const auto receive = shared_->receive;
        raft::Message message;
        // A receiver may stop the transport, which closes the connection.
        while (!connection->closed) {
            const Inbox::Status status = connection->inbox.next(message);
            if (status == Inbox::Status::incomplete) return;
            if (status == Inbox::Status::broken || message.from != connection->peer ||
                message.to != shared_->options.self) {
                ++shared_->counters.bad_frames;
                return close(connection);
            }
            ++shared_->counters.messages_received;
            (*receive)(std::move(message));
        }
    }

    void delivered() {
        const auto received = shared_->received;
        if (received != nullptr) (*received)();
    }

    /// By value: the argument may stand in one of the containers.
    void close(ConnectionPtr connection) {
        connection->close();
        std::erase(strangers_, connection);
        const auto found = peers_.find(connection->peer);
        if (found != peers_.end() && found->second == connection) peers_.erase(found);
    }

    std::shared_ptr<TcpShared> shared_;
    std::function<void(raft::NodeId)> greeted_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    std::uint16_t port_ = 0;
    bool stopped_ = false;
    std::deque<ConnectionPtr> strangers_;  ///< the oldest first
    std::map<raft::NodeId, ConnectionPtr> peers_;
};

}  // namespace rsm::detail

#endif
