// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Several nodes in one process, without sockets: for tests, for examples and for embedding a
// whole cluster. Messages are handed over as they are, so payloads are shared and never copied.
#ifndef RSM_TRANSPORT_MEMORY_HPP
#define RSM_TRANSPORT_MEMORY_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/plan.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

namespace detail {

/// Where one node's messages wait until its executor fetches them.
class Mailbox {
public:
    using Receive = std::function<void(raft::Message)>;

    explicit Mailbox(std::size_t queue_bytes) : queue_bytes_(queue_bytes) {}

    void open(boost::asio::any_io_executor executor, Receive receive) {
        const std::scoped_lock lock(mutex_);
        executor_ = std::move(executor);
        receive_ = std::make_shared<const Receive>(std::move(receive));
    }

    /// Nothing is delivered afterwards, not even the rest of the messages that a receiver which
    /// calls this was given one of.
    void close() {
        // Destroyed when the lock is free again: what the receiver owns may have a transport.
        std::shared_ptr<const Receive> receive;
        std::deque<raft::Message> messages;
        const std::scoped_lock lock(mutex_);
        receive.swap(receive_);
        messages.swap(waiting_);
        waiting_bytes_ = 0;
    }

    /// False: not open, or full. An empty mailbox takes a message of any size.
    static bool put(const std::shared_ptr<Mailbox>& self, raft::Message message) {
        const std::size_t size = raft::codec::encoded_size(message);
        const std::scoped_lock lock(self->mutex_);
        if (self->receive_ == nullptr) return false;
        if (!self->waiting_.empty() && self->waiting_bytes_ + size > self->queue_bytes_) {
            return false;
        }
        self->waiting_bytes_ += size;
        self->waiting_.push_back(std::move(message));
        // One fetch takes everything that waits by then, so one is enough at a time. It is posted
        // under the lock: once close() has returned, the executor is not touched any more.
        if (!std::exchange(self->fetch_posted_, true)) {
            boost::asio::post(self->executor_, [self] { self->fetch(); });
        }
        return true;
    }

private:
    void fetch() {
        std::deque<raft::Message> messages;
        {
            const std::scoped_lock lock(mutex_);
            fetch_posted_ = false;
            messages.swap(waiting_);
            waiting_bytes_ = 0;
        }
        for (raft::Message& message : messages) {
            const std::shared_ptr<const Receive> receive = receiver();
            if (receive == nullptr) return;  // closed by an earlier one of these messages
            (*receive)(std::move(message));
        }
    }

    std::shared_ptr<const Receive> receiver() {
        const std::scoped_lock lock(mutex_);
        return receive_;
    }

    std::mutex mutex_;
    const std::size_t queue_bytes_;
    boost::asio::any_io_executor executor_;
    std::shared_ptr<const Receive> receive_;
    std::deque<raft::Message> waiting_;
    std::size_t waiting_bytes_ = 0;
    bool fetch_posted_ = false;
};

}  // namespace detail

/// What connects the MemoryTransports of one process.
///
/// Thread safety: all members may be called from any thread.
class MemoryNetwork {
public:
    /// `queue_bytes` bounds, for each receiver, the encoded size of the messages that wait for it;
    /// more are dropped.
    explicit MemoryNetwork(std::size_t queue_bytes = std::size_t{64} << 20)
        : queue_bytes_(queue_bytes) {}

    /// How many messages were dropped, for whatever reason.
    std::uint64_t dropped() const {
        const std::scoped_lock lock(mutex_);
        return dropped_;
    }

private:
    friend class RunningMemoryTransport;

    void add(raft::NodeId node, std::shared_ptr<detail::Mailbox> mailbox) {
        const std::scoped_lock lock(mutex_);
        mailboxes_[node] = std::move(mailbox);
    }
    /// A node that was started anew under the same id keeps its place.
    void remove(raft::NodeId node, const std::shared_ptr<detail::Mailbox>& mailbox) {
        const std::scoped_lock lock(mutex_);
        const auto found = mailboxes_.find(node);
        if (found != mailboxes_.end() && found->second == mailbox) mailboxes_.erase(found);
    }

    void send(raft::Message message) {
        const std::shared_ptr<detail::Mailbox> target = route(message.to);
        if (target != nullptr && detail::Mailbox::put(target, std::move(message))) return;
        const std::scoped_lock lock(mutex_);
        ++dropped_;
    }

    std::shared_ptr<detail::Mailbox> route(raft::NodeId to) const {
        const std::scoped_lock lock(mutex_);
        const auto found = mailboxes_.find(to);
        return found == mailboxes_.end() ? nullptr : found->second;
    }

    const std::size_t queue_bytes_;
    mutable std::mutex mutex_;
    std::map<raft::NodeId, std::shared_ptr<detail::Mailbox>> mailboxes_;
    std::uint64_t dropped_ = 0;
};

/// A MemoryTransport at work. Models raft::Transport.
///
/// Messages arrive in order, on the receiver's executor, never from inside send(). Nodes may run
/// on different threads. Messages to nobody or to a full receiver are dropped.
///
/// Thread safety: one object from its own executor only; destroying it waits for nothing, and
/// nothing is delivered afterwards.
class RunningMemoryTransport {
public:
    RunningMemoryTransport(boost::asio::any_io_executor executor,
                           std::shared_ptr<MemoryNetwork> network, raft::NodeId self)
        : network_(std::move(network)), self_(self), executor_(std::move(executor)) {}
    RunningMemoryTransport(const RunningMemoryTransport&) = delete;
    RunningMemoryTransport& operator=(const RunningMemoryTransport&) = delete;
    ~RunningMemoryTransport() { stop(); }

    void start(std::function<void(raft::Message)> receive) {
        stop();
        mailbox_ = std::make_shared<detail::Mailbox>(network_->queue_bytes_);
        mailbox_->open(executor_, std::move(receive));
        network_->add(self_, mailbox_);
    }

    /// Drops the message unless started.
    void send(raft::Message message) {
        if (mailbox_ != nullptr) network_->send(std::move(message));
    }

    void stop() {
        if (mailbox_ == nullptr) return;
        network_->remove(self_, mailbox_);
        mailbox_->close();
        mailbox_ = nullptr;
    }

private:
    const std::shared_ptr<MemoryNetwork> network_;
    const raft::NodeId self_;
    const boost::asio::any_io_executor executor_;
    std::shared_ptr<detail::Mailbox> mailbox_;
};

/// One node's end of a MemoryNetwork: a plan (rsm/plan.hpp).
class MemoryTransport {
public:
    /// `members` is the cluster at its first start, this node included.
    MemoryTransport(std::shared_ptr<MemoryNetwork> network, raft::NodeId self,
                    std::vector<raft::NodeId> members)
        : network_(std::move(network)), self_(self), members_(std::move(members)) {}
    MemoryTransport(std::shared_ptr<MemoryNetwork> network, raft::NodeId self)
        : MemoryTransport(std::move(network), self, {self}) {}

    /// @param executor  that messages arrive on
    RunningMemoryTransport open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), network_, self_};
    }

    raft::NodeId self() const { return self_; }
    std::vector<raft::NodeId> members() const { return members_; }
    const std::shared_ptr<MemoryNetwork>& network() const { return network_; }

private:
    std::shared_ptr<MemoryNetwork> network_;
    raft::NodeId self_;
    std::vector<raft::NodeId> members_;
};

static_assert(TransportPlan<MemoryTransport>);

}  // namespace rsm

#endif
