// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What of the simulator is compiled once in a program: include it in exactly one of its files, or
// link the CMake target rsm::sim, which does that. The command line comes along where CLI11's
// header is found.
#ifndef RSM_SIM_IMPLEMENTATION_HPP
#define RSM_SIM_IMPLEMENTATION_HPP

#include <rsm/sim/detail/any_load.hpp>
#include <rsm/sim/detail/any_workload.hpp>
#include <rsm/sim/run/run.hpp>
#include <rsm/sim/run/swarm.hpp>
#include <rsm/sim/simulate.hpp>

#if __has_include(<CLI/CLI.hpp>)
#include <rsm/sim/command_line.hpp>
#include <rsm/sim/detail/command_line.hpp>
#endif

#include <cstdint>
#include <utility>

namespace rsm::inline v0::sim::detail {

RunReport simulate(AnyWorkload& load, std::uint64_t seed, const RunPlan& plan, Tracing tracing) {
    const auto run = [&](auto typed) {
        return Run<decltype(typed)>(std::move(typed), seed, plan, tracing).go();
    };
    if (plan.cluster.states_on_disk) return run(AnyLoad<Keeping::on_disk>(load));
    if (load.freezes()) return run(AnyLoad<Keeping::freezing>(load));
    return run(AnyLoad<Keeping::in_memory>(load));
}

RunReport simulate(AnyWorkload& load, std::uint64_t seed, Tracing tracing,
                   const Reduction& reduction) {
    RunPlan plan = draw_plan(seed);
    reduce(plan, reduction);
    return simulate(load, seed, plan, tracing);
}

#if __has_include(<CLI/CLI.hpp>)
int command_line(int argc, char** argv, SimulateSeed simulate) {
    return CommandLine(simulate).run(argc, argv);
}
#endif

}  // namespace rsm::sim::detail

#endif
