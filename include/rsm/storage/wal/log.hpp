// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The log's writer: what waits becomes one batch, one write and one sync.
#ifndef RSM_STORAGE_WAL_LOG_HPP
#define RSM_STORAGE_WAL_LOG_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/backoff.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/identity.hpp>
#include <rsm/storage/wal/lanes.hpp>
#include <rsm/storage/wal/recovery.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/state.hpp>
#include <rsm/storage/wal/supply.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// The log's writer: takes what waits, writes it in one piece, syncs it once, and reports
/// it as one batch. A batch is the unit of recovery too: a crash leaves all of it or nothing, so
/// no write is ever half there, and no write is there without the ones before it.
///
/// The first failure is final. Nothing is written after it, because a failed sync leaves it
/// unknown what the disk holds, and a later batch would vouch for the earlier ones.
///
/// A next segment that is refused is no failure (SegmentSupply): the writes that need it wait. Nor
/// is an identity that is (is_refused()): it is tried again, after pauses, and the writes behind it
/// wait.
///
/// Memory: what waits is bounded by its caller; the engine's windows do that.
/// Thread safety: begin_write(), begin_identity(), give_up_waiting() and close() are for the
/// executor, the rest runs on the lanes.
template <class Files, class Lane>
class WalLog : public std::enable_shared_from_this<WalLog<Files, Lane>> {
public:
    using Outcome = BatchOutcome<Files>;
    /// Called on the lanes.
    struct Reports {
        std::function<void(Outcome)> written;
        /// Why there is no next segment, whenever that changes; nothing: there is one again.
        std::function<void(std::optional<raft::Failure>)> refused;
    };

    WalLog(Files files, DirectoryPointer<Files> directory, const WalOptions& options,
           std::shared_ptr<Lanes<Lane>> lanes, Reports reports)
        : files_(std::move(files)),
          directory_(std::move(directory)),
          options_(options),
          segment_bytes_(whole_units(options.segment_bytes)),
          lanes_(std::move(lanes)),
          reports_(std::move(reports)),
          supply_(std::make_shared<SegmentSupply<Files, Lane>>(files_, directory_, options_, lanes_,
                                                               reports_.refused)),
          encoder_(options.pieces.referenced_payload_bytes) {}

    /// Takes over what recovery found; blocks. @pre nothing is being written
    raft::Result<void> start(ScannedLog<Files> log, std::optional<raft::LogPosition> void_after) {
        supply_->on_supplied([self = this->weak_from_this()] {
            if (const auto alive = self.lock()) alive->post_run();
        });
        present_ = std::move(log.lost);
        for (auto& scanned : log.used) present_.push_back(std::move(scanned.segment));
        next_batch_ = log.next_batch;
        state_ = std::move(log.state);
        if (log.to_be_mended) return mend(log);
        auto unused = std::move(log.unused);
        offset_ = log.frontier;
        if (log.used.empty() || log.ended) {
            present_.push_back(unused.front());
            unused.erase(unused.begin());
            offset_ = segment_header_bytes;
        }
        // A copy of the file may have holes. Where there is no room for these, or a file system
        // wants room for what is there already (XFS), a write says so, should it come to that.
        if (auto result = files_.preallocate(present_.back()->file, present_.back()->capacity);
            !result && !is_refused(result.error())) {
            return result;
        }
        activate(present_.back());
        SegmentPointer next;
        if (!unused.empty() && files_.preallocate(unused[0]->file, unused[0]->capacity)) {
            next = unused.front();
        }
        for (std::size_t i = 1; i < unused.size(); ++i) {
            if (auto result = files_.remove(unused[i]->path); !result) return result;
        }
        if (void_after) {
            if (auto result = write_reset(*void_after, next); !result) return result;
        }
        if (next == nullptr) {
            prepare_next();
        } else {
            supply_->provide(std::move(next));
        }
        remove_unneeded();
        return {};
    }

    /// Queues a write, or in its place the reason why it is refused.
    void begin_write(raft::Write write, std::optional<raft::Failure> refused) {
        begin({std::move(write), std::move(refused), {}});
    }
    /// Queues another content of the identity's file. It is reported as a write.
    void begin_identity(raft::Identity identity) { begin({{}, {}, std::move(identity)}); }

    /// From now on a write for which there is no room fails, if a next segment is refused, and so
    /// does an identity that is refused.
    void give_up_waiting() { supply_->give_up_waiting(); }

