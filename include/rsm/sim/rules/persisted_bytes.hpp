// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Persisted bytes: what a storage says of its size is what its entries take.
#ifndef RSM_SIM_RULES_PERSISTED_BYTES_HPP
#define RSM_SIM_RULES_PERSISTED_BYTES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace rsm::inline v0::sim {

namespace detail {

/// What the log of a node takes on its disk, as far as all its entries have been seen.
inline std::optional<std::uint64_t> bytes_on_disk(const raft::Core& core,
                                                  const Chronicle& chronicle) {
    std::uint64_t bytes = raft::codec::persisted_hard_state_size;
    const raft::Log& log = core.log();
    for (raft::Index index = log.base().index + 1; index <= log.last_index(); ++index) {
        const auto known = chronicle.entries.find({index, *log.term_at(index)});
        if (known == chronicle.entries.end() || known->second.bytes == 0) return std::nullopt;
        bytes += known->second.bytes;
    }
    return bytes;
}

}  // namespace detail

/// @param counted  by the storage
inline Broken persisted_bytes(const raft::Core& core, std::uint64_t counted,
                              const Chronicle& chronicle) {
    if (core.term().value == 0) return {};  // nothing was ever written
    const auto bytes = detail::bytes_on_disk(core, chronicle);
    if (!bytes || *bytes == counted) return {};
    return Violation{"persisted bytes",
                     detail::node_text(core.self()) + " counts " + std::to_string(counted) +
                         " in place of " + std::to_string(*bytes),
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
