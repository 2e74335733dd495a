// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// rsm-sim: the library's own simulator. See --help and docs/simulation.md.
#include "workloads.hpp"

#include <rsm/sim/command_line.hpp>

int main(int argc, char** argv) {
    using namespace sim_workloads;
    return rsm::sim::command_line<KvPuts, KvMixed, Counting, Transfers>(argc, argv);
}
