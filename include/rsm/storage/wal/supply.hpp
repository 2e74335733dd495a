// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The log's next segment, made while the one before is being filled, and what becomes of those that
// are not needed any more.
#ifndef RSM_STORAGE_WAL_SUPPLY_HPP
#define RSM_STORAGE_WAL_SUPPLY_HPP

#include <raft/base/result.hpp>
#include <rsm/detail/backoff.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/lanes.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// Between the attempts at something that is refused.
inline constexpr std::chrono::milliseconds shortest_refusal_pause{10};
inline constexpr std::chrono::milliseconds longest_refusal_pause{1000};

/// Makes segments on the background lane, one at a time. One that is refused (is_refused()) is no
/// failure: it is tried again, after pauses of 10 ms that double up to 1 s.
///
/// Thread safety: what the log asks of it, any thread; the making runs on the background lane.
template <class Files, class Lane>
class SegmentSupply : public std::enable_shared_from_this<SegmentSupply<Files, Lane>> {
public:
    using SegmentPointer = std::shared_ptr<Segment<Files>>;

    /// @param refused  told on the background lane why there is no next segment, whenever that
    ///                 changes; nothing: there is one again
    SegmentSupply(Files files, DirectoryPointer<Files> directory, const WalOptions& options,
                  std::shared_ptr<Lanes<Lane>> lanes,
                  std::function<void(std::optional<raft::Failure>)> refused)
        : files_(std::move(files)),
          options_(options),
          segment_bytes_(whole_units(options.segment_bytes)),
          lanes_(std::move(lanes)),
          refused_(std::move(refused)),
          directory_(std::move(directory)) {}

    /// @param supplied  called when take() should be asked again after it had none; before anything
    ///                  else
    void on_supplied(std::function<void()> supplied) { supplied_ = std::move(supplied); }

    /// One that there is already. @pre none is being made
    void provide(SegmentPointer segment) {
        const std::lock_guard lock(mutex_);
        next_ = std::move(segment);
    }
    /// Begins to make it. @pre none is being made
    void prepare(SegmentId id, std::uint64_t capacity) {
        {
            const std::lock_guard lock(mutex_);
            preparing_ = true;
        }
        post_draw_up(id, capacity);
    }
    /// Null: there is none yet that has at least this capacity, but there will be. Fails where
    /// there will be none.
    /// @param usual  the capacity that one is made with, if it is enough
    raft::Result<SegmentPointer> take(SegmentId id, std::uint64_t capacity, std::uint64_t usual) {
        {
            const std::lock_guard lock(mutex_);
            const bool suits =
                next_ != nullptr && next_->id.number == id.number && next_->capacity >= capacity;
            if (suits) return std::exchange(next_, nullptr);
            if (!failure_ && gives_up_) failure_ = refusal_;
            if (failure_) return *failure_;
            wanted_ = true;
            if (std::exchange(preparing_, true)) return SegmentPointer();
            next_ = nullptr;
        }
        post_draw_up(id, std::max(capacity, usual));
        return SegmentPointer();
    }

    /// From now on take() fails where a segment is refused.
    void give_up_waiting() {
        {
            const std::lock_guard lock(mutex_);
            gives_up_ = true;
            if (!wanted_ || !refusal_) return;
            wanted_ = false;
        }
        supplied_();
    }
    bool has_given_up() {
        const std::lock_guard lock(mutex_);
        return gives_up_;
    }

    /// Gives a segment up that is not needed any more.
    /// @param whole  it has the size of a usual one
    void retire(const SegmentPointer& segment, bool whole) {
        // The lock goes along: after release() this may still wait on its lane.
        lanes_->background.post([self = this->shared_from_this(), held = directory_,
                                 path = segment->path, readers = Readers(segment),
                                 whole] { self->keep_or_remove(path, readers, whole); });
    }

    // ---- the end, in this order ----

