// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The log as the algorithm sees it: every term, the recent entries, and how far each entry has
// come on its way from appended to applied.
#ifndef RSM_RAFT_PARTS_LOG_HPP
#define RSM_RAFT_PARTS_LOG_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// The log covers (base, last]. Terms are known for [base, last], as runs; the entries themselves
/// are in memory for the tail [cache_first, last], and in storage for what is durable.
///
/// Marks, at the end of each step:          last >= begun >= durable
///                                          last >= commit >= handed >= applied
/// and base <= applied. Of what is durable a snapshot may stand for some that the storage does not
/// have yet: it has what is readable, which is no more than begun. What is not readable is in
/// memory.
class Log {
public:
    Log() = default;
    explicit Log(const Recovered& recovered) : Log(recovered, recovered.hard_state.commit) {}
    /// @param commit  up to where entries are known to be committed, as far as there are such
    Log(const Recovered& recovered, Index commit)
        : base_(recovered.base),
          runs_(recovered.runs),
          last_(recovered.last),
          promised_(recovered.promised),
          begun_(recovered.last),
          durable_(recovered.last),
          readable_(recovered.last),
          commit_(std::max(recovered.snapshot.last.index,
                           std::min(std::max(commit, recovered.applied), recovered.last))),
          handed_(
              std::max(recovered.snapshot.last.index, std::min(recovered.applied, recovered.last))),
          applied_(handed_) {
        regain();
    }

    // ---- what there is ----

    LogPosition base() const { return base_; }
    Index last_index() const { return last_; }
    LogPosition last() const { return {last_, runs_.empty() ? base_.term : runs_.back().term}; }

    /// The term of an entry in [base, last], nothing elsewhere.
    std::optional<Term> term_at(Index index) const {
        if (index < base_.index || index > last_) return std::nullopt;
        if (index == base_.index) return base_.term;
        if (index >= runs_.back().first) return runs_.back().term;
        const auto after =
            std::upper_bound(runs_.begin(), runs_.end(), index,
                             [](Index wanted, const TermRun& run) { return wanted < run.first; });
        return std::prev(after)->term;
    }
    bool matches(LogPosition position) const { return term_at(position.index) == position.term; }

    /// The last position, not after `limit`, at which a log that holds `limit` may agree with
    /// this one: terms never fall along a log, so anything here of a later term cannot be in a
    /// log that ends in limit.term (fast backup, end of section 5.3).
    LogPosition last_agreeing(LogPosition limit) const {
        const Index end = std::min(limit.index, last_);
        if (end <= base_.index) return base_;
        // The last run that is not of a later term, cut at `end`.
        for (std::size_t i = runs_.size(); i-- > 0;) {
            if (runs_[i].first > end || runs_[i].term > limit.term) continue;
            const Index run_end = i + 1 < runs_.size() ? runs_[i + 1].first - 1 : last_;
            return {std::min(run_end, end), runs_[i].term};
        }
        return base_;
    }

    /// Whether the candidate's log is at least as up to date as this one (section 5.4.1), and as
    /// this one was before it lost entries: a majority may hold those only together with what this
    /// node had.
    bool up_to_date(LogPosition candidate) const {
        return is_up_to_date(candidate, last()) && is_up_to_date(candidate, promised_);
    }

    // ---- what there was ----

    /// Where the log ended before some of it was found damaged; 0@0: nothing is lacking.
    LogPosition promised() const { return promised_; }
    bool is_whole() const { return promised_.index.value == 0; }
    /// Notes whether what is durable is as much as there was. True: now it is, and was not before.
    bool regain() {
        const bool regained = !is_whole() && is_up_to_date(durable_position(), promised_);
        if (regained) promised_ = LogPosition{};
        return regained;
    }

    // ---- entries in memory ----

    /// Of those that the log covers.
    Index cache_first() const { return std::max(held_first(), base_.index + 1); }
    /// Footprint of the entries in memory.
    std::size_t cache_bytes() const { return cache_bytes_; }
    bool cached(Index index) const { return index >= cache_first() && index <= last_; }
    /// @pre cached(index)
    const Entry& operator[](Index index) const { return cache_[index - held_first()]; }

