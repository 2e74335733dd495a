// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The saving archive: values to bytes.
#ifndef RSM_ARCHIVE_OUTPUT_HPP
#define RSM_ARCHIVE_OUTPUT_HPP

#include <rsm/archive/errors.hpp>
#include <rsm/archive/format_versions.hpp>
#include <rsm/archive/words.hpp>

#include <boost/mpl/bool.hpp>
#include <boost/serialization/library_version_type.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace rsm::inline v0 {

namespace detail {

// How a T is written and read; defined in archive/encoding.hpp and archive/standard_types.hpp.
template <class T>
struct Encoding;

}  // namespace detail

/// The saving archive, as users' `serialize` functions see it. It owns no memory: a derived class
/// provides room.
///
/// The room is a plain range of bytes, so that writing a value into it is inline and only running
/// out of room costs a virtual call. The class is not a template of where bytes go, so that user
/// code is instantiated once.
///
/// Errors: ArchiveError as described at ArchiveErrc; std::bad_alloc; whatever the sink or the
/// user's own functions throw. Thread safety: distinct objects are safe; one object is used from
/// one thread at a time.
class OutputArchive {
public:
    using is_saving = boost::mpl::true_;
    using is_loading = boost::mpl::false_;

    virtual ~OutputArchive() = default;
    OutputArchive(const OutputArchive&) = delete;
    OutputArchive& operator=(const OutputArchive&) = delete;

    /// Writes `value` in the encoding described at the top of this file.
    template <class T>
    OutputArchive& operator<<(const T& value) {
        detail::Encoding<T>::save(*this, value);
        return *this;
    }
    template <class T>
    OutputArchive& operator&(const T& value) {
        return *this << value;
    }

    /// Writes bytes as they are, without a count.
    void write(std::span<const std::byte> bytes) {
        if (bytes.size() > room()) {
            write_beyond_room(bytes);
        } else if (!bytes.empty()) {
            std::memcpy(next_, bytes.data(), bytes.size());
            next_ += bytes.size();
        }
    }

    /// Writes one byte.
    void write_byte(std::uint8_t value) {
        if (room() < 1) {
            make_room(1);
        }
        *next_++ = std::byte{value};
    }

    /// Writes an unsigned integer in 1 to 9 bytes. This is also how counts are written.
    void write_varint(std::uint64_t value) {
        if (room() < detail::varint_bytes_max) {
            make_room(detail::varint_bytes_max);
        }
        if (value <= detail::varint_single_max) {
            *next_++ = static_cast<std::byte>(value);
            return;
        }
        const auto length = static_cast<unsigned>(std::bit_width(value) + 7) / 8;
        const std::uint64_t word = detail::little_endian(value);
        *next_ = static_cast<std::byte>(detail::varint_single_max + length);
        std::memcpy(next_ + 1, &word, sizeof(word));
        next_ += 1 + length;
    }

    /// Writes an unsigned integer in exactly `sizeof(Word)` bytes, little-endian.
    template <class Word>
    void write_fixed(Word value) {
        static_assert(std::is_unsigned_v<Word>);
        const Word word = detail::little_endian(value);
        write(std::as_bytes(std::span(&word, 1)));
    }

    /// How many bytes were written since the archive was made or cleared.
    std::uint64_t size() const noexcept {
        return flushed_ + static_cast<std::uint64_t>(next_ - begin_);
    }

    /// Whether something was written whose parts have no order of their own, as those of unordered
    /// containers have none: equal values may then have other bytes elsewhere.
    bool any_order() const noexcept { return any_order_; }
    void say_any_order() noexcept { any_order_ = true; }

    /// In which version is written, where the state machine has versions: for those who write by
    /// hand. The newest one where nobody has said another.
    std::uint32_t version() const noexcept { return versions_.written; }
    const FormatVersions& versions() const noexcept { return versions_; }
    void use_versions(const FormatVersions& versions) noexcept { versions_ = versions; }

    /// Ends the work with an ArchiveError at the present position.
    [[noreturn]] void fail(ArchiveErrc code) const { throw ArchiveError(code, size()); }

    /// What Boost's headers for other containers ask of an archive.
    void save_binary(const void* data, std::size_t count) {
        write({static_cast<const std::byte*>(data), count});
    }
    static boost::serialization::library_version_type get_library_version() {
        return boost::serialization::library_version_type(19);
    }

protected:
    OutputArchive() = default;

    /// Makes at least `count` bytes of room, where `count` is at most `detail::varint_bytes_max`.
    virtual void make_room(std::size_t count) = 0;
    /// Writes `bytes`, which exceed the room.
    virtual void write_beyond_room(std::span<const std::byte> bytes) = 0;

    std::size_t room() const noexcept { return static_cast<std::size_t>(end_ - next_); }

    // begin_ <= next_ <= end_: written from begin_ to next_, room from next_ to end_.
    std::byte* begin_ = nullptr;
    std::byte* next_ = nullptr;
    std::byte* end_ = nullptr;
    // Bytes that were written before the one at begin_.
    std::uint64_t flushed_ = 0;
    bool any_order_ = false;

private:
    template <class T>
    friend struct detail::Encoding;

    FormatVersions versions_;
    std::uint32_t depth_ = 0;
};

}  // namespace rsm

#endif
