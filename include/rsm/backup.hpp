// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backups: a machine's state of one moment in a file of its own, from which a new cluster can be
// founded (docs/format.md has the bytes).
#ifndef RSM_BACKUP_HPP
#define RSM_BACKUP_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/detail/entropy.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// A machine's state as of one entry of the log. It owns or shares what it writes, and may be
/// written on any thread.
struct CapturedState {
    raft::LogPosition last;       ///< of the last entry that is in it
    raft::Membership membership;  ///< in force there
    raft::Identity identity;      ///< of the node that it is from, where its storage keeps one
    raft::SnapshotProducer produce;
};

namespace detail {

inline constexpr std::string_view backup_magic = "rsm-bak\n";
inline constexpr std::uint32_t backup_version = 1;
/// magic, version, size of the whole header; then the BackupHead, then the checksum
inline constexpr std::size_t backup_prefix_bytes = 8 + 4 + 4;
/// Bounds what a damaged size can make a reader allocate.
inline constexpr std::uint32_t backup_header_bytes_max = 1U << 20;

/// What the header says.
struct BackupHead {
    raft::SnapshotMeta meta;
    std::uint64_t drawn = 0;   ///< so that no two backups are alike, be it of the same state
    std::string cluster;       ///< where it comes from: its name,
    std::uint64_t origin = 0;  ///< and the backup that it was founded from, if it was
    raft::Membership founding;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.meta, self.drawn, self.cluster, self.origin, self.founding);
    }
    friend bool operator==(const BackupHead&, const BackupHead&) = default;
};

inline std::vector<std::byte> encode_backup_header(const BackupHead& head) {
    raft::codec::Gather out;
    out.put_text(backup_magic);
    out.put(backup_version);
    out.put(std::uint32_t{0});
    raft::codec::put(out, head);
    raft::codec::store_little(out.copied().data() + 12, static_cast<std::uint32_t>(out.size() + 8));
    out.put(checksum(out.copied()));
    return {out.copied().begin(), out.copied().end()};
}

/// Writes a file from a place on, in pieces, and adds up what it has written.
class BackupSink final : public raft::ByteSink {
public:
    BackupSink(const PosixFiles::File& file, std::uint64_t offset) : file_(file), offset_(offset) {
        buffer_.reserve(buffer_bytes);
    }
    void write(std::span<const std::byte> bytes) override {
        while (!failure_ && !bytes.empty()) {
            const auto head = bytes.first(std::min(bytes.size(), buffer_bytes - buffer_.size()));
            buffer_.insert(buffer_.end(), head.begin(), head.end());
            bytes = bytes.subspan(head.size());
            if (buffer_.size() == buffer_bytes) flush();
        }
    }
    void flush() {
        if (failure_ || buffer_.empty()) return;
        const std::span<const std::byte> part = buffer_;
        auto result = PosixFiles{}.write_at(file_, offset_ + size_, std::span(&part, 1));
        if (!result) failure_ = result.error();
        sum_.update(buffer_);
        size_ += buffer_.size();
        buffer_.clear();
    }
    const std::optional<raft::Failure>& failure() const { return failure_; }
    std::uint64_t size() const { return size_; }
    std::uint64_t sum() const { return sum_.value(); }

private:
    static constexpr std::size_t buffer_bytes = std::size_t{256} << 10;
    const PosixFiles::File& file_;
    std::uint64_t offset_;
    std::uint64_t size_ = 0;
    std::vector<std::byte> buffer_;
    Checksum sum_;
    std::optional<raft::Failure> failure_;
};

