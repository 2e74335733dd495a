// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Numbers of nodes, terms and positions as texts of the simulator show them.
#ifndef RSM_SIM_DETAIL_TEXT_HPP
#define RSM_SIM_DETAIL_TEXT_HPP

#include <raft/base/types.hpp>

#include <string>

namespace rsm::inline v0::sim::detail {

inline std::string text(raft::NodeId node) { return std::to_string(node.value); }
inline std::string text(raft::Term term) { return std::to_string(term.value); }
inline std::string text(raft::Index index) { return std::to_string(index.value); }
inline std::string text(raft::LogPosition position) {
    return text(position.index) + "@" + text(position.term);
}
inline std::string node_text(raft::NodeId node) { return "node " + text(node); }

}  // namespace rsm::sim::detail

#endif
