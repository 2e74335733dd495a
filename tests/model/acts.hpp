// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What may happen at a node, and what of it the rest of the world and an observer see.
#ifndef RSM_TESTS_MODEL_ACTS_HPP
#define RSM_TESTS_MODEL_ACTS_HPP

#include "members.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace model {

/// What may happen at a node.
enum class Act : std::uint8_t {
    deliver,       ///< a message arrives
    deliver_copy,  ///< a message arrives, and will again
    time_out,      ///< not the leader: the election deadline passes
    forget,        ///< an election timeout passes since the leader spoke; the deadline does not
    heartbeat,     ///< the leader: its heartbeat is due
    silence,       ///< the leader: an election timeout passes and nobody has spoken
    complete,      ///< the oldest write becomes durable
    notice,        ///< the core hears of it
    answer,        ///< storage answers
    crash,         ///< memory and unfinished writes are lost; the node starts again
    snapshot,      ///< what has been applied is made a durable snapshot
    propose,
    read,
    change,      ///< the leader is asked to change the members
    give_up,     ///< newcomers have had all the time that they are given to catch up
    lose_touch,  ///< what a change needs is heard of, or done, too late (awaits_newcomers())
    gain_touch,  ///< and again in time
};
inline constexpr std::array<const char*, 17> act_names = {"gets",
                                                          "gets a copy of",
                                                          "times out",
                                                          "forgets its leader",
                                                          "sends heartbeats",
                                                          "has heard from nobody",
                                                          "completes a write",
                                                          "is told of a completed write",
                                                          "gets an answer of its storage",
                                                          "crashes and restarts",
                                                          "takes a snapshot",
                                                          "is asked to replicate operation",
                                                          "is asked to read",
                                                          "is asked to change the members",
                                                          "waits no longer for newcomers",
                                                          "is out of touch",
                                                          "is in touch"};

/// A read that was answered, and how much the state machine held then.
struct Answered {
    std::uint8_t read = 0;
    bool refused = false;
    std::uint64_t applied = 0;
};

/// What an exploration should have come by: the kinds of events, which have the bits before these,
/// and these. An exploration in which nothing happens finds nothing.
enum class Corner : std::uint8_t {
    read_released = 20,
    read_refused,
    entry_applied,
    state_restored,
    restarted_from_snapshot,
    restarted_with_lost_write,
    joint_committed,         ///< a joint membership
    joint_left,              ///< and the one that it leads to is committed
    joint_ended_by_another,  ///< than the leader that began it
    elected_while_joint,     ///< by both majorities
    members_truncated,       ///< a membership that was not committed is gone
    leader_left,             ///< one that is a member no more has ended its reign by itself
};
constexpr unsigned number(Corner corner) { return static_cast<unsigned>(corner); }
constexpr unsigned number(EventKind kind) { return static_cast<unsigned>(kind); }
constexpr std::uint32_t bit(auto corner) { return 1U << number(corner); }

/// Those that are told of at the end.
inline constexpr std::array<std::pair<unsigned, const char*>, 16> corner_names = {{
    {number(EventKind::became_leader), "an election"},
    {number(EventKind::quorum_lost), "a quorum lost"},
    {number(EventKind::log_truncated), "entries truncated"},
    {number(EventKind::snapshot_installed), "a snapshot installed"},
    {number(Corner::read_released), "a read released"},
    {number(Corner::read_refused), "a read refused"},
    {number(Corner::entry_applied), "an entry applied"},
    {number(Corner::restarted_from_snapshot), "a restart from a snapshot"},
    {number(Corner::restarted_with_lost_write), "a restart with a write lost"},
    {number(Corner::members_truncated), "members truncated"},
    {number(Corner::joint_committed), "a joint membership committed"},
    {number(Corner::elected_while_joint), "an election while joint"},
    {number(Corner::joint_left), "a joint membership left"},
    {number(Corner::joint_ended_by_another), "a joint membership ended by another leader"},
    {number(Corner::leader_left), "a leader that left"},
    {number(EventKind::removed), "a member removed"},
}};

/// What a step of a node does to the rest of the world.
struct Effect {
    std::vector<Message> sent;
    std::vector<Answered> answered;
    std::vector<Claim> claims;
    std::uint8_t lost_reads = 0;  // one bit for each
    Term leads;                   // of which it has become the leader, if it has
    std::uint32_t corners = 0;    // what has happened, one bit for each Corner
    std::string violation;        // a property of this one node that does not hold

    void violate(std::string what) {
        if (violation.empty()) violation = std::move(what);
    }
};

}  // namespace model

#endif
