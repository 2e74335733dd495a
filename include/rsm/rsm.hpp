// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Everything that a user of a replicated state machine needs.
#ifndef RSM_RSM_HPP
#define RSM_RSM_HPP

#if __cplusplus < 202002L
#error "rsm needs C++20: compile with -std=c++20 or later"
#else

#include <raft/raft.hpp>
#include <rsm/archive.hpp>
#include <rsm/clock.hpp>
#include <rsm/error.hpp>
#include <rsm/options.hpp>
#include <rsm/plan.hpp>
#include <rsm/replicated.hpp>
#include <rsm/state_machine.hpp>
#include <rsm/status.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/storage/wal.hpp>
#include <rsm/to_string.hpp>
#include <rsm/transport/memory.hpp>
#include <rsm/transport/tcp.hpp>

#endif  // C++20

#endif
