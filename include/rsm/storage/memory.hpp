// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// MemoryStorage: persistent state that survives a node but not the process. For tests, and for
// clusters whose data may be lost.
#ifndef RSM_STORAGE_MEMORY_HPP
#define RSM_STORAGE_MEMORY_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/plan.hpp>
#include <rsm/storage/detail/callback_queue.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/errors.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// What a crash leaves behind: the durable state of one node. It outlives the storage that works
/// on it, so that another node can be started from the same disk.
///
/// Thread safety: used from the executor of the storage that works on it.
class MemoryDisk {
public:
    /// Runs each of a storage's operations, in the order in which it gets them: at once or later,
    /// on the storage's executor. What it has not run does not take effect and is not completed;
    /// once the storage is destroyed running it does nothing.
    using Perform = std::function<void(std::function<void()> operation)>;

    MemoryDisk() : MemoryDisk([](const auto& operation) { operation(); }) {}
    /// A disk that takes its time.
    explicit MemoryDisk(Perform perform) : perform_(std::move(perform)) {}
    MemoryDisk(const MemoryDisk&) = delete;
    MemoryDisk& operator=(const MemoryDisk&) = delete;

private:
    friend class RunningMemoryStorage;

    struct Snapshot {
        raft::SnapshotMeta meta;
        raft::Bytes content;
    };

    raft::Index last() const { return base_.index + entries_.size(); }
    const raft::Entry& at(raft::Index index) const {
        return entries_[static_cast<std::size_t>(index - base_.index) - 1];
    }
    void reset(raft::LogPosition base) {
        entries_.clear();
        base_ = base;
    }
    void apply(const raft::Write& write) {
        if (write.reset) reset(*write.reset);
        if (!write.entries.empty()) {
            const raft::Index first = write.entries.front().index;
            while (last() >= first) entries_.pop_back();
            entries_.insert(entries_.end(), write.entries.begin(), write.entries.end());
        }
        if (write.hard_state) hard_state_ = write.hard_state;
        if (write.release && write.release->index > base_.index) {
            while (base_.index < write.release->index) {
                entries_.pop_front();
                ++base_.index;
            }
            base_ = *write.release;
        }
    }

    const Perform perform_;
    std::optional<raft::HardState> hard_state_;
    raft::LogPosition base_;
    std::deque<raft::Entry> entries_;
    std::map<raft::LogPosition, Snapshot> snapshots_;

    bool in_use_ = false;
};

namespace detail {

/// Collects a snapshot's content.
class MemorySink final : public raft::ByteSink {
public:
    void write(std::span<const std::byte> bytes) override {
        content.insert(content.end(), bytes.begin(), bytes.end());
    }
    std::vector<std::byte> content;
};

class MemorySource final : public raft::ByteSource {
public:
    explicit MemorySource(raft::Bytes content) : content_(std::move(content)) {}
    std::size_t read(std::span<std::byte> out) override {
        const std::size_t count = std::min(out.size(), content_.size() - position_);
        if (count != 0) std::memcpy(out.data(), content_.data() + position_, count);
        position_ += count;
        return count;
    }

private:
    raft::Bytes content_;
    std::size_t position_ = 0;
};

}  // namespace detail

/// A MemoryStorage at work. Models raft::Storage, where each member's contract stands.
///
/// It keeps what a crash would keep: a write becomes part of the disk at the moment at which its
/// completion is posted, and what had not become so is lost when the storage is destroyed. It
/// counts persisted_bytes() exactly as a WalStorage does.
///
/// Thread safety: one object from its executor only (or while that does not run). Destroy it
/// before the executor's execution context.
class RunningMemoryStorage {
public:
    RunningMemoryStorage(boost::asio::any_io_executor executor, std::shared_ptr<MemoryDisk> disk)
        : disk_(std::move(disk)),
          callbacks_(std::make_shared<detail::CallbackQueue>(std::move(executor))) {}
    RunningMemoryStorage(const RunningMemoryStorage&) = delete;
    RunningMemoryStorage& operator=(const RunningMemoryStorage&) = delete;
    ~RunningMemoryStorage() {
        callbacks_->close();
        if (recovered_) give_up_disk();
    }

