// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Log matching: entries of one index and term are the same, and so is all before them, on every
// node and in every message of the whole run (Raft paper, section 5.3).
#ifndef RSM_SIM_RULES_LOG_MATCHING_HPP
#define RSM_SIM_RULES_LOG_MATCHING_HPP

#include <raft/base/digest.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/proof/state_digest.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class LogMatching {
public:
    explicit LogMatching(Chronicle& chronicle)
        : chronicle_(chronicle), verified_(chronicle.size() + 1) {}

    /// A node has recovered.
    Broken restarted(const raft::Core& core) {
        verified_[core.self().value] = core.log().base();
        return verify(core);
    }
    /// A node has removed its entries from an index on.
    void truncated(raft::NodeId id, raft::Index index) {
        raft::LogPosition& verified = verified_[id.value];
        if (index <= verified.index) verified = {};
    }
    /// Compares each entry that is new here, and some before it, with what anybody has held at
    /// that position.
    Broken verify(const raft::Core& core) {
        constexpr std::uint64_t overlap = 4;
        const raft::Log& log = core.log();
        raft::LogPosition& verified = verified_[core.self().value];
        raft::Index index = std::min(verified.index, log.last_index());
        index = raft::Index{index.value - std::min(index.value, overlap)};
        for (index = std::max(index, log.base().index) + 1; index <= log.last_index(); ++index) {
            if (Broken broken = verify_entry(core, index)) return broken;
        }
        verified = log.last();
        return {};
    }
    /// Everything, without regard to what was verified before.
    Broken verify_whole(const raft::Core& core) {
        verified_[core.self().value] = {};
        return verify(core);
    }
    /// @param request  that carries entries
    Broken sent(raft::NodeId from, const auto& request) {
        raft::Term previous = request.previous.term;
        for (const raft::Entry& entry : request.entries) {
            if (Broken broken = compare(from, entry.position(), previous, digest_of(entry))) {
                return broken;
            }
            note_membership(entry);
            previous = entry.term;
        }
        return {};
    }

private:
    Broken verify_entry(const raft::Core& core, raft::Index index) {
        const raft::Log& log = core.log();
        const raft::LogPosition position{index, *log.term_at(index)};
        const raft::Term previous = *log.term_at(index - 1);
        const bool cached = log.cached(index);
        Broken broken =
            compare(core.self(), position, previous, cached ? digest_of(log[index]) : 0);
        if (!cached) return broken;
        chronicle_.entries[position].bytes = raft::codec::persisted_size(log[index]);
        note_membership(log[index]);
        return broken;
    }
    void note_membership(const raft::Entry& entry) {
        if (entry.kind != raft::EntryKind::membership) return;
        if (chronicle_.memberships.contains(entry.position())) return;
        if (auto membership = raft::codec::decode_membership(entry.payload)) {
            chronicle_.memberships.emplace(entry.position(), *std::move(membership));
        }
    }
    static std::uint64_t digest_of(const raft::Entry& entry) {
        raft::Digest digest;
        digest.add(static_cast<std::uint64_t>(entry.kind));
        digest.add(entry.payload.view());
        return digest.value() | 1;  // 0 is "not known"
    }
    Broken compare(raft::NodeId node, raft::LogPosition position, raft::Term previous,
                   std::uint64_t digest) {
        const auto [known, first] =
            chronicle_.entries.try_emplace(position, Chronicle::Entry{previous, digest});
        Chronicle::Entry& entry = known->second;
        if (entry.digest == 0) entry.digest = digest;
        if (entry.previous == previous && (digest == 0 || digest == entry.digest)) return {};
        return Violation{"log matching",
                         detail::node_text(node) + " holds another entry at index " +
                             detail::text(position.index) + " of term " +
                             detail::text(position.term),
                         {node}};
    }

    Chronicle& chronicle_;
    std::vector<raft::LogPosition> verified_;  ///< by node: compared up to here
};

}  // namespace rsm::sim

#endif
