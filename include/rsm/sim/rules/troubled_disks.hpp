// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Troubled disks: a node whose disk hangs neither votes nor stands for election, and nobody asks it
// to lead that has heard of it; a leader that has no room hands over to a voter that has, and to
// none that has none either. Told from the marks of logs and from the answers that leaders get, not
// from what a node notes of its own disk or of its followers.
#ifndef RSM_SIM_RULES_TROUBLED_DISKS_HPP
#define RSM_SIM_RULES_TROUBLED_DISKS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/look.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class TroubledDisks {
public:
    TroubledDisks(std::size_t nodes, const raft::Options& options)
        : options_(options), nodes_(nodes + 1) {}

    void restarted(raft::NodeId id) { nodes_[id.value] = {}; }

    /// A node says something, whatever it is. @param now  its own clock
    void spoke(const raft::Core& core, raft::Time now) {
        Seen& seen = nodes_[core.self().value];
        // Time in which it did not run, or said nothing, is not held against it.
        const raft::Duration gap = now - std::exchange(seen.spoke, now);
        if (gap > 2 * options_.heartbeat_interval && seen.not_durable) *seen.not_durable += gap;
        note_durable(seen, core.log(), now);
    }
    /// A leader takes in an answer.
    void heard(const raft::Core& core, const raft::Message& message,
               const raft::AppendReply& reply) {
        const bool counts = reply.term == core.term() || reply.term == raft::Term{};
        const raft::Progress* const follower = find(core, message.from);
        if (!counts || follower == nullptr) return;
        if (follower->instance && follower->instance != message.sender) return;
        Seen& seen = nodes_[core.self().value];
        // As a leader it begins anew to hear of its followers.
        if (std::exchange(seen.heard_in, core.term()) != core.term()) seen.said.clear();
        seen.said[message.from] = {reply.disk_stalled, reply.disk_full};
    }

    /// After each piece of work of a node.
    Broken step(const raft::Core& core, const Look& before) {
        const Seen& seen = nodes_[core.self().value];
        if (!hangs(seen, core.log())) return {};
        const bool votes =
            core.voted_for() && (core.voted_for() != before.vote || core.term() != before.term);
        if (votes) return wrong(core, "votes while its disk hangs");
        const bool stands = core.role() != before.role && core.role() != raft::Role::follower;
        if (stands) return wrong(core, "stands for election while its disk hangs");
        return {};
    }

    /// A node asks another one to stand for election.
    Broken asked(const raft::Core& core, raft::NodeId target) const {
        const Said said = said_to(core, target);
        if (said.stalled) return wrong(core, "asks one to lead that has said that its disk hangs");
        const raft::Handover* const handover = core.handover();
        const bool by_itself = handover != nullptr && handover->token == 0;
        if (!by_itself || !said.full) return {};
        const raft::Member* const own = core.membership().find(core.self());
        const raft::Member* const other = core.membership().find(target);
        const bool is_preferred =
            own != nullptr && other != nullptr && other->priority > own->priority;
        if (is_preferred && core.disk().full) return {};
        return wrong(core, "hands over by itself to one that has said that it has no room");
    }

    /// A leader has sent entries, or that it is there. `now` is its clock. Only its first handover
    /// is demanded: the next ones wait for ever longer.
    Broken leads(const raft::Core& core, raft::Time now) {
        Seen& seen = nodes_[core.self().value];
        const raft::Handover* const handover = core.handover();
        if (handover != nullptr && handover->token == 0) seen.has_handed_over = true;
        const raft::Duration gap = now - std::exchange(seen.led, now);
        const bool goes_on = seen.reign == core.term() && gap <= 2 * options_.heartbeat_interval;
        seen.reign = core.term();
        const bool ought = core.disk().full && handover == nullptr && !core.changing_members() &&
                           has_better(core, now) && others_decide(core, now);
        if (!ought || !goes_on) seen.ought_since.reset();
        if (!ought || seen.has_handed_over) return {};
        if (!seen.ought_since) seen.ought_since = now;
        const raft::Duration longest =
            2 * options_.election_timeout + 4 * options_.heartbeat_interval;
        if (now - *seen.ought_since < longest) return {};
        return wrong(core, "leads without room, although another one has some");
    }

private:
    struct Said {
        bool stalled = false;
        bool full = false;
    };
    struct Seen {
        raft::Time spoke{};
        raft::Index durable;                    ///< when it last spoke
        std::optional<raft::Time> not_durable;  ///< since when that has not risen, and should
        raft::Term heard_in;
        std::map<raft::NodeId, Said> said;  ///< to it in that term, by each
        raft::Term reign;
        raft::Time led{};
        std::optional<raft::Time> ought_since;  ///< it is to hand over
        bool has_handed_over = false;
    };

    static void note_durable(Seen& seen, const raft::Log& log, raft::Time now) {
        if (log.durable() >= log.begun()) {
            seen.not_durable.reset();
        } else if (!seen.not_durable || log.durable() != seen.durable) {
            seen.not_durable = now;
        }
        seen.durable = log.durable();
    }
    bool hangs(const Seen& seen, const raft::Log& log) const {
        if (!seen.not_durable || log.durable() >= log.begun()) return false;
        // A node that is late counts only the time in which it ran, which is half at least.
        const raft::Duration longest =
            2 * options_.disk_stall_timeout + 4 * options_.heartbeat_interval;
        return log.durable() == seen.durable && seen.spoke - *seen.not_durable >= longest;
    }
    Said said_to(const raft::Core& core, raft::NodeId from) const {
        const Seen& seen = nodes_[core.self().value];
        const auto found = seen.said.find(from);
        const bool has_said = seen.heard_in == core.term() && found != seen.said.end();
        return has_said ? found->second : Said{};
    }
    static const raft::Progress* find(const raft::Core& core, raft::NodeId node) {
        const auto found = std::ranges::find(core.followers(), node, &raft::Progress::node);
        return found == core.followers().end() ? nullptr : &*found;
    }
    /// Whether a voter could take over at once, and has said that it has room.
    bool has_better(const raft::Core& core, raft::Time now) const {
        return std::ranges::any_of(core.followers(), [&](const raft::Progress& follower) {
            const raft::Member* const member = core.membership().find(follower.node);
            const Said said = said_to(core, follower.node);
            const bool is_there = now - follower.last_contact < options_.election_timeout &&
                                  !follower.is_another() && !follower.is_doubtful();
            return member != nullptr && member->votes_in_new() && is_there && !said.stalled &&
                   !said.full && follower.state == raft::ProgressState::replicate &&
                   follower.match >= core.log().commit();
        });
    }
    /// Whether the others who are there could elect one without this node.
    bool others_decide(const raft::Core& core, raft::Time now) const {
        return core.membership().has_quorum([&](raft::NodeId node) {
            const raft::Progress* const other = find(core, node);
            return other != nullptr && !said_to(core, node).stalled && !other->is_another() &&
                   now - other->last_contact < options_.election_timeout;
        });
    }
    static Violation wrong(const raft::Core& core, const std::string& what) {
        return {"troubled disks", detail::node_text(core.self()) + " " + what, {core.self()}};
    }

    raft::Options options_;
    std::vector<Seen> nodes_;
};

}  // namespace rsm::sim

#endif
