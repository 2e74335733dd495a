// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// simulate(): one run of a user's state machine, from one seed: production code under faults and
// clients, then, when the faults have ended, a cluster that must come back to life.
//
// What runs does not depend on the state machine and is compiled once in a program: link the CMake
// target rsm::sim, or include <rsm/sim/implementation.hpp> in exactly one of the program's files.
#ifndef RSM_SIM_SIMULATE_HPP
#define RSM_SIM_SIMULATE_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/detail/any_workload.hpp>
#include <rsm/sim/run/reduction.hpp>
#include <rsm/sim/run/report.hpp>
#include <rsm/sim/workload.hpp>

#include <cstdint>

namespace rsm::inline v0::sim {

struct RunPlan;  // swarm.hpp

namespace detail {

// In implementation.hpp.
RunReport simulate(AnyWorkload& load, std::uint64_t seed, const RunPlan& plan, Tracing tracing);
RunReport simulate(AnyWorkload& load, std::uint64_t seed, Tracing tracing,
                   const Reduction& reduction);

}  // namespace detail

/// One run. Deterministic: the same seed and plan give the same report, on every compiler.
/// Thread safety: runs share nothing, so several threads may simulate at the same time.
template <Workload Load>
RunReport simulate(std::uint64_t seed, const RunPlan& plan, Tracing tracing = Tracing::off) {
    detail::WorkloadModel<Load> load;
    return detail::simulate(load, seed, plan, tracing);
}
/// With everything drawn from the seed, but for what is left out of it.
template <Workload Load>
RunReport simulate(std::uint64_t seed, Tracing tracing = Tracing::off,
                   const Reduction& reduction = {}) {
    detail::WorkloadModel<Load> load;
    return detail::simulate(load, seed, tracing, reduction);
}

/// The same, with a workload that the seed draws too.
template <Workload... Loads>
RunReport simulate_any(std::uint64_t seed, Tracing tracing = Tracing::off,
                       const Reduction& reduction = {}) {
    using Simulate = RunReport (*)(std::uint64_t, Tracing, const Reduction&);
    static constexpr Simulate each[] = {&simulate<Loads>...};
    return each[raft::Random(seed).below(sizeof...(Loads))](seed, tracing, reduction);
}

}  // namespace rsm::sim

#endif
