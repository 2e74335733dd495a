// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// PlainStorage: a node's persistent state in plain files. It shows what a Storage has to do, and
// does it in the simplest way that keeps every promise; docs/policies.md goes through it.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_STORAGE_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_STORAGE_HPP

#include "plain_callback_queue.hpp"
#include "plain_directory.hpp"
#include "plain_log.hpp"
#include "plain_log_file.hpp"
#include "plain_log_writer.hpp"
#include "plain_snapshots.hpp"

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/plan.hpp>
#include <rsm/storage/disk/lane.hpp>
#include <rsm/storage/errors.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace policies {

/// A PlainStorage at work. Models raft::Storage, where each member's contract stands.
///
/// In the directory: `log`, `snapshot-INDEX-TERM`, `lock`. Two threads do the blocking work, one
/// for the log and one for snapshots, so a large snapshot keeps no vote waiting. A full disk lets
/// writes wait.
///
/// Thread safety: one object from its executor only. Destroying it waits for nothing.
class RunningPlainStorage {
public:
    RunningPlainStorage(boost::asio::any_io_executor executor, std::string path)
        : path_(std::move(path)),
          callbacks_(std::make_shared<CallbackQueue>(std::move(executor))),
          log_lane_(std::make_shared<rsm::ThreadLane>()),
          snapshot_lane_(std::make_shared<rsm::ThreadLane>()) {}
    RunningPlainStorage(const RunningPlainStorage&) = delete;
    RunningPlainStorage& operator=(const RunningPlainStorage&) = delete;
    ~RunningPlainStorage() {
        callbacks_->close();
        log_lane_->stop();
        snapshot_lane_->stop();
    }

    raft::Result<raft::Recovered> recover() {
        auto taken = Directory::take(path_);
        if (!taken) return taken.error();
        directory_ = std::make_shared<Directory>(std::move(*taken));
        snapshots_ = std::make_shared<PlainSnapshots>(directory_);
        if (auto repaired = snapshots_->repair(); !repaired) return repaired.error();
        auto newest = snapshots_->newest();
        if (!newest) return newest.error();

        PlainLogFile file(directory_);
        if (auto made = make_log(file, *newest); !made) return made.error();
        if (auto read = file.recover(log_, report_); !read) return read.error();

        raft::Recovered recovered = log_.recovered(std::move(*newest));
        const auto is_void =
            raft::fit_to_snapshot(recovered, make_error_code(rsm::StorageErrc::corrupted));
        if (!is_void) return is_void.error();
        if (*is_void) {
            log_.reset(recovered.base);
            if (auto voided = file.replace(encode(log_.image())); !voided) return voided.error();
        }
        file_bytes_ = file.size();
        for (const auto& lane : {log_lane_, snapshot_lane_}) {
            if (auto started = lane->start(); !started) return started.error();
        }
        writer_ = std::make_shared<PlainLogWriter>(std::move(file), log_lane_, callbacks_);
        return recovered;
    }
    const std::vector<std::string>& recovery_report() const { return report_; }

    void append(raft::Write write, raft::WriteDone done) {
        auto operation = callbacks_->begin<void>(std::move(done));
        if (!open()) return refuse(std::move(operation), rsm::StorageErrc::closed, "append");
        WaitingWrite waiting;
        waiting.operation = std::move(operation);
        if (!log_.takes(write)) {
            waiting.refused =
                raft::Failure{make_error_code(rsm::StorageErrc::invalid_write), "append"};
            return writer_->begin_write(std::move(waiting));
        }
        log_.apply(write);
        waiting.bytes = encode(write);
        file_bytes_ += PlainLogFile::header_bytes + waiting.bytes.size();
        if (file_bytes_ > 2 * log_.persisted_bytes() + slack_bytes) {
            // More than half of the file is of no use any more: begin a new one.
            waiting.bytes = encode(log_.image());
            waiting.image = true;
            file_bytes_ = waiting.bytes.size();
        }
        writer_->begin_write(std::move(waiting));
    }

    void read(raft::Index first, std::size_t max_bytes, raft::EntriesRead done) {
        auto operation = callbacks_->begin<std::vector<raft::Entry>>(std::move(done));
        if (!open()) return refuse(std::move(operation), rsm::StorageErrc::closed, "read");
        if (!log_.holds(first)) {
            return refuse(std::move(operation), rsm::StorageErrc::invalid_read,
                          "read index " + std::to_string(first.value));
        }
        operation->result = log_.read(first, max_bytes);
        callbacks_->deliver(std::move(operation));
    }

    std::uint64_t persisted_bytes() const { return log_.persisted_bytes(); }

    void save_snapshot(raft::LogPosition last, raft::Membership membership,
                       raft::SnapshotProducer produce, raft::SnapshotSaved done) {
        on_snapshots<raft::SnapshotMeta>(
            std::move(done), [meta = raft::SnapshotMeta{last, std::move(membership), 0, 0},
                              produce = std::move(produce)](PlainSnapshots& snapshots) {
                return snapshots.save(meta, produce);
            });
    }

