// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is said where a cluster is ahead of a program.
#ifndef RSM_NODE_NEWER_VERSION_HPP
#define RSM_NODE_NEWER_VERSION_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>

namespace rsm::inline v0::detail {

/// The cluster writes what this program cannot read.
struct NewerVersion : std::runtime_error {
    NewerVersion(raft::Index index, std::uint32_t written, std::uint32_t known)
        : std::runtime_error("from index " + std::to_string(index.value) +
                             " on the cluster writes operations and snapshots in version " +
                             std::to_string(written) +
                             ", and the state machine of this program knows " +
                             std::to_string(known) + " at most: start a newer program") {}
};

inline raft::Failure failure_of(const NewerVersion& newer) {
    return {std::make_error_code(std::errc::not_supported), newer.what()};
}

}  // namespace rsm::detail

#endif
