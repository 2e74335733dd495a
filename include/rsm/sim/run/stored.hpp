// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Stored: a user's state machine whose state is on a disk of its own, as in a database, so that a
// restart goes on from there (rsm::Persistent).
#ifndef RSM_SIM_RUN_STORED_HPP
#define RSM_SIM_RUN_STORED_HPP

#include <raft/base/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/sim/rules/states_on_disk.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/run/detail/memory_stream.hpp>
#include <rsm/sim/run/observed.hpp>
#include <rsm/state_machine.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What a node's database holds. It outlives the process; what was not synced a power failure takes
/// back, and all of it in one piece.
class StateCell {
public:
    struct State {
        raft::LogPosition applied;
        std::uint64_t operations = 0;
        std::vector<std::byte> bytes;  ///< as in a snapshot
    };
    using Pointer = std::shared_ptr<const State>;

    const State& written() const { return *written_; }
    Pointer durable() const { return durable_; }
    void write(State state) { written_ = std::make_shared<const State>(std::move(state)); }
    void sync() { durable_ = written_; }
    void power_failed() { written_ = durable_; }
    /// The database is that one.
    void become(Pointer durable) { written_ = durable_ = std::move(durable); }

private:
    Pointer written_ = std::make_shared<const State>();
    Pointer durable_ = written_;
};

/// What all nodes' machines of a run have in common.
struct StoredStates {
    /// Operations in one transaction, and transactions until a sync.
    std::uint64_t transaction = 1;
    std::uint64_t sync_every = 1;
    std::function<void(Broken)> report;
    /// How far the node's log is durable; nothing: it is not known.
    std::function<std::optional<raft::Index>(raft::NodeId)> durable;
};

template <StateMachine Machine>
class Stored {
public:
    using Inner = Observed<Machine>;
    using Operation = typename Inner::Operation;
    using Result = typename Inner::Result;
    static constexpr std::uint32_t format_version = Inner::format_version;
    static_assert(!Versioned<Machine>, "what is stored has no version of its own here");

    /// @param cell  what the node's database holds now
    Stored(Inner inner, std::shared_ptr<StateCell> cell, std::shared_ptr<const StoredStates> states,
           raft::NodeId node)
        : inner_(std::move(inner)),
          cell_(std::move(cell)),
          states_(std::move(states)),
          node_(node),
          applied_(cell_->written().applied) {
        inner_.changes_at_once();
        if (cell_->written().bytes.empty()) {
            write();
            cell_->sync();
        }
        if (applied_.index.value == 0) return;
        detail::MemorySource source(cell_->written().bytes);
        SnapshotReader in(source, cell_->written().bytes.size());
        inner_.read(in);
    }

    raft::LogPosition applied() const { return applied_; }
    Result apply(const Operation& operation, raft::LogPosition position) {
        states_->report(takes_in_once(node_, applied_, position, states_->durable(node_)));
        Result result = inner_.apply(operation);
        applied_ = position;
        if (++pending_ >= states_->transaction) write();
        return result;
    }
    void restore(SnapshotReader& in, raft::LogPosition last) {
        states_->report(restores_what_is_newer(node_, applied_, last));
        inner_.restore(in);
        applied_ = last;
        write();
        cell_->sync();
    }
    void snapshot(SnapshotWriter& out) const { inner_.snapshot(out); }

    struct Image {
        StateCell::Pointer state;
        std::function<void()> is_written;
        raft::LogPosition applied() const { return state->applied; }
        void snapshot(SnapshotWriter& out) const {
            is_written();
            out.write(std::span<const std::byte>(state->bytes));
        }
    };
    /// What is durable, for what is not comes again from the log.
    Image freeze() const {
        inner_.captures(cell_->durable()->operations);
        return {cell_->durable(), inner_.writes_image()};
    }

    void version_agreed(std::uint32_t version) { inner_.version_agreed(version); }
    FormatVersions versions() const { return inner_.versions(); }

    const Machine& machine() const { return inner_.machine(); }
    std::uint64_t operations() const { return inner_.operations(); }
    std::uint64_t flaw() const { return inner_.flaw(); }
    void tell_state() const { inner_.tell_state(); }

private:
    void write() {
        pending_ = 0;
        detail::MemorySink sink;
        SnapshotWriter out(sink);
        inner_.write(out);
        out.flush();
        cell_->write({applied_, inner_.operations(), std::move(sink.bytes)});
        if (++written_ % states_->sync_every == 0) cell_->sync();
    }

    Inner inner_;
    std::shared_ptr<StateCell> cell_;
    std::shared_ptr<const StoredStates> states_;
    raft::NodeId node_;
    raft::LogPosition applied_;
    std::uint64_t pending_ = 0;  ///< operations since the last transaction
    std::uint64_t written_ = 0;  ///< transactions
};

}  // namespace rsm::sim

#endif
