// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// UnixTransport: the nodes of one machine, each a process, over Unix-domain datagrams. It shows
// what a Transport has to do; docs/policies.md goes through it.
#ifndef RSM_EXAMPLES_POLICIES_UNIX_TRANSPORT_HPP
#define RSM_EXAMPLES_POLICIES_UNIX_TRANSPORT_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/plan.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace policies {

/// The largest message: one datagram, which the system keeps whole in the sender's socket buffer.
inline constexpr std::size_t max_datagram_bytes = std::size_t{128} << 10;
/// What waits for a peer is held to this; what comes beyond it is dropped.
inline constexpr std::size_t max_queue_bytes = std::size_t{4} << 20;

inline std::string socket_path(const std::string& directory, raft::NodeId node) {
    return directory + "/node-" + std::to_string(node.value) + ".sock";
}

/// Sends to one peer, a datagram at a time. Held by what it has under way.
///
/// Its socket is connected, because only a connected one is told when the peer's queue has room.
class UnixSender : public std::enable_shared_from_this<UnixSender> {
public:
    using Protocol = boost::asio::local::datagram_protocol;

    UnixSender(const boost::asio::any_io_executor& executor, const std::string& path)
        : socket_(executor), peer_(path) {}

    void send(const raft::Message& message) {
        raft::Bytes bytes = raft::codec::encode(message);
        if (bytes.size() > max_datagram_bytes || queued_bytes_ + bytes.size() > max_queue_bytes) {
            return;  // dropped: whatever still matters is said again
        }
        queued_bytes_ += bytes.size();
        const bool yields = raft::is_piece(message.body);
        (yields ? chunks_ : others_).push_back(std::move(bytes));
        if (!sending_) send_next();
    }

    void stop() {
        boost::system::error_code ignored;
        socket_.close(ignored);
        stopped_ = true;
    }

private:
    void send_next() {
        sending_ = false;
        std::deque<raft::Bytes>& queue = others_.empty() ? chunks_ : others_;
        if (queue.empty()) return;
        if (!connected()) return drop_all();
        raft::Bytes bytes = std::move(queue.front());
        queue.pop_front();
        queued_bytes_ -= bytes.size();
        sending_ = true;
        const auto buffer = boost::asio::buffer(bytes.data(), bytes.size());
        // The handler holds the bytes, and whoever sends them, until the system is done with them.
        socket_.async_send(buffer, [self = shared_from_this(), bytes = std::move(bytes)](
                                       boost::system::error_code error, std::size_t) {
            if (self->stopped_) return;
            // The peer has gone, or was started anew under the same name: look it up again.
            if (error) self->disconnect();
            self->send_next();
        });
    }

    bool connected() {
        if (socket_.is_open()) return true;
        boost::system::error_code error;
        socket_.open(Protocol(), error);
        const boost::asio::socket_base::send_buffer_size room(4 * max_datagram_bytes);
        boost::system::error_code ignored;
        if (!error) socket_.set_option(room, ignored);  // a wish: without it fewer are under way
        if (!error) socket_.connect(peer_, error);
        if (error) disconnect();
        return !error;
    }
    void disconnect() {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }
    void drop_all() {
        others_.clear();
        chunks_.clear();
        queued_bytes_ = 0;
    }

    Protocol::socket socket_;
    const Protocol::endpoint peer_;
    std::deque<raft::Bytes> others_;
    std::deque<raft::Bytes> chunks_;  ///< of snapshots, which let all others go first
    std::size_t queued_bytes_ = 0;
    bool sending_ = false;
    bool stopped_ = false;
};

/// Receives what peers send to this node. Held by what it has under way.
class UnixReceiver : public std::enable_shared_from_this<UnixReceiver> {
public:
    using Protocol = boost::asio::local::datagram_protocol;
    using Receive = std::function<void(raft::Message)>;

    UnixReceiver(Protocol::socket socket, raft::NodeId self, std::vector<raft::NodeId> members)
        : socket_(std::move(socket)), self_(self), members_(std::move(members)) {}

    void start(Receive receive) {
        receive_ = std::make_shared<const Receive>(std::move(receive));
        listen();
    }
    void stop() {
        boost::system::error_code ignored;
        socket_.close(ignored);
        receive_ = nullptr;
    }

private:
    void listen() {
        socket_.async_receive(
            boost::asio::buffer(space_),
            [self = shared_from_this()](boost::system::error_code error, std::size_t count) {
                if (self->receive_ == nullptr) return;
                if (!error) self->deliver(std::span(self->space_).first(count));
                if (self->receive_ != nullptr) self->listen();
            });
    }

    void deliver(std::span<const std::byte> datagram) {
        if (datagram.size() > max_datagram_bytes) return;  // it did not fit, so it is cut
        auto message = raft::codec::decode_message(raft::Bytes::copy_of(datagram));
        if (!message || message->to != self_) return;
        if (std::find(members_.begin(), members_.end(), message->from) == members_.end()) return;
        // The receiver may destroy the transport, and itself with it, were it not held here.
        const std::shared_ptr<const Receive> receive = receive_;
        (*receive)(std::move(*message));
    }

