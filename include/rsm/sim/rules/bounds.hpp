// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bounds: windows, messages, what is uncommitted, what is kept in memory, waiting reads.
#ifndef RSM_SIM_RULES_BOUNDS_HPP
#define RSM_SIM_RULES_BOUNDS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace rsm::inline v0::sim {

namespace detail {

inline Violation exceeds(raft::NodeId node, const std::string& what) {
    return {"bounds", node_text(node) + " " + what, {node}};
}

/// Footprint of a leader's operations of its own reign that are not committed, durable and applied
/// on its own node, as far as they are in memory. @pre core leads
inline std::size_t unsettled_operations(const raft::Core& core) {
    const raft::Log& log = core.log();
    const raft::Index settled = std::min({log.commit(), log.durable(), log.applied()});
    std::size_t bytes = 0;
    for (raft::Index index = log.last_index(); index > settled && log.cached(index);
         index = index - 1) {
        const raft::Entry& entry = log[index];
        if (entry.term != core.term()) break;
        if (entry.kind == raft::EntryKind::operation) bytes += raft::footprint(entry);
    }
    return bytes;
}

/// Footprint of the largest membership among the entries that are under way to a follower.
inline std::size_t largest_membership(const raft::Core& core, const raft::Progress& follower,
                                      const Chronicle& chronicle) {
    std::size_t largest = 0;
    for (const auto& [position, membership] : chronicle.memberships) {
        const bool is_under_way = position.index > follower.match &&
                                  position.index < follower.next && core.log().matches(position);
        if (!is_under_way) continue;
        const std::size_t bytes = raft::codec::encode(membership).size();
        largest = std::max(largest, bytes + raft::entry_overhead_bytes);
    }
    return largest;
}

}  // namespace detail

/// As long as a window is not full, one more message may leave. It holds one entry at least, and a
/// membership is as large as its members' contacts make it.
inline Broken windows_bounded(const raft::Core& core, const raft::Options& options,
                              const Chronicle& chronicle) {
    const std::size_t message = options.max_message_bytes + raft::entry_overhead_bytes;
    for (const raft::Progress& follower : core.followers()) {
        const std::size_t bytes = follower.in_flight_bytes();
        if (bytes <= options.window_bytes + message) continue;
        const std::size_t membership = detail::largest_membership(core, follower, chronicle);
        if (bytes <= options.window_bytes + membership) continue;
        return Violation{"bounds",
                         detail::node_text(core.self()) + " has more under way to " +
                             detail::node_text(follower.node) + " than its window",
                         {core.self(), follower.node}};
    }
    return {};
}

/// What the storage cannot give back stays in memory, and that too is limited.
inline Broken memory_bounded(const raft::Core& core, const raft::Options& options) {
    const raft::Log& log = core.log();
    const std::size_t most = options.log_cache_bytes + options.max_uncommitted_bytes +
                             2 * (options.window_bytes + options.max_message_bytes);
    if (log.cache_bytes() > most) {
        return detail::exceeds(core.self(),
                               "keeps " + std::to_string(log.cache_bytes()) +
                                   " bytes of its log in memory, where its options add up to " +
                                   std::to_string(most));
    }
    const bool droppable = log.cached(log.cache_first()) && log.cache_first() <= log.readable();
    if (droppable && log.cache_bytes() > options.log_cache_bytes) {
        return detail::exceeds(core.self(), "keeps too much of its log in memory");
    }
    return {};
}

/// @pre core leads
inline Broken uncommitted_bounded(const raft::Core& core, const raft::Options& options) {
    const raft::Log& log = core.log();
    if (detail::unsettled_operations(core) > options.max_uncommitted_bytes) {
        return detail::exceeds(core.self(), "takes in more than it may");
    }
    const bool settled = std::min({log.commit(), log.durable(), log.applied()}) == log.last_index();
    if (settled && core.unsettled_bytes() != 0) {
        return detail::exceeds(core.self(), "counts what it has done with");
    }
    return {};
}

inline Broken reads_bounded(const raft::Core& core, const raft::Options& options) {
    if (core.waiting_reads() <= options.max_waiting_reads) return {};
    return detail::exceeds(core.self(), "keeps too many reads");
}

/// A window that was under way when the log came to its limit is taken, and what leaders append by
/// themselves.
inline Broken log_bounded(const raft::Core& core, std::uint64_t persisted_bytes,
                          const raft::Options& options) {
    constexpr std::uint64_t leaders_own = 2048;
    const std::uint64_t most = options.max_log_bytes + options.window_bytes +
                               options.max_message_bytes + options.max_entry_bytes + leaders_own;
    if (options.max_log_bytes == 0 || persisted_bytes <= most) return {};
    return detail::exceeds(core.self(),
                           "has a log of " + std::to_string(persisted_bytes) + " bytes, where " +
                               std::to_string(options.max_log_bytes) + " are the limit");
}

/// @param request  that carries entries
template <class Request>
    requires requires(const Request& request) { request.entries; }
Broken message_bounded(raft::NodeId from, const Request& request, const raft::Options& options) {
    std::size_t bytes = 0;
    bool too_large = false;
    for (const raft::Entry& entry : request.entries) {
        bytes += raft::footprint(entry);
        const bool is_clients = entry.kind == raft::EntryKind::operation;
        too_large = too_large || (is_clients && entry.payload.size() > options.max_entry_bytes);
    }
    const bool too_many = request.entries.size() > 1 && bytes > options.max_message_bytes;
    if (!too_large && !too_many) return {};
    return detail::exceeds(from, "sends more than is allowed");
}
/// @param chunk  of a snapshot
template <class Chunk>
    requires requires(const Chunk& chunk) { chunk.data; }
Broken message_bounded(raft::NodeId from, const Chunk& chunk, const raft::Options& options) {
    if (chunk.data.size() <= options.snapshot_chunk_bytes) return {};
    return detail::exceeds(from, "sends more than is allowed");
}

}  // namespace rsm::sim

#endif
