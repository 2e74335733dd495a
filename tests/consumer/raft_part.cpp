// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What rsm::raft gives: the headers of raft/, and nothing else.
#include <raft/protocol/membership.hpp>

int main() {
    const auto membership = raft::Membership::of_voters({raft::NodeId{1}});
    return membership == raft::Membership{} ? 1 : 0;
}
