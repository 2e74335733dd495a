// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log at work, as its node's executor sees it: what is known of the log, and the
// callbacks, which never leave the executor.
#ifndef RSM_STORAGE_WAL_RUNNING_HPP
#define RSM_STORAGE_WAL_RUNNING_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/detail/callback_queue.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/lanes.hpp>
#include <rsm/storage/wal/log.hpp>
#include <rsm/storage/wal/open.hpp>
#include <rsm/storage/wal/read.hpp>
#include <rsm/storage/wal/snapshots.hpp>
#include <rsm/storage/wal/state.hpp>
#include <rsm/storage/wal_options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// A BasicWalStorage at work; there stands what it guarantees. Models raft::SeedableStorage, where
/// each member's contract stands. The lanes' side is WalLog and SnapshotLane, which may outlive
/// this.
///
/// Thread safety: one object from its executor only (or while that does not run). Destroy it before
/// the executor's execution context. Its destruction waits for nothing; a lane that is busy then
/// keeps the directory locked until its call returns, so hand a directory over with close().
template <class Files, class Lane>
class RunningWal {
public:
    /// @param make_lanes  returns the Lanes<Lane> that the files' work is done on
    template <class MakeLanes>
    RunningWal(boost::asio::any_io_executor executor, WalOptions options, Files files,
               const MakeLanes& make_lanes)
        : options_(std::move(options)),
          files_(std::move(files)),
          lanes_(new Lanes<Lane>(make_lanes())),
          callbacks_(std::make_shared<CallbackQueue>(std::move(executor))) {}
    RunningWal(const RunningWal&) = delete;
    RunningWal& operator=(const RunningWal&) = delete;
    ~RunningWal() {
        callbacks_->close();
        lanes_->stop();
    }

    /// Says whose directory it is to be; before recover(), which gives a new directory this
    /// identity and refuses one of another. Without it nobody asks.
    void claim(raft::Identity identity) { claimed_ = std::move(identity); }
    /// What it begins with, if it is new; before recover().
    void begin_with(raft::Seed seed) { seed_ = std::move(seed); }
    /// The one in the directory; without claim() the empty one.
    const raft::Identity& identity() const { return identity_; }
    /// What recover() did to what it found, and what it left alone: a sentence each, with file and
    /// offset.
    const std::vector<std::string>& recovery_report() const { return report_; }
    /// Why the log cannot be given another segment at present, if it cannot: only what is left of
    /// the one in use can be written. The storage tries again by itself.
    const std::optional<raft::Failure>& refuses() const { return refusal_; }

    /// Blocks. Creates the directory for a new node. Errors: StorageErrc::locked where another
    /// storage has the directory; foreign where it is not the claimed one; unfounded where it is
    /// new and the claim names no founding members; corrupted or unsupported_version, with file and
    /// offset; invalid_argument for options out of range, or members that found no cluster; the
    /// operating system's own.
    raft::Result<raft::Recovered> recover() {
        if (raft::Result<void> valid = options_.validate(); !valid) return valid.error();
        if (log_ != nullptr || closing_) {
            return storage_failure(StorageErrc::closed, "recover " + options_.directory);
        }
        if (raft::Result<void> started = lanes_->start(); !started) return started.error();
        auto opened = WalOpener<Files>(files_, options_, claimed_, seed_).run();
        seed_.reset();
        if (!opened) return opened.error();
        log_ = std::make_shared<Log>(files_, opened->directory, options_, lanes_, reports());
        snapshots_ = std::make_shared<SnapshotLane<Files>>(
            files_, opened->directory, options_.pieces, std::move(opened->partial));
        report_ = std::move(opened->report);
        if (auto result = log_->start(std::move(opened->log), opened->void_after); !result) {
            log_ = nullptr;
            snapshots_ = nullptr;
            return result.error();
        }
        identity_ = std::move(opened->identity);
        account_ = std::move(opened->account);
        detached_ = std::move(opened->detached);
        index_ = std::move(opened->index);
        if (opened->snapshot != nullptr) kept_.push_back(std::move(opened->snapshot));
        indexed_last_ = account_.last_index();
        readable_last_ = indexed_last_;
        return std::move(opened->recovered);
    }

    void append(raft::Write write, raft::WriteDone done) {
        if (!open()) return refuse(std::move(done));
        auto refused = account_.check(write);
        raft::Index replaces = no_index;
        if (!refused) {
            account_.apply(write);
            if (!write.entries.empty()) detached_.appended(write.entries.back().position());
            if (!write.entries.empty()) replaces = write.entries.front().index - 1;
            if (write.reset) replaces = write.reset->index;
            readable_last_ = std::min(readable_last_, replaces);
        }
        writes_.push_back({std::move(done), replaces});
        callbacks_->begin();
        log_->begin_write(std::move(write), std::move(refused));
    }

