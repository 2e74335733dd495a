// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A snapshot under way between two nodes (section 7), as either side knows it.
#ifndef RSM_RAFT_PARTS_TRANSFER_HPP
#define RSM_RAFT_PARTS_TRANSFER_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// A snapshot on its way to a follower: pieces are sent in order, several at once, as far as the
/// window allows; the follower's answers say how far it has kept them. What does not come forward
/// is sent again at a heartbeat, when twice the time has passed that the last step forward took,
/// and then with a window of one piece, so that a slow line is not filled with repetitions.
struct SnapshotTransfer {
    SnapshotMeta meta;
    std::uint64_t kept = 0;                ///< the follower last wanted to go on from here
    std::uint64_t offset = 0;              ///< everything before it has been read and sent
    std::uint64_t window = 0;              ///< how far `offset` may be ahead of `kept`
    std::optional<std::uint64_t> loading;  ///< where the piece that is being read begins
    bool begun = false;      ///< a piece has been sent since the transfer began or went back
    bool installed = false;  ///< the follower holds all of it, but not yet durably
    Time moved_at;           ///< when it last came forward, or was begun, or sent again
    Duration patience{};     ///< how long to wait for an answer before sending again
    Duration pause{};        ///< before it is sent again after it was rejected; 0: it never was
    /// How often it was sent again by its source since it last came forward.
    std::uint32_t repeats = 0;
    NodeId source{};               ///< the follower that sends it; 0: the leader does
    bool asked = false;            ///< the source has not said yet which snapshot it has
    std::vector<NodeId> passed{};  ///< those that were asked before it, and had nothing of use
    /// The leader sends it, but only because nothing was heard of the follower when it began.
    bool unheard = false;

    void begin(const SnapshotMeta& newest, std::uint64_t piece, Duration shortest, Time now) {
        *this = {newest, 0, 0, piece, {}, false, false, now, shortest};
    }
    /// A follower may send it, and is asked for what it has.
    void ask(NodeId follower, Time now) {
        source = follower;
        asked = true;
        moved_at = now;
    }
    /// That one has nothing of use.
    void pass() {
        passed.push_back(std::exchange(source, NodeId{}));
        asked = false;
    }
    /// That one has this, and sends it.
    void begin_from_source(const SnapshotMeta& offered, std::uint64_t piece, Duration shortest,
                           Time now) {
        const NodeId sender = source;
        begin(offered, piece, shortest, now);
        source = sender;
    }
    /// Whether another piece may be read. There is one even of a snapshot without content.
    bool may_load(std::uint64_t piece) const {
        const bool more = offset < meta.size || !begun;
        const bool room = offset == kept || offset + piece - kept <= window;
        return !asked && !loading && more && room;
    }
    /// The piece that was read is on its way.
    void sent(std::uint64_t size) {
        offset += size;
        begun = true;
    }
    /// The follower has kept everything before `next_offset`.
    void answered(std::uint64_t next_offset, std::uint64_t piece, std::uint64_t widest,
                  Duration shortest, Time now) {
        const std::uint64_t before = std::exchange(kept, std::min(next_offset, meta.size));
        if (kept < before) patience = shortest;  // an old answer, or a break: a heartbeat tells
        if (kept <= before) return;
        offset = std::max(offset, kept);
        window = std::min(window + piece, widest);
        patience = std::max(shortest, 2 * (now - moved_at));
        moved_at = now;
        repeats = 0;
    }
    /// All of it has come, and is not what it should be. It goes out again, for the damage may have
    /// been done on the way, but not on and on: after a pause that is twice as long each time.
    void rejected(Duration shortest, Duration longest, Time now) {
        pause = std::clamp(2 * pause, shortest, longest);
        kept = 0;
        patience = pause;
        moved_at = now;
    }
    /// Nothing came forward for long enough: goes back to where the follower wanted to go on.
    void go_back(std::uint64_t piece, Duration longest, Time now) {
        offset = kept;
        begun = false;
        window = piece;
        patience = std::min(2 * patience, longest);
        moved_at = now;
        if (source) repeats += 1;
    }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.meta, self.kept, self.offset, self.window, self.loading, self.begun,
                     self.installed, self.moved_at, self.patience, self.pause, self.repeats,
                     self.source, self.asked, self.passed, self.unheard);
    }
    friend bool operator==(const SnapshotTransfer&, const SnapshotTransfer&) = default;
};

