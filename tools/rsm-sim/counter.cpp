// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "workloads.hpp"

RSM_SIM_WORKLOAD(sim_workloads::Counting);