    void receive_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, raft::Bytes data,
                       raft::ChunkReceived done) {
        on_snapshots<raft::ChunkOutcome>(
            std::move(done), [meta, offset, data = std::move(data)](PlainSnapshots& snapshots) {
                return snapshots.receive(meta, offset, data);
            });
    }

    void abandon_transfer() {
        on_snapshots<void>({}, [](PlainSnapshots& snapshots) -> raft::Result<void> {
            snapshots.abandon();
            return {};
        });
    }

    void read_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, std::size_t max_bytes,
                    raft::ChunkRead done) {
        on_snapshots<raft::Bytes>(std::move(done),
                                  [meta, offset, max_bytes](PlainSnapshots& snapshots) {
                                      return snapshots.read(meta, offset, max_bytes);
                                  });
    }

    raft::Result<std::unique_ptr<raft::ByteSource>> open_snapshot(
        const raft::SnapshotMeta& meta) const {
        if (!open()) {
            return raft::Failure{make_error_code(rsm::StorageErrc::closed), "open snapshot"};
        }
        return snapshots_->open(meta);
    }

    void drop_snapshots_except(std::vector<raft::Index> needed) {
        on_snapshots<void>(
            {}, [needed = std::move(needed)](PlainSnapshots& snapshots) -> raft::Result<void> {
                snapshots.drop_except(needed);
                return {};
            });
    }

    /// The lock goes last, when neither lane has anything left to do.
    void close(std::function<void()> done) {
        auto operation = callbacks_->begin<void>({});
        operation->result.emplace();
        callbacks_->when_idle(std::move(done));
        if (!open()) return callbacks_->deliver(std::move(operation));
        closing_ = true;
        auto release = [directory = directory_, callbacks = callbacks_,
                        operation = std::move(operation)] {
            directory->lock.reset();
            callbacks->deliver(operation);
        };
        snapshot_lane_->post(
            [writer = writer_, release = std::move(release)] { writer->close(release); });
    }

private:
    /// So much may be of no use in the file before a new one is begun.
    static constexpr std::uint64_t slack_bytes = std::uint64_t{1} << 20;

    bool open() const { return writer_ != nullptr && !closing_; }

    /// A new directory gets an empty log before anything else can be in it. So where there is a
    /// snapshot but no log, something is missing that was there.
    raft::Result<void> make_log(PlainLogFile& file, const raft::SnapshotMeta& newest) const {
        const Files files;
        if (auto removed = files.remove(*directory_ / PlainLogFile::aside); !removed) {
            return removed;
        }
        const auto names = files.list(path_);
        if (!names) return names.error();
        for (const std::string& name : *names) {
            if (name == PlainLogFile::name) return {};
        }
        if (!newest.empty()) {
            return damage(*directory_ / PlainLogFile::name, 0, "the log is missing");
        }
        return file.replace(encode(PlainLog{}.image()));
    }

    static raft::codec::Gather encode(const raft::Write& write) {
        raft::codec::Gather out;
        put_write(out, write);
        return out;
    }

    template <class Value>
    void refuse(std::shared_ptr<Operation<Value>> operation, rsm::StorageErrc code,
                std::string what) {
        operation->result.emplace(raft::Failure{make_error_code(code), std::move(what)});
        callbacks_->deliver(std::move(operation));
    }

    template <class Value, class Work>
    void on_snapshots(std::function<void(raft::Result<Value>)> done, Work work) {
        auto operation = callbacks_->begin<Value>(std::move(done));
        if (!open()) return refuse(std::move(operation), rsm::StorageErrc::closed, "snapshots");
        snapshot_lane_->post([snapshots = snapshots_, callbacks = callbacks_,
                              operation = std::move(operation), work = std::move(work)]() mutable {
            operation->result.emplace(without_throwing<Value>([&] { return work(*snapshots); }));
            callbacks->deliver(std::move(operation));
        });
    }

    const std::string path_;
    const std::shared_ptr<CallbackQueue> callbacks_;
    const std::shared_ptr<rsm::ThreadLane> log_lane_;
    const std::shared_ptr<rsm::ThreadLane> snapshot_lane_;
    std::shared_ptr<Directory> directory_;
    std::shared_ptr<PlainSnapshots> snapshots_;
    std::shared_ptr<PlainLogWriter> writer_;
    PlainLog log_;                  ///< as of the writes begun
    std::uint64_t file_bytes_ = 0;  ///< the same
    std::vector<std::string> report_;
    bool closing_ = false;
};

/// Keeps a node's persistent state in a directory: a plan (rsm/plan.hpp).
class PlainStorage {
public:
    explicit PlainStorage(std::string directory) : directory_(std::move(directory)) {}

    /// Throws std::invalid_argument without a directory.
    RunningPlainStorage open(boost::asio::any_io_executor executor) const {
        if (directory_.empty()) throw std::invalid_argument("plain storage: no directory is named");
        return {std::move(executor), directory_};
    }

private:
    std::string directory_;
};

static_assert(rsm::StoragePlan<PlainStorage>);
static_assert(raft::ReportingStorage<RunningPlainStorage>);

}  // namespace policies

#endif
