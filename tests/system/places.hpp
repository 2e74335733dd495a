// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The places of a node's directory at which a byte can be damaged (docs/format.md).
#ifndef RSM_TESTS_SYSTEM_PLACES_HPP
#define RSM_TESTS_SYSTEM_PLACES_HPP

#include "support/temporary_directory.hpp"

#include <raft/base/random.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/storage/wal/batches.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/identity.hpp>
#include <rsm/storage/wal/snapshot_head.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace system_test {

namespace wal = rsm::detail::wal;

/// Some bytes of a file.
struct Stretch {
    std::filesystem::path file;
    std::uint64_t begin = 0;
    std::uint64_t size = 0;
};

/// A segment of the log with something in it.
struct SegmentFile {
    struct Batch {
        std::uint64_t offset = 0;
        wal::BatchHead head;
    };
    std::filesystem::path path;
    wal::SegmentId id;
    std::string bytes;
    std::vector<Batch> batches;  ///< from the first one on, as far as they are whole

    Stretch part(std::uint64_t begin, std::uint64_t size) const { return {path, begin, size}; }
    Stretch part(const Batch& batch) const { return part(batch.offset, batch.head.size()); }
    /// Where the newest record of this type has its body.
    std::optional<Stretch> newest(wal::RecordType type) const {
        std::optional<Stretch> found;
        for (const Batch& batch : batches) {
            const std::uint64_t end = batch.offset + batch.head.records_end();
            for (std::uint64_t at = batch.offset + wal::opening_bytes; at < end;) {
                const auto record = wal::read_record(view().subspan(at, end - at), id, at);
                if (!record) break;
                if (record->type == type) {
                    found = part(at + wal::record_header_bytes, record->body.size());
                }
                at += record->size();
            }
        }
        return found;
    }
    std::span<const std::byte> view() const { return std::as_bytes(std::span(bytes)); }
};

inline std::optional<SegmentFile> read_segment(const std::filesystem::path& path) {
    SegmentFile segment{path, {}, rsm_test::read_file(path), {}};
    const auto header = wal::decode_segment_header(segment.view(), path);
    if (!header) return std::nullopt;
    segment.id = header->id;
    const auto writable = std::as_writable_bytes(std::span(segment.bytes));
    const wal::Batches batches(writable, segment.id, path);
    for (std::uint64_t at = wal::segment_header_bytes; at < writable.size();) {
        const auto head = batches.head(at);
        if (!head || !batches.check(at, head->number).valid) break;
        segment.batches.push_back({at, *head});
        at += head->size();
    }
    if (segment.batches.empty()) return std::nullopt;
    return segment;
}

/// What lies in a node's directory.
struct DiskContent {
    std::filesystem::path directory;
    std::vector<SegmentFile> log;  ///< in order; the last one is being written
    std::optional<std::filesystem::path> snapshot;

    explicit DiskContent(std::filesystem::path path) : directory(std::move(path)) {
        std::vector<std::filesystem::path> names;
        for (const auto& item : std::filesystem::directory_iterator(directory)) {
            names.push_back(item.path());
        }
        std::ranges::sort(names);
        for (const auto& name : names) {
            if (wal::snapshot_position(name.filename().string())) snapshot = name;
            if (!wal::segment_number(name.filename().string())) continue;
            if (auto segment = read_segment(name)) log.push_back(std::move(*segment));
        }
    }
    bool has_old_segment() const { return log.size() > 1; }
};

using Found = std::optional<Stretch>;

struct Place {
    const char* name;
    /// Nothing: there is no such place at present.
    Found (*find)(const DiskContent&, raft::Random&);
};

