// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The single header in another file of the same program, before and after what it was made of.
#include <raft/protocol/membership.hpp>

#include "raft.hpp"

#include <raft/core.hpp>
#include <raft/raft.hpp>

raft::Membership members_beside();

raft::Membership members_beside() { return raft::Membership::of_voters({raft::NodeId{1}}); }
