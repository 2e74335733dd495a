// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Reading entries back from the segments, in few calls.
#ifndef RSM_STORAGE_WAL_READ_HPP
#define RSM_STORAGE_WAL_READ_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/state.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// Which records to read for some consecutive entries, in groups that lie close together: one
/// read call for each group. It keeps the segments' files open.
template <class Files>
class ReadPlan {
public:
    /// @param gap_bytes  rather read over such a gap than make another call
    ReadPlan(raft::Index first, std::uint32_t gap_bytes) : first_(first), gap_bytes_(gap_bytes) {}

    void add(typename EntryIndex<Segment<Files>>::Location location, std::uint32_t size) {
        if (groups_.empty() || groups_.back().segment != location.segment ||
            location.offset - groups_.back().end > gap_bytes_) {
            groups_.push_back({std::move(location.segment), location.offset, 0, {}});
        }
        groups_.back().records.push_back({location.offset, size});
        groups_.back().end = location.offset + size;
    }

    /// Blocks. Errors: corrupted, with file and offset, where a record is damaged.
    raft::Result<std::vector<raft::Entry>> read(const Files& files) const {
        std::vector<raft::Entry> entries;
        raft::Index index = first_;
        for (const Group& group : groups_) {
            raft::Buffer buffer(group.end - group.begin);
            const auto count = files.read_at(group.segment->file, group.begin, buffer.writable());
            if (!count) return count.error();
            for (const Record& record : group.records) {
                auto entry = decode(buffer, *count, group, record);
                if (!entry || entry->index != index) {
                    return damage(group.segment->path, record.offset,
                                  "not the entry that was written here");
                }
                entries.push_back(std::move(*entry));
                ++index;
            }
        }
        return entries;
    }

private:
    struct Record {
        std::uint32_t offset;
        std::uint32_t size;
    };
    struct Group {
        std::shared_ptr<const Segment<Files>> segment;
        std::uint32_t begin;
        std::uint32_t end;
        std::vector<Record> records;
    };

    static std::optional<raft::Entry> decode(const raft::Buffer& buffer, std::size_t count,
                                             const Group& group, const Record& record) {
        const std::size_t at = record.offset - group.begin;
        if (at + record.size > count) return std::nullopt;
        const raft::Bytes bytes = buffer.share(at, record.size);
        const auto view = read_record(bytes.view(), group.segment->id, record.offset);
        if (!view || view->type != RecordType::entry || view->size() != record.size) {
            return std::nullopt;
        }
        return raft::codec::decode<raft::Entry>(
            bytes.slice(record_header_bytes, view->body.size()));
    }

    raft::Index first_;
    std::uint32_t gap_bytes_;
    std::vector<Group> groups_;
};

}  // namespace rsm::detail::wal

#endif
