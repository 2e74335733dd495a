// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node is in its term (follower, candidate or leader), and what only that role knows.
#ifndef RSM_RAFT_PARTS_REIGN_HPP
#define RSM_RAFT_PARTS_REIGN_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/step.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace raft::inline v0 {

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };

struct Follower {
    NodeId leader;  ///< of this term; 0: unknown
    /// For that leader: one at most for each target. They end with its reign.
    std::vector<Errand> errands{};
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.leader, self.errands);
    }
    friend bool operator==(const Follower&, const Follower&) = default;
};

struct Candidate {
    bool pre_vote = false;
    std::vector<NodeId> granted;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.pre_vote, self.granted);
    }
    friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// A leader's budget of proposals: the footprint of the entries of its reign that are not yet
/// committed, durable and applied here.
class Budget {
public:
    void spend(std::size_t bytes) {
        spent_ += bytes;
        in_step_ += bytes;
        appended_ += bytes;
    }
    /// The step ends with the entry `last`; what has come up to `settled` costs nothing any more.
    void settle(Index last, Index settled) {
        if (in_step_ != 0) steps_.push_back({last, std::exchange(in_step_, 0)});
        while (!steps_.empty() && steps_.front().last <= settled) {
            spent_ -= steps_.front().bytes;
            steps_.pop_front();
        }
    }
    std::size_t spent() const { return spent_; }
    /// In the whole reign.
    std::uint64_t appended() const { return appended_; }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.appended_, self.spent_, self.in_step_, self.steps_);
    }
    friend bool operator==(const Budget&, const Budget&) = default;

private:
    friend struct Anatomy;  // proof/state_digest.hpp

    std::uint64_t appended_ = 0;
    std::size_t spent_ = 0;
    std::size_t in_step_ = 0;  // of these, appended in this step
    Ring<EntryBatch> steps_;   // the others, by the step that appended them
};

/// A change of members on its way.
struct MemberChange {
    Token token = 0;  ///< 0: the leader's own doing, nobody waits for it
    Membership target;
    Membership before;  ///< as it was when the change was asked for
    bool forced = false;
    Time deadline;  ///< newcomers must have caught up
    /// It is to be undone, as far as it can be, and to end with this.
    std::optional<ChangeResult> given_up;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.token, self.target, self.before, self.forced, self.deadline,
                     self.given_up);
    }
    friend bool operator==(const MemberChange&, const MemberChange&) = default;
};

/// A node that came back as another one, and was taken in again by this leader.
struct Readmission {
    NodeId node;
    Time again_from;  ///< not again before, for two may claim one id
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.node, self.again_from);
    }
    friend bool operator==(const Readmission&, const Readmission&) = default;
};

/// Leadership on its way to another node.
struct Handover {
    Token token = 0;  ///< 0: the leader's own doing, nobody waits for it
    NodeId target;
    Time deadline;
    std::optional<Time> asked_at;  ///< the target was asked to stand for election
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.token, self.target, self.deadline, self.asked_at);
    }
    friend bool operator==(const Handover&, const Handover&) = default;
};

/// When a leader looks for a voter that is to be preferred to itself: ever less often, in case that
/// the one it finds cannot lead, or cannot lead for long.
struct Patience {
    Time look_at;
    Duration pause{};  ///< before that
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.look_at, self.pause);
    }
    friend bool operator==(const Patience&, const Patience&) = default;
};

/// Kept from one reign of the node to the next.
struct Preference {
    Patience priority;  ///< for a higher one
    Patience room;      ///< for room on the disk, where the leader has none
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.priority, self.room);
    }
    friend bool operator==(const Preference&, const Preference&) = default;
};

/// "Volatile state on leaders" (Figure 2), from an election to the end of its term.
struct Reign {
    std::vector<Progress> followers;  ///< sorted by node
    Budget budget;
    ReadRounds rounds;
    Index held_log;  ///< up to where the log would be released but for followers; 0: it was
    Time heartbeat_at;
    Time quorum_check_at;
    std::optional<Time> commit_notice_at;
    std::optional<MemberChange> change;
    std::optional<Handover> handover;
    std::vector<Readmission> readmissions;  ///< the latest
    SendingPace pace;                       ///< of the snapshots that it sends itself

    Progress* find(NodeId node) {
        for (Progress& follower : followers) {
            if (follower.node == node) return &follower;
        }
        return nullptr;
    }
    /// @pre it has none
    Progress& add(NodeId node) {
        const auto after =
            std::find_if(followers.begin(), followers.end(),
                         [node](const Progress& other) { return other.node > node; });
        Progress& added = *followers.insert(after, Progress{});
        added.node = node;
        return added;
    }
    const Progress* find(NodeId node) const { return const_cast<Reign*>(this)->find(node); }
    /// What the leader, which is `self`, knows of a node: its own value for itself, the least for a
    /// stranger.
    template <class Value>
    Value of_node(NodeId node, NodeId self, Value Progress::*member, Value own) const {
        if (node == self) return own;
        const Progress* follower = find(node);
        return follower == nullptr ? Value{} : follower->*member;
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.followers, self.budget, self.rounds, self.held_log, self.heartbeat_at,
                     self.quorum_check_at, self.commit_notice_at, self.change, self.handover,
                     self.readmissions, self.pace);
    }
    friend bool operator==(const Reign&, const Reign&) = default;
};

/// The role and what belongs to it. A role holds what only that role knows.
struct Office {
    std::variant<Follower, Candidate, Reign> held;
    Preference preference{};

    Role role() const {
        if (reign() != nullptr) return Role::leader;
        if (candidate() == nullptr) return Role::follower;
        return candidate()->pre_vote ? Role::pre_candidate : Role::candidate;
    }
    bool leads() const { return reign() != nullptr; }
    Reign* reign() { return std::get_if<Reign>(&held); }
    const Reign* reign() const { return std::get_if<Reign>(&held); }
    Candidate* candidate() { return std::get_if<Candidate>(&held); }
    const Candidate* candidate() const { return std::get_if<Candidate>(&held); }
    /// The leader of this term as far as `self`, whose office this is, knows it; 0: unknown.
    NodeId leader(NodeId self) const {
        if (leads()) return self;
        const auto* follower = std::get_if<Follower>(&held);
        return follower == nullptr ? NodeId{} : follower->leader;
    }
    // What only a leader has; nothing on others.
    std::size_t unsettled_bytes() const { return leads() ? reign()->budget.spent() : 0; }
    bool holds_log() const { return leads() && reign()->held_log.value != 0; }
    std::span<const Progress> followers() const {
        if (!leads()) return {};
        return reign()->followers;
    }
    Progress* follower(NodeId node) { return leads() ? reign()->find(node) : nullptr; }
    /// What a follower sends for this leader; null where it does not follow that one.
    std::vector<Errand>* errands_for(NodeId leader) {
        auto* follower = std::get_if<Follower>(&held);
        return follower == nullptr || follower->leader != leader ? nullptr : &follower->errands;
    }
    /// What a follower sends for its leader; nothing on others.
    std::span<const Errand> errands() const {
        const auto* follower = std::get_if<Follower>(&held);
        if (follower == nullptr) return {};
        return follower->errands;
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.held, self.preference);
    }
    friend bool operator==(const Office&, const Office&) = default;
};

}  // namespace raft

#endif
