// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// PlainLogWriter: gathers the writes that wait, so that one sync makes all of them durable.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_LOG_WRITER_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_LOG_WRITER_HPP

#include "plain_callback_queue.hpp"
#include "plain_directory.hpp"
#include "plain_log_file.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/storage/disk/lane.hpp>
#include <rsm/storage/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace policies {

/// What waits for the lane.
struct WaitingWrite {
    raft::codec::Gather bytes;
    bool image = false;                    ///< of all the log: whatever was before it may go
    std::optional<raft::Failure> refused;  ///< instead: it does not continue the log
    std::shared_ptr<Operation<void>> operation;
};

/// Thread safety: begin_write() and close() from any thread; what the lane does is its own.
class PlainLogWriter : public std::enable_shared_from_this<PlainLogWriter> {
public:
    PlainLogWriter(PlainLogFile file, std::shared_ptr<rsm::ThreadLane> lane,
                   std::shared_ptr<CallbackQueue> callbacks)
        : file_(std::move(file)), lane_(std::move(lane)), callbacks_(std::move(callbacks)) {}

    void begin_write(WaitingWrite write) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(write));
            if (waiting_.size() > 1) return;  // the job for the first one takes this one along
        }
        post([](PlainLogWriter& self) { self.take(); });
    }

    /// Writes what there is room for, fails the rest, closes the file, and then calls back on the
    /// lane.
    void close(std::function<void()> closed) {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        post([closed = std::move(closed)](PlainLogWriter& self) {
            self.carry_out();
            self.file_.close();
            closed();
        });
    }

private:
    static constexpr std::chrono::milliseconds pause{100};

    /// The lane does not keep what keeps the lane.
    template <class Job>
    void post(Job job, std::chrono::nanoseconds delay = {}) {
        auto run = [self = weak_from_this(), job = std::move(job)] {
            if (const auto alive = self.lock()) job(*alive);
        };
        if (delay == std::chrono::nanoseconds{}) return lane_->post(std::move(run));
        lane_->post_after(delay, std::move(run));
    }

    void take() {
        {
            const std::lock_guard lock(mutex_);
            std::move(waiting_.begin(), waiting_.end(), std::back_inserter(taken_));
            waiting_.clear();
        }
        carry_out();
    }

    void carry_out() {
        if (taken_.empty()) return;
        const auto outcome = without_throwing<void>([this] { return write(); });
        if (!outcome && !begun_ && may_go_later(outcome.error().code)) {
            // Nothing was begun, so nothing has failed: it waits, and what comes later behind it.
            const std::lock_guard lock(mutex_);
            if (!closing_) return post([](PlainLogWriter& self) { self.take(); }, pause);
        }
        if (!outcome && !failed_) failed_ = outcome.error();
        for (WaitingWrite& written : taken_) {
            if (written.refused && !failed_) failed_ = std::move(written.refused);
            if (failed_) {
                written.operation->result.emplace(*failed_);
            } else {
                written.operation->result.emplace();
            }
            callbacks_->deliver(std::move(written.operation));
        }
        taken_.clear();
    }

    static bool may_go_later(std::error_code code) {
        return code == std::errc::no_space_on_device || code == std::errc::file_too_large ||
               code == std::errc::not_enough_memory || code == std::errc::too_many_files_open ||
               code == std::errc::too_many_files_open_in_system ||
               code == std::error_code(EDQUOT, std::system_category());
    }

    /// Writes all that was taken, up to the first one that is refused.
    raft::Result<void> write() {
        begun_ = false;
        if (failed_) return *failed_;
        std::vector<const raft::codec::Gather*> batch;
        for (const WaitingWrite& write : taken_) {
            if (write.refused) break;
            if (write.image) {
                batch.clear();
                const auto replaced = file_.replace(write.bytes);
                if (replaced) continue;
                if (file_.replaced()) return begun(replaced);
                // The file is as it was, and an image is as good behind what it replaces.
            }
            batch.push_back(&write.bytes);
        }
        if (batch.empty()) return {};
        if (auto reserved = file_.reserve(batch); !reserved) return reserved;
        return begun(file_.append(batch));
    }
    raft::Result<void> begun(raft::Result<void> outcome) {
        begun_ = true;
        return outcome;
    }

    std::mutex mutex_;
    std::vector<WaitingWrite> waiting_;
    bool closing_ = false;

    // The lane's own.
    std::vector<WaitingWrite> taken_;
    PlainLogFile file_;
    bool begun_ = false;                   ///< so far that it cannot be tried again
    std::optional<raft::Failure> failed_;  ///< for good

    const std::shared_ptr<rsm::ThreadLane> lane_;
    const std::shared_ptr<CallbackQueue> callbacks_;
};

}  // namespace policies

#endif
