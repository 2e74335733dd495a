// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The entries of the log, the state that must survive a crash, and the description of a snapshot.
#ifndef RSM_RAFT_PROTOCOL_ENTRY_HPP
#define RSM_RAFT_PROTOCOL_ENTRY_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/membership.hpp>

#include <cstddef>
#include <cstdint>

namespace raft::inline v0 {

/// What an entry is for. The values are those of the disk and wire formats.
enum class EntryKind : std::uint8_t {
    operation = 1,   ///< the state machine's; the payload is the user's bytes
    membership = 2,  ///< the algorithm's; the payload is an encoded Membership
    barrier = 3,     ///< nobody's: gives a new leader an entry of its term to commit (section 8)
};

struct Entry {
    Index index;
    Term term;
    EntryKind kind = EntryKind::operation;
    Bytes payload;

    LogPosition position() const { return {index, term}; }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.index, self.term, self.kind, self.payload);
    }
    friend bool operator==(const Entry&, const Entry&) = default;
};

/// What an entry counts for in every limit given in bytes: its payload and a fixed share for its
/// header and bookkeeping, so that empty entries are not free.
inline constexpr std::size_t entry_overhead_bytes = 48;
inline std::size_t footprint(const Entry& entry) {
    return entry.payload.size() + entry_overhead_bytes;
}

/// Some consecutive entries: where they end, and their footprint.
struct EntryBatch {
    Index last;
    std::size_t bytes = 0;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.last, self.bytes);
    }
    friend bool operator==(const EntryBatch&, const EntryBatch&) = default;
};

/// The state on stable storage beside the log (Raft paper, Figure 2). `commit` is no duty, only a
/// help at restart: it may be older than what was known, never newer.
struct HardState {
    Term term;
    NodeId voted_for;
    Index commit;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.voted_for, self.commit);
    }
    friend bool operator==(const HardState&, const HardState&) = default;
};

/// A run of entries of one term: [first, the next run's first).
struct TermRun {
    Index first;
    Term term;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.first, self.term);
    }
    friend bool operator==(const TermRun&, const TermRun&) = default;
};

/// A snapshot's place in history and its content's identity. Two snapshots of one position may
/// differ in their bytes (another node wrote it), so `size` and `checksum` are part of the name
/// under which a transfer is resumed.
struct SnapshotMeta {
    LogPosition last;  ///< the last entry that the snapshot replaces
    Membership membership;
    std::uint64_t size = 0;      ///< of the content, in bytes
    std::uint64_t checksum = 0;  ///< of the content (XXH3, 64 bits)

    bool empty() const { return last.index.value == 0; }
    /// Whether a message that names a snapshot so means this one.
    bool is_named(LogPosition position, std::uint64_t sum) const {
        return last == position && checksum == sum;
    }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.last, self.size, self.checksum, self.membership);
    }
    friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

}  // namespace raft

#endif
