// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What can be wrong with encoded bytes.
#ifndef RSM_ARCHIVE_ERRORS_HPP
#define RSM_ARCHIVE_ERRORS_HPP

#include <cstdint>
#include <stdexcept>
#include <string>

namespace rsm::inline v0 {

/// Why bytes could not be decoded. Encoding fails only with `too_deep`, or with `bad_value` for a
/// variant that is valueless.
enum class ArchiveErrc : std::uint8_t {
    /// The bytes end before the value does.
    truncated = 1,
    /// A count says more elements than the bytes that are left can hold.
    count_too_large,
    /// An integer does not fit the type that is read, on this machine.
    out_of_range,
    /// No encoder writes this: a bool of 2, a varint longer than needed, a key twice in a map, the
    /// keys of an ordered map out of order.
    bad_value,
    /// An object was written by a later version of its class than this program knows.
    newer_version,
    /// More than `archive_depth_max` objects are nested in one another.
    too_deep,
    /// The value ended before the bytes did.
    trailing_bytes,
};

/// How deep objects may be nested in one another. Only a class that holds containers of itself can
/// reach this; the bound keeps hostile bytes from exhausting the stack.
inline constexpr std::uint32_t archive_depth_max = 256;

/// The fixed text for an error, without a full stop.
constexpr const char* describe(ArchiveErrc code) noexcept {
    switch (code) {
        case ArchiveErrc::truncated: return "the bytes end before the value does";
        case ArchiveErrc::count_too_large:
            return "a count exceeds what the remaining bytes can hold";
        case ArchiveErrc::out_of_range: return "an integer does not fit its type";
        case ArchiveErrc::bad_value: return "the bytes are not the encoding of any value";
        case ArchiveErrc::newer_version:
            return "an object has a class version newer than this program knows";
        case ArchiveErrc::too_deep: return "objects are nested too deep";
        case ArchiveErrc::trailing_bytes: return "bytes are left after the value";
    }
    return "unknown archive error";
}

/// Thrown by the archives. An object whose load threw is valid but holds an unspecified value, and
/// the archive that threw must not be used further.
class ArchiveError : public std::runtime_error {
public:
    ArchiveError(ArchiveErrc code, std::uint64_t offset)
        : std::runtime_error("archive: " + std::string(describe(code)) + ", at byte " +
                             std::to_string(offset)),
          code_(code),
          offset_(offset) {}

    ArchiveErrc code() const noexcept { return code_; }
    /// How many bytes of the archive had been taken (or written) when the error was found.
    std::uint64_t offset() const noexcept { return offset_; }

private:
    ArchiveErrc code_;
    std::uint64_t offset_;
};

}  // namespace rsm

#endif
