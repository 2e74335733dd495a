// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What nodes tell each other. Any message may be lost, doubled, late or out of order; each
// therefore says enough for its receiver to recognise it as stale.
#ifndef RSM_RAFT_PROTOCOL_MESSAGE_HPP
#define RSM_RAFT_PROTOCOL_MESSAGE_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

namespace raft::inline v0 {

/// Asks for a vote (RequestVote, Raft paper, section 5.2), or with `pre_vote` whether a vote would
/// be given (thesis, section 9.6).
struct VoteRequest {
    Term term;  ///< the term to be elected in; for a pre-vote the sender has not entered it
    bool pre_vote = false;
    /// The end of the candidate's log (section 5.4.1); of one that lacks entries maybe an earlier
    /// place.
    LogPosition last;
    /// The leader itself has asked for it, so who hears from that leader may vote all the same
    /// (thesis, section 4.2.3).
    bool by_handover = false;
    /// The sender has lost entries that it had, cannot lead before it has them again, and asks for
    /// what comes after `last`.
    bool lacks_entries = false;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.pre_vote, self.last, self.by_handover, self.lacks_entries);
    }
    friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};

struct VoteReply {
    Term term;      ///< the sender's own term
    Term election;  ///< the term that had been asked for: names the request
    bool pre_vote = false;
    bool granted = false;
    /// Where the log has a committed membership, the sender's latest, in which the one who asked is
    /// no member; 0: it is one, or it is not known for certain.
    LogPosition without{};
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.election, self.pre_vote, self.granted, self.without);
    }
    friend bool operator==(const VoteReply&, const VoteReply&) = default;
};

/// Replicates entries (AppendEntries, section 5.3); without any it is the heartbeat.
struct AppendRequest {
    Term term;
    LogPosition previous;  ///< the entry before the first of `entries`
    Index commit;
    std::uint64_t round = 0;  ///< the leader's latest read round (section 8, thesis 6.4)
    std::vector<Entry> entries;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.previous, self.commit, self.round, self.entries);
    }
    friend bool operator==(const AppendRequest&, const AppendRequest&) = default;
};

struct AppendReply {
    Term term;
    bool accepted = false;
    /// Accepted: the log agrees with the leader's up to here and is durable up to here.
    /// Refused: the index of the `previous` that did not match; 0 if the request was of an earlier
    /// term than the answer.
    Index index;
    /// Refused: the last place where the logs may agree (fast backup, end of section 5.3).
    /// Accepted: the end of a log that takes nothing more at present, because it is as long as it
    /// may be; 0@0: it takes more.
    LogPosition hint;
    std::uint64_t round = 0;  ///< echo of the request
    /// The sender's oldest write hangs: it neither votes nor leads. One that must not tell its term
    /// yet, because that is what hangs, says this in term 0, and nothing else.
    bool disk_stalled = false;
    bool disk_full = false;  ///< the sender's storage has no room for what clients ask for
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.accepted, self.index, self.hint, self.round, self.disk_stalled,
                     self.disk_full);
    }
    friend bool operator==(const AppendReply&, const AppendReply&) = default;
};

/// A piece of a snapshot (InstallSnapshot, section 7). The whole is verified by `meta.checksum`.
struct SnapshotChunk {
    Term term;
    SnapshotMeta meta;
    std::uint64_t offset = 0;
    Bytes data;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.meta, self.offset, self.data);
    }
    friend bool operator==(const SnapshotChunk&, const SnapshotChunk&) = default;
};

/// What has become of a snapshot at its receiver. The values are those of the wire format.
enum class TransferOutcome : std::uint8_t {
    none = 0,       ///< more is to come
    installed = 1,  ///< the receiver holds all of it, or more, durably
    rejected = 2,   ///< what was received does not have the checksum, and was dropped
};

struct SnapshotReply {
    Term term;
    LogPosition last;               ///< names the snapshot
    std::uint64_t checksum = 0;     ///< names the snapshot
    std::uint64_t next_offset = 0;  ///< where to go on; a transfer resumes here
    TransferOutcome outcome = TransferOutcome::none;
    Index match;  ///< installed: the log agrees with the leader's up to here, durably
    bool installed() const { return outcome == TransferOutcome::installed; }
    bool rejected() const { return outcome == TransferOutcome::rejected; }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.last, self.checksum, self.next_offset, self.outcome,
                     self.match);
    }
    friend bool operator==(const SnapshotReply&, const SnapshotReply&) = default;
};

/// The leader of this term hands over to the receiver, which stands for election at once (thesis,
/// section 3.10).
struct TimeoutNow {
    Term term;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term);
    }
    friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

/// What another node, which does not lead, has in its log from where that may part from the
/// receiver's, which has lost entries: its answer to VoteRequest::lacks_entries.
struct LackingEntries {
    Term term;
    LogPosition previous;  ///< the entry before the first of `entries`
    std::vector<Entry> entries;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.previous, self.entries);
    }
    friend bool operator==(const LackingEntries&, const LackingEntries&) = default;
};

/// What a state machine had made of the log up to an index, as a number: equal on replicas that
/// have made the same of it. The algorithm only carries it.
struct StateMark {
    Index index;
    std::uint64_t digest = 0;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.index, self.digest);
    }
    friend bool operator==(const StateMark&, const StateMark&) = default;
};
/// More are never told at once.
inline constexpr std::size_t max_state_marks = 256;

/// What the marks of a message are. The values are those of the wire format.
enum class MarksKind : std::uint8_t {
    newest = 1,  ///< a follower's: some of the newest
    all = 2,     ///< a follower's: all that it remembers
    asked = 3,   ///< the leader's, who gives none and wants all
    agreed = 4,  ///< the leader's: a majority of the voters has these, and the addressee has not
};
/// Whether it is a leader that says so, and not a follower.
constexpr bool is_leaders(MarksKind kind) {
    return kind == MarksKind::asked || kind == MarksKind::agreed;
}

