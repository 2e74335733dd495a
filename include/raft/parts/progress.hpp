// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a leader knows of one follower, and how much it may send to it.
//
//            refused                        entries released by a snapshot
//      +--------------------- replicate -------------+
//      v                          ^                  v
//    probe -- accepted -----------+<-- installed -- snapshot
//      |                                             ^
//      +------------ entries released by a snapshot -+
#ifndef RSM_RAFT_PARTS_PROGRESS_HPP
#define RSM_RAFT_PARTS_PROGRESS_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace raft::inline v0 {

enum class ProgressState : std::uint8_t {
    probe,      ///< where the logs agree is not known: one request at a time
    replicate,  ///< it is known: entries stream, up to a window of unanswered bytes
    snapshot,   ///< the follower needs entries that are gone: a snapshot is on its way
};

/// Since when, and since how many bytes of the leader's entries, the log has been kept longer than
/// its own node needs it, because a follower does.
struct LogHold {
    Time since;
    std::uint64_t appended = 0;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.since, self.appended);
    }
    friend bool operator==(const LogHold&, const LogHold&) = default;
};

/// A round in which a newcomer is sent what the log held when the round began (thesis, section
/// 4.2.1). While it is shorter than an election timeout, the cluster would not wait for it longer
/// than for a new leader.
struct CatchUpRound {
    Index goal;
    Time began;
    bool close = false;  ///< the one before was that short
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.goal, self.began, self.close);
    }
    friend bool operator==(const CatchUpRound&, const CatchUpRound&) = default;
};

/// A node that is a member no more is told so.
struct Departure {
    Index index;  ///< of the membership without it
    Time since;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.index, self.since);
    }
    friend bool operator==(const Departure&, const Departure&) = default;
};

/// Invariants: match < next; in replicate, entries (match, next) are under way and in_flight_bytes
/// is their footprint.
struct Progress {
    NodeId node;
    ProgressState state = ProgressState::probe;
    /// matchIndex of Figure 2: known to be durable on the follower. Only grows, unless the follower
    /// turns out to have lost what it had acknowledged.
    Index match;
    Index next;  ///< nextIndex of Figure 2
    Index sent_commit;
    std::uint64_t acknowledged_round = 0;
    Time last_contact;
    bool paused = false;  ///< probe: entries are out; heartbeats repeat the question without them
    /// Entries are being read back from storage. A change of state does not end that: the answer
    /// may have become useless, but there is never more than one question.
    bool reading = false;
    bool full = false;  ///< its log takes nothing more at present; each answer says it anew

    /// The read round whose echo tells a lost acknowledgement from an old refusal, and what had
    /// been acknowledged when it was asked for; 0: none asked.
    std::uint64_t doubted_round = 0;
    Index doubted_match;
    /// Acceptances that echo an earlier round were given before the follower lost entries.
    std::uint64_t trusted_round = 0;
    /// A voter has lost what it had acknowledged: the first entry after that was noticed, by which
    /// the others can prove that they do without its vote.
    std::optional<Index> lost_before;
    SnapshotTransfer transfer;    ///< snapshot: the one under way
    SendingPace pace;             ///< of the snapshots that it sends to others
    std::optional<LogHold> hold;  ///< the log is kept for this follower

    bool disk_stalled = false;  ///< as of its last answer: its disk hangs
    bool disk_full = false;     ///< likewise: its storage has no room

    std::uint32_t readable_version = 0;  ///< as it said last
    Time readable_at;                    ///< when that was

    Instance instance;  ///< of the member; 0: not told
    Instance claimed;   ///< of the node that answers to the id, where it is another one
    Time claimed_at;    ///< since when that one alone has answered
    std::optional<CatchUpRound> catch_up;  ///< of a newcomer
    std::optional<Departure> departure;    ///< it is a member no more

    /// Whether the node that answers to the id is not the one that is a member.
    bool is_another() const { return instance && claimed && claimed != instance; }

    /// Whether it may have less than it has acknowledged, or has had; then it may have forgotten
    /// votes, too.
    bool is_doubtful() const { return doubted_round != 0 || lost_before; }

