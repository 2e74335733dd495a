// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Foreign disks: a start on the disk of another node, or on a copy of that, is refused with a
// sentence that names both, and changes nothing on it.
#ifndef RSM_SIM_RULES_FOREIGN_DISKS_HPP
#define RSM_SIM_RULES_FOREIGN_DISKS_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace rsm::inline v0::sim {

inline bool mentions_node(std::string_view text, raft::NodeId node) {
    const std::string name = detail::node_text(node);
    const auto is_digit = [](char one) { return one >= '0' && one <= '9'; };
    for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        if (end == text.size() || !is_digit(text[end])) return true;
    }
    return false;
}

/// @param refusal  why the start was refused; nothing: it was not
/// @param written  something was changed on the disk, or was to be
inline Broken refuses_foreign_disk(raft::NodeId id, raft::NodeId owner,
                                   const std::optional<std::string>& refusal, bool written) {
    const auto broken = [&](const std::string& what) {
        return Violation{"foreign disks",
                         detail::node_text(id) + " " + what + " of " + detail::node_text(owner),
                         {id, owner}};
    };
    if (!refusal) return broken("starts on the disk");
    if (written) return broken("writes on the disk");
    if (mentions_node(*refusal, id) && mentions_node(*refusal, owner)) return {};
    return broken("says \"" + *refusal + "\", which does not tell that the disk is that");
}

}  // namespace rsm::sim

#endif