/// By which replicas find out whether their states are equal.
struct StateMarks {
    Term term;
    MarksKind kind = MarksKind::newest;
    std::vector<StateMark> marks;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.kind, self.marks);
    }
    friend bool operator==(const StateMarks&, const StateMarks&) = default;
};

/// A follower's, to its leader: the highest version of operations and snapshots that it reads.
struct ReadableVersion {
    Term term;
    std::uint32_t version = 0;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.version);
    }
    friend bool operator==(const ReadableVersion&, const ReadableVersion&) = default;
};

/// The leader of this term asks a follower to send a snapshot to `target` in its place: this piece
/// of it; or only to keep it. Where there is no leader, who lacks entries asks so for itself.
struct SourceRequest {
    Term term;
    NodeId target;
    LogPosition last{};          ///< names the snapshot; 0@0: which one is there?
    std::uint64_t checksum = 0;  ///< names the snapshot
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;  ///< of the piece, at most; 0: it is only to be kept
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.target, self.last, self.checksum, self.offset, self.bytes);
    }
    friend bool operator==(const SourceRequest&, const SourceRequest&) = default;
};

/// What the follower has for `target`, where that is not what it was asked for; also to one that
/// lacks entries which are in no log any more.
struct SourceReply {
    Term term;
    NodeId target;
    SnapshotMeta meta;  ///< empty: nothing
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.target, self.meta);
    }
    friend bool operator==(const SourceReply&, const SourceReply&) = default;
};

/// A SnapshotChunk of a follower whom the leader of this term has asked for it. That one is told
/// what becomes of it.
struct SourceChunk {
    Term term;
    NodeId leader;  ///< 0: there is none, the receiver has asked for it
    SnapshotMeta meta;
    std::uint64_t offset = 0;
    Bytes data;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.leader, self.meta, self.offset, self.data);
    }
    friend bool operator==(const SourceChunk&, const SourceChunk&) = default;
};

struct Message {
    using Body = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, SnapshotChunk,
                              SnapshotReply, TimeoutNow, LackingEntries, StateMarks,
                              ReadableVersion, SourceRequest, SourceReply, SourceChunk>;
    NodeId from;
    NodeId to;
    Body body;
    Instance sender{};  ///< that of `from`; 0: it has none
    Instance
        addressee{};  ///< that of `to`, as the sender's membership has it; 0: whoever bears the id
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.from, self.to, self.body, self.sender, self.addressee);
    }
    friend bool operator==(const Message&, const Message&) = default;
};

/// Whether it asks for something that whoever bears the sender's id may ask for, and is no answer.
inline bool is_request(const Message::Body& body) {
    return !std::holds_alternative<VoteReply>(body) && !std::holds_alternative<AppendReply>(body) &&
           !std::holds_alternative<SnapshotReply>(body) &&
           !std::holds_alternative<LackingEntries>(body) &&
           !std::holds_alternative<StateMarks>(body) &&
           !std::holds_alternative<ReadableVersion>(body) &&
           !std::holds_alternative<SourceReply>(body);
}

/// Whether it is a piece of a snapshot, which should yield to everything else.
inline bool is_piece(const Message::Body& body) {
    return std::holds_alternative<SnapshotChunk>(body) || std::holds_alternative<SourceChunk>(body);
}

/// The term that a message carries, whatever its kind.
inline Term term_of(const Message& message) {
    return std::visit([](const auto& body) { return body.term; }, message.body);
}

namespace detail {

constexpr bool within_limits(Term term) { return term <= max_term; }
constexpr bool within_limits(Index index) { return index <= max_index; }
constexpr bool within_limits(LogPosition position) {
    return within_limits(position.index) && within_limits(position.term);
}
constexpr bool within_limits(std::uint64_t size) { return size <= max_index.value; }
template <class... Numbers>
constexpr bool all_within_limits(Numbers... numbers) {
    return (within_limits(numbers) && ...);
}

inline bool within_limits(const VoteRequest& body) {
    return all_within_limits(body.term, body.last);
}
inline bool within_limits(const VoteReply& body) {
    return all_within_limits(body.term, body.election, body.without);
}
inline bool within_limits(const AppendRequest& body) {
    return all_within_limits(body.term, body.previous, body.commit);
}
inline bool within_limits(const AppendReply& body) {
    return all_within_limits(body.term, body.index, body.hint);
}
inline bool within_limits(const SnapshotChunk& body) {
    return all_within_limits(body.term, body.meta.last, body.meta.size, body.offset);
}
inline bool within_limits(const SnapshotReply& body) {
    return all_within_limits(body.term, body.last, body.next_offset, body.match);
}
inline bool within_limits(const TimeoutNow& body) { return within_limits(body.term); }
inline bool within_limits(const LackingEntries& body) {
    return all_within_limits(body.term, body.previous);
}
inline bool within_limits(const StateMarks& body) { return within_limits(body.term); }
inline bool within_limits(const ReadableVersion& body) { return within_limits(body.term); }
inline bool within_limits(const SourceRequest& body) {
    return all_within_limits(body.term, body.last, body.offset, body.bytes);
}
inline bool within_limits(const SourceReply& body) {
    return all_within_limits(body.term, body.meta.last, body.meta.size);
}
inline bool within_limits(const SourceChunk& body) {
    return all_within_limits(body.term, body.meta.last, body.meta.size, body.offset);
}

}  // namespace detail

/// Whether every number that the receiver might take over is one that a cluster can come to.
inline bool within_limits(const Message& message) {
    return std::visit([](const auto& body) { return detail::within_limits(body); }, message.body);
}

}  // namespace raft

#endif
