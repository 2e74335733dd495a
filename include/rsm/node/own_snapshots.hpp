// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The snapshots that a node takes of its own state: when, of what, and who has asked for them.
#ifndef RSM_NODE_OWN_SNAPSHOTS_HPP
#define RSM_NODE_OWN_SNAPSHOTS_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/node/compaction.hpp>
#include <rsm/node/measurements.hpp>
#include <rsm/node/pending_snapshots.hpp>
#include <rsm/node/replica_state.hpp>
#include <rsm/node/thrown.hpp>
#include <rsm/options.hpp>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace rsm::inline v0::detail {

/// Whatever ends the node is returned as the sentence that says why.
template <class Machine>
class OwnSnapshots {
public:
    using Failed = std::optional<std::string>;

    /// All of them outlive this.
    OwnSnapshots(ReplicaState<Machine>& state, Measurements& measurements, const Options& options)
        : state_(state),
          measurements_(measurements),
          options_(options),
          schedule_(
              {options.snapshot_threshold, options.snapshot_factor, options.raft.max_log_bytes}) {}

    bool is_full() const { return asked_.is_full(); }
    /// Somebody wants one of all that has been applied by now.
    void ask(raft::Time deadline, PendingSnapshots::Completion completion) {
        asked_.add(deadline, std::move(completion));
    }

    /// @pre the state is not lent to anybody, and the membership that belongs to it is known
    template <class Engine>
    Failed take_if_due(Engine& engine) {
        const std::uint64_t bytes = engine.storage().persisted_bytes();
        const bool pressing = schedule_.is_pressing(bytes);
        const raft::LogPosition at = pressing ? state_.passed() : state_.position();
        const bool asked = asked_.wants_one() && schedule_.is_free();
        if (asked && !schedule_.is_of_use(at.index)) {
            answer_with_newest(engine.core().snapshot());
            return std::nullopt;
        }
        if (at.index.value == 0) return std::nullopt;
        const raft::Time now = engine.now();
        if (!asked && !schedule_.due(now, at.index, bytes, engine.core())) return std::nullopt;
        schedule_.begun(now);
        measurements_.snapshot_begun(now);
        asked_.begun();
        return take(engine, at, pressing);
    }

    void saved(const raft::SnapshotMeta& meta, raft::Time now) {
        measurements_.snapshot_saved(meta.size, now);
        state_.returned();
        schedule_.saved(meta.last.index);
        asked_.saved({meta.last.index, meta.size});
    }
    Failed failed(const raft::Failure& failure, raft::Time now) {
        std::string thrown = state_.returned();
        if (!thrown.empty()) return thrown;
        if (state_.outdated()) {
            schedule_.needless();
            asked_.begin_again();
            return std::nullopt;
        }
        measurements_.snapshot_failed();
        schedule_.failed(now);
        asked_.failed(failure.code);
        if (options_.on_notice) {
            options_.on_notice("a snapshot could not be saved and is tried again later: " +
                               failure.message());
        }
        return std::nullopt;
    }
    /// The state is, or has in it, that of this snapshot.
    void is_there(raft::Index index) { schedule_.is_there(index); }
    /// The newest one is not good.
    void damaged() { schedule_.damaged(); }

    void expire(raft::Time now) { asked_.expire(now); }
    /// When to look again, at the latest; max(): when something has happened.
    raft::Time deadline(raft::Time now) const {
        const bool pausing = schedule_.not_before() > now;
        return std::min(asked_.earliest_deadline(),
                        pausing ? schedule_.not_before() : raft::Time::max());
    }
    void end() { asked_.end(); }

private:
    template <class Engine>
    Failed take(Engine& engine, raft::LogPosition at, bool pressing) {
        try {
            auto captured = state_.capture(engine.core().snapshot().size, options_);
            if (!schedule_.is_of_use(captured.position.index)) {
                if (!pressing) {
                    schedule_.stale(engine.now());
                    answer_with_newest(engine.core().snapshot());
                    return std::nullopt;
                }
                captured = state_.capture_all(options_);
            }
            engine.take_snapshot(captured.position, std::move(captured.produce));
        } catch (const std::bad_alloc&) {
            return failed({std::make_error_code(std::errc::not_enough_memory),
                           "take a snapshot of index " + std::to_string(at.index.value)},
                          engine.now());
        } catch (...) {
            return ReplicaState<Machine>::snapshot_threw(at.index, thrown_text());
        }
        return std::nullopt;
    }
    /// A new one would hold nothing that this one lacks.
    void answer_with_newest(const raft::SnapshotMeta& newest) {
        if (newest.last.index < schedule_.newest()) return;  // the core hears of it in a moment
        asked_.begun();
        asked_.saved({newest.last.index, newest.size});
    }

    ReplicaState<Machine>& state_;
    Measurements& measurements_;
    const Options& options_;
    SnapshotSchedule schedule_;
    PendingSnapshots asked_;
};

}  // namespace rsm::detail

#endif