/// How fast one node sends snapshots, to all followers together: a bucket of bytes that fills with
/// time, told by the moment at which it is no longer overdrawn.
struct SendingPace {
    Time free_at;          ///< then the next piece may be read
    NodeId last;           ///< the follower for which one was read last; the next ones come first
    bool waiting = false;  ///< a piece is wanted, and it is too early

    /// A piece is read. @param full  in which time the bucket fills @pre bytes_per_second > 0
    void spend(std::uint64_t bytes, std::uint64_t bytes_per_second, Duration full, Time now) {
        constexpr std::uint64_t second = 1'000'000'000;
        const std::uint64_t seconds = bytes / bytes_per_second;
        // A whole number is at most 1 GiB, and so is what is left of it.
        const std::uint64_t rest = bytes % bytes_per_second * second / bytes_per_second;
        const Duration takes{static_cast<std::int64_t>(seconds * second + rest)};
        free_at = std::max(free_at, now - full) + takes;
    }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.free_at, self.last, self.waiting);
    }
    friend bool operator==(const SendingPace&, const SendingPace&) = default;
};

/// A snapshot that this node, a follower, sends to another one because its leader wants it to.
/// Where it goes on the leader says each time; so all that is known here is what must be kept.
struct Errand {
    NodeId target;
    SnapshotMeta meta;
    Time until;                            ///< it is given up, unless the leader asks again
    std::vector<std::uint64_t> reading{};  ///< where the pieces begin that are being read

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.target, self.meta, self.until, self.reading);
    }
    friend bool operator==(const Errand&, const Errand&) = default;
};

/// A snapshot that is being received. Pieces are given to the storage in order, several at once.
struct IncomingSnapshot {
    SnapshotMeta meta;
    Term term{};
    NodeId leader{};  ///< who is told what becomes of it; 0: nobody, this node asks for the pieces
    NodeId source{};  ///< who sends it: the leader, or another one in its place
    std::uint64_t kept = 0;         ///< answered by the storage
    std::uint64_t next_offset = 0;  ///< given to it
    Ring<std::uint64_t> storing{};  ///< where the pieces in between end
    bool over = false;              ///< ends when the storage has answered all of them
    Time moved_at{};                ///< when it last came forward, or was begun
    Time begun_at{};

    // Where this node asks for the pieces:
    Time again_at{};      ///< then the piece that has not come is asked for again
    Duration patience{};  ///< how long to wait for it until then

    /// A piece has come. What takes long is waited for longer, so that a slow line is not filled
    /// with repetitions.
    void moved(Duration shortest, Time now) {
        patience = std::max(2 * (now - moved_at), shortest);
        moved_at = now;
    }
    /// A piece is asked for, once more.
    void asked(Time now) { again_at = now + patience; }
    /// The piece that was asked for has not come in time.
    void asked_again(Duration shortest, Duration longest, Time now) {
        patience = std::clamp(2 * patience, shortest, longest);
        asked(now);
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.meta, self.term, self.leader, self.source, self.kept, self.next_offset,
                     self.storing, self.over, self.moved_at, self.begun_at, self.again_at,
                     self.patience);
    }
    friend bool operator==(const IncomingSnapshot&, const IncomingSnapshot&) = default;
};

/// A piece of the newest snapshot that is being read for one that has asked for it itself.
struct LentPiece {
    NodeId reader;
    std::uint64_t offset = 0;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.reader, self.offset);
    }
    friend bool operator==(const LentPiece&, const LentPiece&) = default;
};

/// A lender whose snapshot was of no use: it did not come forward, or was not what it should be.
struct BadLender {
    NodeId node;
    Time until;        ///< what it offers is passed over
    Duration pause{};  ///< of how long that is
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.node, self.until, self.pause);
    }
    friend bool operator==(const BadLender&, const BadLender&) = default;
};

/// What a node knows of snapshots: the newest that is durable here, and the one that comes in.
struct Snapshots {
    SnapshotMeta newest;
    std::optional<IncomingSnapshot> incoming;
    Time no_other_before{};  ///< the storage has refused one: when another may come
    /// Ascending: those up to the newest that are kept. Empty: not known.
    std::vector<Index> kept{};
    std::vector<LentPiece> lent{};         ///< one for each reader at most
    std::vector<BadLender> bad_lenders{};  ///< each once

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.newest, self.incoming, self.no_other_before, self.kept, self.lent,
                     self.bad_lenders);
    }
    friend bool operator==(const Snapshots&, const Snapshots&) = default;
};

}  // namespace raft

#endif
