// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a snapshot's file is called, and what it begins with: a head that says which one it is.
#ifndef RSM_STORAGE_WAL_SNAPSHOT_HEAD_HPP
#define RSM_STORAGE_WAL_SNAPSHOT_HEAD_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/format.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// What snapshots are written to until they are complete.
inline constexpr std::string_view saving_name = "saving.tmp";
inline constexpr std::string_view incoming_name = "incoming.tmp";

/// What tells one kind of file that is about a snapshot from others.
struct HeadKind {
    std::string_view magic;
    std::uint32_t version = 0;
};
inline constexpr HeadKind snapshot_head{"rsm-snp\n", 2};

inline constexpr std::string_view snapshot_suffix = ".snapshot";
/// magic, version, size of the whole header; then the SnapshotMeta, then the checksum
inline constexpr std::size_t snapshot_prefix_bytes = 8 + 4 + 4;
/// Enough for every membership that is storable(); bounds what a damaged size can make a reader
/// allocate.
inline constexpr std::uint32_t snapshot_header_bytes_max = 1U << 20;
static_assert(snapshot_header_bytes_max / 2 > raft::max_members * (raft::max_contact_bytes + 64));

inline std::string snapshot_path(const std::string& directory, raft::LogPosition last) {
    return directory + "/" + padded(last.index.value) + "-" + padded(last.term.value) +
           std::string(snapshot_suffix);
}
inline std::optional<raft::LogPosition> snapshot_position(std::string_view name) {
    if (!name.ends_with(snapshot_suffix)) return std::nullopt;
    name.remove_suffix(snapshot_suffix.size());
    if (name.size() != 41 || name[20] != '-') return std::nullopt;
    const auto index = parse_padded(name.substr(0, 20));
    const auto term = parse_padded(name.substr(21));
    if (!index || !term) return std::nullopt;
    return raft::LogPosition{{*index}, {*term}};
}

inline std::vector<std::byte> encode_head(const HeadKind& kind, const raft::SnapshotMeta& meta) {
    raft::codec::Gather out;
    out.put_text(kind.magic);
    out.put(kind.version);
    out.put(std::uint32_t{0});
    raft::codec::put(out, meta);
    raft::codec::store_little(out.copied().data() + 12, static_cast<std::uint32_t>(out.size() + 8));
    out.put(checksum(out.copied()));
    return {out.copied().begin(), out.copied().end()};
}

/// A head that was read.
struct SnapshotHead {
    raft::SnapshotMeta meta;
    std::uint64_t bytes = 0;  ///< what follows begins behind them
};

/// Errors: corrupted, unsupported_version, with the path; the operating system's own.
template <class Files>
raft::Result<SnapshotHead> read_head(const Files& files, const typename Files::File& file,
                                     const std::string& path, const HeadKind& kind) {
    std::array<std::byte, snapshot_prefix_bytes> prefix{};
    auto count = files.read_at(file, 0, prefix);
    if (!count) return damage_of(count.error(), path, 0);
    const auto version = raft::codec::load_little<std::uint32_t>(prefix.data() + 8);
    const auto length = raft::codec::load_little<std::uint32_t>(prefix.data() + 12);
    if (*count < prefix.size() ||
        std::memcmp(prefix.data(), kind.magic.data(), kind.magic.size()) != 0 ||
        length < prefix.size() + 8 || length > snapshot_header_bytes_max) {
        return damage(path, 0, "the snapshot's header is damaged");
    }
    raft::Buffer header(length);
    count = files.read_at(file, 0, header.writable());
    if (!count) return damage_of(count.error(), path, 0);
    const std::size_t covered = length - 8;
    if (*count < length || checksum(header.writable().first(covered)) !=
                               raft::codec::load_little<std::uint64_t>(header.data() + covered)) {
        return damage(path, 0, "the snapshot's header is damaged");
    }
    if (version != kind.version) return storage_failure(StorageErrc::unsupported_version, path);
    raft::codec::Reader in(header.share(prefix.size(), covered - prefix.size()));
    SnapshotHead head{{}, length};
    raft::codec::get(in, head.meta);
    if (!in.done()) return damage(path, 0, "the snapshot's header is damaged");
    return head;
}

}  // namespace rsm::detail::wal

#endif
