// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Node files: one node's disk through all its lives, what has been done to it, and what the rules
// see of the files on it.
#ifndef RSM_SIM_RUN_NODE_FILES_HPP
#define RSM_SIM_RUN_NODE_FILES_HPP

#include <raft/base/digest.hpp>
#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/rules/clutter.hpp>
#include <rsm/sim/rules/kept_files.hpp>
#include <rsm/sim/rules/no_failure_without_a_cause.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/run/durable_view.hpp>
#include <rsm/sim/run/plans.hpp>
#include <rsm/sim/run/stored.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/log_places.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/wal_storage.hpp>
#include <rsm/storage/wal_options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace rsm::inline v0::sim {

class NodeFiles {
public:
    /// @param seed  of what befalls the disk
    NodeFiles(raft::NodeId node, std::uint64_t seed, const ClusterPlan& plan,
              std::shared_ptr<const ServiceTime> service_time)
        : node_(node),
          options_(wal_options(plan)),
          view_every_(plan.durable_view_every),
          service_time_(std::move(service_time)),
          disk_(std::make_shared<Disk>(seed)),
          kept_files_(plan.spare_segments) {}

    Disk& disk() { return *disk_; }
    DiskHistory& history() { return history_; }
    const DiskHistory& history() const { return history_; }

    // ---- a life ----

    /// The node is about to start.
    void begin_life() {
        history_.failing = disk_->failure_planned();
        history_.cluttered = false;
        history_.refusing = history_.full || disk_->refuses_openings();
    }
    /// What was not synced may be lost, or is.
    void power_failed(raft::Random& random) {
        disk_->crash(random);
        state_->power_failed();
    }
    const std::shared_ptr<StateCell>& state() const { return state_; }
    /// The disk is another one, which is empty. @pre the node does not run
    void wipe() {
        disk_->wipe();
        state_->become(std::make_shared<const StateCell::State>());
        history_ = {};
        kept_files_ = KeptFiles(options_.spare_segments);
        wiped_ = true;
        fell_back_ = false;
        copy_.reset();
    }
    /// The members know which instance it is now.
    void taken_in() { wiped_ = false; }
    bool is_wiped() const { return wiped_; }
    /// @param seed  of how long its operations take
    WalStorage storage(Process& process, std::uint64_t seed) {
        lane_jobs_ = std::make_shared<LaneJobs>();
        const std::shared_ptr<Disk>& disk = borrowed_ ? borrowed_ : disk_;
        return wal_storage(process, disk, options_, service_time_, seed, lane_jobs_);
    }
    void recovered(const raft::Core& core) { kept_files_.restarted(file_needs(core)); }

    // ---- other disks in its place ----

    /// Keeps a copy of what is durable, as a backup does.
    void keep_copy() {
        copy_.emplace(Copy{std::make_shared<Disk>(disk_->durable_image()), {}, state_->durable()});
        const Broken unreadable = copy_->view.read(node_, *copy_->disk, options_, service_time_);
        if (unreadable) copy_.reset();
    }
    /// What a node would recover from the copy; null: there is none.
    const raft::Recovered* copy() const { return copy_ ? &copy_->view.recovered : nullptr; }
    /// The disk is what the copy says. @pre copy(); the node does not run
    void fall_back() {
        disk_->become(*copy_->disk);
        state_->become(copy_->state);
        kept_files_ = KeptFiles(options_.spare_segments);
        fell_back_ = true;
        copy_.reset();
    }
    /// The node's next start is on the disk of another one, or on a copy of it, until give_back().
    /// Returns a digest of what is on it.
    std::uint64_t borrow(const NodeFiles& from, bool copied) {
        borrowed_ = copied ? std::make_shared<Disk>(from.disk_->durable_image()) : from.disk_;
        return digest_of(*borrowed_);
    }
    bool is_borrowing() const { return borrowed_ != nullptr; }
    /// Returns a digest of what is on it now.
    std::uint64_t give_back() { return digest_of(*std::exchange(borrowed_, nullptr)); }

    // ---- what befell the disk ----

    /// Whether what the node has acknowledged may not be there.
    bool may_lack_promises() const { return history_.scattered || is_forgetful(); }
    /// Whether it may not know of it.
    bool is_forgetful() const { return history_.damaged || wiped_ || fell_back_; }

    /// Since they were told last.
    std::span<const DiskHit> new_hits() const {
        return std::span(disk_->hits()).subspan(hits_told_);
    }
    template <class Tell>
    void tell_new_hits(Tell tell) {
        for (const DiskHit& hit : new_hits()) {
            if (leaves_clutter(hit)) history_.cluttered = true;
            tell(hit);
        }
        hits_told_ = disk_->hits().size();
    }

    // ---- what is on it ----

    /// Whether the rule of kept files is to be asked now.
    bool is_look_due() { return !may_keep_more() && kept_files_.due(disk_->names_version()); }
    /// @pre is_look_due()
    Broken look(const raft::Core& core) {
        return kept_files_.look(node_, file_needs(core), *lane_jobs_,
                                [this] { return disk_->paths(); });
    }
    /// What a node that has done all its work keeps without need; empty: nothing.
    std::string clutter(const raft::Core& core) const {
        return may_keep_more() ? std::string{} : sim::clutter(disk_->paths(), core.log());
    }

    /// Where the log lies on it; nothing: it cannot be read, or is not whole.
    std::optional<LogPlaces> places() const { return log_places(*disk_, options_); }

    /// Whether what is durable now is to be compared with what the node promises.
    bool is_view_due() const {
        // What was acknowledged before it was wiped may still count where nobody knows of that yet.
        const bool tells = view_every_ != 0 && !history_.damaged && !wiped_;
        return tells && disk_->durable_version() % view_every_ == 0;
    }
    /// Whether it has changed since it was read.
    bool is_view_old() const { return disk_->durable_version() != view_.version; }
    Broken renew_view() { return view_.read(node_, *disk_, options_, service_time_); }
    /// As it was read; null: it is unreadable.
    const raft::Recovered* view() const { return view_.readable ? &view_.recovered : nullptr; }

private:
    /// What is damaged is not thrown away.
    bool may_keep_more() const {
        return history_.damaged || history_.scattered || history_.cluttered;
    }

    /// Of all files, as a running node sees them.
    static std::uint64_t digest_of(const Disk& disk) {
        raft::Digest digest;
        for (const std::string& path : disk.paths()) {
            digest.add(std::as_bytes(std::span(path)));
            digest.add(std::span<const std::byte>(*disk.content(path)));
        }
        return digest.value();
    }

    struct Copy {
        std::shared_ptr<Disk> disk;
        DurableView view;
        StateCell::Pointer state;
    };

    raft::NodeId node_;
    WalOptions options_;
    std::uint64_t view_every_;
    std::shared_ptr<const ServiceTime> service_time_;
    std::shared_ptr<Disk> disk_;
    std::shared_ptr<StateCell> state_ = std::make_shared<StateCell>();  ///< of its state machine
    std::shared_ptr<LaneJobs> lane_jobs_;                               ///< of this life
    DiskHistory history_;
    bool wiped_ = false;
    bool fell_back_ = false;  ///< ever, as the instance that it is
    std::optional<Copy> copy_;
    std::shared_ptr<Disk> borrowed_;
    std::size_t hits_told_ = 0;
    KeptFiles kept_files_;
    DurableView view_;
};

}  // namespace rsm::sim

#endif