    /// In the order of the writes. @pre claim() was called
    void renounce(raft::WriteDone done) {
        if (!open() || !claimed_) return refuse(std::move(done));
        raft::Identity renounced = identity_;
        renounced.founder = false;
        auto written = [this, done = std::move(done)](raft::Result<void> result) {
            if (result) identity_.founder = false;
            done(std::move(result));
        };
        writes_.push_back({std::move(written), no_index});
        callbacks_->begin();
        log_->begin_identity(std::move(renounced));
    }

    void read(raft::Index first, std::size_t max_bytes, raft::EntriesRead done) {
        if (!open()) return refuse(std::move(done));
        if (!account_.contains(first) || first > readable_last_) {
            return fail(std::move(done), unreadable("index", first));
        }
        ReadPlan<Files> plan(first, options_.pieces.read_gap_bytes);
        std::uint64_t bytes = 0;
        for (raft::Index index = first; index <= readable_last_; ++index) {
            const std::uint32_t size = account_.size_of(index);
            bytes += size - raft::codec::persisted_size({}) + raft::entry_overhead_bytes;
            if (index != first && bytes > max_bytes) break;
            plan.add(index_.locate(index), size);
        }
        carry_out(std::move(plan), std::move(done));
    }

    void read_detached(raft::Index first, std::size_t max_bytes, raft::EntriesRead done) {
        if (!open()) return refuse(std::move(done));
        auto plan = detached_.plan(first, max_bytes, options_.pieces.read_gap_bytes);
        if (!plan) return fail(std::move(done), unreadable("detached index", first));
        carry_out(std::move(*plan), std::move(done));
    }

    std::uint64_t persisted_bytes() const { return account_.persisted_bytes(); }

    void save_snapshot(raft::LogPosition last, raft::Membership membership,
                       raft::SnapshotProducer produce, raft::SnapshotSaved done) {
        if (!open()) return refuse(std::move(done));
        run_on(
            lanes_->snapshots, saves_,
            [this, done = std::move(done)](raft::Result<KeptPointer<Files>> kept) {
                if (!kept) return done(kept.error());
                const raft::SnapshotMeta meta = (*kept)->meta;
                keep(std::move(*kept));
                done(meta);
            },
            [lane = snapshots_, last, membership = std::move(membership),
             produce = std::move(produce)] { return lane->save(last, membership, produce); });
    }

    void receive_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, raft::Bytes data,
                       raft::ChunkReceived done) {
        using Received = typename SnapshotLane<Files>::Received;
        if (!open()) return refuse(std::move(done));
        run_on(
            lanes_->snapshots, receipts_,
            [this, done = std::move(done)](raft::Result<Received> received) {
                if (!received) return done(received.error());
                if (received->installed != nullptr) keep(std::move(received->installed));
                done(received->outcome);
            },
            [lane = snapshots_, meta, offset, data = std::move(data)] {
                return lane->receive(meta, offset, data);
            });
    }

    void abandon_transfer() {
        if (open()) lanes_->snapshots.post([lane = snapshots_] { lane->abandon(); });
    }

    void read_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, std::size_t max_bytes,
                    raft::ChunkRead done) {
        if (!open()) return refuse(std::move(done));
        auto kept = find(meta);
        if (kept == nullptr || offset > meta.size) return fail(std::move(done), no_such(meta));
        const auto count =
            static_cast<std::size_t>(std::min<std::uint64_t>(max_bytes, meta.size - offset));
        run_on(
            lanes_->background, chunks_, std::move(done),
            [files = files_, kept = std::move(kept), offset, count]() -> raft::Result<raft::Bytes> {
                raft::Buffer buffer(count);
                const auto read =
                    files.read_at(kept->file, kept->content_offset + offset, buffer.writable());
                if (!read) return read.error();
                if (*read != count) {
                    return damage(kept->path, kept->content_offset + offset + *read,
                                  "the snapshot is cut short");
                }
                return buffer.share(0, count);
            });
    }

    raft::Result<std::unique_ptr<raft::ByteSource>> open_snapshot(const raft::SnapshotMeta& meta) {
        auto kept = find(meta);
        if (kept == nullptr) return no_such(meta);
        return std::unique_ptr<raft::ByteSource>(
            std::make_unique<SnapshotSource<Files>>(files_, std::move(kept)));
    }

    void drop_snapshots_except(const std::vector<raft::Index>& needed) {
        if (!open()) return;
        std::erase_if(kept_, [&](const KeptPointer<Files>& kept) {
            const raft::Index index = kept->meta.last.index;
            if (index >= needed.back() || std::ranges::binary_search(needed, index)) return false;
            lanes_->snapshots.post([lane = snapshots_, path = kept->path] { lane->remove(path); });
            return true;
        });
    }

    /// Waits for what is under way, lets go of the files and of the directory, then calls `done`.
    /// Writes for which there is no room fail then.
    void close(std::function<void()> done) {
        const bool was_open = open();
        closing_ = true;
        close_done_ = std::move(done);
        if (!was_open) {
            callbacks_->begin();
            callbacks_->deliver(1, [this] { closed(); });
        } else if (callbacks_->under_way() == 0) {
            release_files();
        } else {
            log_->give_up_waiting();
        }
    }

