// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether the replicas' states are equal: what follows from what the members tell each other of
// them.
//
// A follower tells the leader its newest marks. If one differs from the leader's own, the leader
// asks all for all that they remember, and so finds the first index at which two differ, and
// whether a majority of the voters agrees. It tells those whom that outvotes, or finds that it is
// outvoted itself. Digests are of all that was applied up to an index, so those who agree at one
// index agree at all before it.
#ifndef RSM_NODE_COMPARISON_HPP
#define RSM_NODE_COMPARISON_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/detail/hexadecimal.hpp>
#include <rsm/node/applied_digest.hpp>
#include <rsm/state_difference.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// "from index 17 on (digest 00.. here, 01.. on node 3; equal up to index 16)"
inline std::string where(const StateDifference& found) {
    std::string text = "from index " + std::to_string(found.differ.value) + " on (digest " +
                       hexadecimal(found.own_digest) + " here, " + hexadecimal(found.other_digest) +
                       " on node " + std::to_string(found.node.value);
    if (found.equal.value != 0) text += "; equal up to index " + std::to_string(found.equal.value);
    return text + ")";
}
inline std::string differs_sentence(const StateDifference& found) {
    return "the state machines of this node and of node " + std::to_string(found.node.value) +
           " have made different things of the log " + where(found);
}
inline std::string outvoted_sentence(const StateDifference& found) {
    return "the state machine has made something else of the log than a majority of the voters, " +
           where(found) + ": this node must not serve; remove its directory and let it join again";
}

/// @param theirs  ascending
inline std::optional<StateDifference> first_difference(raft::NodeId node, const StateMemory& own,
                                                       const std::vector<raft::StateMark>& theirs) {
    StateDifference found{node, {}, {}, 0, 0};
    for (const raft::StateMark& mark : theirs) {
        const std::optional<std::uint64_t> digest = own.at(mark.index);
        if (!digest) continue;
        if (*digest != mark.digest) {
            found.differ = mark.index;
            found.own_digest = *digest;
            found.other_digest = mark.digest;
            return found;
        }
        found.equal = mark.index;
    }
    return std::nullopt;
}

/// What a node has found out, and what it is to say.
struct Finding {
    std::vector<raft::TellMarks> tell;
    std::optional<StateDifference> news;      ///< two states differ
    std::optional<StateDifference> outvoted;  ///< a majority of the voters has another state
};

class Comparison {
public:
    /// @param lasting  how long a report of all that a node remembers counts: the node may have
    ///        been started anew since, with another state. While two are known to differ, there is
    ///        a new one each time that the node tells its newest marks.
    explicit Comparison(raft::Duration lasting) : lasting_(lasting) {}

    /// Who compares.
    struct Self {
        raft::NodeId node;
        raft::Term term;
        const raft::Membership& members;  ///< in force
        raft::Time now;
    };

    /// @param own  what this node remembers
    Finding take(const Self& self, const StateMemory& own, const raft::MarksTold& told) {
        if (std::exchange(term_, self.term) != self.term) reports_.clear();
        Finding finding;
        switch (told.kind) {
            case raft::MarksKind::newest: ask_where_needed(own, told, finding); break;
            case raft::MarksKind::all: judge(self, own, told, finding); break;
            case raft::MarksKind::asked:
                finding.tell.push_back({told.from, raft::MarksKind::all, own.all()});
                break;
            case raft::MarksKind::agreed:
                finding.outvoted = first_difference(told.from, own, told.marks);
                break;
        }
        return finding;
    }

    /// Of a leader: who is known to differ from it, in its present term.
    std::vector<StateDifference> differences(raft::Term term) const {
        std::vector<StateDifference> found;
        if (term != term_) return found;
        for (const Report& report : reports_) {
            if (report.difference) found.push_back(*report.difference);
        }
        return found;
    }

private:
    /// All that a follower has told.
    struct Report {
        raft::NodeId node;
        std::vector<raft::StateMark> marks;
        std::optional<StateDifference> difference;
        raft::Time at{};
    };

    bool is_known_to_differ(raft::NodeId node) const {
        return std::any_of(reports_.begin(), reports_.end(), [node](const Report& report) {
            return report.difference && (!node || report.node == node);
        });
    }
    void ask_where_needed(const StateMemory& own, const raft::MarksTold& told,
                          Finding& finding) const {
        const bool differs = first_difference(told.from, own, told.marks).has_value();
        if (!differs && !is_known_to_differ({})) return;
        finding.tell.push_back({told.from, raft::MarksKind::asked, {}});
    }
    Report& report_of(raft::NodeId node) {
        const auto found = std::find_if(reports_.begin(), reports_.end(),
                                        [node](const Report& each) { return each.node == node; });
        if (found != reports_.end()) return *found;
        reports_.push_back({node, {}, {}, {}});
        return reports_.back();
    }

    void judge(const Self& self, const StateMemory& own, const raft::MarksTold& told,
               Finding& finding) {
        std::erase_if(reports_, [&](const Report& report) {
            return !self.members.contains(report.node) && report.node != told.from;
        });
        const bool was_known = is_known_to_differ(told.from);
        Report& report = report_of(told.from);
        report.marks = told.marks;
        report.at = self.now;
        report.difference = first_difference(told.from, own, told.marks);
        if (report.difference && !was_known) {
            finding.news = report.difference;
            for (const raft::Member& member : self.members.members) {
                if (member.id == self.node || member.id == told.from) continue;
                finding.tell.push_back({member.id, raft::MarksKind::asked, {}});
            }
        }
        for (const Report& each : reports_) {
            if (each.difference) decide(self, own, each, finding);
        }
    }
    /// Between this node and one that differs from it, where a majority can be told. That is told
    /// from the last index on at which they are equal.
    void decide(const Self& self, const StateMemory& own, const Report& other,
                Finding& finding) const {
        std::vector<raft::StateMark> agreed;
        for (const raft::StateMark& mark : other.marks) {
            const std::optional<std::uint64_t> digest = own.at(mark.index);
            if (!digest || *digest == mark.digest) continue;
            if (is_majoritys(self, own, {mark.index, *digest})) {
                agreed.push_back({mark.index, *digest});
            } else if (is_majoritys(self, own, mark)) {
                finding.outvoted = other.difference;
                return;
            }
        }
        if (agreed.empty()) return;
        const raft::Index equal = other.difference->equal;
        if (const auto digest = own.at(equal)) agreed.insert(agreed.begin(), {equal, *digest});
        finding.tell.push_back({other.node, raft::MarksKind::agreed, std::move(agreed)});
    }
    bool is_majoritys(const Self& self, const StateMemory& own, raft::StateMark mark) const {
        return self.members.has_quorum([&](raft::NodeId node) {
            if (node == self.node) return own.at(mark.index) == mark.digest;
            return std::any_of(reports_.begin(), reports_.end(), [&](const Report& report) {
                const bool counts = report.node == node && self.now - report.at <= lasting_;
                return counts && std::find(report.marks.begin(), report.marks.end(), mark) !=
                                     report.marks.end();
            });
        });
    }

    raft::Duration lasting_;
    raft::Term term_;
    std::vector<Report> reports_;  ///< one for each member at most
};

}  // namespace rsm::detail

#endif
