// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshot files: a header and the content. Each is written aside, synced and then renamed, so a
// file that bears a snapshot's name is whole.
#ifndef RSM_STORAGE_WAL_SNAPSHOTS_HPP
#define RSM_STORAGE_WAL_SNAPSHOTS_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/partial.hpp>
#include <rsm/storage/wal/snapshot_head.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// A complete snapshot, its file held open: it can be read to the end even if it is dropped.
template <class Files>
struct KeptSnapshot {
    typename Files::File file;
    std::string path;
    raft::SnapshotMeta meta;
    std::uint64_t content_offset = 0;
};
template <class Files>
using KeptPointer = std::shared_ptr<const KeptSnapshot<Files>>;

/// Opens a snapshot and checks its header and its size, not its content.
template <class Files>
raft::Result<KeptPointer<Files>> load_snapshot(const Files& files, const std::string& directory,
                                               raft::LogPosition last) {
    const std::string path = snapshot_path(directory, last);
    auto file = files.open(path, OpenMode::read);
    if (!file) return file.error();
    auto head = read_head(files, *file, path, snapshot_head);
    if (!head) return head.error();
    const raft::SnapshotMeta& meta = head->meta;
    if (meta.last != last) return damage(path, 0, "not the snapshot of its name");
    const std::uint64_t length = head->bytes;
    const auto size = files.size(*file);
    if (!size) return size.error();
    if (*size < length || *size - length != meta.size) {
        return damage(path, std::min<std::uint64_t>(*size, length + meta.size),
                      "the snapshot's size is wrong");
    }
    return std::make_shared<const KeptSnapshot<Files>>(
        KeptSnapshot<Files>{std::move(*file), path, std::move(head->meta), length});
}

/// Reads a kept snapshot's content and checks it on the way. The last piece is given away only
/// after the whole has been found undamaged.
template <class Files>
class SnapshotSource final : public raft::ByteSource {
public:
    SnapshotSource(Files files, KeptPointer<Files> snapshot)
        : files_(std::move(files)), snapshot_(std::move(snapshot)) {}

    std::size_t read(std::span<std::byte> out) override {
        const std::uint64_t left = snapshot_->meta.size - position_;
        const auto wanted =
            out.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, out.size())));
        if (failed_ || wanted.empty()) return 0;
        const auto count =
            files_.read_at(snapshot_->file, snapshot_->content_offset + position_, wanted);
        failed_ = !count || *count != wanted.size();
        if (!count) failure_ = count.error();
        if (failed_) return 0;
        sum_.update(wanted);
        position_ += wanted.size();
        failed_ = position_ == snapshot_->meta.size && sum_.value() != snapshot_->meta.checksum;
        return failed_ ? 0 : wanted.size();
    }
    /// Why it could not be read, where a call has failed.
    const std::optional<raft::Failure>& failure() const { return failure_; }

private:
    Files files_;
    KeptPointer<Files> snapshot_;
    std::uint64_t position_ = 0;
    Checksum sum_;
    std::optional<raft::Failure> failure_;
    bool failed_ = false;
};

/// Reads all of a snapshot, so many bytes at a time. Errors: corrupted where the content is not
/// what was written; the operating system's own.
template <class Files>
raft::Result<void> verify_snapshot(const Files& files, const KeptPointer<Files>& snapshot,
                                   std::size_t buffer_bytes) {
    SnapshotSource<Files> source(files, snapshot);
    raft::Buffer buffer(buffer_bytes);
    std::uint64_t total = 0;
    while (const std::size_t count = source.read(buffer.writable())) total += count;
    if (source.failure()) {
        return damage_of(*source.failure(), snapshot->path, snapshot->content_offset + total);
    }
    const raft::SnapshotMeta& meta = snapshot->meta;
    if (total != meta.size || (meta.size == 0 && meta.checksum != checksum({}))) {
        return damage(snapshot->path, snapshot->content_offset, "the snapshot is damaged");
    }
    return {};
}

/// Writes one snapshot aside and, when it is complete, under its name.
template <class Files>
class SnapshotFile final : public raft::ByteSink {
public:
    /// `name` is where it is written aside; nothing may have happened when error() is set.
    SnapshotFile(Files files, DirectoryPointer<Files> directory, const WalPieces& pieces,
                 std::string_view name, raft::LogPosition last, raft::Membership membership)
        : SnapshotFile(std::move(files), std::move(directory), pieces, name) {
        meta_.last = last;
        meta_.membership = std::move(membership);
        if (!storable(meta_)) {
            failure_ =
                storage_failure(StorageErrc::invalid_write, snapshot_path(directory_->path, last));
            return;
        }
        header_bytes_ = encode_head(snapshot_head, meta_).size();
        open(OpenMode::create);
    }
    /// One that is received, of which part is here perhaps: goes on behind that.
    SnapshotFile(Files files, DirectoryPointer<Files> directory, const WalPieces& pieces,
                 const raft::SnapshotMeta& announced, const PartialSnapshot* part)
        : SnapshotFile(std::move(files), std::move(directory), pieces, incoming_name) {
        meta_ = announced;
        meta_.size = 0;
        meta_.checksum = 0;
        header_bytes_ = encode_head(snapshot_head, meta_).size();
        marks_.emplace(files_, directory_, announced, part != nullptr);
        if (part != nullptr) {
            meta_.size = part->size;
            sum_ = part->sum;
        }
        open(part == nullptr ? OpenMode::create : OpenMode::read_write);
    }