    /// Errors: StorageErrc::locked where another storage works on the disk.
    raft::Result<raft::Recovered> recover() {
        if (recovered_ || closing_) return closed("recover memory disk");
        if (disk_->in_use_) {
            return detail::storage_failure(StorageErrc::locked, "memory disk");
        }
        raft::Recovered recovered = find_state();
        const auto is_void = raft::fit_to_snapshot(recovered, StorageErrc::corrupted);
        if (!is_void) return is_void.error();
        if (*is_void) disk_->reset(recovered.base);
        account_.restart(disk_->base_);
        if (disk_->hard_state_) account_.set_has_hard_state();
        for (const raft::Entry& entry : disk_->entries_) {
            account_.push(static_cast<std::uint32_t>(raft::codec::persisted_size(entry)));
        }
        recovered_ = true;
        disk_->in_use_ = true;
        return recovered;
    }

    void append(raft::Write write, raft::WriteDone done) {
        auto refused = account_.check(write);
        if (open() && !refused) account_.apply(write);
        run<void>(
            std::move(done),
            [this, write = std::move(write), refused = std::move(refused)]() -> raft::Result<void> {
                if (!failure_) failure_ = refused;
                if (failure_) return *failure_;
                disk_->apply(write);
                return {};
            });
    }

    void read(raft::Index first, std::size_t max_bytes, raft::EntriesRead done) {
        using Entries = std::vector<raft::Entry>;
        run<Entries>(std::move(done), [this, first, max_bytes]() -> raft::Result<Entries> {
            if (first <= disk_->base_.index || first > disk_->last()) {
                return detail::storage_failure(StorageErrc::invalid_read,
                                               "read index " + std::to_string(first.value));
            }
            Entries entries;
            std::size_t bytes = 0;
            for (raft::Index index = first; index <= disk_->last(); ++index) {
                bytes += footprint(disk_->at(index));
                if (index != first && bytes > max_bytes) break;
                entries.push_back(disk_->at(index));
            }
            return entries;
        });
    }

    std::uint64_t persisted_bytes() const { return account_.persisted_bytes(); }

    void save_snapshot(raft::LogPosition last, raft::Membership membership,
                       raft::SnapshotProducer produce, raft::SnapshotSaved done) {
        using Meta = raft::SnapshotMeta;
        run<Meta>(
            std::move(done),
            [this, last, membership = std::move(membership),
             produce = std::move(produce)]() -> raft::Result<Meta> {
                Meta meta{last, membership, 0, 0};
                if (!detail::storable(meta)) {
                    return detail::storage_failure(StorageErrc::invalid_write, "save snapshot");
                }
                detail::MemorySink sink;
                try {
                    produce(sink);
                } catch (...) {
                    return detail::storage_failure(StorageErrc::producer_failed, "save snapshot");
                }
                meta.size = sink.content.size();
                meta.checksum = detail::checksum(sink.content);
                disk_->snapshots_[last] = {meta, raft::Bytes::copy_of(sink.content)};
                return meta;
            });
    }

    void receive_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, raft::Bytes data,
                       raft::ChunkReceived done) {
        run<raft::ChunkOutcome>(std::move(done), [this, meta, offset, data = std::move(data)] {
            const raft::ChunkOutcome outcome = receive(meta, offset, data);
            if (outcome != raft::ChunkOutcome::stored) incoming_.reset();
            return raft::Result<raft::ChunkOutcome>(outcome);
        });
    }

    void abandon_transfer() {
        if (open()) perform([this] { incoming_.reset(); });
    }

    void read_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, std::size_t max_bytes,
                    raft::ChunkRead done) {
        run<raft::Bytes>(std::move(done),
                         [this, meta, offset, max_bytes]() -> raft::Result<raft::Bytes> {
                             const auto content = find(meta);
                             if (!content || offset > meta.size) return no_such();
                             const auto at = static_cast<std::size_t>(offset);
                             return content->slice(at, std::min(max_bytes, content->size() - at));
                         });
    }

    raft::Result<std::unique_ptr<raft::ByteSource>> open_snapshot(
        const raft::SnapshotMeta& meta) const {
        auto content = find(meta);
        if (!content) return no_such();
        return std::unique_ptr<raft::ByteSource>(
            std::make_unique<detail::MemorySource>(std::move(*content)));
    }

    void drop_snapshots_except(const std::vector<raft::Index>& needed) {
        if (!open()) return;
        std::erase_if(disk_->snapshots_, [&](const auto& item) {
            return item.first.index < needed.back() &&
                   !std::ranges::binary_search(needed, item.first.index);
        });
    }

    /// Completes what is under way, gives up the disk, then calls `done`.
    void close(std::function<void()> done) {
        closing_ = true;
        close_done_ = std::move(done);
        if (callbacks_->under_way() == 0) release_disk();
    }