private:
    using Log = WalLog<Files, Lane>;
    template <class Value>
    using Callback = std::function<void(raft::Result<Value>)>;
    template <class Value>
    using Callbacks = std::map<std::uint64_t, Callback<Value>>;

    /// A read of the log for which there is no memory is tried again for some two seconds; one that
    /// fails ends the node.
    static constexpr std::chrono::milliseconds first_pause{10};
    static constexpr std::chrono::milliseconds longest_pause{1000};
    static constexpr raft::Index no_index{std::numeric_limits<std::uint64_t>::max()};

    struct PendingWrite {
        raft::WriteDone done;
        raft::Index replaces;  ///< all indexes behind this one get other entries, or none
    };

    bool open() const { return log_ != nullptr && !closing_; }

    /// What is delivered to the executor, where `this` lives; before that it is only carried along.
    typename Log::Reports reports() {
        return {[this, callbacks = callbacks_](typename Log::Outcome outcome) {
                    const std::size_t writes = outcome.writes;
                    callbacks->deliver(writes,
                                       [this, outcome = std::move(outcome)] { on_batch(outcome); });
                },
                [this, callbacks = callbacks_](std::optional<raft::Failure> why) {
                    callbacks->deliver(0, [this, why = std::move(why)] { refusal_ = why; });
                }};
    }

    // ---- operations and their ends ----

    /// Work on a lane whose result goes to the one who waits for it on the executor.
    template <class Value, class Work>
    struct Job {
        // Before the delivery `wal` and `waiting` are only carried along; they may be gone by now.
        RunningWal* wal;
        Callbacks<Value>* waiting;
        std::uint64_t id;
        std::shared_ptr<CallbackQueue> callbacks;
        std::shared_ptr<Lanes<Lane>> lanes;
        Work work;
        std::string directory;
        /// Before the next attempt, should there be no memory for this one; 0: there is none.
        std::chrono::milliseconds pause;

        void operator()() {
            raft::Result<Value> result = attempt();
            const bool refused = !result && is_refused(result.error());
            if (refused && pause.count() != 0 && pause <= longest_pause) {
                const auto wait = std::exchange(pause, 2 * pause);
                lanes->background.post_after(wait, std::move(*this));
                return;
            }
            callbacks->deliver(
                1, [wal = wal, waiting = waiting, id = id, result = std::move(result)]() mutable {
                    auto node = waiting->extract(id);
                    const auto alive = wal->callbacks_;
                    node.mapped()(std::move(result));
                    if (!alive->closed()) wal->operation_ended();
                });
        }
        raft::Result<Value> attempt() {
            try {
                return work();
            } catch (const std::bad_alloc&) {
                return no_memory(directory);
            }
        }
    };

    /// Runs `work` on a lane and gives its result to `done` on the executor.
    template <class Value, class Work>
    void run_on(Lane& lane, Callbacks<Value>& waiting, std::type_identity_t<Callback<Value>> done,
                Work work, std::chrono::milliseconds pause = {}) {
        const std::uint64_t id = next_operation_++;
        waiting.emplace(id, std::move(done));
        callbacks_->begin();
        lane.post(Job<Value, Work>{this, &waiting, id, callbacks_, lanes_, std::move(work),
                                   options_.directory, pause});
    }
    void carry_out(ReadPlan<Files> plan, raft::EntriesRead done) {
        run_on(
            lanes_->background, reads_, std::move(done),
            [files = files_, plan = std::move(plan)] { return plan.read(files); }, first_pause);
    }
    static raft::Failure unreadable(const char* what, raft::Index index) {
        return storage_failure(StorageErrc::invalid_read,
                               std::string("read ") + what + " " + std::to_string(index.value));
    }
    void on_batch(const typename Log::Outcome& outcome) {
        if (!outcome.failure) update_index(outcome);
        std::vector<raft::WriteDone> finished;
        for (std::size_t i = 0; i < outcome.writes; ++i) {
            finished.push_back(std::move(writes_.front().done));
            writes_.pop_front();
        }
        readable_last_ = indexed_last_;
        for (const PendingWrite& write : writes_) {
            readable_last_ = std::min(readable_last_, write.replaces);
        }
        const auto alive = callbacks_;
        for (const raft::WriteDone& done : finished) {
            done(outcome.failure ? raft::Result<void>(*outcome.failure) : raft::Result<void>());
            if (alive->closed()) return;
        }
        operation_ended();
    }
    void update_index(const typename Log::Outcome& outcome) {
        std::size_t next = 0;
        for (const auto& step : outcome.steps) {
            if (step.reset) {
                index_.clear();
                indexed_last_ = {};
            }
            for (std::size_t i = 0; i < step.entries; ++i) {
                index_.append(outcome.segment, step.first + i, outcome.entry_offsets[next++]);
            }
            if (step.entries != 0) indexed_last_ = step.first + (step.entries - 1);
            if (step.release.value != 0) index_.release(step.release);
        }
    }
    void operation_ended() {
        if (closing_ && close_done_ && callbacks_->under_way() == 0) release_files();
    }
    template <class Value>
    void fail(Callback<Value> done, raft::Failure failure) {
        const std::uint64_t id = next_operation_++;
        refusals_.emplace(
            id, [done = std::move(done), failure = std::move(failure)] { done(failure); });
        callbacks_->begin();
        callbacks_->deliver(1, [this, id] {
            auto node = refusals_.extract(id);
            const auto alive = callbacks_;
            node.mapped()();
            if (!alive->closed()) operation_ended();
        });
    }
    template <class Value>
    void refuse(Callback<Value> done) {
        fail(std::move(done), storage_failure(StorageErrc::closed, options_.directory));
    }

    // ---- snapshots ----

    KeptPointer<Files> find(const raft::SnapshotMeta& meta) const {
        const auto found =
            std::ranges::find(kept_, meta, [](const auto& kept) { return kept->meta; });
        return found == kept_.end() ? nullptr : *found;
    }
    void keep(KeptPointer<Files> snapshot) {
        // One of the same position had the same file name, and is replaced on the disk as well.
        std::erase_if(kept_,
                      [&](const auto& kept) { return kept->meta.last == snapshot->meta.last; });
        kept_.push_back(std::move(snapshot));
    }
    raft::Failure no_such(const raft::SnapshotMeta& meta) const {
        return storage_failure(StorageErrc::no_such_snapshot,
                               snapshot_path(options_.directory, meta.last));
    }

    // ---- the end ----

    void release_files() {
        callbacks_->begin();
        index_.clear();
        detached_ = {};
        kept_.clear();
        lanes_->snapshots.post([this, lane = std::exchange(snapshots_, nullptr),
                                log = std::exchange(log_, nullptr), callbacks = callbacks_] {
            lane->close();
            log->close([this, callbacks] { callbacks->deliver(1, [this] { closed(); }); });
        });
    }
    void closed() {
        const auto done = std::exchange(close_done_, nullptr);
        if (done) done();
    }

    const WalOptions options_;
    std::optional<raft::Identity> claimed_;
    std::optional<raft::Seed> seed_;  ///< until recover()
    raft::Identity identity_;         ///< as it is on the disk
    std::vector<std::string> report_;
    std::optional<raft::Failure> refusal_;  ///< of the next segment
    const Files files_;
    const std::shared_ptr<Lanes<Lane>> lanes_;
    const std::shared_ptr<CallbackQueue> callbacks_;
    std::shared_ptr<Log> log_;
    std::shared_ptr<SnapshotLane<Files>> snapshots_;

    LogAccount account_;                ///< as of the writes begun
    EntryIndex<Segment<Files>> index_;  ///< as of the writes completed
    DetachedEntries<Files> detached_;   ///< what is left behind damage, as long as some is lacking
    raft::Index indexed_last_;
    raft::Index readable_last_;  ///< entries up to here are indexed, and no write replaces them
    std::deque<PendingWrite> writes_;
    std::vector<KeptPointer<Files>> kept_;

    std::uint64_t next_operation_ = 0;
    Callbacks<std::vector<raft::Entry>> reads_;
    Callbacks<KeptPointer<Files>> saves_;
    Callbacks<typename SnapshotLane<Files>::Received> receipts_;
    Callbacks<raft::Bytes> chunks_;
    std::map<std::uint64_t, std::function<void()>> refusals_;
    bool closing_ = false;
    std::function<void()> close_done_;
};

}  // namespace rsm::detail::wal

#endif
