// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#ifndef RSM_STORAGE_WAL_SEGMENT_HPP
#define RSM_STORAGE_WAL_SEGMENT_HPP

#include <raft/mutant.hpp>
#include <raft/types.hpp>
#include <rsm/storage/file.hpp>
#include <rsm/storage/wal_format.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::detail::wal {

/// An open segment. Whoever is to read from it keeps the file open.
template <class Files>
struct Segment {
    typename Files::File file;
    std::string path;
    SegmentId id;
    /// The file's size, or less than a page below it. What is not written yet is zeros on the disk.
    std::uint64_t capacity = 0;
};

/// Zeros, as the parts of a write.
inline void add_zeros(std::vector<std::span<const std::byte>>& parts, std::uint64_t count) {
    static constexpr std::array<std::byte, std::size_t{64} << 10> zeros{};
    while (count != 0) {
        const std::uint64_t size = std::min<std::uint64_t>(zeros.size(), count);
        parts.push_back(std::span(zeros).first(static_cast<std::size_t>(size)));
        count -= size;
    }
}

/// Makes a new segment: a file of its full size whose every block is written and durable, so that
/// later syncs have no metadata to move. It is filled in small steps, each synced, because one
/// large flush would keep the log's own syncs waiting; it gets its name when it is complete, so a
/// segment that has a name has a valid header.
template <class Files>
class SegmentDraft {
public:
    static constexpr std::uint64_t step_bytes = std::uint64_t{256} << 10;

    /// `spare` is a file of that capacity whose content nobody needs, or empty: its blocks are used
    /// again, which saves the file system the work of allocating some.
    SegmentDraft(Files files, std::string directory, SegmentId id, std::uint64_t capacity,
                 std::string spare = {})
        : files_(std::move(files)),
          directory_(std::move(directory)),
          path_(segment_path(directory_, id.number)),
          spare_(std::move(spare)),
          id_(id),
          capacity_(std::max<std::uint64_t>(capacity, segment_header_bytes)) {}

    /// Does a part of the work. True: done, take() may be called.
    raft::Result<bool> step() {
        if (auto result = filled_ == 0 ? open() : fill(); !result) return result.error();
        if (filled_ < capacity_) return false;
        if (auto result = publish(); !result) return result.error();
        return true;
    }
    std::shared_ptr<Segment<Files>> take() {
        return std::make_shared<Segment<Files>>(
            Segment<Files>{std::move(*file_), path_, id_, capacity_});
    }

private:
    raft::Result<void> open() {
        const std::string path = path_ + std::string(temporary_suffix);
        if (!spare_.empty() && !files_.rename(spare_, path)) spare_.clear();
        if (!spare_.empty() && !RSM_MUTANT(spare_name_not_synced)) {
            // Durably, before anything is overwritten: after a crash it must not be found under a
            // name that it had before.
            if (auto result = files_.sync_directory(directory_); !result) return result;
        }
        auto file = files_.open(path, spare_.empty() ? OpenMode::create : OpenMode::read_write);
        if (!file) return file.error();
        file_.emplace(std::move(*file));
        if (spare_.empty()) {
            if (auto result = files_.preallocate(*file_, capacity_); !result) return result;
        }
        writer_.emplace(files_, *file_);
        return fill();
    }
    raft::Result<void> fill() {
        std::vector<std::span<const std::byte>> parts;
        const auto header = encode_segment_header(id_);
        if (filled_ == 0) parts.push_back(header);
        const std::uint64_t end = std::min(capacity_, filled_ + step_bytes);
        add_zeros(parts, end - filled_ - (filled_ == 0 ? header.size() : 0));
        if (auto result = writer_->write(*file_, filled_, parts); !result) return result;
        filled_ = end;
        return files_.sync(*file_);
    }
    raft::Result<void> publish() {
        writer_.reset();
        auto result = files_.rename(path_ + std::string(temporary_suffix), path_);
        if (result && !RSM_MUTANT(segment_name_not_synced)) {
            result = files_.sync_directory(directory_);
        }
        if (!result) return result;
        // Opened anew, so that failures name the file by the name that it bears.
        auto file = files_.open(path_, OpenMode::read_write);
        if (!file) return file.error();
        file_.emplace(std::move(*file));
        return {};
    }

    Files files_;
    std::string directory_;
    std::string path_;
    std::string spare_;
    SegmentId id_;
    std::uint64_t capacity_;
    std::optional<typename Files::File> file_;
    std::optional<typename Files::Writer> writer_;
    std::uint64_t filled_ = 0;  ///< [0, filled_) is written and durable
};

}  // namespace rsm::detail::wal

#endif
