// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is planned to befall the calls to a simulated disk.
#ifndef RSM_SIM_WORLD_DETAIL_DISK_PLANS_HPP
#define RSM_SIM_WORLD_DETAIL_DISK_PLANS_HPP

#include <rsm/sim/world/disk_fault.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim::detail {

/// A call that begins.
struct BegunCall {
    DiskCall kind = DiskCall::write;
    std::string_view path;
    std::uint64_t offset = 0;  ///< of a write
    std::uint64_t bytes = 0;   ///< of a write
};

/// What befalls it.
struct Mishap {
    DiskFault fault = DiskFault::stop;
    int error = EIO;
};

class DiskPlans {
public:
    /// @param min_bytes  of a write that it may befall
    void add(DiskFault fault, std::uint64_t count, std::uint64_t min_bytes = 0) {
        Plan& plan = plans_.emplace_back();
        plan.fault = fault;
        plan.failure.count = count;
        plan.min_bytes = min_bytes;
    }
    void add_from_write(DiskFault fault, std::uint64_t count, WriteCondition awaited) {
        add(fault, count);
        plans_.back().awaited = std::move(awaited);
    }
    void add(CallFailure failure) {
        Plan& plan = plans_.emplace_back();
        plan.fault = DiskFault::call_error;
        plan.failure = std::move(failure);
    }
    void clear() { plans_.clear(); }
    /// Whether a call is to fail although the machine goes on.
    bool has_failures() const {
        return std::ranges::any_of(plans_,
                                   [](const Plan& plan) { return plan.fault != DiskFault::stop; });
    }

    /// Of several faults that come due the stop is the one that takes place.
    std::optional<Mishap> begin(const BegunCall& call) {
        await(call);
        std::optional<Mishap> result;
        std::uint64_t stop_after = 0;
        std::erase_if(plans_, [&](Plan& plan) {
            if (plan.awaited || !plan.concerns(call) || --plan.failure.count != 0) return false;
            if (!result || plan.fault == DiskFault::stop) {
                result = Mishap{plan.fault, plan.failure.error};
            }
            stop_after = plan.failure.stop_after;
            return true;
        });
        if (stop_after != 0) add(DiskFault::stop, stop_after);
        return result;
    }

private:
    struct Plan {
        DiskFault fault = DiskFault::stop;
        CallFailure failure;  ///< of another fault only the count
        std::uint64_t min_bytes = 0;
        WriteCondition awaited;  ///< not before a write of which that is so

        bool concerns(const BegunCall& call) const {
            if (failure.concerns) return failure.concerns(call.kind, call.path);
            if (fault == DiskFault::stop) return changes_something(call.kind);
            if (fault == DiskFault::sync_error) return is_sync(call.kind);
            return call.kind == DiskCall::write && call.bytes >= min_bytes;
        }
    };

    void await(const BegunCall& call) {
        if (call.kind != DiskCall::write) return;
        for (Plan& plan : plans_) {
            if (plan.awaited && plan.awaited(call.path, call.offset)) plan.awaited = nullptr;
        }
    }

    std::vector<Plan> plans_;
};

}  // namespace rsm::sim::detail

#endif