/// Writes a backup to a file that is empty. Errors: the system's own; producer_failed;
/// invalid_argument for a state in which nothing has ever happened, which needs no backup.
inline raft::Result<void> write_backup(const CapturedState& state, const PosixFiles::File& file) {
    if (state.last.index.value == 0) {
        return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                             "the state of a log without an entry needs no backup"};
    }
    BackupHead head{{state.last, state.membership, 0, 0},
                    random_number(),
                    state.identity.cluster,
                    state.identity.origin,
                    state.identity.founding};
    const std::size_t header_bytes = encode_backup_header(head).size();
    BackupSink sink(file, header_bytes);
    try {
        state.produce(sink);
    } catch (...) {
        return storage_failure(StorageErrc::producer_failed, file.path());
    }
    sink.flush();
    if (sink.failure()) return *sink.failure();
    head.meta.size = sink.size();
    head.meta.checksum = sink.sum();
    const std::vector<std::byte> header = encode_backup_header(head);
    const std::span<const std::byte> part = header;
    return PosixFiles{}.write_at(file, 0, std::span(&part, 1));
}

}  // namespace detail

/// A backup in a file, which stays open: a plain value, its copies share the file.
///
/// Thread safety: const members may be called by several threads at a time.
class Backup {
public:
    /// Reads what it says of itself. Errors: corrupted, where it is none, is damaged in its
    /// beginning, or has another size than it says; unsupported_version; the system's own.
    static raft::Result<Backup> open(const std::string& path);
    /// Writes one: aside, durably, and only then under its name. Blocks.
    /// Errors: producer_failed, invalid_argument for 0@0, the system's own; then `path` is what it
    /// was before.
    static raft::Result<Backup> save(const CapturedState& state, const std::string& path);

    /// Reads all of it. Errors: corrupted where it is not what was written; the system's own.
    raft::Result<void> verify() const {
        Source source(*this);
        raft::Buffer buffer(std::size_t{1} << 20);
        std::uint64_t total = 0;
        while (const std::size_t count = source.read(buffer.writable())) total += count;
        if (source.failure()) return *source.failure();
        const bool empty_but_wrong = meta().size == 0 && meta().checksum != detail::checksum({});
        if (total == meta().size && !empty_but_wrong) return {};
        return detail::damage(path(), header_bytes_, "the backup is damaged");
    }

    const std::string& path() const { return file_->path(); }
    /// Names it: no other backup has the same, but for chance; not 0.
    std::uint64_t id() const { return id_; }
    /// Position and membership that it was made at, size and checksum of the state.
    const raft::SnapshotMeta& meta() const { return head_.meta; }
    /// The name of the cluster that it was made of; empty: not known.
    const std::string& cluster() const { return head_.cluster; }
    /// The backup that this cluster was founded from; 0: none.
    std::uint64_t origin() const { return head_.origin; }
    /// The members that this cluster was founded with; empty: not known.
    const raft::Membership& founding() const { return head_.founding; }

    /// The state, to be read once. It ends early where it is damaged.
    std::unique_ptr<raft::ByteSource> source() const { return std::make_unique<Source>(*this); }
    /// The state, to be written once. It throws where it cannot be read.
    raft::SnapshotProducer producer() const {
        return [backup = *this](raft::ByteSink& sink) {
            Source source(backup);
            raft::Buffer buffer(std::size_t{256} << 10);
            std::uint64_t left = backup.meta().size;
            while (const std::size_t count = source.read(buffer.writable())) {
                sink.write(buffer.writable().first(count));
                left -= count;
            }
            if (left != 0) throw std::system_error(make_error_code(StorageErrc::corrupted));
        };
    }

private:
    /// The last piece is given away only after the whole has been found undamaged.
    class Source final : public raft::ByteSource {
    public:
        explicit Source(const Backup& backup)
            : file_(backup.file_),
              begin_(backup.header_bytes_),
              size_(backup.meta().size),
              checksum_(backup.meta().checksum) {}
        std::size_t read(std::span<std::byte> out) override {
            const auto wanted = out.first(
                static_cast<std::size_t>(std::min<std::uint64_t>(size_ - position_, out.size())));
            if (failed_ || wanted.empty()) return 0;
            const auto count = PosixFiles{}.read_at(*file_, begin_ + position_, wanted);
            failed_ = !count || *count != wanted.size();
            if (!count) failure_ = count.error();
            if (failed_) return 0;
            sum_.update(wanted);
            position_ += wanted.size();
            failed_ = position_ == size_ && sum_.value() != checksum_;
            return failed_ ? 0 : wanted.size();
        }
        const std::optional<raft::Failure>& failure() const { return failure_; }