    void write(std::span<const std::byte> bytes) override {
        while (!failure_ && !bytes.empty()) {
            const std::size_t count = std::min(bytes.size(), buffer_bytes_ - buffer_.size());
            const auto head = bytes.first(count);
            buffer_.insert(buffer_.end(), head.begin(), head.end());
            bytes = bytes.subspan(count);
            if (buffer_.size() == buffer_bytes_) flush();
        }
    }
    const std::optional<raft::Failure>& error() const { return failure_; }

    /// The content is complete. `announced`, where given, is what it has to be.
    /// Nothing: it is not that; the caller drops the file.
    raft::Result<std::optional<KeptPointer<Files>>> finish(
        const std::optional<raft::SnapshotMeta>& announced) {
        flush();
        if (failure_) return *failure_;
        meta_.checksum = sum_.value();
        if (announced && *announced != meta_) {
            return std::optional<KeptPointer<Files>>{};
        }
        const auto header = encode_head(snapshot_head, meta_);
        const std::span<const std::byte> part = header;
        auto result = files_.write_at(*file_, 0, std::span(&part, 1));
        if (result) result = files_.sync(*file_);
        std::string path = snapshot_path(directory_->path, meta_.last);
        if (result) result = files_.rename(path_, path);
        if (result) name_ = path;
        if (result && marks_) marks_->remove();
        if (result) {
            result = files_.sync_directory(directory_->handle);
        }
        if (!result) return result.error();
        file_->bear(path);
        return std::optional(std::make_shared<const KeptSnapshot<Files>>(
            KeptSnapshot<Files>{std::move(*file_), std::move(path), meta_, header_bytes_}));
    }
    /// Makes what has come of it durable, and notes how much that is, for another life to go on.
    void suspend() {
        flush();
        if (!failure_ && marks_ && files_.sync(*file_)) marks_->add(meta_.size, sum_.value());
    }
    /// Gives up: removes what was written aside.
    void discard() {
        file_.reset();
        if (marks_) marks_->remove();
        if (name_.empty()) static_cast<void>(files_.remove(path_).has_value());  // or recovery does
    }
    /// The final name, empty as long as it has none.
    const std::string& name() const { return name_; }

private:
    SnapshotFile(Files files, DirectoryPointer<Files> directory, const WalPieces& pieces,
                 std::string_view name)
        : files_(std::move(files)),
          directory_(std::move(directory)),
          buffer_bytes_(pieces.snapshot_write_bytes),
          sync_bytes_(pieces.snapshot_sync_bytes),
          path_(directory_->path + "/" + std::string(name)) {}

    void open(OpenMode mode) {
        auto file = files_.open(path_, mode);
        if (!file) {
            failure_ = file.error();
        } else {
            file_.emplace(std::move(*file));
        }
    }
    void flush() {
        if (failure_ || buffer_.empty()) return;
        const std::span<const std::byte> part = buffer_;
        auto result = files_.write_at(*file_, header_bytes_ + meta_.size, std::span(&part, 1));
        sum_.update(buffer_);
        meta_.size += buffer_.size();
        unsynced_ += buffer_.size();
        buffer_.clear();
        if (result && unsynced_ >= sync_bytes_) {
            result = files_.sync(*file_);
            unsynced_ = 0;
            if (result && marks_) marks_->add(meta_.size, sum_.value());
        }
        if (!result) failure_ = result.error();
    }

    Files files_;
    DirectoryPointer<Files> directory_;
    std::size_t buffer_bytes_;
    std::uint64_t sync_bytes_;
    std::string path_;
    std::string name_;
    std::optional<typename Files::File> file_;
    std::optional<raft::Failure> failure_;
    raft::SnapshotMeta meta_;
    std::uint64_t header_bytes_ = 0;
    std::vector<std::byte> buffer_;
    Checksum sum_;
    std::uint64_t unsynced_ = 0;
    std::optional<TransferMarks<Files>> marks_;  ///< of one that is received
};

/// The snapshots' lane: everything here runs there, one after the other. So of two snapshots of
/// one position the one that is completed later is the one that stands under their name.
///
/// What fails leaves no file behind, unless it fails after the file has got its name: then the
/// snapshot is whole, and may or may not be found by the next recovery. It goes when another one
/// has got its name.
template <class Files>
class SnapshotLane {
public:
    struct Received {
        raft::ChunkOutcome outcome = raft::ChunkOutcome::stored;
        KeptPointer<Files> installed;
    };

