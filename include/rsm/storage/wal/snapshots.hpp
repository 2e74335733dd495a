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

inline constexpr std::string_view snapshot_magic = "rsm-snp\n";
inline constexpr std::uint32_t snapshot_version = 2;
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

inline std::vector<std::byte> encode_snapshot_header(const raft::SnapshotMeta& meta) {
    raft::codec::Gather out;
    out.put_text(snapshot_magic);
    out.put(snapshot_version);
    out.put(std::uint32_t{0});
    raft::codec::put(out, meta);
    raft::codec::store_little(out.copied().data() + 12, static_cast<std::uint32_t>(out.size() + 8));
    out.put(checksum(out.copied()));
    return {out.copied().begin(), out.copied().end()};
}

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
    std::array<std::byte, snapshot_prefix_bytes> prefix{};
    auto count = files.read_at(*file, 0, prefix);
    if (!count) return count.error();
    const auto version = raft::codec::load_little<std::uint32_t>(prefix.data() + 8);
    const auto length = raft::codec::load_little<std::uint32_t>(prefix.data() + 12);
    if (*count < prefix.size() ||
        std::memcmp(prefix.data(), snapshot_magic.data(), snapshot_magic.size()) != 0 ||
        length < prefix.size() + 8 || length > snapshot_header_bytes_max) {
        return damage(path, 0, "the snapshot's header is damaged");
    }
    raft::Buffer header(length);
    count = files.read_at(*file, 0, header.writable());
    if (!count) return count.error();
    const std::size_t covered = length - 8;
    if (*count < length || checksum(header.writable().first(covered)) !=
                               raft::codec::load_little<std::uint64_t>(header.data() + covered)) {
        return damage(path, 0, "the snapshot's header is damaged");
    }
    if (version != snapshot_version) return storage_failure(StorageErrc::unsupported_version, path);
    raft::codec::Reader in(header.share(prefix.size(), covered - prefix.size()));
    raft::SnapshotMeta meta;
    raft::codec::get(in, meta);
    if (!in.done() || meta.last != last) return damage(path, 0, "not the snapshot of its name");
    const auto size = files.size(*file);
    if (!size) return size.error();
    if (*size < length || *size - length != meta.size) {
        return damage(path, std::min<std::uint64_t>(*size, length + meta.size),
                      "the snapshot's size is wrong");
    }
    return std::make_shared<const KeptSnapshot<Files>>(
        KeptSnapshot<Files>{std::move(*file), path, meta, length});
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
    if (source.failure()) return *source.failure();
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
        : files_(std::move(files)),
          directory_(std::move(directory)),
          buffer_bytes_(pieces.snapshot_write_bytes),
          sync_bytes_(pieces.snapshot_sync_bytes),
          path_(directory_->path + "/" + std::string(name)) {
        meta_.last = last;
        meta_.membership = std::move(membership);
        if (!storable(meta_)) {
            failure_ =
                storage_failure(StorageErrc::invalid_write, snapshot_path(directory_->path, last));
            return;
        }
        header_bytes_ = encode_snapshot_header(meta_).size();
        auto file = files_.open(path_, OpenMode::create);
        if (!file) {
            failure_ = file.error();
        } else {
            file_.emplace(std::move(*file));
        }
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
        const auto header = encode_snapshot_header(meta_);
        const std::span<const std::byte> part = header;
        auto result = files_.write_at(*file_, 0, std::span(&part, 1));
        if (result) result = files_.sync(*file_);
        std::string path = snapshot_path(directory_->path, meta_.last);
        if (result) result = files_.rename(path_, path);
        if (result) name_ = path;
        if (result) {
            result = files_.sync_directory(directory_->handle);
        }
        if (!result) return result.error();
        file_->bear(path);
        return std::optional(std::make_shared<const KeptSnapshot<Files>>(
            KeptSnapshot<Files>{std::move(*file_), std::move(path), meta_, header_bytes_}));
    }
    /// Gives up: removes what was written aside.
    void discard() {
        file_.reset();
        if (name_.empty()) static_cast<void>(files_.remove(path_).has_value());  // or recovery does
    }
    /// The final name, empty as long as it has none.
    const std::string& name() const { return name_; }

private:
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
};

/// What snapshots are written to until they are complete.
inline constexpr std::string_view saving_name = "saving.tmp";
inline constexpr std::string_view incoming_name = "incoming.tmp";

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

    SnapshotLane(Files files, DirectoryPointer<Files> directory, const WalPieces& pieces)
        : files_(std::move(files)), directory_(std::move(directory)), pieces_(pieces) {}

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
    }

    void remove(const std::string& path) {
        // Nothing depends on its success: what stays is found again after the next restart.
        static_cast<void>(files_.remove(path).has_value());
    }
    void close() {
        abandon();
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
            incoming_.emplace(files_, directory_, pieces_, incoming_name, meta.last,
                              meta.membership);
            incoming_meta_ = meta;
            next_offset_ = 0;
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

    Files files_;
    DirectoryPointer<Files> directory_;
    WalPieces pieces_;
    std::optional<SnapshotFile<Files>> incoming_;
    raft::SnapshotMeta incoming_meta_;
    std::uint64_t next_offset_ = 0;
    std::string doubtful_;  // a whole snapshot, of whose name nobody knows whether it is durable
};

}  // namespace rsm::detail::wal

#endif
