// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One file of the log: how it is made, and held open while somebody reads from it.
#ifndef RSM_STORAGE_WAL_SEGMENT_HPP
#define RSM_STORAGE_WAL_SEGMENT_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/wal/format.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// An open segment. Whoever is to read from it keeps the file open.
template <class Files>
struct Segment {
    typename Files::File file;
    std::string path;
    SegmentId id;
    std::uint64_t capacity = 0;  ///< the file's size. What is not written yet is zeros on the disk
};

/// Zeros, as the parts of a write.
inline void add_zeros(std::vector<std::span<const std::byte>>& parts, std::uint64_t count) {
    static constexpr std::array<std::byte, 4096> zeros{};
    while (count != 0) {
        const std::uint64_t size = std::min<std::uint64_t>(zeros.size(), count);
        parts.push_back(std::span(zeros).first(static_cast<std::size_t>(size)));
        count -= size;
    }
}

/// Makes a new segment: a file of its full size whose every block is written and durable, so that
/// later syncs have no metadata to move and no write into it lacks space. It is filled in small
/// steps, each synced, because one large flush would keep the log's own syncs waiting; it gets its
/// name when it is complete, so a segment that has a name has a valid header and its full size.
///
/// One that fails leaves nothing aside, and under its name what was there before, or an empty
/// segment.
template <class Files>
class SegmentDraft {
public:
    using Parts = std::vector<std::span<const std::byte>>;

    /// `capacity` is made a multiple of segment_unit, of which `step_bytes`, which are more than a
    /// header, are written at a time. `spare` is a file of that capacity whose
    /// content nobody needs, or empty: its blocks are used again, which saves the file system the
    /// work of allocating some. `first_batch` is in it when it gets its name; it may be none, and
    /// has to be valid until then.
    SegmentDraft(Files files, DirectoryPointer<Files> directory, SegmentId id,
                 std::uint64_t capacity, std::uint64_t step_bytes, std::string spare = {},
                 Parts first_batch = {})
        : files_(std::move(files)),
          directory_(std::move(directory)),
          step_bytes_(step_bytes),
          path_(segment_path(directory_->path, id.number)),
          temporary_(path_ + std::string(temporary_suffix)),
          spare_(std::move(spare)),
          first_batch_(std::move(first_batch)),
          header_{id, whole_units(std::max(capacity, segment_unit))} {}

    /// Does a part of the work. True: done, take() may be called. After a failure nothing is left
    /// of it, not even of the spare.
    raft::Result<bool> step() {
        raft::Result<void> result;
        try {
            result = filled_ == 0 ? open() : fill();
            if (result && filled_ < header_.capacity) return false;
            if (result && !first_batch_.empty()) result = add_first_batch();
            if (result) result = publish();
        } catch (const std::bad_alloc&) {
            result = no_memory(path_);
        }
        if (result) return true;
        discard();
        return result.error();
    }
    std::shared_ptr<Segment<Files>> take() {
        return std::make_shared<Segment<Files>>(
            Segment<Files>{std::move(*file_), path_, header_.id, header_.capacity});
    }

private:
    raft::Result<void> open() {
        if (!spare_.empty() && !files_.rename(spare_, temporary_)) {
            // It may have got the name all the same, and must not be emptied under it.
            for (const std::string& name : {std::exchange(spare_, {}), temporary_}) {
                if (auto result = files_.remove(name); !result) return result;
            }
        }
        if (!spare_.empty()) {
            // Durably, before anything is overwritten: after a crash it must not be found under a
            // name that it had before.
            if (auto result = files_.sync_directory(directory_->handle); !result) return result;
        }
        auto file =
            files_.open(temporary_, spare_.empty() ? OpenMode::create : OpenMode::read_write);
        if (!file) return file.error();
        file_.emplace(std::move(*file));
        if (spare_.empty()) {
            if (auto result = files_.preallocate(*file_, header_.capacity); !result) return result;
        }
        writer_.emplace(files_, *file_);
        return fill();
    }
    raft::Result<void> fill() {
        Parts parts;
        const auto header = encode_segment_header(header_);
        if (filled_ == 0) parts.push_back(header);
        const std::uint64_t end = std::min(header_.capacity, filled_ + step_bytes_);
        add_zeros(parts, end - filled_ - (filled_ == 0 ? header.size() : 0));
        if (auto result = writer_->write(*file_, filled_, parts); !result) return result;
        filled_ = end;
        return files_.sync(*file_);
    }
    raft::Result<void> add_first_batch() {
        auto result = writer_->write(*file_, segment_header_bytes, first_batch_);
        if (result) result = files_.sync(*file_);
        return result;
    }
    raft::Result<void> publish() {
        writer_.reset();
        auto result = files_.rename(temporary_, path_);
        if (result) {
            result = files_.sync_directory(directory_->handle);
        }
        if (result) file_->bear(path_);
        return result;
    }
    void discard() {
        writer_.reset();
        file_.reset();
        static_cast<void>(files_.remove(temporary_).has_value());  // or recovery does
    }

    Files files_;
    DirectoryPointer<Files> directory_;
    std::uint64_t step_bytes_;
    std::string path_;
    std::string temporary_;
    std::string spare_;
    Parts first_batch_;
    SegmentHeader header_;
    std::optional<typename Files::File> file_;
    std::optional<typename Files::Writer> writer_;
    std::uint64_t filled_ = 0;  ///< [0, filled_) is written and durable
};

/// Makes a segment while its caller waits.
template <class Files>
raft::Result<std::shared_ptr<Segment<Files>>> make_segment(
    const Files& files, DirectoryPointer<Files> directory, SegmentId id, std::uint64_t capacity,
    std::uint64_t step_bytes, typename SegmentDraft<Files>::Parts first_batch = {}) {
    SegmentDraft<Files> draft(files, std::move(directory), id, capacity, step_bytes, {},
                              std::move(first_batch));
    for (;;) {
        const auto done = draft.step();
        if (!done) return done.error();
        if (*done) return draft.take();
    }
}

}  // namespace rsm::detail::wal

#endif