namespace places {

inline Found first_header(const DiskContent& disk, raft::Random&) {
    if (disk.log.empty()) return {};
    return disk.log.front().part(0, wal::segment_header_bytes);
}
inline Found first_batch(const DiskContent& disk, raft::Random&) {
    if (disk.log.empty()) return {};
    return disk.log.front().part(disk.log.front().batches.front());
}
inline Found middle(const DiskContent& disk, raft::Random& random) {
    if (!disk.has_old_segment()) return {};
    const SegmentFile& segment = disk.log[random.below(disk.log.size() - 1)];
    return segment.part(segment.batches[segment.batches.size() / 2]);
}
inline Found sealed_end(const DiskContent& disk, raft::Random& random) {
    if (!disk.has_old_segment()) return {};
    const SegmentFile& segment = disk.log[random.below(disk.log.size() - 1)];
    return segment.part(segment.batches.back());
}
/// Where in the last batch.
inline Found in_last_batch(const DiskContent& disk, std::uint64_t begin, std::uint64_t end) {
    return disk.log.back().part(disk.log.back().batches.back().offset + begin, end - begin);
}
inline Found last_head(const DiskContent& disk, raft::Random&) {
    if (disk.log.empty()) return {};
    return in_last_batch(disk, 0, wal::batch_record_bytes);
}
inline Found last_summary(const DiskContent& disk, raft::Random&) {
    if (disk.log.empty()) return {};
    return in_last_batch(disk, wal::batch_record_bytes, wal::opening_bytes);
}
inline Found last_records(const DiskContent& disk, raft::Random&) {
    if (disk.log.empty()) return {};
    const wal::BatchHead& head = disk.log.back().batches.back().head;
    return in_last_batch(disk, wal::opening_bytes, head.records_end());
}
inline Found last_seal(const DiskContent& disk, raft::Random&) {
    if (disk.log.empty()) return {};
    const wal::BatchHead& head = disk.log.back().batches.back().head;
    return in_last_batch(disk, head.seal(), head.size());
}
inline Found newest_record(const DiskContent& disk, wal::RecordType type) {
    for (auto segment = disk.log.rbegin(); segment != disk.log.rend(); ++segment) {
        if (const Found found = segment->newest(type)) return found;
    }
    return {};
}
inline Found hard_state(const DiskContent& disk, raft::Random&) {
    return newest_record(disk, wal::RecordType::hard_state);
}
inline Found checkpoint(const DiskContent& disk, raft::Random&) {
    return newest_record(disk, wal::RecordType::checkpoint);
}

/// The size of the newest snapshot's header, which stands at its beginning.
inline std::uint64_t header_bytes(const DiskContent& disk) {
    const std::string bytes = rsm_test::read_file(*disk.snapshot);
    return raft::codec::load_little<std::uint32_t>(std::as_bytes(std::span(bytes)).data() + 12);
}
inline Found snapshot_head(const DiskContent& disk, raft::Random&) {
    if (!disk.snapshot) return {};
    return Stretch{*disk.snapshot, 0, wal::snapshot_prefix_bytes};
}
inline Found snapshot_metadata(const DiskContent& disk, raft::Random&) {
    if (!disk.snapshot) return {};
    return Stretch{*disk.snapshot, wal::snapshot_prefix_bytes,
                   header_bytes(disk) - wal::snapshot_prefix_bytes};
}
inline Found snapshot_middle(const DiskContent& disk, raft::Random&) {
    if (!disk.snapshot) return {};
    const std::uint64_t header = header_bytes(disk);
    return Stretch{*disk.snapshot, header, std::filesystem::file_size(*disk.snapshot) - header};
}
inline Found snapshot_tail(const DiskContent& disk, raft::Random&) {
    if (!disk.snapshot) return {};
    return Stretch{*disk.snapshot, std::filesystem::file_size(*disk.snapshot) - 1, 1};
}
inline Found identity(const DiskContent& disk, raft::Random&) {
    const std::string path = wal::identity_path(disk.directory.string());
    if (!std::filesystem::exists(path)) return {};
    return Stretch{path, 0, std::filesystem::file_size(path)};
}

inline constexpr std::array all{
    Place{"first segment: its header", first_header},
    Place{"first segment: its first batch", first_batch},
    Place{"an old segment: its middle", middle},
    Place{"an old segment: its end", sealed_end},
    Place{"last batch: batch record", last_head},
    Place{"last batch: summary", last_summary},
    Place{"last batch: records", last_records},
    Place{"last batch: seal", last_seal},
    Place{"newest hard state (term, vote)", hard_state},
    Place{"newest checkpoint", checkpoint},
    Place{"snapshot: magic, version, size", snapshot_head},
    Place{"snapshot: metadata", snapshot_metadata},
    Place{"snapshot: content", snapshot_middle},
    Place{"snapshot: last byte", snapshot_tail},
    Place{"identity", identity},
};

}  // namespace places

/// One byte becomes another one. @return its offset
inline std::uint64_t damage_one_byte(const Stretch& stretch, raft::Random& random) {
    std::string bytes = rsm_test::read_file(stretch.file);
    const std::uint64_t at = stretch.begin + random.below(stretch.size);
    const auto other = static_cast<unsigned char>(1 + random.below(255));
    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ other);
    rsm_test::write_file(stretch.file, bytes);
    return at;
}

}  // namespace system_test

#endif