    Protocol::socket socket_;
    const raft::NodeId self_;
    const std::vector<raft::NodeId> members_;
    std::shared_ptr<const Receive> receive_;
    /// A byte more than the largest message, so that one which was cut is recognised.
    std::vector<std::byte> space_ = std::vector<std::byte>(max_datagram_bytes + 1);
};

/// A UnixTransport at work. Models raft::Transport.
///
/// Messages to one peer arrive in order, but for pieces of snapshots, which yield. They are dropped
/// where the peer does not run, where too much waits for it already, and where they are too large.
///
/// Thread safety: one object from its executor only; destroying it waits for nothing.
class RunningUnixTransport {
public:
    RunningUnixTransport(std::string path, std::shared_ptr<UnixReceiver> receiver,
                         std::map<raft::NodeId, std::shared_ptr<UnixSender>> senders)
        : path_(std::move(path)), receiver_(std::move(receiver)), senders_(std::move(senders)) {}
    RunningUnixTransport(const RunningUnixTransport&) = delete;
    RunningUnixTransport& operator=(const RunningUnixTransport&) = delete;
    ~RunningUnixTransport() { stop(); }

    void start(std::function<void(raft::Message)> receive) {
        if (receiver_ == nullptr) return;
        started_ = true;
        receiver_->start(std::move(receive));
    }

    void send(raft::Message message) {
        const auto peer = senders_.find(message.to);
        if (started_ && peer != senders_.end()) peer->second->send(message);
    }

    /// Any number of times, and without a start().
    void stop() {
        if (receiver_ == nullptr) return;
        ::unlink(path_.c_str());
        receiver_->stop();
        receiver_ = nullptr;
        for (const auto& [node, sender] : senders_) sender->stop();
        senders_.clear();
    }

private:
    const std::string path_;
    std::shared_ptr<UnixReceiver> receiver_;
    std::map<raft::NodeId, std::shared_ptr<UnixSender>> senders_;
    bool started_ = false;
};

/// One node's place among the sockets of a directory: a plan (rsm/plan.hpp). Whoever may write to
/// the directory's sockets is taken for a member, so the directory's permissions are the guard.
class UnixTransport {
public:
    /// @param members  the cluster at its first start, this node included
    /// @param directory  there already, and short: the path of a socket has some hundred bytes
    UnixTransport(raft::NodeId self, std::vector<raft::NodeId> members, std::string directory)
        : self_(self), members_(std::move(members)), directory_(std::move(directory)) {}

    /// Binds the node's socket, so that what peers send from now on waits for start().
    ///
    /// Throws std::invalid_argument for a path that is too long, boost::system::system_error where
    /// the socket cannot be bound or another process listens on it.
    RunningUnixTransport open(const boost::asio::any_io_executor& executor) const {
        std::map<raft::NodeId, std::shared_ptr<UnixSender>> senders;
        for (const raft::NodeId member : members_) {
            endpoint_of(member);
            if (member == self_) continue;
            senders[member] =
                std::make_shared<UnixSender>(executor, socket_path(directory_, member));
        }
        auto receiver = std::make_shared<UnixReceiver>(bind(executor), self_, members_);
        return {socket_path(directory_, self_), std::move(receiver), std::move(senders)};
    }

    raft::NodeId self() const { return self_; }
    std::vector<raft::NodeId> members() const { return members_; }
    /// rsm::Replicated refuses options by which messages would be larger.
    std::size_t max_message_bytes() const { return max_datagram_bytes; }

private:
    using Protocol = boost::asio::local::datagram_protocol;

    Protocol::endpoint endpoint_of(raft::NodeId node) const {
        try {
            return Protocol::endpoint(socket_path(directory_, node));
        } catch (const boost::system::system_error&) {
            throw std::invalid_argument("unix transport: the path of a socket is too long: " +
                                        socket_path(directory_, node));
        }
    }

    Protocol::socket bind(const boost::asio::any_io_executor& executor) const {
        const Protocol::endpoint own = endpoint_of(self_);
        // A process that was killed leaves its socket's file. Nobody answers at that one.
        Protocol::socket probe(executor, Protocol());
        boost::system::error_code error;
        probe.connect(own, error);
        if (!error) error = make_error_code(boost::system::errc::address_in_use);
        if (error == boost::system::errc::connection_refused) ::unlink(own.path().c_str());
        Protocol::socket socket(executor, Protocol());
        if (error != boost::system::errc::address_in_use) socket.bind(own, error);
        if (error) throw boost::system::system_error(error, "unix transport: bind " + own.path());
        return socket;
    }

    raft::NodeId self_;
    std::vector<raft::NodeId> members_;
    std::string directory_;
};

static_assert(rsm::TransportPlan<UnixTransport>);

}  // namespace policies

#endif
