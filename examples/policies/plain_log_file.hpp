// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// PlainLogFile: the one file of records that a PlainStorage keeps its log in.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_LOG_FILE_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_LOG_FILE_HPP

#include "plain_directory.hpp"
#include "plain_log.hpp"

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace policies {

/// A record is what one sync makes durable: a header, and the writes that were gathered for it.
///
///     checksum of the rest of the header   8 bytes, seeded with the record's offset
///     length of the body                   8 bytes
///     checksum of the body                 8 bytes
///     body                                 writes, one behind the other
///
/// One checksum for all of them, so after a crash all or none of them are there. The file begins
/// with an image of a log and an empty record, both durable before the file gets its name: so only
/// a record behind these two can be torn, and only the last.
///
/// Thread safety: one thread at a time.
class PlainLogFile {
public:
    using Writes = std::span<const raft::codec::Gather* const>;
    static constexpr std::size_t header_bytes = 24;
    static constexpr const char* name = "log";
    static constexpr const char* aside = "log.new";

    explicit PlainLogFile(std::shared_ptr<Directory> directory)
        : directory_(std::move(directory)) {}

    std::uint64_t size() const { return end_; }
    void close() { file_ = {}; }

    /// Replaces the file by one that begins with this image. After a failure the file is as it was,
    /// and may go on being used, except where `replaced()`.
    raft::Result<void> replace(const raft::codec::Gather& image) {
        replaced_ = false;
        auto made = files_.open(*directory_ / aside, rsm::OpenMode::create);
        if (!made) return made.error();
        const raft::codec::Gather* const whole = &image;
        auto end = put_record(*made, 0, std::span(&whole, 1));
        if (end) end = put_record(*made, *end, {});
        if (!end) return end.error();
        // From here on it may have the name, whatever is reported.
        replaced_ = true;
        auto published = directory_->publish(*made, name);
        if (!published) return published;
        made->bear(*directory_ / name);
        file_ = std::move(*made);
        end_ = *end;
        return {};
    }
    bool replaced() const { return replaced_; }

    /// Reserves the room for a record with these writes. Where there is none nothing has been
    /// begun, so it may be tried again.
    raft::Result<void> reserve(Writes writes) const {
        std::uint64_t bytes = header_bytes;
        for (const raft::codec::Gather* write : writes) bytes += write->size();
        return files_.preallocate(file_, end_ + bytes);
    }
    /// Makes writes durable, all with one sync. A failure is final: what the file holds is unknown.
    raft::Result<void> append(Writes writes) {
        const auto end = put_record(file_, end_, writes);
        if (!end) return end.error();
        end_ = *end;
        return files_.sync(file_);
    }

    /// Reads all of it into `log`. Says in `report` what it has cut.
    raft::Result<void> recover(PlainLog& log, std::vector<std::string>& report) {
        auto opened = files_.open(*directory_ / name, rsm::OpenMode::read_write);
        if (!opened) return opened.error();
        file_ = std::move(*opened);
        end_ = 0;
        const auto size = files_.size(file_);
        if (!size) return size.error();
        for (std::uint64_t records = 0; end_ < *size; ++records) {
            auto body = read_record(end_, *size);
            if (!body) return body.error();
            if (!*body) {
                if (records < 2) return damage(file_.path(), end_, "no intact beginning of a log");
                return cut(*size, report);
            }
            if (!replay(**body, log)) {
                return damage(file_.path(), end_, "a record that does not continue the log");
            }
            end_ += header_bytes + (*body)->size();
        }
        if (end_ < 2 * header_bytes) return damage(file_.path(), end_, "a log without a beginning");
        return {};
    }

private:
    using Header = std::array<std::byte, header_bytes>;
    using Parts = std::vector<std::span<const std::byte>>;

    static std::uint64_t sum(std::span<const std::byte> bytes, std::uint64_t seed) {
        Checksum checksum(seed);
        checksum.update(bytes);
        return checksum.value();
    }

    /// Writes a record, and returns where the next one begins.
    raft::Result<std::uint64_t> put_record(const File& file, std::uint64_t offset,
                                           Writes writes) const {
        Header header;
        Parts parts{header};
        Checksum checksum;
        std::uint64_t length = 0;
        for (const raft::codec::Gather* write : writes) {
            write->for_each_part([&](std::span<const std::byte> part) {
                parts.push_back(part);
                checksum.update(part);
                length += part.size();
            });
        }
        raft::codec::store_little(header.data() + 8, length);
        raft::codec::store_little(header.data() + 16, checksum.value());
        raft::codec::store_little(header.data(), sum(std::span(header).subspan(8), offset));
        if (auto written = files_.write_at(file, offset, parts); !written) return written.error();
        return offset + header_bytes + length;
    }

    static bool is_header(std::span<const std::byte> bytes, std::uint64_t offset) {
        return raft::codec::load_little<std::uint64_t>(bytes.data()) ==
               sum(bytes.subspan(8, header_bytes - 8), offset);
    }

    /// The body of the record at `offset`; nothing where it may be torn. A failure where it is
    /// damaged: something stands behind it, so it had been synced before that was written.
    raft::Result<std::optional<raft::Bytes>> read_record(std::uint64_t offset,
                                                         std::uint64_t size) const {
        const std::optional<raft::Bytes> torn;
        Header header;
        const auto got = files_.read_at(file_, offset, header);
        if (!got) return got.error();
        if (*got < header_bytes || !is_header(header, offset)) return torn;
        const auto length = raft::codec::load_little<std::uint64_t>(header.data() + 8);
        if (length > size - offset - header_bytes) return torn;
        raft::Buffer body(static_cast<std::size_t>(length));
        const auto read = files_.read_at(file_, offset + header_bytes, body.writable());
        if (!read) return read.error();
        const bool intact =
            *read == length &&
            sum(body.writable(), 0) == raft::codec::load_little<std::uint64_t>(header.data() + 16);
        if (intact) return std::optional(body.share(0, body.size()));
        if (offset + header_bytes + length < size) {
            return damage(file_.path(), offset, "a damaged record with others behind it");
        }
        return torn;
    }

    static bool replay(const raft::Bytes& body, PlainLog& log) {
        raft::codec::Reader in(body);
        while (!in.done()) {
            const auto write = get_write(in);
            if (!write || !log.takes(*write)) return false;
            log.apply(*write);
        }
        return true;
    }

    /// Cuts what a crash has left of the last record, unless the header of a later one shows that
    /// it was not the last.
    raft::Result<void> cut(std::uint64_t size, std::vector<std::string>& report) {
        std::vector<std::byte> tail(static_cast<std::size_t>(size - end_));
        if (auto read = files_.read_at(file_, end_, tail); !read) return read.error();
        for (std::size_t at = 1; at + header_bytes <= tail.size(); ++at) {
            if (!is_header(std::span(tail).subspan(at, header_bytes), end_ + at)) continue;
            return damage(file_.path(), end_, "a damaged record with others behind it");
        }
        if (::ftruncate(file_.descriptor(), static_cast<off_t>(end_)) != 0) {
            return raft::Failure{std::error_code(errno, std::system_category()),
                                 "truncate " + file_.path()};
        }
        report.push_back(file_.path() + ": cut an incomplete record at offset " +
                         std::to_string(end_));
        return files_.sync(file_);
    }

    const std::shared_ptr<Directory> directory_;
    Files files_;
    File file_;
    std::uint64_t end_ = 0;  ///< where the next record goes
    bool replaced_ = false;
};

}  // namespace policies

#endif
