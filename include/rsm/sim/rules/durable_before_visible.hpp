// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Durable before visible: what a message promises, and what a leader calls committed on a majority,
// is on the disks when it is said, and still there after a restart.
#ifndef RSM_SIM_RULES_DURABLE_BEFORE_VISIBLE_HPP
#define RSM_SIM_RULES_DURABLE_BEFORE_VISIBLE_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class DurableBeforeVisible {
public:
    /// What a disk would give back if the power failed now and everything unsynced were lost;
    /// null: not asked for this time, or not readable.
    using DurableView = std::function<const raft::Recovered*(raft::NodeId)>;

    DurableBeforeVisible(std::size_t nodes, DurableView view)
        : view_(std::move(view)), acknowledged_(nodes + 1) {}

    const raft::Recovered* view(raft::NodeId id) const { return view_(id); }

    /// A node has recovered. What is damaged it may lack, if it knows.
    Broken restarted(const raft::Core& core) const {
        const raft::NodeId id = core.self();
        const Acknowledged& kept = acknowledged_[id.value];
        const raft::Index known = std::max(core.log().last_index(), core.log().promised().index);
        if (core.term() != kept.term || known >= kept.index) return {};
        return Violation{"durable before visible",
                         detail::node_text(id) + " came back without index " +
                             detail::text(kept.index) + ", which it had acknowledged",
                         {id}};
    }
    void wiped(raft::NodeId id) { acknowledged_[id.value] = {}; }
    /// What it had acknowledged after that is gone.
    void fell_back(raft::NodeId id, raft::Term term, raft::Index last) {
        Acknowledged& kept = acknowledged_[id.value];
        if (kept.term > term) kept = {};
        kept.index = std::min(kept.index, last);
    }
    /// A term is seen outside. @param disk  of the node; null: not known, here and below
    static Broken spoke(raft::NodeId id, raft::Term term, const raft::Recovered* disk) {
        if (disk == nullptr || disk->hard_state.term >= term) return {};
        return Violation{"durable before visible",
                         detail::node_text(id) + " speaks in term " + detail::text(term) +
                             ", which is not on its disk",
                         {id}};
    }
    static Broken voted(raft::NodeId voter, raft::Term term, raft::NodeId candidate,
                        const raft::Recovered* disk) {
        const bool forgotten = disk != nullptr && disk->hard_state.term == term &&
                               disk->hard_state.voted_for != candidate;
        if (!forgotten) return {};
        return Violation{"durable before visible",
                         "the vote of " + detail::node_text(voter) + " in term " +
                             detail::text(term) + " is not on its disk",
                         {voter}};
    }
    /// What a follower vouches for is on its disk. An answer that leaves after the node has gone
    /// on to a later term may speak of what that term's leader has replaced since.
    Broken acknowledged(raft::Term term, raft::Index index, const raft::Core& core,
                        const raft::Recovered* disk) {
        Acknowledged& kept = acknowledged_[core.self().value];
        if (term > kept.term) kept = {term, {}};
        if (term == kept.term) kept.index = std::max(kept.index, index);
        if (disk == nullptr || core.term() != term || disk->hard_state.term != term) return {};
        const std::optional<raft::Term> held = core.log().term_at(index);
        if (!held || holds(*disk, {index, *held})) return {};
        return Violation{"durable before visible",
                         detail::node_text(core.self()) + " acknowledges index " +
                             detail::text(index) + ", which is not on its disk",
                         {core.self()}};
    }
    /// What is committed is on the disks of a quorum.
    Broken committed(const raft::Core& core, raft::LogPosition position) const {
        std::size_t holders = 0;
        std::vector<bool> holding(acknowledged_.size());
        for (std::uint64_t id = 1; id < acknowledged_.size(); ++id) {
            const raft::Recovered* disk = view_({id});
            if (disk == nullptr) return {};
            holding[id] = holds(*disk, position);
            if (holding[id]) ++holders;
        }
        // Once a membership is committed, the next one may follow in the same piece of work.
        const auto held = [&holding](const raft::Member& one) { return holding[one.id.value]; };
        const raft::Membership& before = core.configuration().at(core.log().commit());
        if (decides(core.membership(), held) || decides(before, held)) return {};
        return Violation{"durable before visible",
                         "index " + detail::text(position.index) + " is committed and on " +
                             std::to_string(holders) + " disks",
                         {core.self()}};
    }

private:
    /// The highest index, in that term.
    struct Acknowledged {
        raft::Term term;
        raft::Index index;
    };

    static bool holds(const raft::Recovered& disk, raft::LogPosition position) {
        if (position.index <= disk.base.index || position.index <= disk.snapshot.last.index) {
            return true;
        }
        return position.index <= disk.last && raft::Log(disk).matches(position);
    }

    DurableView view_;
    std::vector<Acknowledged> acknowledged_;  ///< by node
};

}  // namespace rsm::sim

#endif
