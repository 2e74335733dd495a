// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The single header and nothing else.
#include "raft.hpp"

raft::Membership members_beside();

int main() {
    const auto members = raft::Membership::of_voters({raft::NodeId{1}});
    static_assert(sizeof(raft::Core) > sizeof(raft::Membership));
    return members == members_beside() ? 0 : 1;
}
