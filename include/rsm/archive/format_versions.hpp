// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// In which version an archive writes where programs of several versions read.
#ifndef RSM_ARCHIVE_FORMAT_VERSIONS_HPP
#define RSM_ARCHIVE_FORMAT_VERSIONS_HPP

#include <algorithm>
#include <cstdint>
#include <limits>

namespace rsm::inline v0 {

/// The versions of a state machine's operations, results and snapshots (StateMachine,
/// `format_version`). A class whose BOOST_CLASS_VERSION is among them is of the version of the
/// machine in which it was changed last; one with a higher number takes no part, and is always
/// written in that.
struct FormatVersions {
    /// In which one is written, or was.
    std::uint32_t written = std::numeric_limits<std::uint32_t>::max();
    /// The highest one that is known here.
    std::uint32_t known = 0;

    /// In which version a class is written that has been changed last in that one.
    constexpr std::uint32_t of_class(std::uint32_t changed_last) const {
        return changed_last > known ? changed_last : std::min(changed_last, written);
    }
    /// Up to which one it is read: what has not changed since is the same in a later one.
    constexpr std::uint32_t readable_of_class(std::uint32_t changed_last) const {
        return std::max(changed_last, known);
    }
    friend bool operator==(const FormatVersions&, const FormatVersions&) = default;
};

}  // namespace rsm

#endif
