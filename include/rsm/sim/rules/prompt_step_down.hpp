// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Prompt step-down: a leader whose disk hangs, or that hears from no quorum, does not go on
// leading. Both are told by nothing that it says of itself. One that waits for room on its disk may
// lead on, if nobody has more.
#ifndef RSM_SIM_RULES_PROMPT_STEP_DOWN_HPP
#define RSM_SIM_RULES_PROMPT_STEP_DOWN_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::inline v0::sim {

class PromptStepDown {
public:
    PromptStepDown(std::size_t nodes, const raft::Options& options)
        : options_(options), reigns_(nodes + 1) {}

    /// A leader that speaks has just made sure that its disk does not hang, and not long ago that
    /// it hears from a quorum. @param now  its own clock
    Broken spoke(const raft::Core& core, raft::Time now) {
        SeenReign& reign = begin_or_go_on(core, now);
        note_durable(reign, core.log(), now);
        if (Broken broken = check_disk(core, reign, now)) return broken;
        return check_quorum(core, reign, now);
    }
    /// A node takes in a message. @param now  its own clock
    void heard(const raft::Message& message, const raft::Core& core, raft::Time now) {
        const bool answers = std::holds_alternative<raft::AppendReply>(message.body) ||
                             std::holds_alternative<raft::SnapshotReply>(message.body);
        SeenReign& reign = reigns_[message.to.value];
        if (!answers || reign.term != core.term() || raft::term_of(message) != reign.term) return;
        reign.contacts[message.from.value] = now;
    }

private:
    /// Of a leader that speaks, by its own clock.
    struct SeenReign {
        raft::Term term;
        std::vector<raft::Time> contacts;  ///< by node: its last answer in this reign
        raft::Index members_at;            ///< where the membership stands that is in force
        raft::Time members_since{};
        raft::Time spoke{};                     ///< last
        raft::Index durable;                    ///< when it last spoke
        std::optional<raft::Time> not_durable;  ///< since when that has not risen, and should
    };

    SeenReign& begin_or_go_on(const raft::Core& core, raft::Time now) {
        SeenReign& reign = reigns_[core.self().value];
        if (reign.term != core.term()) {
            reign.term = core.term();
            reign.contacts.assign(reigns_.size(), now);
            reign.not_durable.reset();
            reign.spoke = now;
            reign.members_at = {};
        }
        // What it could not do while it did not run is not held against it.
        const raft::Duration gap = now - std::exchange(reign.spoke, now);
        if (gap > options_.heartbeat_interval) {
            for (raft::Time& contact : reign.contacts) contact += gap;
            if (reign.not_durable) *reign.not_durable += gap;
            reign.members_since += gap;
        }
        const raft::Index members_at = core.configuration().latest_at();
        if (std::exchange(reign.members_at, members_at) != members_at) reign.members_since = now;
        return reign;
    }
    static void note_durable(SeenReign& reign, const raft::Log& log, raft::Time now) {
        if (log.durable() >= log.begun()) {
            reign.not_durable.reset();
        } else if (!reign.not_durable || log.durable() != reign.durable) {
            reign.not_durable = now;
        }
        reign.durable = log.durable();
    }
    Broken check_disk(const raft::Core& core, const SeenReign& reign, raft::Time now) const {
        if (core.disk().full) return {};  // see TroubledDisks
        // A node that is late counts only the time in which it ran, which is half at least: what is
        // later by more than a heartbeat is a gap.
        const raft::Duration longest =
            2 * options_.disk_stall_timeout + options_.heartbeat_interval;
        if (!reign.not_durable || now - *reign.not_durable < longest) return {};
        return Violation{"prompt step-down",
                         detail::node_text(core.self()) + " leads while its disk hangs",
                         {core.self()}};
    }
    Broken check_quorum(const raft::Core& core, const SeenReign& reign, raft::Time now) const {
        if (!options_.check_quorum) return {};
        const bool heard = decides(core.membership(), [&](const raft::Member& member) {
            // Those whom a membership brings have as long as those at the beginning of the reign.
            const raft::Time contact =
                std::max(reign.contacts[member.id.value], reign.members_since);
            return member.id == core.self() || now - contact < 3 * options_.election_timeout;
        });
        if (heard) return {};
        return Violation{"prompt step-down",
                         detail::node_text(core.self()) + " leads without hearing from a quorum",
                         {core.self()}};
    }

    raft::Options options_;
    std::vector<SeenReign> reigns_;  ///< by node: its last one
};

}  // namespace rsm::sim

#endif
