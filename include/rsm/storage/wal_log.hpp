// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#ifndef RSM_STORAGE_WAL_LOG_HPP
#define RSM_STORAGE_WAL_LOG_HPP

#include <raft/mutant.hpp>
#include <raft/stable.hpp>
#include <raft/types.hpp>
#include <rsm/storage/file.hpp>
#include <rsm/storage/log_account.hpp>
#include <rsm/storage/wal_format.hpp>
#include <rsm/storage/wal_recovery.hpp>
#include <rsm/storage/wal_segment.hpp>
#include <rsm/storage/wal_state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::detail::wal {

/// The lanes of one storage. Reads and the preparation of segments share one, because both are
/// made of short jobs, and because a segment is given up behind the reads from it; snapshots have
/// their own, because theirs are long.
template <class Worker>
struct Lanes {
    Worker log;
    Worker background;
    Worker snapshots;

    void stop() {
        log.stop();
        background.stop();
        snapshots.stop();
    }
};

/// What became of some consecutive writes that were carried out together.
template <class Files>
struct BatchOutcome {
    /// One write's part in the index.
    struct Step {
        bool reset = false;
        raft::Index first;       ///< of its entries
        std::size_t entries = 0;
        raft::Index release;     ///< 0: none
    };
    std::size_t writes = 0;
    std::optional<raft::Failure> failure;
    std::shared_ptr<const Segment<Files>> segment;
    std::vector<Step> steps;
    std::vector<std::uint32_t> entry_offsets;
};

struct WalLimits {
    std::uint64_t segment_bytes = 0;
    std::uint64_t batch_bytes = 0;
};

/// The log's writer: takes what waits, writes it in one piece, syncs it once, and reports
/// it as one batch. A batch is the unit of recovery too: a crash leaves all of it or nothing, so
/// no write is ever half there, and no write is there without the ones before it.
///
/// The first failure is final. Nothing is written after it, because a failed sync leaves it
/// unknown what the disk holds, and a later batch would vouch for the earlier ones.
///
/// Memory: what waits is bounded by its caller; the engine's windows do that.
/// Thread safety: submit() and close() are for the executor, the rest runs on the lanes.
template <class Files, class Worker>
class WalLog : public std::enable_shared_from_this<WalLog<Files, Worker>> {
public:
    using Outcome = BatchOutcome<Files>;
    using Report = std::function<void(Outcome)>;

    /// `lock` keeps others out of the directory for as long as a job may be busy in it.
    WalLog(Files files, std::string directory, std::shared_ptr<const typename Files::File> lock,
           WalLimits limits, std::shared_ptr<Lanes<Worker>> lanes, Report report)
        : files_(std::move(files)),
          directory_(std::move(directory)),
          lock_(std::move(lock)),
          limits_(limits),
          lanes_(std::move(lanes)),
          report_(std::move(report)) {}

    /// Takes over what recovery found; blocks. @pre nothing was submitted
    raft::Result<void> start(ScannedLog<Files> log,
                             std::optional<raft::LogPosition> void_after) {
        for (auto& scanned : log.used) present_.push_back(std::move(scanned.segment));
        auto unused = std::move(log.unused);
        if (present_.empty()) {
            present_.push_back(unused.front());
            unused.erase(unused.begin());
        }
        activate(present_.back());
        offset_ = log.frontier;
        next_batch_ = log.next_batch;
        state_ = std::move(log.state);
        if (!unused.empty()) next_ = unused.front();
        for (std::size_t i = 1; i < unused.size(); ++i) {
            if (auto result = files_.remove(unused[i]->path); !result) return result;
        }
        if (next_ == nullptr) prepare_next();
        if (void_after) {
            if (auto result = write_reset(*void_after); !result) return result;
        }
        remove_unneeded();
        return {};
    }

    /// Queues a write, or in its place the reason why it is refused.
    void submit(raft::Write write, std::optional<raft::Failure> refused) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back({std::move(write), std::move(refused)});
            if (std::exchange(running_, true)) return;
        }
        lanes_->log.post([self = this->shared_from_this()] { self->run(); });
    }

    /// Lets go of the files. @pre no write is under way. Runs on the background lane, then on the
    /// log's, then calls `closed`.
    void close(std::function<void()> closed) {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        auto self = this->shared_from_this();
        lanes_->background.post([self, closed = std::move(closed)] {
            self->lanes_->log.post([self, closed] {
                {
                    const std::lock_guard lock(self->mutex_);
                    self->next_ = nullptr;
                }
                self->writer_.reset();
                self->active_ = nullptr;
                self->present_.clear();
                self->lock_ = nullptr;
                closed();
            });
        });
    }

