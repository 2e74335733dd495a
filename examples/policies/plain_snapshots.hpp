// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// PlainSnapshots: each snapshot a file, written aside, synced, and only then named.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_SNAPSHOTS_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_SNAPSHOTS_HPP

#include "plain_directory.hpp"

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/errors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace policies {

/// Before a snapshot's content stands its description: 8 bytes checksum of it, 4 bytes length of
/// it, and the encoded SnapshotMeta, which is as long before its size and checksum are known.
inline std::uint64_t content_begin(const raft::SnapshotMeta& meta) {
    return 12 + raft::codec::encoded_size(meta);
}

/// A file that is to become a snapshot. Without complete() it is removed again.
class SnapshotFile final : public raft::ByteSink {
public:
    static raft::Result<std::unique_ptr<SnapshotFile>> create(
        std::shared_ptr<const Directory> directory, const char* aside, raft::SnapshotMeta meta) {
        auto file = Files{}.open(*directory / aside, rsm::OpenMode::create);
        if (!file) return file.error();
        return std::unique_ptr<SnapshotFile>(
            new SnapshotFile(std::move(directory), std::move(*file), std::move(meta)));
    }
    ~SnapshotFile() override { (void)Files{}.remove(file_.path()); }

    void write(std::span<const std::byte> bytes) override {
        if (failed_) return;
        const auto written = write_at(file_, content_begin(meta_) + size_, bytes);
        if (!written) failed_ = written.error();
        size_ += bytes.size();
        checksum_.update(bytes);
    }
    const raft::SnapshotMeta& meta() const { return meta_; }
    std::uint64_t size() const { return size_; }
    std::uint64_t checksum() const { return checksum_.value(); }
    const std::optional<raft::Failure>& failed() const { return failed_; }

    raft::Result<raft::SnapshotMeta> complete(const std::string& name) {
        meta_.size = size_;
        meta_.checksum = checksum_.value();
        const raft::Bytes description = raft::codec::encode(meta_);
        Checksum sum;
        sum.update(description.view());
        std::vector<std::byte> head(12);
        raft::codec::store_little(head.data(), sum.value());
        raft::codec::store_little(head.data() + 8, static_cast<std::uint32_t>(description.size()));
        head.insert(head.end(), description.view().begin(), description.view().end());
        const auto written = write_at(file_, 0, head);
        if (!failed_ && !written) failed_ = written.error();
        if (failed_) return *failed_;
        if (auto done = directory_->publish(file_, name); !done) return done.error();
        return meta_;
    }

private:
    SnapshotFile(std::shared_ptr<const Directory> directory, File file, raft::SnapshotMeta meta)
        : directory_(std::move(directory)), file_(std::move(file)), meta_(std::move(meta)) {}

    const std::shared_ptr<const Directory> directory_;
    const File file_;
    raft::SnapshotMeta meta_;
    std::uint64_t size_ = 0;
    Checksum checksum_;
    std::optional<raft::Failure> failed_;
};

/// Thread safety: find(), open() and newest() from any thread; everything else from one at a time.
class PlainSnapshots {
public:
    explicit PlainSnapshots(std::shared_ptr<const Directory> directory)
        : directory_(std::move(directory)) {}

    raft::Result<raft::SnapshotMeta> save(raft::SnapshotMeta meta,
                                          const raft::SnapshotProducer& produce) const {
        if (!storable(meta)) return failure(rsm::StorageErrc::invalid_write, "save snapshot");
        auto file = SnapshotFile::create(directory_, saving, meta);
        if (!file) return file.error();
        try {
            produce(**file);
        } catch (...) {
            return failure(rsm::StorageErrc::producer_failed, "save snapshot");
        }
        return (*file)->complete(name_of(meta.last));
    }

    /// A failure drops what was collected, as a rejection does.
    raft::Result<raft::ChunkOutcome> receive(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                             const raft::Bytes& data) {
        using raft::ChunkOutcome;
        // Whatever is returned early, `collected` ends with it.
        auto collected = std::move(incoming_);
        if (!storable(meta)) return ChunkOutcome::rejected;
        if (offset == 0) {
            collected.reset();
            auto file = SnapshotFile::create(directory_, receiving, meta);
            if (!file) return file.error();
            collected = std::move(*file);
            announced_ = meta;
        }
        if (!collected || meta != announced_ || offset != collected->size() ||
            data.size() > meta.size - offset) {
            return ChunkOutcome::rejected;
        }
        collected->write(data.view());
        if (collected->failed()) return *collected->failed();
        if (collected->size() < meta.size) {
            incoming_ = std::move(collected);
            return ChunkOutcome::stored;
        }
        if (collected->checksum() != meta.checksum) return ChunkOutcome::rejected;
        if (auto done = collected->complete(name_of(meta.last)); !done) return done.error();
        return ChunkOutcome::installed;
    }
    void abandon() { incoming_.reset(); }

    /// The file of exactly this snapshot.
    raft::Result<File> find(const raft::SnapshotMeta& meta) const {
        auto file = Files{}.open(*directory_ / name_of(meta.last), rsm::OpenMode::read);
        if (!file) return no_such(meta);
        const auto described = description(*file);
        if (!described) return described.error();
        if (*described != meta) return no_such(meta);
        return file;
    }

    raft::Result<raft::Bytes> read(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                   std::size_t max_bytes) const {
        const auto file = find(meta);
        if (!file) return file.error();
        if (offset > meta.size) return no_such(meta);
        const auto count =
            static_cast<std::size_t>(std::min<std::uint64_t>(max_bytes, meta.size - offset));
        raft::Buffer piece(count);
        const auto got = Files{}.read_at(*file, content_begin(meta) + offset, piece.writable());
        if (!got) return got.error();
        if (*got < count) return damage(file->path(), offset, "a snapshot that is cut short");
        return piece.share(0, count);
    }

    raft::Result<std::unique_ptr<raft::ByteSource>> open(const raft::SnapshotMeta& meta) const {
        auto file = find(meta);
        if (!file) return file.error();
        // Read twice, so that nobody restores a part of something damaged.
        Source content(std::move(*file), meta);
        Checksum sum;
        std::vector<std::byte> piece(std::size_t{64} << 10);
        while (const std::size_t count = content.read(piece)) {
            sum.update(std::span(piece).first(count));
        }
        if (sum.value() != meta.checksum) {
            return damage(content.path(), content_begin(meta), "the content of a snapshot");
        }
        content.rewind();
        return std::unique_ptr<raft::ByteSource>(std::make_unique<Source>(std::move(content)));
    }

    /// What one cannot remove now is removed by a later call; it is never taken for the newest.
    void drop_except(const std::vector<raft::Index>& needed) const {
        const auto names = Files{}.list(directory_->path);
        if (!names) return;
        for (const std::string& name : *names) {
            const auto last = position_in(name);
            const bool goes = last && last->index < needed.back() &&
                              !std::ranges::binary_search(needed, last->index);
            if (goes) (void)Files{}.remove(*directory_ / name);
        }
    }

    /// Removes what a crash has left of unfinished ones.
    raft::Result<void> repair() const {
        for (const char* aside : {saving, receiving}) {
            if (auto removed = Files{}.remove(*directory_ / aside); !removed) return removed;
        }
        return {};
    }

    /// The one with the highest position; an empty one where there is none.
    raft::Result<raft::SnapshotMeta> newest() const {
        const auto names = Files{}.list(directory_->path);
        if (!names) return names.error();
        raft::LogPosition highest;
        for (const std::string& name : *names) {
            if (const auto last = position_in(name)) highest = std::max(highest, *last);
        }
        if (highest == raft::LogPosition{}) return raft::SnapshotMeta{};
        const auto file = Files{}.open(*directory_ / name_of(highest), rsm::OpenMode::read);
        if (!file) return file.error();
        auto described = description(*file);
        if (described && described->last != highest) {
            return damage(file->path(), 0, "a snapshot under the name of another");
        }
        return described;
    }

private:
    static constexpr const char* saving = "snapshot.saving";
    static constexpr const char* receiving = "snapshot.receiving";

    class Source final : public raft::ByteSource {
    public:
        Source(File file, const raft::SnapshotMeta& meta)
            : file_(std::move(file)), begin_(content_begin(meta)), size_(meta.size) {}
        std::size_t read(std::span<std::byte> out) override {
            const auto wanted =
                static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - at_));
            const auto got = Files{}.read_at(file_, begin_ + at_, out.first(wanted));
            if (!got) return 0;
            at_ += *got;
            return *got;
        }
        void rewind() { at_ = 0; }
        const std::string& path() const { return file_.path(); }

    private:
        File file_;
        std::uint64_t begin_;
        std::uint64_t size_;
        std::uint64_t at_ = 0;
    };

    /// It replaces something, and belongs to a cluster or to none.
    static bool storable(const raft::SnapshotMeta& meta) {
        return !meta.empty() && (meta.membership.empty() || meta.membership.valid());
    }
    static raft::Failure failure(rsm::StorageErrc code, std::string what) {
        return {make_error_code(code), std::move(what)};
    }
    static raft::Failure no_such(const raft::SnapshotMeta& meta) {
        return failure(rsm::StorageErrc::no_such_snapshot, name_of(meta.last));
    }

    /// Two of one position have one name: the one that is named last replaces the other.
    static std::string name_of(raft::LogPosition last) {
        return "snapshot-" + std::to_string(last.index.value) + "-" +
               std::to_string(last.term.value);
    }
    static std::optional<raft::LogPosition> position_in(const std::string& name) {
        unsigned long long index = 0;
        unsigned long long term = 0;
        if (std::sscanf(name.c_str(), "snapshot-%llu-%llu", &index, &term) != 2) {
            return std::nullopt;
        }
        const raft::LogPosition last{{index}, {term}};
        if (name != name_of(last)) return std::nullopt;
        return last;
    }

    static raft::Result<raft::SnapshotMeta> description(const File& file) {
        const raft::Failure damaged = damage(file.path(), 0, "the description of a snapshot");
        std::byte head[12];
        const auto got = Files{}.read_at(file, 0, head);
        if (!got) return got.error();
        const auto size = Files{}.size(file);
        if (!size) return size.error();
        const auto length = raft::codec::load_little<std::uint32_t>(head + 8);
        if (*got < sizeof head || length > *size - sizeof head) return damaged;
        raft::Buffer bytes(length);
        const auto read = Files{}.read_at(file, sizeof head, bytes.writable());
        if (!read) return read.error();
        Checksum sum;
        sum.update(bytes.writable());
        if (sum.value() != raft::codec::load_little<std::uint64_t>(head)) return damaged;
        auto meta = raft::codec::decode<raft::SnapshotMeta>(bytes.share(0, length));
        if (!meta) return damaged;
        return std::move(*meta);
    }

    const std::shared_ptr<const Directory> directory_;
    std::unique_ptr<SnapshotFile> incoming_;
    raft::SnapshotMeta announced_;
};

}  // namespace policies

#endif