private:
    struct Incoming {
        raft::SnapshotMeta meta;
        std::vector<std::byte> content;
    };

    raft::Recovered find_state() const {
        raft::Recovered recovered;
        recovered.hard_state = disk_->hard_state_.value_or(raft::HardState{});
        if (!disk_->snapshots_.empty()) {
            recovered.snapshot = disk_->snapshots_.rbegin()->second.meta;
        }
        recovered.base = disk_->base_;
        recovered.last = disk_->last();
        for (const raft::Entry& entry : disk_->entries_) {
            raft::add_to_runs(recovered.runs, entry.index, entry.term);
            if (entry.kind == raft::EntryKind::membership) recovered.memberships.push_back(entry);
        }
        return recovered;
    }

    bool open() const { return recovered_ && !closing_; }
    static raft::Failure closed(std::string what) {
        return detail::storage_failure(StorageErrc::closed, std::move(what));
    }

    /// Carries out `work` when the disk lets it, and then completes.
    template <class Value, class Work>
    void run(std::function<void(raft::Result<Value>)> done, Work work) {
        callbacks_->begin();
        if (!open()) return complete<Value>(std::move(done), closed("memory disk"));
        perform([this, done = std::move(done), work = std::move(work)]() mutable {
            complete<Value>(std::move(done), work());
        });
    }
    template <class Operation>
    void perform(Operation operation) {
        disk_->perform_([queue = callbacks_, operation = std::move(operation)]() mutable {
            if (!queue->closed()) operation();
        });
    }
    template <class Value>
    void complete(std::function<void(raft::Result<Value>)> done, raft::Result<Value> result) {
        callbacks_->deliver(1, [this, done = std::move(done), result = std::move(result)] {
            const auto alive = callbacks_;
            done(result);
            if (!alive->closed() && closing_ && close_done_ && alive->under_way() == 0) {
                release_disk();
            }
        });
    }

    raft::ChunkOutcome receive(const raft::SnapshotMeta& meta, std::uint64_t offset,
                               const raft::Bytes& data) {
        using raft::ChunkOutcome;
        if (!detail::storable(meta)) return ChunkOutcome::rejected;
        if (offset == 0) incoming_ = Incoming{meta, {}};
        if (!incoming_ || meta != incoming_->meta || offset != incoming_->content.size() ||
            data.size() > meta.size - offset) {
            return ChunkOutcome::rejected;
        }
        std::vector<std::byte>& content = incoming_->content;
        content.insert(content.end(), data.view().begin(), data.view().end());
        if (content.size() < meta.size) return ChunkOutcome::stored;
        if (detail::checksum(content) != meta.checksum) return ChunkOutcome::rejected;
        disk_->snapshots_[meta.last] = {meta, raft::Bytes::copy_of(content)};
        return ChunkOutcome::installed;
    }

    std::optional<raft::Bytes> find(const raft::SnapshotMeta& meta) const {
        const auto found = disk_->snapshots_.find(meta.last);
        if (found == disk_->snapshots_.end() || found->second.meta != meta) return std::nullopt;
        return found->second.content;
    }
    static raft::Failure no_such() {
        return detail::storage_failure(StorageErrc::no_such_snapshot, "memory disk");
    }

    void give_up_disk() {
        disk_->in_use_ = false;
        recovered_ = false;
    }
    void release_disk() {
        if (recovered_) give_up_disk();
        callbacks_->begin();
        callbacks_->deliver(1, [done = std::exchange(close_done_, nullptr)] {
            if (done) done();
        });
    }

    const std::shared_ptr<MemoryDisk> disk_;
    const std::shared_ptr<detail::CallbackQueue> callbacks_;
    detail::LogAccount account_;  ///< as of the writes begun
    std::optional<raft::Failure> failure_;
    std::optional<Incoming> incoming_;
    bool recovered_ = false;
    bool closing_ = false;
    std::function<void()> close_done_;
};

/// Keeps a node's persistent state on a MemoryDisk: a plan (rsm/plan.hpp). Copies work on one disk,
/// one of them at a time.
class MemoryStorage {
public:
    MemoryStorage() : MemoryStorage(std::make_shared<MemoryDisk>()) {}
    explicit MemoryStorage(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

    RunningMemoryStorage open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), disk_};
    }

private:
    std::shared_ptr<MemoryDisk> disk_;
};

static_assert(StoragePlan<MemoryStorage>);

}  // namespace rsm

#endif