    /// @param partial  what recovery found of a snapshot that was being received
    SnapshotLane(Files files, DirectoryPointer<Files> directory, const WalPieces& pieces,
                 std::optional<PartialSnapshot> partial)
        : files_(std::move(files)),
          directory_(std::move(directory)),
          pieces_(pieces),
          partial_(std::move(partial)) {}

    raft::Result<KeptPointer<Files>> save(raft::LogPosition last, raft::Membership membership,
                                          const raft::SnapshotProducer& produce) {
        try {
            SnapshotFile<Files> file(files_, directory_, pieces_, saving_name, last,
                                     std::move(membership));
            return save_to(file, last, produce);
        } catch (const std::bad_alloc&) {
            return no_memory(snapshot_path(directory_->path, last));
        }
    }

    raft::Result<Received> receive(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                   const raft::Bytes& data) {
        raft::Result<Received> received = Received{raft::ChunkOutcome::rejected, nullptr};
        try {
            received = take(meta, offset, data);
        } catch (const std::bad_alloc&) {
            received = no_memory(snapshot_path(directory_->path, meta.last));
        }
        if (!received || received->outcome == raft::ChunkOutcome::rejected) abandon();
        return received;
    }
    /// Drops what was received of a snapshot that is not complete.
    void abandon() {
        if (incoming_) incoming_->discard();
        incoming_.reset();
        if (partial_) static_cast<void>(remove_partial(files_, *directory_).has_value());
        partial_.reset();
    }

    void remove(const std::string& path) {
        // Nothing depends on its success: what stays is found again after the next restart.
        static_cast<void>(files_.remove(path).has_value());
    }
    /// What was received of a snapshot stays, for the next one to go on.
    void close() {
        if (incoming_) incoming_->suspend();
        incoming_.reset();
        partial_.reset();
        directory_ = nullptr;
    }

private:
    raft::Result<KeptPointer<Files>> save_to(SnapshotFile<Files>& file, raft::LogPosition last,
                                             const raft::SnapshotProducer& produce) {
        try {
            if (!file.error()) produce(file);
        } catch (...) {
            // It is the user's code; what it throws must not end the thread.
            file.discard();
            return storage_failure(StorageErrc::producer_failed,
                                   snapshot_path(directory_->path, last));
        }
        auto kept = file.finish(std::nullopt);
        named(file, kept.has_value());
        if (!kept) {
            file.discard();
            return kept.error();
        }
        return **kept;
    }

    /// @param durable  whether the name is, if the file has one
    void named(const SnapshotFile<Files>& file, bool durable) {
        if (file.name().empty()) return;
        if (!doubtful_.empty() && doubtful_ != file.name()) remove(doubtful_);
        doubtful_ = durable ? std::string() : file.name();
    }

    raft::Result<Received> take(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                const raft::Bytes& data) {
        constexpr auto rejected = raft::ChunkOutcome::rejected;
        if (!storable(meta)) return Received{rejected, nullptr};
        if (offset == 0) {
            abandon();
            begin(meta, nullptr);
        } else if (partial_ && meta == partial_->meta && offset == partial_->size) {
            begin(meta, &*partial_);
        }
        // What does not continue the transfer, or goes beyond its end, cannot become the snapshot
        // that was announced.
        const bool continues = offset == next_offset_;
        if (!incoming_ || meta != incoming_meta_ || !continues ||
            data.size() > meta.size - offset) {
            return Received{rejected, nullptr};
        }
        incoming_->write(data.view());
        next_offset_ += data.size();
        if (incoming_->error()) return *incoming_->error();
        if (next_offset_ < meta.size) return Received{};
        auto kept = incoming_->finish(meta);
        named(*incoming_, kept.has_value());
        if (!kept) return kept.error();
        if (!*kept) return Received{rejected, nullptr};
        incoming_.reset();
        return Received{raft::ChunkOutcome::installed, **kept};
    }

    void begin(const raft::SnapshotMeta& meta, const PartialSnapshot* part) {
        incoming_.emplace(files_, directory_, pieces_, meta, part);
        incoming_meta_ = meta;
        next_offset_ = part == nullptr ? 0 : part->size;
        partial_.reset();
    }

    Files files_;
    DirectoryPointer<Files> directory_;
    WalPieces pieces_;
    std::optional<PartialSnapshot> partial_;  ///< of an earlier life, not gone on with yet
    std::optional<SnapshotFile<Files>> incoming_;
    raft::SnapshotMeta incoming_meta_;
    std::uint64_t next_offset_ = 0;
    std::string doubtful_;  // a whole snapshot, of whose name nobody knows whether it is durable
};

}  // namespace rsm::detail::wal

#endif
