// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who belongs to the cluster and what a quorum of it is: plain set arithmetic.
#ifndef RSM_RAFT_PROTOCOL_MEMBERSHIP_HPP
#define RSM_RAFT_PROTOCOL_MEMBERSHIP_HPP

#include <raft/base/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// What a member's word counts for. While somebody is incoming, outgoing, demoted or suspended the
/// membership is joint (Raft paper, section 6): the old one and the new one decide together. The
/// values are those of the disk and wire formats.
enum class Standing : std::uint8_t {
    voter = 1,     ///< votes; in a joint membership in both
    learner = 2,   ///< is sent the log, and votes in neither
    incoming = 3,  ///< votes in the new membership
    outgoing = 4,  ///< votes in the old membership, and is in the new one no more
    demoted = 5,   ///< votes in the old membership, and is a learner of the new one
    /// A learner that is to vote as soon as it can: its place was a voter's who has lost its
    /// storage. Whoever leads sees to it.
    returning = 6,
    suspended = 7,  ///< votes in the old membership, and is returning in the new one
};

/// Of a member: who is to lead rather than others. Any order of numbers will do.
inline constexpr std::uint32_t ordinary_priority = 1;

struct Member {
    NodeId id;
    Standing standing = Standing::voter;
    /// Which of those that have borne the id; 0: not told yet, then whoever bears it.
    Instance instance;
    /// Where it is, for the transport; the algorithm does not read it.
    std::string contact;
    /// Leadership passes to a voter of a higher priority that is there and has the log. Whatever
    /// the priority, a voter leads where no better one can.
    std::uint32_t priority = ordinary_priority;

    bool votes_in_new() const {
        return standing == Standing::voter || standing == Standing::incoming;
    }
    bool votes_in_old() const { return votes() && standing != Standing::incoming; }
    bool votes() const { return standing != Standing::learner && standing != Standing::returning; }
    /// Whether it has another part in the old membership than in the new one.
    bool is_joint() const { return votes() && standing != Standing::voter; }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.id, self.standing, self.instance, self.priority, self.contact);
    }
    friend bool operator==(const Member&, const Member&) = default;
};

inline constexpr std::size_t max_members = 64;
inline constexpr std::size_t max_contact_bytes = 1024;

/// Invariants (`valid()`): sorted by id, each once, nobody is 0; there is a voter in the new and in
/// the old membership; the numbers above are kept.
struct Membership {
    std::vector<Member> members;
    /// Of operations and snapshots: the one in which they are written, for everybody in a cluster
    /// that has this membership reads it. It only rises (version_agreement.hpp).
    std::uint32_t version = 0;

    static Membership of_voters(const std::vector<NodeId>& ids) {
        Membership membership;
        for (const NodeId id : ids) membership.members.push_back({id, Standing::voter, {}, {}});
        membership.sort();
        return membership;
    }
    void sort() {
        std::sort(members.begin(), members.end(),
                  [](const Member& one, const Member& other) { return one.id < other.id; });
    }

    bool empty() const { return members.empty(); }
    const Member* find(NodeId node) const {
        for (const Member& member : members) {
            if (member.id == node) return &member;
        }
        return nullptr;
    }
    Member* find(NodeId node) { return const_cast<Member*>(std::as_const(*this).find(node)); }
    /// Takes the place of the one of its id, if there is one.
    void put(Member member) {
        if (Member* const present = find(member.id)) {
            *present = std::move(member);
        } else {
            members.push_back(std::move(member));
            sort();
        }
    }
    void remove(NodeId node) {
        std::erase_if(members, [node](const Member& member) { return member.id == node; });
    }

    bool joint() const {
        return std::any_of(members.begin(), members.end(),
                           [](const Member& member) { return member.is_joint(); });
    }
    bool contains(NodeId node) const { return find(node) != nullptr; }
    /// In the old membership or in the new one.
    bool is_voter(NodeId node) const {
        const Member* const member = find(node);
        return member != nullptr && member->votes();
    }

    bool valid() const {
        NodeId before{};
        bool old_votes = false;
        bool new_votes = false;
        for (const Member& member : members) {
            if (member.id <= before || member.contact.size() > max_contact_bytes) return false;
            before = member.id;
            old_votes = old_votes || member.votes_in_old();
            new_votes = new_votes || member.votes_in_new();
        }
        return old_votes && new_votes && members.size() <= max_members;
    }

    /// Whether the members for whom `agrees(NodeId)` holds decide for the cluster.
    template <class Predicate>
    bool has_quorum(Predicate agrees) const {
        return majority(in_new, agrees) && majority(in_old, agrees);
    }

    /// The greatest value that a quorum has reached, given each voter's value: the rule by which
    /// match indexes become a commit index (section 5.3) and echoes confirm a read round.
    template <class Value, class ValueOf>
    Value reached_by_quorum(ValueOf value_of) const {
        const Value reached = reached_by_majority<Value>(in_new, value_of);
        if (!joint()) return reached;
        return std::min(reached, reached_by_majority<Value>(in_old, value_of));
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.members, self.version);
    }
    friend bool operator==(const Membership&, const Membership&) = default;

private:
    // Which of the two votes is counted: types of their own, so that the loops are inlined.
    static constexpr auto in_new = [](const Member& member) { return member.votes_in_new(); };
    static constexpr auto in_old = [](const Member& member) { return member.votes_in_old(); };

    template <class Votes, class Predicate>
    bool majority(Votes votes, Predicate& agrees) const {
        std::size_t all = 0;
        std::size_t count = 0;
        for (const Member& member : members) {
            if (!votes(member)) continue;
            ++all;
            if (agrees(member.id)) ++count;
        }
        return count > all / 2;
    }

    template <class Value, class Votes, class ValueOf>
    Value reached_by_majority(Votes votes, ValueOf& value_of) const {
        // Voters are few, so counting for each candidate beats sorting a copy: no allocation.
        Value best{};
        for (const Member& candidate : members) {
            if (!votes(candidate)) continue;
            const Value value = value_of(candidate.id);
            if (value <= best) continue;
            const auto has_reached = [&](NodeId node) { return value_of(node) >= value; };
            if (majority(votes, has_reached)) best = value;
        }
        return best;
    }
};

}  // namespace raft

#endif
