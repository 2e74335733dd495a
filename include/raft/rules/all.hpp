// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// All rules, for the one who puts them together.
#ifndef RSM_RAFT_RULES_ALL_HPP
#define RSM_RAFT_RULES_ALL_HPP

#include <raft/rules/acceptance.hpp>
#include <raft/rules/admission.hpp>
#include <raft/rules/application.hpp>
#include <raft/rules/commit.hpp>
#include <raft/rules/compaction.hpp>
#include <raft/rules/comparison.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/durability.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/handover.hpp>
#include <raft/rules/health.hpp>
#include <raft/rules/leading.hpp>
#include <raft/rules/loading.hpp>
#include <raft/rules/log_repair.hpp>
#include <raft/rules/member_change.hpp>
#include <raft/rules/membership.hpp>
#include <raft/rules/proposals.hpp>
#include <raft/rules/reads.hpp>
#include <raft/rules/replication.hpp>
#include <raft/rules/snapshot_lending.hpp>
#include <raft/rules/snapshot_receiving.hpp>
#include <raft/rules/snapshot_sending.hpp>
#include <raft/rules/snapshot_source.hpp>
#include <raft/rules/version_agreement.hpp>

#endif