    /// Whether it could lead as far as it is known: nothing is lacking, and its disk writes.
    bool is_able() const { return !is_doubtful() && !disk_stalled; }

    void become_probe(Index from) {
        enter(ProgressState::probe);
        next = std::max(from, match + 1);
    }
    void become_replicate() {
        enter(ProgressState::replicate);
        next = match + 1;
    }
    void become_snapshot(const SnapshotMeta& meta, std::uint64_t piece, Duration shortest,
                         Time now) {
        enter(ProgressState::snapshot);
        transfer.begin(meta, piece, shortest, now);
    }
    /// The last entry that it has or will have by what is under way to it: what follows must stay
    /// in the log.
    Index provided() const {
        return state == ProgressState::snapshot ? std::max(match, transfer.meta.last.index) : match;
    }

    /// The bytes that may be sent now; 0 means none. Something may always be sent when nothing is
    /// under way, however small the window.
    std::size_t allowance(std::size_t window_bytes) const {
        if (full) return 0;
        switch (state) {
            case ProgressState::probe: return paused ? 0 : window_bytes;
            case ProgressState::replicate:
                return in_flight_bytes_ < window_bytes ? window_bytes - in_flight_bytes_ : 0;
            case ProgressState::snapshot: return 0;
        }
        return 0;
    }

    /// Entries up to `last` with this footprint have been sent.
    void sent(Index last, std::size_t bytes) {
        if (state == ProgressState::probe) {
            paused = true;
            return;
        }
        next = last + 1;
        in_flight_.push_back({last, bytes});
        in_flight_bytes_ += bytes;
    }

    /// The follower's log agrees up to `index`, durably. Returns whether that was news.
    bool accepted(Index index) {
        const bool news = index > match;
        match = std::max(match, index);
        const bool reached_probe = state == ProgressState::probe && index + 1 >= next;
        if (reached_probe || (state == ProgressState::probe && news)) become_replicate();
        next = std::max(next, match + 1);
        while (!in_flight_.empty() && in_flight_.front().last <= match) {
            in_flight_bytes_ -= in_flight_.front().bytes;
            in_flight_.pop_front();
        }
        return news;
    }

    /// It takes nothing more at present: what is under way to it is lost, and the next question is
    /// whether it does again.
    void become_full() {
        if (!full && state == ProgressState::replicate) become_replicate();
        full = true;
    }

    /// The follower does not have what it had acknowledged after `index`. Only acceptances that
    /// echo `since_round` or a later one count from now on. A newcomer has yet to catch up.
    void lost_after(Index index, std::uint64_t since_round) {
        match = std::min(match, index);
        catch_up.reset();
        doubted_round = 0;
        trusted_round = since_round;
        become_probe(match + 1);
    }

    /// Whether a refusal of a request that followed `previous` still says something. In any order
    /// of arrival: what has been matched cannot be refused, and a probe asks one question at a
    /// time.
    bool refusal_is_news(Index previous) const {
        if (previous <= match || state == ProgressState::snapshot) return false;
        return state == ProgressState::replicate || previous + 1 == next;
    }

    std::size_t in_flight_bytes() const { return in_flight_bytes_; }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.node, self.state, self.match, self.next, self.sent_commit,
                     self.acknowledged_round, self.last_contact, self.paused, self.reading,
                     self.full, self.doubted_round, self.doubted_match, self.trusted_round,
                     self.lost_before, self.transfer, self.pace, self.hold, self.disk_stalled,
                     self.disk_full, self.readable_version, self.readable_at, self.instance,
                     self.claimed, self.claimed_at, self.catch_up, self.departure, self.in_flight_,
                     self.in_flight_bytes_);
    }
    friend bool operator==(const Progress&, const Progress&) = default;

private:
    void enter(ProgressState entered) {
        state = entered;
        paused = false;
        transfer = {};
        in_flight_.clear();
        in_flight_bytes_ = 0;
    }

    Ring<EntryBatch> in_flight_;
    std::size_t in_flight_bytes_ = 0;
};

}  // namespace raft

#endif