    /// Appends to `out` the entries from `first` on, up to `end`, until max_bytes of footprint are
    /// reached; the first always fits. Returns their footprint. @pre cached(first)
    std::size_t copy(Index first, Index end, std::size_t max_bytes, std::vector<Entry>& out) const {
        const std::size_t at = first - held_first();
        const std::size_t most = end < first ? 0 : end - first + 1;
        std::size_t bytes = 0;
        std::size_t count = 0;
        for (; count < most; ++count) {
            const std::size_t more = footprint(cache_[at + count]);
            if (bytes != 0 && bytes + more > max_bytes) break;
            bytes += more;
        }
        // Counted first, so that what is often empty allocates once and not as it grows.
        out.reserve(out.size() + count);
        for (std::size_t i = 0; i < count; ++i) out.push_back(cache_[at + i]);
        return bytes;
    }

    /// Lets go of some of the entries that the log has forgotten, and of others from the front of
    /// the memory while it holds more than max_bytes; only of what is durable. What of that is
    /// still to be applied is read back then.
    void trim_cache(std::size_t max_bytes) {
        // A million at once would be a noticeable pause.
        constexpr int most = 4096;
        for (int i = 0; i < most && !cache_.empty() && held_first() <= base_.index; ++i) {
            drop_cache_front();
        }
        while (cache_bytes_ > max_bytes && !cache_.empty() && held_first() <= readable_) {
            drop_cache_front();
        }
    }

    // ---- changes ----

    /// @pre entry.index == last + 1 and entry.term >= last().term
    void append(Entry entry) {
        if (runs_.empty() || runs_.back().term != entry.term) {
            runs_.push_back({entry.index, entry.term});
        }
        last_ = entry.index;
        cache_bytes_ += footprint(entry);
        waiting_bytes_ += footprint(entry);
        cache_.push_back(std::move(entry));
    }

    /// Removes the entries from `first` on. @pre commit < first <= last
    void truncate_from(Index first) {
        while (!cache_.empty() && last_ >= first) {
            cache_bytes_ -= footprint(cache_.back());
            cache_.pop_back();
            last_ = last_ - 1;
        }
        last_ = std::min(last_, first - 1);
        while (!runs_.empty() && runs_.back().first >= first) runs_.pop_back();
        lower_durability(first - 1);
    }

    /// Voids the log: it starts anew after `position`, which a durable snapshot stands for.
    void reset(LogPosition position) {
        cache_.clear();
        cache_bytes_ = 0;
        runs_.clear();
        base_ = position;
        last_ = position.index;
        lower_durability(position.index);
        begun_ = position.index;
        durable_ = position.index;
        readable_ = position.index;
        reset_in_ = WriteId{};
    }
    /// The storage does not know yet that the log starts anew.
    bool is_resetting() const { return reset_in_.has_value(); }
    /// Up to here the log on disk says what this node has, be it that it begins behind that.
    Index vouched() const { return is_resetting() ? Index{} : readable_; }

    /// Forgets the entries up to `index`; trim_cache() lets go of them. @pre base <= index <=
    /// applied
    void release(Index index) {
        const Term term = *term_at(index);
        while (!runs_.empty()) {
            const bool used = runs_.size() == 1 ? last_ > index : runs_[1].first > index + 1;
            if (used) break;
            runs_.erase(runs_.begin());
        }
        if (!runs_.empty()) runs_.front().first = std::max(runs_.front().first, index + 1);
        base_ = {index, term};
    }

    // ---- durability ----

    /// The storage has been given the entries up to here.
    Index begun() const { return begun_; }
    Index durable() const { return durable_; }
    /// The storage can give back the entries up to here.
    Index readable() const { return readable_; }

