// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which membership is in force on a node, what follows from it for the node itself, and how those
// who leave are told (Raft paper, section 6; thesis, chapter 4). How a leader changes it stands in
// member_change.hpp.
#ifndef RSM_RAFT_RULES_MEMBERSHIP_HPP
#define RSM_RAFT_RULES_MEMBERSHIP_HPP

#include <raft/parts/configuration.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace raft::inline v0 {

inline bool is_well_formed(const Entry& entry) {
    return entry.kind != EntryKind::membership || codec::decode_membership(entry.payload);
}

/// Appends, and puts in force what is a membership: "a server always uses the latest configuration
/// in its log, regardless of whether the entry is committed" (section 6).
/// @pre the payload of a membership's entry is one
inline void append_entry(Log& log, Configuration& configuration, Entry entry) {
    if (entry.kind == EntryKind::membership) {
        configuration.append(entry.index, *codec::decode_membership(entry.payload));
    }
    log.append(std::move(entry));
}

/// "...a server must be prepared to fall back to the previous configuration" (thesis, section 4.1).
inline void truncate_entries(Log& log, Configuration& configuration, Index first) {
    log.truncate_from(first);
    configuration.truncate_from(first);
}

/// Whether the membership in force can be taken back no more.
inline bool is_settled(const Configuration& configuration, const Log& log) {
    return configuration.latest_at() <= log.commit();
}

/// What the membership says of this node, which may not be the one that it has under its id.
inline const Member* find_self(const Step& step, const Configuration::Change& change) {
    if (!step.configuration.speaks_of_self(change)) return nullptr;
    const Member* const own = change.membership.find(step.self);
    if (own == nullptr || !step.instance) return own;
    // Who joins is named before it votes, so a voter without an instance is a founder.
    const bool is_other = own->instance ? own->instance != step.instance
                                        : own->votes() && !step.configuration.is_founder();
    return is_other ? nullptr : own;
}

/// Who votes: whoever is a member, for a learner may have been promoted without knowing it yet.
/// Newcomers have the entry that makes them learners before they can be promoted, so one that finds
/// itself nowhere has promised nothing that could be counted on; unless it lacks entries, and with
/// them what makes it a member, for what it has promised it knows. One that is no member only by
/// what is not committed may be needed, for those who ask may not have that.
inline bool may_vote(const Step& step, const Log& log) {
    const Configuration& configuration = step.configuration;
    if (configuration.is_excluded()) return false;
    return !log.is_whole() ||
           configuration.any_from(log.commit(), [&step](const Configuration::Change& change) {
               return find_self(step, change) != nullptr;
           });
}

/// Who stands for election: a voter that has all it may have acknowledged. One that is none by its
/// latest memberships alone is still needed until they are committed: the others may not have them,
/// and this log may be the newest (thesis, section 4.2.2).
inline bool may_stand(const Step& step, const Log& log) {
    const auto votes = [&step](const Configuration::Change& change) {
        const Member* const own = find_self(step, change);
        return own != nullptr && own->votes();
    };
    const Configuration& configuration = step.configuration;
    if (configuration.is_excluded() || !log.is_whole()) return false;
    return configuration.any_from(log.commit(), votes);
}

/// Whether the leader has heard of the node for the last election timeout.
inline bool is_heard(const Step& step, const Reign& reign, NodeId node) {
    if (node == step.self) return true;
    const Progress* const follower = reign.find(node);
    return follower != nullptr && !follower->is_another() &&
           !step.is_silent(follower->last_contact);
}

/// Gives each other member a line in the leader's table. One that comes back, or of another
/// instance, begins anew, for what was acknowledged under its id before may not be there; one that
/// is a member no more keeps its line until it has been told.
inline void enlist(const Step& step, Reign& reign, const Log& log) {
    const Membership& membership = step.membership();
    for (const Member& member : membership.members) {
        if (member.id == step.self) continue;
        Progress* known = reign.find(member.id);
        const bool same = known != nullptr && !known->departure &&
                          (!known->instance || known->instance == member.instance);
        if (!same) {
            if (known == nullptr) known = &reign.add(member.id);
            *known = Progress{};
            known->node = member.id;
            known->last_contact = step.now;
            known->become_probe(log.last_index() + 1);
        }
        known->instance = member.instance;
        known->departure.reset();
        if (!member.votes()) known->lost_before.reset();
    }
    for (Progress& follower : reign.followers) {
        if (membership.contains(follower.node) || follower.departure) continue;
        follower.departure = Departure{step.configuration.latest_at(), step.now};
    }
}

/// Lets go of those who know that they are members no more, or who cannot be told for as long as
/// several elections take; they will hear of it when they ask for votes.
inline void dismiss(const Step& step, Reign& reign, const Log& log) {
    std::erase_if(reign.followers, [&](const Progress& follower) {
        if (!follower.departure || follower.departure->index > log.commit()) return false;
        const Index index = follower.departure->index;
        const bool told = follower.match >= index && follower.sent_commit >= index;
        return told || step.now - follower.departure->since >= 8 * step.options.election_timeout;
    });
}

/// Where the membership in force stands, or a later position of which it is that: a snapshot's, of
/// what is before which the terms are forgotten.
inline LogPosition membership_position(const Configuration& configuration, const Log& log) {
    const Index at = std::max(configuration.latest_at(), log.base().index);
    return {at, log.term_at(at).value_or(Term{})};
}

/// What a node answers to one that asks for its vote and is no member, as far as that is certain.
inline LogPosition membership_without(const Step& step, const Log& log, NodeId asker) {
    const Configuration& configuration = step.configuration;
    const bool excluded = !configuration.latest().contains(asker) && is_settled(configuration, log);
    return excluded ? membership_position(configuration, log) : LogPosition{};
}

/// What others say of this node's own membership: a committed one is without it. What it has of a
/// later one counts more; later as logs are compared (section 5.4.1), for an entry that nobody else
/// has may stand at any index.
inline void learn_of_removal(const Step& step, Configuration& configuration, const Log& log,
                             LogPosition without) {
    const bool is_later = is_up_to_date(without, membership_position(configuration, log));
    const bool news = without.index.value != 0 && is_later;
    if (!news || configuration.is_excluded()) return;
    configuration.exclude(without.index);
    step.announce(EventKind::removed, step.self, without.index);
}

/// Tells of memberships that have come to be committed since the last step.
inline void settle(const Step& step, Configuration& configuration, const Log& log) {
    const std::optional<Membership> before = configuration.settle(log.commit());
    if (!before) return;
    const Configuration::Change& settled = configuration.settled();
    step.announce(EventKind::members_changed, step.self, settled.index);
    if (before->contains(step.self) && !settled.membership.contains(step.self)) {
        step.announce(EventKind::removed, step.self, settled.index);
    }
}

}  // namespace raft

#endif
