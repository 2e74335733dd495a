// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that are received and not complete: marks, from which the next life of the node learns
// how much of one is here, so that the transfer goes on instead of beginning anew.
#ifndef RSM_STORAGE_WAL_PARTIAL_HPP
#define RSM_STORAGE_WAL_PARTIAL_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/snapshot_head.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace rsm::inline v0::detail::wal {

inline constexpr std::string_view marks_name = "incoming-marks.tmp";
inline constexpr HeadKind marks_head{"rsm-inc\n", 1};
/// How much of the content was synced, the checksum of that, and the checksum of these two.
inline constexpr std::size_t mark_bytes = 3 * 8;

inline std::array<std::byte, mark_bytes> encode_mark(std::uint64_t size, std::uint64_t sum) {
    std::array<std::byte, mark_bytes> mark{};
    raft::codec::store_little(mark.data(), size);
    raft::codec::store_little(mark.data() + 8, sum);
    raft::codec::store_little(mark.data() + 16, checksum(std::span(mark).first(16)));
    return mark;
}

/// What is here of a snapshot that a leader has sent.
struct PartialSnapshot {
    raft::SnapshotMeta meta;  ///< as announced
    std::uint64_t size = 0;   ///< of its content, from the beginning
    Checksum sum;             ///< of that
};

/// The marks of one transfer: a file beside the content, which is made with the first of them, so
/// that small snapshots need none. A mark is written after what it vouches for was synced. One that
/// cannot be written costs nothing but its use.
template <class Files>
class TransferMarks {
public:
    /// @param found  those of an earlier life are there; the first new one takes their place
    TransferMarks(Files files, DirectoryPointer<Files> directory, raft::SnapshotMeta announced,
                  bool found)
        : files_(std::move(files)),
          directory_(std::move(directory)),
          announced_(std::move(announced)),
          path_(directory_->path + "/" + std::string(marks_name)),
          made_(found) {}

    void add(std::uint64_t size, std::uint64_t sum) {
        if (given_up_ || size == 0) return;
        given_up_ = !try_add(size, sum);
        if (given_up_) remove();
    }
    /// The transfer is over. What cannot be removed the next recovery removes.
    void remove() {
        file_.reset();
        if (made_) static_cast<void>(files_.remove(path_).has_value());
        made_ = false;
    }

private:
    bool try_add(std::uint64_t size, std::uint64_t sum) {
        const bool fresh = !file_;
        if (fresh && !create()) return false;
        const auto mark = encode_mark(size, sum);
        const std::span<const std::byte> part = mark;
        if (!files_.write_at(*file_, end_, std::span(&part, 1))) return false;
        end_ += mark.size();
        if (!files_.sync(*file_)) return false;
        return !fresh || files_.sync_directory(directory_->handle).has_value();
    }
    bool create() {
        made_ = true;  // it may be there even where that fails
        auto file = files_.open(path_, OpenMode::create);
        if (!file) return false;
        file_.emplace(std::move(*file));
        const auto head = encode_head(marks_head, announced_);
        end_ = head.size();
        const std::span<const std::byte> part = head;
        return files_.write_at(*file_, 0, std::span(&part, 1)).has_value();
    }

    Files files_;
    DirectoryPointer<Files> directory_;
    raft::SnapshotMeta announced_;
    std::string path_;
    std::optional<typename Files::File> file_;
    std::uint64_t end_ = 0;
    bool made_ = false;
    bool given_up_ = false;
};

/// The content of a snapshot that is not complete, read up to the last mark that it agrees with.
template <class Files>
class PartialReader {
public:
    PartialReader(const Files& files, std::size_t buffer_bytes)
        : files_(files), buffer_(buffer_bytes) {}

    /// Nothing: there is nothing to go on from, or it cannot be read; then it is to be removed.
    std::optional<PartialSnapshot> read(const std::string& directory) {
        const std::string path = directory + "/" + std::string(marks_name);
        const auto marks = files_.open(path, OpenMode::read);
        const auto content =
            files_.open(directory + "/" + std::string(incoming_name), OpenMode::read);
        if (!marks || !content) return std::nullopt;
        auto head = read_head(files_, *marks, path, marks_head);
        if (!head || !storable(head->meta)) return std::nullopt;
        const std::uint64_t begin = encode_head(snapshot_head, head->meta).size();
        PartialSnapshot agreed{std::move(head->meta), 0, Checksum()};
        Checksum sum;
        std::uint64_t size = 0;
        for (std::uint64_t at = head->bytes;; at += mark_bytes) {
            std::array<std::byte, mark_bytes> mark{};
            const auto count = files_.read_at(*marks, at, mark);
            const auto up_to = raft::codec::load_little<std::uint64_t>(mark.data());
            const auto wanted = raft::codec::load_little<std::uint64_t>(mark.data() + 8);
            const bool sound = count && *count == mark.size() && mark == encode_mark(up_to, wanted);
            if (!sound || up_to <= size || up_to > agreed.meta.size) break;
            if (!add_content(*content, begin, size, up_to, sum) || sum.value() != wanted) break;
            size = up_to;
            agreed.size = size;
            agreed.sum = sum;
        }
        if (agreed.size == 0) return std::nullopt;
        return agreed;
    }

private:
    bool add_content(const typename Files::File& file, std::uint64_t begin, std::uint64_t from,
                     std::uint64_t to, Checksum& sum) {
        while (from < to) {
            const auto count =
                static_cast<std::size_t>(std::min<std::uint64_t>(to - from, buffer_.size()));
            const auto piece = buffer_.writable().first(count);
            const auto read = files_.read_at(file, begin + from, piece);
            if (!read || *read != count) return false;
            sum.update(piece);
            from += count;
        }
        return true;
    }

    const Files& files_;
    raft::Buffer buffer_;
};

/// Removes what is here of a snapshot that is not complete, as far as that can be done.
template <class Files>
raft::Result<void> remove_partial(const Files& files, const HeldDirectory<Files>& directory) {
    const auto marks = files.remove(directory.path + "/" + std::string(marks_name));
    const auto content = files.remove(directory.path + "/" + std::string(incoming_name));
    return marks ? content : marks;
}

}  // namespace rsm::detail::wal

#endif
