// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What can go wrong in a storage beside the operating system's own errors, which keep their errno
// codes in std::system_category().
#ifndef RSM_STORAGE_ERRORS_HPP
#define RSM_STORAGE_ERRORS_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace rsm::inline v0 {

/// The storages' own error codes. Except for no_such_snapshot and closed each is final for the
/// node: it must not vote or acknowledge with this storage.
enum class StorageErrc {
    corrupted = 1,        ///< stored bytes are damaged or missing; nothing was changed
    locked,               ///< somebody else has the directory (or the memory disk) open
    unsupported_version,  ///< written by a version of the format that this one does not know
    no_such_snapshot,     ///< the snapshot asked for is not kept (any more)
    invalid_write,        ///< the write does not continue the log; it was not carried out
    too_large,            ///< the write is beyond what a segment may hold; it was not carried out
    invalid_read,         ///< what was to be read is not in the log or not durable yet
    producer_failed,      ///< the snapshot's producer threw; no snapshot was made
    closed,               ///< the storage was closed, or has not been recovered yet
    foreign,              ///< what is stored belongs to another node, cluster or list of members
    unfounded,            ///< nothing is stored, and nobody says which cluster it is to be of
};

namespace detail {

class StorageCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "rsm.storage"; }
    std::string message(int value) const override {
        switch (static_cast<StorageErrc>(value)) {
            case StorageErrc::corrupted: return "stored data is damaged";
            case StorageErrc::locked: return "in use by another storage";
            case StorageErrc::unsupported_version: return "unsupported format version";
            case StorageErrc::no_such_snapshot: return "no such snapshot";
            case StorageErrc::invalid_write: return "the write does not continue the log";
            case StorageErrc::too_large: return "the write is too large";
            case StorageErrc::invalid_read: return "not in the durable log";
            case StorageErrc::producer_failed: return "the snapshot's producer failed";
            case StorageErrc::closed: return "the storage is not open";
            case StorageErrc::foreign: return "the data belong to another node or cluster";
            case StorageErrc::unfounded: return "no cluster to found or to join";
        }
        return "unknown storage error";
    }
};

}  // namespace detail

inline const std::error_category& storage_category() noexcept {
    static const detail::StorageCategory category;
    return category;
}
inline std::error_code make_error_code(StorageErrc code) noexcept {
    return {static_cast<int>(code), storage_category()};
}

namespace detail {

inline raft::Failure storage_failure(StorageErrc code, std::string what) {
    return {make_error_code(code), std::move(what)};
}
/// Names the file and the offset, as every report of damage does.
inline raft::Failure damage(const std::string& path, std::uint64_t offset,
                            const std::string& what) {
    return storage_failure(StorageErrc::corrupted,
                           path + " at offset " + std::to_string(offset) + ": " + what);
}

/// Whether a read says that the disk does not give back what is on it: a bad sector, or content for
/// which a file system's own checksums do not stand.
inline bool is_unreadable(const raft::Failure& failure) {
    if (failure.code.category() != std::system_category()) return false;
    const int error = failure.code.value();
#if defined(__linux__)
    if (error == EUCLEAN) return true;
#endif
    return error == EIO || error == EBADMSG;
}
/// Why a read has failed: damage, where the disk does not give back what is on it.
inline raft::Failure damage_of(const raft::Failure& failure, const std::string& path,
                               std::uint64_t offset) {
    if (!is_unreadable(failure)) return failure;
    return damage(path, offset, "the disk does not give it back");
}

/// What to do where nobody can tell any more what a node has promised; ends a sentence.
inline constexpr const char* begin_anew =
    "; start this node on an empty directory, to be taken in again";

}  // namespace detail
}  // namespace rsm

template <>
struct std::is_error_code_enum<rsm::StorageErrc> : std::true_type {};

#endif