    private:
        std::shared_ptr<const PosixFiles::File> file_;
        std::uint64_t begin_;
        std::uint64_t size_;
        std::uint64_t checksum_;
        std::uint64_t position_ = 0;
        detail::Checksum sum_;
        std::optional<raft::Failure> failure_;
        bool failed_ = false;
    };

    Backup() = default;
    raft::Result<void> read_header();

    std::shared_ptr<const PosixFiles::File> file_;
    detail::BackupHead head_;
    std::uint64_t id_ = 0;
    std::uint64_t header_bytes_ = 0;
};

inline raft::Result<Backup> Backup::open(const std::string& path) {
    auto file = PosixFiles{}.open(path, OpenMode::read);
    if (!file) return file.error();
    Backup backup;
    backup.file_ = std::make_shared<const PosixFiles::File>(std::move(*file));
    if (auto result = backup.read_header(); !result) return result.error();
    return backup;
}

inline raft::Result<void> Backup::read_header() {
    using raft::codec::load_little;
    const PosixFiles files;
    std::array<std::byte, detail::backup_prefix_bytes> prefix{};
    auto count = files.read_at(*file_, 0, prefix);
    if (!count) return count.error();
    if (*count < prefix.size() || std::memcmp(prefix.data(), detail::backup_magic.data(), 8) != 0) {
        return detail::storage_failure(StorageErrc::corrupted, path() + " is no backup");
    }
    const auto version = load_little<std::uint32_t>(prefix.data() + 8);
    const auto length = load_little<std::uint32_t>(prefix.data() + 12);
    const auto damaged = [this] { return detail::damage(path(), 0, "its header is damaged"); };
    if (length < prefix.size() + 8 || length > detail::backup_header_bytes_max) return damaged();
    raft::Buffer header(length);
    count = files.read_at(*file_, 0, header.writable());
    if (!count) return count.error();
    const std::size_t covered = length - 8;
    const auto sum = load_little<std::uint64_t>(header.data() + covered);
    if (*count < length || detail::checksum(header.writable().first(covered)) != sum) {
        return damaged();
    }
    if (version != detail::backup_version) {
        return detail::storage_failure(StorageErrc::unsupported_version,
                                       path() + " has version " + std::to_string(version) +
                                           " of the backup format, where only version " +
                                           std::to_string(detail::backup_version) + " is known");
    }
    raft::codec::Reader in(header.share(prefix.size(), covered - prefix.size()));
    raft::codec::get(in, head_);
    if (!in.done() || head_.meta.empty()) return damaged();
    const auto size = files.size(*file_);
    if (!size) return size.error();
    if (*size < length || *size - length != head_.meta.size) {
        return detail::damage(path(), std::min<std::uint64_t>(*size, length + head_.meta.size),
                              "it should end at " + std::to_string(length + head_.meta.size) +
                                  " and has " + std::to_string(*size) + " bytes");
    }
    header_bytes_ = length;
    id_ = std::max(sum, std::uint64_t{1});
    return {};
}

inline raft::Result<Backup> Backup::save(const CapturedState& state, const std::string& path) {
    const PosixFiles files;
    const std::string aside = path + ".tmp";
    auto result = [&]() -> raft::Result<void> {
        const auto directory = files.open(detail::parent_of(path), OpenMode::directory);
        if (!directory) return directory.error();
        const auto file = files.open(aside, OpenMode::create);
        if (!file) return file.error();
        auto written = detail::write_backup(state, *file);
        if (written) written = files.sync(*file);
        if (written) written = files.rename(aside, path);
        if (written) written = files.sync_directory(*directory);
        if (!written) static_cast<void>(files.remove(aside).has_value());
        return written;
    }();
    if (!result) return result.error();
    return open(path);
}

}  // namespace rsm

#endif
