// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is explored: the size of the cluster, the rules it runs by, and the bounds that make the
// number of its states finite. docs/model-checker.md says why each abstraction is sound.
#ifndef RSM_TESTS_MODEL_SETUP_HPP
#define RSM_TESTS_MODEL_SETUP_HPP

#include <raft/protocol/options.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace model {

/// How far apart a write is begun, becomes durable, and is known by the core to be durable.
enum class DiskMode : std::uint8_t {
    instant,  ///< all three in the step that writes
    joined,   ///< begun in the step; durable and known together, at any later moment
    split,    ///< each at a moment of its own
};

/// A fault of the harness, to see that the checker finds it.
enum class Sabotage : std::uint8_t {
    none,
    forget_vote,   ///< a restarted node has lost the vote that it had made durable
    forget_write,  ///< a crash undoes the last write that had become durable
    skip_joint,    ///< a joint membership counts as the one that it leads to
    leave_early,   ///< a joint membership is left before it is committed
    members_late,  ///< on followers a membership is in force only once it is known to be committed
};

/// Where the histories begin: all of them, or those that have first gone one certain way.
enum class Start : std::uint8_t {
    empty,       ///< with empty disks
    led,         ///< node 1 leads; all founders have its barrier and know that it is committed
    introduced,  ///< and it is to change the members; those who are new are learners with the log
};

/// As a bound on heartbeats: any number.
inline constexpr std::uint32_t unbounded = 15;

struct Setup {
    std::uint32_t nodes = 3;
    std::uint32_t terms = 2;       ///< no node enters a later one
    std::uint32_t operations = 0;  ///< proposed in all
    std::uint32_t crashes = 0;
    std::uint32_t reads = 0;
    std::uint32_t snapshots = 0;
    std::uint32_t founders = 0;         ///< the first of the nodes, the others join; 0: all
    std::vector<std::uint32_t> target;  ///< who is to vote after a change
    std::uint32_t changes = 0;          ///< asked for: to the target, or back to the founders
    std::uint32_t lapses = 0;  ///< a leader that changes the members loses touch, or gives up
    Start start = Start::empty;
    std::uint32_t duplicates = 0;  ///< deliveries that leave the message on its way
    bool keep_messages = false;    ///< any message may arrive any number of times
    bool newest_only = false;      ///< what a node sends to another ends what it sent it before
    bool lose_stale = false;       ///< requests of earlier terms never arrive
    std::uint32_t heartbeats = unbounded;  ///< beyond those at the start of a term
    std::uint32_t in_flight = 0;           ///< states with more messages under way are cut; 0: none
    DiskMode disk = DiskMode::joined;
    bool pre_vote = false;
    bool check_quorum = false;
    bool barrier = true;
    bool one_entry_messages = false;  ///< an append request carries at most one entry
    bool symmetry = true;
    Sabotage sabotage = Sabotage::none;

    std::uint64_t states = 0;  ///< stop after so many; 0: no bound
    double minutes = 0;        ///< stop after so long; 0: no bound
    std::uint32_t depth = 0;   ///< stop at this depth; 0: no bound
    std::uint64_t memory_bytes = std::uint64_t{4} << 30;

    std::uint32_t founders_count() const { return founders == 0 ? nodes : founders; }
    /// Nodes of one part differ in nothing but their names.
    std::uint32_t part_of(std::uint32_t node) const {
        const bool founds = node <= founders_count();
        const bool wanted = std::ranges::find(target, node) != target.end();
        return (founds ? 1U : 0U) + (wanted ? 2U : 0U);
    }

    /// Empty, or why this cannot be explored.
    std::string refusal() const {
        if (nodes < 1 || nodes > 6) return "1 to 6 nodes";
        if (terms < 1 || terms > 15) return "1 to 15 terms";
        // Logs are written down in eight bytes, one for an entry. Each term has at most one
        // barrier, and a change at most three memberships.
        if (operations + terms + 3 * changes > 8) {
            return "operations, terms and three for each change are 8 at most together";
        }
        if (reads > 7) return "7 reads at most";
        if (std::max({crashes, snapshots, duplicates, heartbeats, lapses}) > 15) {
            return "15 at most of crashes, snapshots, duplicates, heartbeats and lapses";
        }
        return refusal_of_change();
    }

private:
    std::string refusal_of_change() const {
        if (founders > nodes) return "no more founders than nodes";
        for (const std::uint32_t node : target) {
            if (node < 1 || node > nodes) return "a target of the nodes that there are";
        }
        if (changes != 0 && target.empty()) return "a target for the changes";
        if (start == Start::introduced && changes == 0) return "a change to begin with";
        if (changes != 0 && (pre_vote || check_quorum)) {
            return "changes only without pre-votes and checks of the quorum";
        }
        return {};
    }
};

/// The units of time are small and without meaning: the checker decides which deadline passes.
inline constexpr raft::Duration heartbeat_time{1};
inline constexpr raft::Duration election_time{3};

inline raft::Options options_of(const Setup& setup) {
    raft::Options options;
    options.heartbeat_interval = heartbeat_time;
    options.commit_notice_delay = heartbeat_time;
    options.election_timeout = election_time;
    options.disk_stall_timeout = std::chrono::hours(1);
    options.pre_vote = setup.pre_vote;
    options.check_quorum = setup.check_quorum;
    options.barrier_on_election = setup.barrier;
    options.retained_bytes = 0;
    options.max_hold_bytes = 0;        // or nobody would ever need a snapshot
    options.snapshot_chunk_bytes = 4;  // two chunks make a snapshot
    if (setup.one_entry_messages) {
        options.max_entry_bytes = 1;
        options.max_message_bytes = 8;
    }
    return options;
}

}  // namespace model

#endif
