// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <raft/raft.hpp>

int main() {
    const auto membership = raft::Membership::of_voters({raft::NodeId{1}});
    return membership == raft::Membership{} ? 1 : 0;
}