    /// Gives the storage what it has not been given yet, as part of write `id`.
    void begin_write(WriteId id, Time now, std::vector<Entry>& out) {
        std::size_t bytes = 0;
        if (begun_ < last_) {
            bytes = copy(begun_ + 1, last_, static_cast<std::size_t>(-1), out);
            begun_ = last_;
        }
        waiting_bytes_ = 0;
        writing_bytes_ += bytes;
        writes_.push_back({id, last_, bytes, now});
        if (reset_in_ == WriteId{}) reset_in_ = id;
    }
    /// Footprint of the entries that the storage has not made durable yet or has not been given,
    /// those that were cut off since among them: until a write is done, it keeps what it writes.
    std::size_t unwritten_bytes() const { return waiting_bytes_ + writing_bytes_; }
    /// The write `id` and all before it are durable.
    void persisted(WriteId id) {
        const auto done = [&](WriteId begun) { return begun <= id; };
        while (!writes_.empty() && done(writes_.front().id)) {
            readable_ = std::max(readable_, writes_.front().last);
            durable_ = std::max(durable_, readable_);
            writing_bytes_ -= writes_.front().bytes;
            writes_.pop_front();
        }
        if (reset_in_ && *reset_in_ != WriteId{} && *reset_in_ <= id) reset_in_.reset();
    }
    /// A durable snapshot stands for everything up to `index`. What of it has not been given
    /// to the storage still will be, so that the log in storage has no gap. @pre index <= last
    void covered_by_snapshot(Index index) { durable_ = std::max(durable_, index); }
    /// Time in which the node did not run is not held against the disk.
    void excuse_writes(Duration pause) {
        for (std::size_t i = 0; i < writes_.size(); ++i) writes_[i].since += pause;
    }
    /// When the oldest write that is still under way was begun.
    std::optional<Time> oldest_write() const {
        if (writes_.empty()) return std::nullopt;
        return writes_.front().since;
    }

    // ---- commitment and application ----

    Index commit() const { return commit_; }
    /// Given to the state machine, which may not have said yet that it is done.
    Index handed() const { return handed_; }
    Index applied() const { return applied_; }

    /// @pre index <= last
    void commit_to(Index index) { commit_ = std::max(commit_, index); }
    /// @pre index <= commit
    void handed_to(Index index) { handed_ = std::max(handed_, index); }
    /// @pre index <= handed
    void applied_to(Index index) { applied_ = std::max(applied_, index); }
    /// Whether entries for the state machine are being read back from storage.
    bool reading_back() const { return reading_back_; }
    void set_reading_back(bool reading) { reading_back_ = reading; }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.base_, self.runs_, self.last_, self.promised_, self.cache_,
                     self.cache_bytes_, self.begun_, self.durable_, self.readable_, self.writes_,
                     self.writing_bytes_, self.waiting_bytes_, self.commit_, self.handed_,
                     self.applied_, self.reading_back_, self.reset_in_);
    }
    friend bool operator==(const Log&, const Log&) = default;

private:
    friend struct Anatomy;  // proof/state_digest.hpp

    struct WriteUnderWay {
        WriteId id;
        Index last;             // what the write makes durable, lowered by later truncations
        std::size_t bytes = 0;  // of the entries that it writes
        Time since;
        template <class Self, class Visit>
        static constexpr auto fields(Self& self, Visit visit) {
            return visit(self.id, self.last, self.bytes, self.since);
        }
        friend bool operator==(const WriteUnderWay&, const WriteUnderWay&) = default;
    };

    /// A snapshot stands for entries that the log does not name any more.
    LogPosition durable_position() const {
        const Index durable = std::max(durable_, base_.index);
        return {durable, *term_at(durable)};
    }
    // Entries that the log has forgotten may still be there.
    Index held_first() const { return last_ - cache_.size() + 1; }
    void drop_cache_front() {
        cache_bytes_ -= footprint(cache_.front());
        cache_.pop_front();
    }
    // A write that is under way must not vouch for what has been replaced since.
    void lower_durability(Index limit) {
        begun_ = std::min(begun_, limit);
        durable_ = std::min(durable_, limit);
        readable_ = std::min(readable_, limit);
        if (begun_ == last_) waiting_bytes_ = 0;
        for (std::size_t i = 0; i < writes_.size(); ++i) {
            writes_[i].last = std::min(writes_[i].last, limit);
        }
    }

    LogPosition base_;
    std::vector<TermRun> runs_;
    Index last_;
    LogPosition promised_;
    Ring<Entry> cache_;
    std::size_t cache_bytes_ = 0;

    Index begun_;
    Index durable_;
    Index readable_;
    Ring<WriteUnderWay> writes_;
    std::size_t writing_bytes_ = 0;    // of the entries in writes_
    std::size_t waiting_bytes_ = 0;    // appended since the last write was begun
    std::optional<WriteId> reset_in_;  // see is_resetting(); 0: in the next write

    Index commit_;
    Index handed_;
    Index applied_;
    bool reading_back_ = false;
};

}  // namespace raft

#endif