    /// Lets go of the files. @pre no write is under way. Runs on the background lane, then on the
    /// log's, then calls `closed`.
    void close(std::function<void()> closed) {
        supply_->begin_close();
        auto self = this->shared_from_this();
        lanes_->background.post([self, closed = std::move(closed)] {
            self->supply_->drop_draft();
            self->lanes_->log.post([self, closed] {
                self->supply_->release();
                self->writer_.reset();
                self->active_ = nullptr;
                self->present_.clear();
                self->directory_ = nullptr;
                closed();
            });
        });
    }

private:
    using SegmentPointer = std::shared_ptr<Segment<Files>>;
    struct Pending {
        raft::Write write;
        std::optional<raft::Failure> refused;
        std::optional<raft::Identity> identity;  ///< in place of a write
        bool is_alone() const { return refused || identity; }
    };
    void begin(Pending pending) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(pending));
            if (std::exchange(running_, true)) return;
        }
        post_run();
    }

    // ---- on the log's lane ----

    void run() {
        for (;;) {
            if (taken_.empty() && !take()) return;
            if (!failure_ && taken_.front().refused) failure_ = taken_.front().refused;
            const std::optional<raft::Identity>& identity = taken_.front().identity;
            // Where there is no room, run() is posted again later.
            if (!failure_ && !(identity ? write_identity(*identity) : make_room())) return;
            Outcome outcome;
            outcome.writes = taken_.size();
            if (!failure_ && !identity) {
                if (auto result = try_write(outcome); !result) failure_ = result.error();
            }
            outcome.failure = failure_;
            taken_.clear();
            reports_.written(std::move(outcome));
            if (!failure_) remove_unneeded();
        }
    }

    /// Takes what waits, up to the limit of a batch; what is no write to be written is taken alone.
    bool take() {
        const std::lock_guard lock(mutex_);
        taken_bytes_ = 0;
        while (!waiting_.empty()) {
            const Pending& front = waiting_.front();
            const bool alone = front.is_alone();
            const std::uint64_t bytes = alone ? 0 : LogAccount::record_bytes(front.write);
            if (!taken_.empty() && (alone || taken_bytes_ + bytes > options_.batch_bytes)) break;
            taken_bytes_ += bytes;
            taken_.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
            if (alone) break;
        }
        running_ = !taken_.empty();
        return running_;
    }

    /// False: it is refused, and tried again after a pause.
    bool write_identity(const raft::Identity& identity) {
        auto result = try_save(identity);
        if (!result && is_refused(result.error()) && !supply_->has_given_up()) {
            lanes_->log.post_after(identity_pauses_.next(),
                                   [self = this->shared_from_this()] { self->run(); });
            return false;
        }
        identity_pauses_.reset();
        if (!result) failure_ = result.error();
        return true;
    }
    raft::Result<void> try_save(const raft::Identity& identity) {
        try {
            return save_identity(files_, *directory_, {identity, active_->id.log_id});
        } catch (const std::bad_alloc&) {
            return no_memory(identity_path(directory_->path));
        }
    }

    bool at_start() const { return offset_ == segment_header_bytes; }
    /// The most that the batch of what is taken may need, in this segment or in a new one.
    std::uint64_t batch_size(bool in_new) const {
        return batch_bytes_max(taken_bytes_ + (in_new ? checkpoint_record_bytes(state_) : 0));
    }
    bool fits() const {
        return offset_ + batch_size(at_start()) + segment_end_bytes <= active_->capacity;
    }

    /// Goes on to another segment where the batch does not fit into this one. False: that one is
    /// still being prepared. One that is too small, even though nothing is in it yet, is replaced.
    bool make_room() {
        if (fits()) return true;
        const bool replaces = at_start();
        const SegmentId id{active_->id.log_id, active_->id.number + (replaces ? 0 : 1)};
        auto next = supply_->take(id, segment_bytes_for(batch_size(true)), usual_capacity());
        if (!next) failure_ = next.error();
        if (!next || *next == nullptr) return failure_.has_value();
        if (replaces) {
            present_.pop_back();
        } else if (auto result = end_segment(); !result) {
            failure_ = result.error();
            return true;
        }
        go_on_in(std::move(*next));
        prepare_next();
        return true;
    }
    /// Says, before anything is in the next segment, that there is one: should it be lost, it is
    /// missed. @pre its name is durable
    raft::Result<void> end_segment() {
        encoder_.begin(active_->id, offset_);
        encoder_.add_end();
        return write_batch();
    }
    void go_on_in(SegmentPointer next) {
        present_.push_back(std::move(next));
        activate(present_.back());
        offset_ = segment_header_bytes;
    }

    void activate(SegmentPointer segment) {
        active_ = std::move(segment);
        writer_.emplace(files_, active_->file);
    }

    /// Without memory a write may be half encoded, or written and not known: that is final, too.
    raft::Result<void> try_write(Outcome& outcome) {
        try {
            return write(outcome);
        } catch (const std::bad_alloc&) {
            return no_memory(active_->path);
        }
    }
    raft::Result<void> write(Outcome& outcome) {
        encoder_.begin(active_->id, offset_);
        if (at_start()) encoder_.add(state_);
        for (const Pending& pending : taken_) {
            const raft::Write& one = pending.write;
            encoder_.add(one);
            state_.apply(active_->id.number, one);
            outcome.steps.push_back(
                {one.reset.has_value(),
                 one.entries.empty() ? raft::Index{} : one.entries.front().index,
                 one.entries.size(), one.release ? one.release->index : raft::Index{}});
        }
        auto result = write_batch();
        if (!result) return result;
        outcome.segment = active_;
        outcome.entry_offsets = encoder_.take_entry_offsets();
        return {};
    }
    /// Makes what was encoded durable at offset_.
    raft::Result<void> write_batch() {
        encoder_.finish(next_batch_, state_);
        auto result = writer_->write(active_->file, offset_, encoder_.parts());
        if (result) result = files_.sync(active_->file);
        if (!result) return result;
        go_behind_batch();
        return {};
    }
    void go_behind_batch() {
        offset_ += encoder_.size();
        ++next_batch_;
        encoder_.clear();
    }

    /// What is damaged stays as it is, and what is left of the log goes on behind it. The number of
    /// the new segment leaves a gap, as where segments were removed: so its first batch, which says
    /// what the log is now, is believed whatever is before it. It gets its name with that batch in
    /// it: before that the next recovery comes to the same, and from then on it finds the log
    /// mended. What had been prepared is not needed any more, and goes only now.
    raft::Result<void> mend(ScannedLog<Files>& log) {
        const SegmentId id{log.log_id, log.next_segment};
        state_.mended_in = id.number;
        encoder_.begin(id, segment_header_bytes);
        encoder_.add(state_);
        encoder_.finish(next_batch_, state_);
        const std::uint64_t capacity = std::max(segment_bytes_, segment_bytes_for(encoder_.size()));
        auto made = make_segment(files_, directory_, id, capacity, options_.pieces.fill_bytes,
                                 encoder_.parts());
        if (!made) return made.error();
        go_on_in(std::move(*made));
        go_behind_batch();
        for (const auto& segment : log.unused) {
            static_cast<void>(files_.remove(segment->path).has_value());  // or a later life does
        }
        prepare_next();
        remove_unneeded();
        return {};
    }

    /// The log does not reach the snapshot that was found, or disagrees with it. The reset is
    /// written at once, so that no entry can follow the log that is void.
    /// @param next  the segment behind the one in use, if there is one; null: it was taken
    raft::Result<void> write_reset(raft::LogPosition position, SegmentPointer& next) {
        Pending pending;
        pending.write.reset = position;
        taken_bytes_ = LogAccount::record_bytes(pending.write);
        taken_.push_back(std::move(pending));
        if (!fits()) {
            if (next == nullptr) {
                auto made =
                    make_segment(files_, directory_, {active_->id.log_id, active_->id.number + 1},
                                 usual_capacity(), options_.pieces.fill_bytes);
                if (!made) return made.error();
                next = std::move(*made);
            }
            if (auto result = end_segment(); !result) return result;
            go_on_in(std::exchange(next, nullptr));
        }
        Outcome outcome;
        auto result = write(outcome);
        taken_.clear();
        return result;
    }

    /// Gives up the segments that hold no entry of the log any more, once the active segment's
    /// first batch is durable, which carries all else that they held (docs/format.md). While the
    /// log lacks something, what is left of it may be all that anybody has.
    void remove_unneeded() {
        if (at_start()) return;  // nothing carries it yet
        if (state_.promised.index.value != 0) return;
        const auto unneeded = [&](const auto& segment) {
            return segment != active_ && !state_.live.needs(segment->id.number);
        };
        for (const auto& segment : present_) {
            if (!unneeded(segment)) continue;
            supply_->retire(segment, segment->capacity == segment_bytes_);
        }
        std::erase_if(present_, unneeded);
    }

    /// A new log begins with a small segment, for a quick start, and doubles from there.
    std::uint64_t usual_capacity() const { return std::min(segment_bytes_, 2 * active_->capacity); }
    void prepare_next() {
        supply_->prepare({active_->id.log_id, active_->id.number + 1}, usual_capacity());
    }
    void post_run() {
        lanes_->log.post([self = this->shared_from_this()] { self->run(); });
    }

    const Files files_;
    DirectoryPointer<Files> directory_;
    const WalOptions options_;
    const std::uint64_t segment_bytes_;  ///< of a usual segment, in whole units
    const std::shared_ptr<Lanes<Lane>> lanes_;
    const Reports reports_;

    const std::shared_ptr<SegmentSupply<Files, Lane>> supply_;

    std::mutex mutex_;  ///< guards the members up to the next comment
    std::deque<Pending> waiting_;
    bool running_ = false;  ///< run() is posted, runs, or waits for room

    // These belong to the log's lane.
    std::vector<Pending> taken_;
    Backoff identity_pauses_{shortest_refusal_pause, longest_refusal_pause};
    std::uint64_t taken_bytes_ = 0;
    std::optional<raft::Failure> failure_;
    SegmentPointer active_;
    std::optional<typename Files::Writer> writer_;  ///< of the active segment
    std::uint64_t offset_ = 0;                      ///< where the next batch goes
    std::uint64_t next_batch_ = 1;
    LogState state_;                       ///< as of the last write that was encoded
    std::vector<SegmentPointer> present_;  ///< the last is active
    BatchEncoder encoder_;
};

}  // namespace rsm::detail::wal

#endif
