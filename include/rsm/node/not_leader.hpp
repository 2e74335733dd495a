// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The error that names who leads instead.
#ifndef RSM_NODE_NOT_LEADER_HPP
#define RSM_NODE_NOT_LEADER_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/error.hpp>
#include <rsm/node/policies.hpp>

#include <boost/system/error_code.hpp>

#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// Makes it once for each leader: where many ask, all get the same one.
class NotLeader {
public:
    template <class Transport>
    boost::system::error_code code(const raft::Core& core, Transport& transport) {
        const raft::NodeId leader = core.leader();
        if (!leader || leader == core.self()) return Errc::not_leader;
        Leader known{leader, advertisement_of(transport, leader)};
        if (known != leader_) {
            code_ = detailed_code(Errc::not_leader, {leader.value, known.address});
            leader_ = std::move(known);
        }
        return code_;
    }

private:
    Leader leader_;  // that code_ names
    boost::system::error_code code_;
};

}  // namespace rsm::detail

#endif