    void begin_close() {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    /// On the background lane.
    void drop_draft() { draft_.reset(); }
    /// On the log's lane: there is no directory any more.
    void release() {
        const std::lock_guard lock(mutex_);
        next_ = nullptr;
        directory_ = nullptr;
    }

private:
    using Readers = std::weak_ptr<Segment<Files>>;  ///< whoever is to read from it holds it
    struct Spare {
        std::string path;
        Readers readers;
    };

    void post_draw_up(SegmentId id, std::uint64_t capacity) {
        lanes_->background.post(
            [self = this->shared_from_this(), id, capacity] { self->draw_up(id, capacity); });
    }

    // ---- on the background lane ----

    void draw_up(SegmentId id, std::uint64_t capacity) {
        // After release() there is no directory any more.
        if (is_closing()) return;
        std::string spare = capacity == segment_bytes_ ? take_spare() : std::string();
        draft_.emplace(files_, directory_, id, capacity, options_.pieces.fill_bytes,
                       std::move(spare));
        step(id, capacity);
    }
    /// One that nobody reads from any more: a read that waits for memory may have been begun long
    /// before the write that made the segment superfluous. Empty: there is none.
    std::string take_spare() {
        for (std::size_t i = spares_.size(); i-- != 0;) {
            if (!spares_[i].readers.expired()) continue;
            std::string path = std::move(spares_[i].path);
            spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(i));
            return path;
        }
        return {};
    }
    void step(SegmentId id, std::uint64_t capacity) {
        if (is_closing()) return;
        const raft::Result<bool> result = draft_->step();
        if (result && !*result) {
            return lanes_->background.post(
                [self = this->shared_from_this(), id, capacity] { self->step(id, capacity); });
        }
        SegmentPointer segment = result ? draft_->take() : nullptr;
        draft_.reset();
        if (!result && is_refused(result.error())) return wait(result.error(), id, capacity);
        prepared(std::move(segment), result ? std::nullopt : std::optional(result.error()));
    }
    /// The segment was refused. Segments that are kept for later may give it the room.
    void wait(const raft::Failure& why, SegmentId id, std::uint64_t capacity) {
        for (const Spare& spare : std::exchange(spares_, {})) {
            static_cast<void>(files_.remove(spare.path).has_value());
        }
        bool changed = false;
        bool wakes = false;
        {
            const std::lock_guard lock(mutex_);
            changed = refusal_ != why;
            refusal_ = why;
            wakes = gives_up_ && std::exchange(wanted_, false);
        }
        if (changed) refused_(why);
        if (wakes) supplied_();
        lanes_->background.post_after(pauses_.next(), [self = this->shared_from_this(), id,
                                                       capacity] { self->draw_up(id, capacity); });
    }
    void prepared(SegmentPointer segment, std::optional<raft::Failure> failure) {
        pauses_.reset();
        bool changed = false;
        bool wakes = false;
        {
            const std::lock_guard lock(mutex_);
            next_ = std::move(segment);
            failure_ = std::move(failure);
            preparing_ = false;
            changed = std::exchange(refusal_, std::nullopt).has_value();
            wakes = std::exchange(wanted_, false);
        }
        if (changed) refused_(std::nullopt);
        if (wakes) supplied_();
    }
    /// Keeps some of the segments that are not needed any more, to be overwritten as new ones, and
    /// removes the others, from which whoever holds them open may read on. A full disk may refuse
    /// a new name; removing takes no room, and gives some. Nothing depends on the success: what
    /// stays is removed after the next restart.
    void keep_or_remove(const std::string& path, const Readers& readers, bool whole) {
        if (whole && spares_.size() < options_.spare_segments) {
            std::string spare = path + std::string(spare_suffix);
            if (files_.rename(path, spare)) return spares_.push_back({std::move(spare), readers});
        }
        static_cast<void>(files_.remove(path).has_value());
    }
    bool is_closing() {
        const std::lock_guard lock(mutex_);
        return closing_;
    }

    const Files files_;
    const WalOptions options_;
    const std::uint64_t segment_bytes_;  ///< of a usual segment, in whole units
    const std::shared_ptr<Lanes<Lane>> lanes_;
    const std::function<void(std::optional<raft::Failure>)> refused_;
    std::function<void()> supplied_;
    DirectoryPointer<Files> directory_;  ///< null after release()

    std::mutex mutex_;                      ///< guards the members up to the next comment
    SegmentPointer next_;                   ///< prepared
    std::optional<raft::Failure> failure_;  ///< why there will be none
    std::optional<raft::Failure> refusal_;  ///< why there is none yet
    bool wanted_ = false;                   ///< take() had none
    bool preparing_ = false;                ///< one is being made, or is to be tried again
    bool gives_up_ = false;                 ///< rather than wait while a segment is refused
    bool closing_ = false;

    // These belong to the background lane.
    std::optional<SegmentDraft<Files>> draft_;
    std::vector<Spare> spares_;  ///< files of segment_bytes_
    Backoff pauses_{shortest_refusal_pause, longest_refusal_pause};
};

}  // namespace rsm::detail::wal

#endif