private:
    using Draft = SegmentDraft<Files>;
    static constexpr std::size_t most_spares = 4;
    struct Pending {
        raft::Write write;
        std::optional<raft::Failure> refused;
    };

    // ---- on the log's lane ----

    void run() {
        for (;;) {
            if (taken_.empty() && !take()) return;
            if (!failure_ && taken_.front().refused) failure_ = taken_.front().refused;
            if (!failure_ && !make_room()) return;  // run() is posted again when there is room
            Outcome outcome;
            outcome.writes = taken_.size();
            if (!failure_) {
                if (auto result = write(outcome); !result) failure_ = result.error();
            }
            outcome.failure = failure_;
            taken_.clear();
            report_(std::move(outcome));
            if (!failure_) remove_unneeded();
        }
    }

    /// Takes what waits, up to the limit of a batch; a refused write is taken alone.
    bool take() {
        const std::lock_guard lock(mutex_);
        taken_bytes_ = 0;
        while (!waiting_.empty()) {
            const Pending& front = waiting_.front();
            const std::uint64_t bytes =
                front.refused ? 0 : LogAccount::record_bytes(front.write);
            if (!taken_.empty() &&
                (front.refused || taken_bytes_ + bytes > limits_.batch_bytes)) {
                break;
            }
            const bool alone = front.refused.has_value();
            taken_bytes_ += bytes;
            taken_.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
            if (alone) break;
        }
        running_ = !taken_.empty();
        return running_;
    }

    bool at_start() const { return offset_ == segment_header_bytes; }
    /// Without the words for lone bits, which are not known yet; these may extend the file.
    std::uint64_t batch_size() const {
        const std::uint64_t carried = at_start() ? checkpoint_record_bytes(state_) : 0;
        return aligned(batch_record_bytes + carried + taken_bytes_) + batch_seal_bytes;
    }

    /// Goes on to the next segment where the batch does not fit into this one. False: the next one
    /// is still being prepared. A batch that is larger than a whole segment extends its file.
    bool make_room() {
        if (at_start() || offset_ + batch_size() <= active_->capacity) return true;
        {
            const std::lock_guard lock(mutex_);
            if (next_ == nullptr) {
                failure_ = next_failure_;
                stalled_ = !failure_;
                return !stalled_;
            }
            present_.push_back(std::exchange(next_, nullptr));
        }
        activate(present_.back());
        offset_ = segment_header_bytes;
        prepare_next();
        return true;
    }

    void activate(std::shared_ptr<Segment<Files>> segment) {
        active_ = std::move(segment);
        writer_.emplace(files_, active_->file);
    }

    raft::Result<void> write(Outcome& outcome) {
        encoder_.begin(active_->id, offset_);
        if (at_start()) encoder_.add(state_);
        if (at_start() && RSM_MUTANT(checkpoint_without_vote)) {
            LogState forgetful = state_;
            forgetful.has_hard_state = false;
            forgetful.hard_state = {};
            encoder_.begin(active_->id, offset_);
            encoder_.add(forgetful);
        }
        for (const Pending& pending : taken_) {
            const raft::Write& one = pending.write;
            encoder_.add(one);
            state_.apply(active_->id.number, one);
            outcome.steps.push_back(
                {one.reset.has_value(),
                 one.entries.empty() ? raft::Index{} : one.entries.front().index,
                 one.entries.size(), one.release ? one.release->index : raft::Index{}});
        }
        encoder_.finish(next_batch_);
        if (RSM_MUTANT(segment_removed_unsynced)) remove_unneeded();
        auto result = writer_->write(active_->file, offset_, encoder_.parts());
        if (result && !RSM_MUTANT(log_not_synced)) result = files_.sync(active_->file);
        if (!result && !RSM_MUTANT(goes_on_after_failure)) return result;
        outcome.segment = active_;
        outcome.entry_offsets = encoder_.take_entry_offsets();
        offset_ += encoder_.size();
        active_->capacity = std::max(active_->capacity, offset_);
        ++next_batch_;
        encoder_.clear();
        return {};
    }

    /// The log does not reach the snapshot that was found, or disagrees with it. The reset is
    /// written at once, so that no entry can follow the log that is void.
    raft::Result<void> write_reset(raft::LogPosition position) {
        Pending pending;
        pending.write.reset = position;
        taken_bytes_ = LogAccount::record_bytes(pending.write);
        taken_.push_back(std::move(pending));
        // Small enough to extend the file where the segment is full: no need to wait for room.
        Outcome outcome;
        auto result = write(outcome);
        taken_.clear();
        return result;
    }

    /// Gives up the segments that hold no entry of the log any more. The active segment's first
    /// batch, if there are others, is durable by now and carries all else that they held
    /// (docs/format.md).
    void remove_unneeded() {
        const auto unneeded = [&](const auto& segment) {
            if (RSM_MUTANT(segments_never_removed)) return false;
            return segment != active_ && !state_.live.needs(segment->id.number);
        };
        for (const auto& segment : present_) {
            if (!unneeded(segment)) continue;
            const bool whole = segment->capacity == limits_.segment_bytes;
            // The lock goes along: after close() this may still wait on its lane.
            lanes_->background.post([self = this->shared_from_this(), lock = lock_,
                                     path = segment->path,
                                     whole] { self->retire(path, whole); });
        }
        std::erase_if(present_, unneeded);
    }

    // ---- on the background lane ----

    void prepare_next() {
        const SegmentId id{active_->id.log_id, active_->id.number + 1};
        // A new log begins with a small segment, for a quick start, and doubles from there.
        const std::uint64_t capacity = std::min(limits_.segment_bytes, 2 * active_->capacity);
        lanes_->background.post([self = this->shared_from_this(), id, capacity] {
            std::string spare;
            if (capacity == self->limits_.segment_bytes && !self->spares_.empty()) {
                spare = std::move(self->spares_.back());
                self->spares_.pop_back();
            }
            self->step(std::make_shared<Draft>(self->files_, self->directory_, id, capacity,
                                               std::move(spare)));
        });
    }
    /// Keeps some of the segments that are not needed any more, to be overwritten as new ones, and
    /// removes the others. All reads from them have been carried out: they were posted to this
    /// lane before the write that made a segment superfluous was submitted. Nothing depends on the
    /// success: what stays is removed after the next restart.
    void retire(const std::string& path, bool whole) {
        if (whole && spares_.size() < most_spares) {
            std::string spare = path + std::string(spare_suffix);
            if (files_.rename(path, spare)) spares_.push_back(std::move(spare));
        } else {
            static_cast<void>(files_.remove(path).has_value());
        }
    }
    void post_step(std::shared_ptr<Draft> draft) {
        lanes_->background.post([self = this->shared_from_this(), draft = std::move(draft)] {
            self->step(draft);
        });
    }
    void step(const std::shared_ptr<Draft>& draft) {
        {
            const std::lock_guard lock(mutex_);
            if (closing_) return;
        }
        const raft::Result<bool> result = draft->step();
        if (result && !*result) return post_step(draft);
        {
            const std::lock_guard lock(mutex_);
            if (result) {
                next_ = draft->take();
            } else {
                next_failure_ = result.error();
            }
            if (!std::exchange(stalled_, false)) return;
        }
        lanes_->log.post([self = this->shared_from_this()] { self->run(); });
    }

    const Files files_;
    const std::string directory_;
    std::shared_ptr<const typename Files::File> lock_;
    const WalLimits limits_;
    const std::shared_ptr<Lanes<Worker>> lanes_;
    const Report report_;

    std::mutex mutex_;  ///< guards the members up to the next comment
    std::deque<Pending> waiting_;
    std::shared_ptr<Segment<Files>> next_;        ///< prepared
    std::optional<raft::Failure> next_failure_;   ///< why there will be none
    bool running_ = false;  ///< run() is posted, runs, or waits for room
    bool stalled_ = false;  ///< it waits for room
    bool closing_ = false;

    std::vector<std::string> spares_;  ///< files of segment_bytes; the background lane's

    // These belong to the log's lane.
    std::vector<Pending> taken_;
    std::uint64_t taken_bytes_ = 0;
    std::optional<raft::Failure> failure_;
    std::shared_ptr<Segment<Files>> active_;
    std::optional<typename Files::Writer> writer_;  ///< of the active segment
    std::uint64_t offset_ = 0;  ///< where the next batch goes
    std::uint64_t next_batch_ = 1;
    LogState state_;  ///< as of the last write that was encoded
    std::vector<std::shared_ptr<Segment<Files>>> present_;  ///< ascending; the last is active
    BatchEncoder encoder_;
};

}  // namespace rsm::detail::wal

#endif
