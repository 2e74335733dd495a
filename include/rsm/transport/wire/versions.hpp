// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which versions of the protocol a node speaks, and which one two nodes speak with each other.
#ifndef RSM_TRANSPORT_WIRE_VERSIONS_HPP
#define RSM_TRANSPORT_WIRE_VERSIONS_HPP

#include <raft/protocol/codec.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace rsm::inline v0 {

/// From the lowest to the highest; every one in between, too. A version is that of the messages and
/// of what frames them (docs/wire.md); the greetings, which find out the versions, are the same in
/// all.
struct WireVersions {
    std::uint8_t lowest = raft::codec::oldest_format_version;
    std::uint8_t highest = raft::codec::format_version;
    friend bool operator==(const WireVersions&, const WireVersions&) = default;
};

/// All that this library speaks.
inline constexpr WireVersions all_wire_versions{};

namespace detail {

/// The highest that both speak; nothing if there is none.
inline std::optional<std::uint8_t> common_version(WireVersions one, WireVersions other) {
    const std::uint8_t highest = std::min(one.highest, other.highest);
    if (highest < std::max(one.lowest, other.lowest)) return std::nullopt;
    return highest;
}
/// "2 to 3", or "3".
inline std::string text(WireVersions versions) {
    const std::string lowest = std::to_string(versions.lowest);
    if (versions.lowest == versions.highest) return lowest;
    return lowest + " to " + std::to_string(versions.highest);
}

}  // namespace detail
}  // namespace rsm

#endif
