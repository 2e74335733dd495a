// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// All parts of a Core.
#ifndef RSM_RAFT_PARTS_ALL_HPP
#define RSM_RAFT_PARTS_ALL_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/configuration.hpp>
#include <raft/parts/detached.hpp>
#include <raft/parts/disk_health.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/journal.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/room.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/parts/version_report.hpp>

#endif
