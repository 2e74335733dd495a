// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A storage in memory whose own snapshots a test takes in hand.
#ifndef RSM_TESTS_SUPPORT_HELD_SNAPSHOTS_HPP
#define RSM_TESTS_SUPPORT_HELD_SNAPSHOTS_HPP

#include "disk_plan.hpp"
#include "held_disk.hpp"

#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/memory.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace rsm_test {

/// A HeldDisk, and what the test says of snapshots.
class SnapshotDisk : public HeldDisk {
public:
    struct Save {
        raft::LogPosition last;
        raft::SnapshotProducer produce;
        /// Saves what the producer writes, which may be another one, and completes.
        std::function<void(raft::SnapshotProducer)> complete;
    };
    /// While it is set, snapshots are put here.
    bool hold_snapshots = false;
    std::deque<Save> saves;

    Save take_save() {
        Save save = std::move(saves.front());
        saves.pop_front();
        return save;
    }
    /// Lets the oldest one be made as usual.
    void save() {
        Save next = take_save();
        next.complete(std::move(next.produce));
    }
};

class RunningHeldSnapshots : public rsm::RunningMemoryStorage {
public:
    RunningHeldSnapshots(boost::asio::any_io_executor executor, std::shared_ptr<SnapshotDisk> disk)
        : RunningMemoryStorage(std::move(executor), disk), held_(std::move(disk)) {}

    void save_snapshot(raft::LogPosition last, raft::Membership membership,
                       raft::SnapshotProducer produce, raft::SnapshotSaved done) {
        if (!held_->hold_snapshots) {
            return RunningMemoryStorage::save_snapshot(last, std::move(membership),
                                                       std::move(produce), std::move(done));
        }
        const auto complete = [this, last, membership = std::move(membership),
                               done = std::move(done)](raft::SnapshotProducer what) {
            RunningMemoryStorage::save_snapshot(last, membership, std::move(what), done);
        };
        held_->saves.push_back({last, std::move(produce), complete});
    }

private:
    std::shared_ptr<SnapshotDisk> held_;
};

using HeldSnapshots = DiskPlan<RunningHeldSnapshots, SnapshotDisk>;

}  // namespace rsm_test

#endif
