// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <raft/protocol/membership.hpp>

#include <cstdint>
#include <iterator>

std::int64_t one();

std::int64_t one() {
    const auto membership = raft::Membership::of_voters({raft::NodeId{1}});
    return std::ssize(membership.members);
}
