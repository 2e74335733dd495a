// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The file that says whose directory this is. It is there before the node can have promised
// anything, so that a start under another name is refused instead of forgetting what was promised.
#ifndef RSM_STORAGE_WAL_IDENTITY_HPP
#define RSM_STORAGE_WAL_IDENTITY_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/detail/hexadecimal.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::detail::wal {

inline constexpr std::string_view identity_name = "identity";
inline constexpr std::string_view identity_magic = "rsm-idt\n";
/// Of a cluster that began empty. One that did not is of the next version, in which the origin
/// follows, so that nobody takes it for another cluster who does not know origins.
inline constexpr std::uint32_t identity_version = 2;
inline constexpr std::uint32_t identity_version_with_origin = 3;
inline constexpr std::size_t origin_bytes = 8;
/// Bounds what a damaged file can make a reader allocate.
inline constexpr std::uint64_t identity_bytes_max = std::uint64_t{1} << 20;
static_assert(identity_bytes_max / 2 > raft::max_members * (raft::max_contact_bytes + 64));
/// magic, version, 0; then the log id and the identity, then the checksum
inline constexpr std::size_t identity_prefix_bytes = 8 + 4 + 4;

/// What the file holds.
struct StoredIdentity {
    raft::Identity identity;
    std::uint64_t log_id = 0;  ///< the directory's log
};

inline std::string identity_path(const std::string& directory) {
    return directory + "/" + std::string(identity_name);
}

inline std::string describe(const raft::Identity& identity) {
    std::string text =
        "node " + std::to_string(identity.node.value) + " of cluster \"" + identity.cluster + "\"";
    std::string_view before = ", founded with the members ";
    for (const raft::Member& member : identity.founding.members) {
        text += std::string(before) + std::to_string(member.id.value);
        before = ", ";
    }
    if (identity.origin != 0) text += ", from backup " + hexadecimal(identity.origin);
    return text;
}

/// Whether a start that says `claimed` is one of the node whose identity was stored. Where a member
/// is may have changed since, and which instance of the node it is, only the storage knows.
inline bool is_of(const raft::Identity& stored, const raft::Identity& claimed) {
    const auto& founders = stored.founding.members;
    return claimed.node == stored.node && claimed.cluster == stored.cluster &&
           (claimed.origin == 0 || claimed.origin == stored.origin) &&
           (claimed.founding.empty() || std::ranges::equal(claimed.founding.members, founders, {},
                                                           &raft::Member::id, &raft::Member::id));
}

inline std::vector<std::byte> encode_identity(const StoredIdentity& stored) {
    const bool has_origin = stored.identity.origin != 0;
    raft::codec::Gather out;
    out.put_text(identity_magic);
    out.put(has_origin ? identity_version_with_origin : identity_version);
    out.put(std::uint32_t{0});
    out.put(stored.log_id);
    raft::codec::Gather fields;
    raft::codec::put(fields, stored.identity);
    const std::span<const std::byte> all = fields.copied();
    out.put_raw(has_origin ? all : all.first(all.size() - origin_bytes));  // it is the last
    out.put(checksum(out.copied()));
    return {out.copied().begin(), out.copied().end()};
}

/// Whether the file may hold it: what is not so would be taken for damage when it is read.
inline bool is_sound(const raft::Identity& identity) {
    return identity.node && identity.founding.valid() &&
           identity.cluster.size() <= identity_bytes_max / 2;
}

/// Nothing where the bytes, whose checksum was right, are of no identity.
inline std::optional<StoredIdentity> decode_identity(std::span<const std::byte> bytes,
                                                     bool has_origin) {
    const auto content =
        bytes.subspan(identity_prefix_bytes, bytes.size() - identity_prefix_bytes - 8);
    std::vector<std::byte> fields(content.begin(), content.end());
    if (!has_origin) fields.resize(fields.size() + origin_bytes);
    raft::codec::Reader in(raft::Bytes::copy_of(fields));
    StoredIdentity stored;
    stored.log_id = in.get<std::uint64_t>();
    raft::codec::get(in, stored.identity);
    const bool fits = has_origin == (stored.identity.origin != 0);
    if (!in.done() || !fits || !is_sound(stored.identity)) return std::nullopt;
    return stored;
}

/// @pre there is such a file. Errors: corrupted, unsupported_version, the system's own.
template <class Files>
raft::Result<StoredIdentity> load_identity(const Files& files, const std::string& directory) {
    const std::string path = identity_path(directory);
    const auto file = files.open(path, OpenMode::read);
    if (!file) return file.error();
    const auto size = files.size(*file);
    if (!size) return size.error();
    constexpr std::size_t least = identity_prefix_bytes + 8 + 8;
    if (*size < least || *size > identity_bytes_max) {
        return damage(
            path, 0,
            "it has " + std::to_string(*size) + " bytes, which is no identity" + begin_anew);
    }
    raft::Buffer buffer(static_cast<std::size_t>(*size));
    const auto count = files.read_at(*file, 0, buffer.writable());
    if (!count) return count.error();
    const auto covered = buffer.writable().first(buffer.writable().size() - 8);
    if (*count != *size || std::memcmp(buffer.data(), identity_magic.data(), 8) != 0 ||
        checksum(covered) != raft::codec::load_little<std::uint64_t>(buffer.data() + *size - 8)) {
        return damage(path, 0, std::string("the identity is damaged") + begin_anew);
    }
    const auto version = raft::codec::load_little<std::uint32_t>(buffer.data() + 8);
    const bool has_origin = version == identity_version_with_origin;
    if (version != identity_version && !has_origin) {
        return storage_failure(StorageErrc::unsupported_version,
                               path + " has version " + std::to_string(version));
    }
    auto stored = decode_identity(buffer.writable(), has_origin);
    if (!stored) return damage(path, 0, std::string("the identity is damaged") + begin_anew);
    return *std::move(stored);
}

/// Makes it durable, in one step.
template <class Files>
raft::Result<void> save_identity(const Files& files, const HeldDirectory<Files>& directory,
                                 const StoredIdentity& stored) {
    const std::string path = identity_path(directory.path);
    const std::string aside = path + ".tmp";
    const auto file = files.open(aside, OpenMode::create);
    if (!file) return file.error();
    const std::vector<std::byte> bytes = encode_identity(stored);
    const std::span<const std::byte> part = bytes;
    auto result = files.write_at(*file, 0, std::span(&part, 1));
    if (result) result = files.sync(*file);
    if (result) result = files.rename(aside, path);
    if (result) result = files.sync_directory(directory.handle);
    return result;
}

}  // namespace rsm::detail::wal

#endif
