// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node asks of policies that need not know it.
#ifndef RSM_NODE_POLICIES_HPP
#define RSM_NODE_POLICIES_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <vector>

namespace rsm::inline v0::detail {

/// What a node advertises, as far as the transport knows.
template <class Transport>
std::string advertisement_of(Transport& transport, raft::NodeId node) {
    if constexpr (requires {
                      { transport.peer_advertisement(node) } -> std::convertible_to<std::string>;
                  }) {
        return transport.peer_advertisement(node);
    } else {
        return {};
    }
}

/// Why the storage has only its last reserve left, if so.
template <class Storage>
const std::optional<raft::Failure>& refusal_of(const Storage& storage) {
    if constexpr (raft::LimitedStorage<Storage>) {
        return storage.refuses();
    } else {
        static const std::optional<raft::Failure> none;
        return none;
    }
}

/// What recover() has done to what it found.
template <class Storage>
std::vector<std::string> report_of(const Storage& storage) {
    if constexpr (raft::ReportingStorage<Storage>) {
        return storage.recovery_report();
    } else {
        return {};
    }
}

}  // namespace rsm::detail

#endif
