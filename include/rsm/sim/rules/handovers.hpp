// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Handovers: a leader asks one that votes and has all of its log to stand for election, not again
// and again, and takes on no operations meanwhile, which is not longer than it may be; and who
// stands because it was asked to was asked by the leader of the term before (Raft thesis,
// section 3.10).
#ifndef RSM_SIM_RULES_HANDOVERS_HPP
#define RSM_SIM_RULES_HANDOVERS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class Handovers {
public:
    Handovers(std::size_t nodes, raft::Duration interval)
        : interval_(interval), last_(nodes + 1), under_way_(nodes + 1) {}

    /// A leader asks a node to stand. `core` and `now` are the leader's, who leads no more where it
    /// was removed.
    Broken asked(const raft::Core& core, raft::NodeId target, raft::Term term, raft::Time now) {
        asked_.insert({target, term});
        if (core.role() != raft::Role::leader || core.term() != term) return {};
        const auto found = std::ranges::find(core.followers(), target, &raft::Progress::node);
        if (found == core.followers().end() || !has_all(core, found->match)) {
            return wrong(core, "hands over to one that lacks a part of its log");
        }
        const raft::Member* const member = core.configuration().at(found->match).find(target);
        if (member == nullptr || !votes_in_new(member->standing)) {
            return wrong(core, "asks one that has no vote to stand for election");
        }
        return repeats(core, target, now);
    }

    /// A node stands for election because it was asked to.
    Broken stood(raft::NodeId candidate, const raft::VoteRequest& request) const {
        if (request.term.value != 0 && asked_.contains({candidate, {request.term.value - 1}})) {
            return {};
        }
        return Violation{"handovers",
                         detail::node_text(candidate) + " stands for election in term " +
                             detail::text(request.term) + " and was not asked to",
                         {candidate}};
    }

    /// A leader has sent entries, or that it is there. `now` is its clock.
    Broken spoke(const raft::Core& core, raft::Time now) const {
        const raft::Handover* const handover = core.handover();
        if (handover == nullptr || now <= raft::saturated_sum(handover->deadline, interval_)) {
            return {};
        }
        return wrong(core, "hands over for longer than it was given");
    }

    /// After a piece of work. @param last  of its log, before
    Broken step(const raft::Core& core, raft::Index last) {
        const raft::Handover* const handover = core.handover();
        UnderWay now{core.term(), std::nullopt};
        if (handover != nullptr) now.token = handover->token;
        const UnderWay before = std::exchange(under_way_[core.self().value], now);
        if (!now.token || now != before) return {};
        const raft::Log& log = core.log();
        for (raft::Index index = last + 1; index <= log.last_index(); ++index) {
            const bool taken = log.cached(index) && log[index].kind == raft::EntryKind::operation;
            if (taken) return wrong(core, "takes on operations while it hands over");
        }
        return {};
    }

private:
    /// One that was given up may be followed by another one at once; not often.
    static constexpr std::size_t often = 8;
    struct UnderWay {
        raft::Term term;
        std::optional<raft::Token> token;
        friend bool operator==(const UnderWay&, const UnderWay&) = default;
    };
    struct Asked {
        raft::NodeId target;
        raft::Term term;
        raft::Time since{};
        std::size_t times = 0;
    };

    /// A membership may have come in the same piece of work, after it was asked.
    static bool has_all(const raft::Core& core, raft::Index match) {
        const raft::Index last = core.log().last_index();
        const bool but_one = match + 1 == last && core.configuration().latest_at() == last;
        return match >= core.log().base().index && (match == last || but_one);
    }
    Broken repeats(const raft::Core& core, raft::NodeId target, raft::Time now) {
        Asked& last = last_[core.self().value];
        const bool again = last.target == target && last.term == core.term() && now >= last.since &&
                           now - last.since < interval_;
        if (!again) last = {target, core.term(), now, 0};
        if (++last.times <= often) return {};
        return wrong(core, "asks the same node again and again to stand for election");
    }
    static Violation wrong(const raft::Core& core, const std::string& what) {
        return {"handovers", detail::node_text(core.self()) + " " + what, {core.self()}};
    }

    raft::Duration interval_;
    std::set<std::pair<raft::NodeId, raft::Term>> asked_;
    std::vector<Asked> last_;          ///< by leader
    std::vector<UnderWay> under_way_;  ///< by node
};

}  // namespace rsm::sim

#endif
