// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who a cluster consists of, as a user says it.
#ifndef RSM_MEMBERS_HPP
#define RSM_MEMBERS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/backup.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

using Member = raft::Member;
using Members = std::vector<Member>;

/// One that votes, and may lead. Its priority is the ordinary one, so whoever changes the members
/// of a cluster that has others begins with Status::members.
/// @param address  where the others reach it, as the transport writes it ("host:port"); empty where
///        the transport knows by itself
inline Member voter(std::uint64_t node, std::string address = {}) {
    return {{node}, raft::Standing::voter, {}, std::move(address)};
}
/// One that is sent everything and never votes or leads: for reads near by, or to be a voter later.
inline Member learner(std::uint64_t node, std::string address = {}) {
    return {{node}, raft::Standing::learner, {}, std::move(address)};
}

/// What a storage that is new begins as. One that is not new keeps what it has been given, and is
/// refused if that is of another cluster.
struct Birth {
    /// Those that the cluster begins with, or began with; everybody a voter or a learner. Nobody:
    /// only a storage that is not new will do.
    Members founding;
    /// Whether this node is one of them. If not, it waits until the members take it in.
    bool founder = true;
    /// Whose state the cluster begins with; absent: it begins with that of a new machine. Only for
    /// founders, and all of them begin with the same one: a cluster that was founded from another
    /// backup, or from none, is another cluster.
    std::optional<Backup> backup = {};
    /// Of a node that joins: Backup::id of the backup that the cluster was founded from; 0: none.
    std::uint64_t origin = 0;
};
/// A new cluster of these members. Every one of them starts once with the same list.
inline Birth found(Members members) { return {std::move(members), true}; }
/// A new cluster of these members that begins with the state of a backup. Every one of them starts
/// once with the same list and the same backup. It is another cluster than the one that the backup
/// is of, whose nodes it refuses. Only for a storage that is raft::SeedableStorage (WalStorage is).
inline Birth restore(Members members, Backup backup) {
    return {std::move(members), true, std::move(backup)};
}
/// A node that is to be taken in by the cluster which was founded with these members.
/// @param origin  the backup that it was founded from; 0: none
inline Birth join(Members founding, std::uint64_t origin = 0) {
    return {std::move(founding), false, {}, origin};
}
/// Nothing: the storage must be there.
inline Birth reopen() { return {{}, true}; }

struct ChangeOptions {
    /// For how long newcomers may catch up, and too few voters be heard from, before the change is
    /// given up. More than 0.
    std::chrono::nanoseconds patience = std::chrono::minutes(10);
    /// Begin it although too few of the old or of the new voters are heard from to decide it. Until
    /// enough of both are there again, such a cluster serves nobody.
    bool forced = false;
};

}  // namespace rsm

#endif
