// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How much of what clients write may be under way in the replica, and who comes next.
#ifndef RSM_EXAMPLES_KV_WRITE_ADMISSION_HPP
#define RSM_EXAMPLES_KV_WRITE_ADMISSION_HPP

#include "growing_values.hpp"
#include "work_queue.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <unordered_set>
#include <utility>

namespace kv {

class WriteAdmission;

/// What a write takes while it is under way.
struct WriteCost {
    std::size_t bytes = 0;   ///< of the request, and of what it has the replica do
    std::size_t growth = 0;  ///< by so much values at that place may grow
    GrowingValues::Place place = GrowingValues::anywhere;
};

/// Stands for bytes that are under way, until it is given back or gone.
class WriteTicket {
public:
    WriteTicket() = default;
    WriteTicket(WriteTicket&& other) noexcept
        : state_(std::move(other.state_)), cost_(other.cost_) {}
    WriteTicket& operator=(WriteTicket&& other) noexcept {
        if (this == &other) return *this;
        give_back();
        state_ = std::move(other.state_);
        cost_ = other.cost_;
        return *this;
    }
    ~WriteTicket() { give_back(); }

    bool is_valid() const { return state_ != nullptr; }
    void give_back() {
        if (const auto state = std::exchange(state_, nullptr)) state->release(cost_);
    }

private:
    friend class WriteAdmission;

    struct State {
        /// A large one needs no more than there is when it opens: else it would wait for as long as
        /// there are small ones, which always find room before it.
        bool has_room(std::size_t bytes) const {
            return is_open && under_way <= limit - std::min(bytes, limit / 2);
        }
        /// Nobody begins before those who wait, who ask again when it opens; who has had the least
        /// time is the first to do so.
        void release(const WriteCost& cost) {
            under_way -= cost.bytes;
            growing.ended(cost.place, cost.growth);
            if (is_open || queue == nullptr || under_way > limit / 2) return;
            is_open = true;
            for (const auto& worker : std::exchange(waiting, {})) queue->add(worker);
        }

        WorkQueue* queue;  ///< null: the server is gone
        std::size_t limit;
        std::size_t under_way = 0;
        GrowingValues growing{};
        bool is_open = true;  // closed when somebody finds no room, until half is free
        std::unordered_set<std::shared_ptr<WorkQueue::Worker>> waiting{};
    };

    WriteTicket(std::shared_ptr<State> state, const WriteCost& cost)
        : state_(std::move(state)), cost_(cost) {
        state_->under_way += cost_.bytes;
        state_->growing.begun(cost_.place, cost_.growth);
    }

    std::shared_ptr<State> state_;
    WriteCost cost_;
};

/// Lets writes in up to a number of bytes, so that one who wants to write little does not wait
/// behind, and is not refused for, all that others would like to have written. A write of more than
/// half of that number may exceed it, by itself.
///
/// Thread safety: everything on the queue's executor. Tickets may outlive it.
class WriteAdmission {
public:
    /// @param queue  where those who have waited get a turn; outlives this object
    WriteAdmission(WorkQueue& queue, std::size_t limit)
        : state_(std::make_shared<WriteTicket::State>(WriteTicket::State{&queue, limit})) {}
    WriteAdmission(const WriteAdmission&) = delete;
    WriteAdmission& operator=(const WriteAdmission&) = delete;
    ~WriteAdmission() {
        state_->queue = nullptr;
        state_->waiting.clear();
    }

    /// What the smallest write counts as: many small ones take as long as a few large ones, in the
    /// processor instead of the disk.
    static constexpr std::size_t least_bytes = 4096;

    /// What a write costs the replica, as time that the worker has had: that of a disk which writes
    /// 100 MB/s. Without it, who writes most would have worked least, for all that it does is to
    /// wait.
    static constexpr std::chrono::nanoseconds cost_of(std::size_t bytes) {
        return std::chrono::nanoseconds(10 * bytes);
    }

    /// A ticket that is not valid: there is no room, and the worker gets a turn when there is.
    WriteTicket admit(WriteCost cost, const std::shared_ptr<WorkQueue::Worker>& worker) {
        cost.bytes = std::max(cost.bytes, least_bytes);
        if (state_->has_room(cost.bytes)) {
            worker->charge(cost_of(cost.bytes));
            return {state_, cost};
        }
        state_->is_open = false;
        state_->waiting.insert(worker);
        return {};
    }

    std::size_t under_way() const { return state_->under_way; }
    const GrowingValues& growing() const { return state_->growing; }

private:
    std::shared_ptr<WriteTicket::State> state_;
};

}  // namespace kv

#endif
