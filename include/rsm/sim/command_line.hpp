// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The command line of a simulator for a user's own state machine. The whole program is
//
//     #include <rsm/sim/command_line.hpp>
//     int main(int argc, char** argv) { return rsm::sim::command_line<MyWorkload>(argc, argv); }
//
// and the CMake target rsm::sim, or <rsm/sim/implementation.hpp> in exactly one of its files. That
// needs CLI11's header. Several workloads may be given; a seed draws one of them.
#ifndef RSM_SIM_COMMAND_LINE_HPP
#define RSM_SIM_COMMAND_LINE_HPP

#include <rsm/sim/run/reduction.hpp>
#include <rsm/sim/run/report.hpp>
#include <rsm/sim/simulate.hpp>
#include <rsm/sim/workload.hpp>

#include <cstdint>

namespace rsm::inline v0::sim {

namespace detail {

/// One run, with everything drawn from the seed, but for what is left out of it.
using SimulateSeed = RunReport (*)(std::uint64_t seed, Tracing tracing, const Reduction& reduction);
// In implementation.hpp.
int command_line(int argc, char** argv, SimulateSeed simulate);

}  // namespace detail

/// Exit code: 0 no rule was broken, 1 one was, or a seed was not the same run twice, 2 or more: the
/// command line was wrong.
template <Workload... Loads>
int command_line(int argc, char** argv) {
    return detail::command_line(argc, argv, &simulate_any<Loads...>);
}

}  // namespace rsm::sim

#endif
