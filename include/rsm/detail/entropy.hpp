// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Numbers that nobody else draws, from the operating system.
#ifndef RSM_DETAIL_ENTROPY_HPP
#define RSM_DETAIL_ENTROPY_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <system_error>

namespace rsm::inline v0::detail {

/// A number that nobody else draws, for seeds and names. Throws std::system_error where the system
/// has none. Not std::random_device, because <random> takes long to compile.
inline std::uint64_t random_number() {
    std::uint64_t number = 0;
    if (::getentropy(&number, sizeof number) != 0) {
        throw std::system_error(errno, std::system_category(), "getentropy");
    }
    return number;
}

/// For a storage that is new. With a seed it is the seed's, so that a run can be repeated.
inline raft::Instance draw_instance(std::optional<std::uint64_t> seed) {
    const std::uint64_t number = seed ? raft::Random(*seed).next() : random_number();
    return {std::max(number, std::uint64_t{1})};
}

}  // namespace rsm::detail

#endif
