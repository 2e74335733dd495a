// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The memory transport on a network whose links a test cuts.
#ifndef RSM_TESTS_SUPPORT_CUT_NETWORK_HPP
#define RSM_TESTS_SUPPORT_CUT_NETWORK_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/plan.hpp>
#include <rsm/transport/memory.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace rsm_test {

/// Links are directed: one that is cut drops what is sent over it from then on; what waits in the
/// receiver's mailbox already still arrives. All members may be called from any thread.
class CutNetwork : public rsm::MemoryNetwork {
public:
    using MemoryNetwork::MemoryNetwork;

    void cut(raft::NodeId from, raft::NodeId to) {
        const std::scoped_lock lock(mutex_);
        cut_.insert({from, to});
    }
    void heal(raft::NodeId from, raft::NodeId to) {
        const std::scoped_lock lock(mutex_);
        cut_.erase({from, to});
    }
    /// Drops everything from and to `node`, whatever cut() and heal() say of its links.
    void isolate(raft::NodeId node) {
        const std::scoped_lock lock(mutex_);
        isolated_.insert(node);
    }
    /// Ends isolate(). Links that were cut stay cut.
    void rejoin(raft::NodeId node) {
        const std::scoped_lock lock(mutex_);
        isolated_.erase(node);
    }
    /// Mends everything.
    void heal_all() {
        const std::scoped_lock lock(mutex_);
        cut_.clear();
        isolated_.clear();
    }

    /// Whether a message may be sent; one that may not is counted.
    bool passes(raft::NodeId from, raft::NodeId to) {
        const std::scoped_lock lock(mutex_);
        const bool stopped =
            isolated_.contains(from) || isolated_.contains(to) || cut_.contains({from, to});
        if (stopped) ++cut_off_;
        return !stopped;
    }
    std::uint64_t cut_off() const {
        const std::scoped_lock lock(mutex_);
        return cut_off_;
    }

private:
    mutable std::mutex mutex_;
    std::set<std::pair<raft::NodeId, raft::NodeId>> cut_;
    std::set<raft::NodeId> isolated_;
    std::uint64_t cut_off_ = 0;
};

class RunningCutTransport : public rsm::RunningMemoryTransport {
public:
    RunningCutTransport(boost::asio::any_io_executor executor, std::shared_ptr<CutNetwork> network,
                        raft::NodeId self)
        : RunningMemoryTransport(std::move(executor), network, self),
          network_(std::move(network)) {}
    void send(raft::Message message) {
        if (network_->passes(message.from, message.to)) {
            RunningMemoryTransport::send(std::move(message));
        }
    }

private:
    std::shared_ptr<CutNetwork> network_;
};

/// One node's end of a CutNetwork: a plan.
class CutTransport {
public:
    /// As of rsm::MemoryTransport.
    CutTransport(std::shared_ptr<CutNetwork> network, raft::NodeId self,
                 std::vector<raft::NodeId> members)
        : network_(std::move(network)), self_(self), members_(std::move(members)) {}

    RunningCutTransport open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), network_, self_};
    }
    raft::NodeId self() const { return self_; }
    std::vector<raft::NodeId> members() const { return members_; }
    const std::shared_ptr<CutNetwork>& network() const { return network_; }

private:
    std::shared_ptr<CutNetwork> network_;
    raft::NodeId self_;
    std::vector<raft::NodeId> members_;
};

static_assert(rsm::TransportPlan<CutTransport>);

}  // namespace rsm_test

#endif
