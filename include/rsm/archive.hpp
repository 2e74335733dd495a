// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Archives for Boost.Serialization: they turn operations, results and snapshots into bytes and
// back.
//
// The archives are modelled here and not taken from Boost.Archive because those are a compiled
// library, write integers in the width of the machine at hand, and trust the counts that they
// read. Users' `serialize` functions, member or free, joined or split, and BOOST_CLASS_VERSION
// work as they do with Boost's own archives. The containers of the standard library need no
// boost/serialization/<container>.hpp, and including one does no harm.
//
// The encoding. It is the same on every machine, and a value has one encoding only, except that
// unordered containers are written in the order in which they iterate. There is no header, no
// alignment and no type information: what frames the bytes (log entry, snapshot file) carries the
// format's version, the length and the checksum.
//
//   1-byte integers,      The byte itself.
//   char, char8_t,
//   std::byte
//   bool                  One byte, 0 or 1.
//   wider integers,       "varint", by value and so the same for int, long and long long. A value
//   char16_t, char32_t    n below 248 is the byte n. Any other is the byte 247 + k, where k in
//                         1..8 is the least number of bytes that hold n, and then n in k bytes,
//                         little-endian. Signed integers are mapped first, so that small
//                         magnitudes stay short: 0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ...
//   enumerations          As their underlying type, which must be stated in the declaration.
//   float, double         4 or 8 bytes, IEEE 754, little-endian; the bits of a NaN are kept.
//   std::basic_string     Count of characters as a varint, then the characters.
//   std::vector, deque,   Count of elements as a varint, then the elements; a map's element is its
//   list, (multi)set,     key and then its value. If the elements take fewer bytes than there are
//   (multi)map and the    elements, because they encode to nothing, zero bytes fill up to one byte
//   unordered_ ones       for each element. So a count never exceeds the number of bytes that
//                         follow it, and a reader can refuse it before allocating.
//   std::optional         bool "has a value", then the value if there is one.
//   std::pair, tuple,     The parts in order, without a count.
//   std::array, T[N]
//   std::variant          Index of the alternative as a varint, then the alternative.
//   std::monostate        Nothing.
//   classes               The class version (BOOST_CLASS_VERSION, 0 if not given) as a varint, so
//                         one byte in practice, then what `serialize` writes. The version goes
//                         with each object and is not kept in a table for the whole archive: this
//                         costs a byte, but needs no lookup and no state, and a class can always
//                         be given a new version later. A class that is marked with
//                         BOOST_CLASS_IMPLEMENTATION(T, object_serializable) gives up versions
//                         and saves the byte.
//
// The varint is of prefix kind because it is decoded with one branch and one 8-byte load, whatever
// its length, where the continuation bits of LEB128 need a loop; small values, which are by far
// the most common, still take one byte.
//
// Not supported, with a message at compile time: pointers (raw or smart) and polymorphic classes,
// since no identity or dynamic type is stored; long double, wchar_t and enumerations without a
// stated type, since they differ between platforms.
#ifndef RSM_ARCHIVE_HPP
#define RSM_ARCHIVE_HPP

#include <raft/stream.hpp>

#include <boost/mpl/bool.hpp>
#include <boost/serialization/library_version_type.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm {

/// Why bytes could not be decoded. Encoding fails only with `too_deep`, or with `bad_value` for a
/// variant that is valueless.
enum class ArchiveErrc : std::uint8_t {
    /// The bytes end before the value does.
    truncated = 1,
    /// A count says more elements than the bytes that are left can hold.
    count_too_large,
    /// An integer does not fit the type that is read, on this machine.
    out_of_range,
    /// No encoder writes this: a bool of 2, a varint longer than needed, a key twice in a map, the
    /// keys of an ordered map out of order.
    bad_value,
    /// An object was written by a later version of its class than this program knows.
    newer_version,
    /// More than `archive_depth_max` objects are nested in one another.
    too_deep,
    /// The value ended before the bytes did.
    trailing_bytes,
};

/// How deep objects may be nested in one another. Only a class that holds containers of itself can
/// reach this; the bound keeps hostile bytes from exhausting the stack.
inline constexpr std::uint32_t archive_depth_max = 256;

/// The fixed text for an error, without a full stop.
constexpr const char* describe(ArchiveErrc code) noexcept {
    switch (code) {
        case ArchiveErrc::truncated: return "the bytes end before the value does";
        case ArchiveErrc::count_too_large:
            return "a count exceeds what the remaining bytes can hold";
        case ArchiveErrc::out_of_range: return "an integer does not fit its type";
        case ArchiveErrc::bad_value: return "the bytes are not the encoding of any value";
        case ArchiveErrc::newer_version:
            return "an object has a class version newer than this program knows";
        case ArchiveErrc::too_deep: return "objects are nested too deep";
        case ArchiveErrc::trailing_bytes: return "bytes are left after the value";
    }
    return "unknown archive error";
}

/// Thrown by the archives. An object whose load threw is valid but holds an unspecified value, and
/// the archive that threw must not be used further.
class ArchiveError : public std::runtime_error {
public:
    ArchiveError(ArchiveErrc code, std::uint64_t offset)
        : std::runtime_error("archive: " + std::string(describe(code)) + ", at byte " +
                             std::to_string(offset)),
          code_(code),
          offset_(offset) {}

    ArchiveErrc code() const noexcept { return code_; }
    /// How many bytes of the archive had been taken (or written) when the error was found.
    std::uint64_t offset() const noexcept { return offset_; }

private:
    ArchiveErrc code_;
    std::uint64_t offset_;
};

namespace detail {

// How a T is written and read; defined in detail/archive_encoding.hpp.
template <class T>
struct Encoding;
// False for the wrappers, which are specialized beside Encoding.
template <class T>
inline constexpr bool loadable_in_place = true;

inline constexpr std::size_t varint_bytes_max = 9;
// The largest value that is its own single byte.
inline constexpr std::uint8_t varint_single_max = 247;

// The whole word is moved by memcpy, which compilers turn into one instruction where the machine is
// little-endian.
template <class Word>
constexpr Word little_endian(Word word) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
        return word;
    } else {
        Word swapped = 0;
        for (std::size_t i = 0; i < sizeof(Word); ++i) {
            swapped = static_cast<Word>((swapped << 8) | ((word >> (8 * i)) & 0xff));
        }
        return swapped;
    }
}

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

private:
    template <class T>
    friend struct detail::Encoding;

    std::uint32_t depth_ = 0;
};

/// The loading archive, as users' `serialize` functions see it. It owns no memory: a derived class
/// provides bytes.
///
/// Nothing that is read is trusted. Every count is compared with the bytes that are left before
/// memory is allocated for it, so what a load allocates is bounded by the bytes received times the
/// in-memory size of an element.
///
/// Errors: ArchiveError; std::bad_alloc; whatever the source or the user's own functions throw.
/// Thread safety: as for OutputArchive.
class InputArchive {
public:
    using is_saving = boost::mpl::false_;
    using is_loading = boost::mpl::true_;

    virtual ~InputArchive() = default;
    InputArchive(const InputArchive&) = delete;
    InputArchive& operator=(const InputArchive&) = delete;

    /// Replaces `value` by the value that is read. What `value` held before has no influence on the
    /// result, except in members that a class's own function leaves alone.
    template <class T>
    InputArchive& operator>>(T&& value) {
        using Value = std::remove_reference_t<T>;
        using Object = std::remove_const_t<Value>;
        static_assert((std::is_lvalue_reference_v<T> && !std::is_const_v<Value>) ||
                          !detail::loadable_in_place<Object>,
                      "only an object that is not const, or a wrapper such as make_nvp(), can be "
                      "loaded into");
        detail::Encoding<Object>::load(*this, const_cast<Object&>(value));
        return *this;
    }
    template <class T>
    InputArchive& operator&(T&& value) {
        return *this >> static_cast<T&&>(value);
    }

    /// Reads exactly `out.size()` bytes as they are.
    void read(std::span<std::byte> out) {
        if (out.size() > available()) {
            read_beyond_available(out);
        } else if (!out.empty()) {
            std::memcpy(out.data(), next_, out.size());
            next_ += out.size();
        }
    }

    /// Reads one byte.
    std::uint8_t read_byte() {
        if (available() < 1) {
            make_available(1);
        }
        return std::to_integer<std::uint8_t>(*next_++);
    }

    /// Reads what `write_varint` wrote. A value that could have been written shorter is a
    /// `bad_value`.
    std::uint64_t read_varint() {
        const std::uint8_t first = read_byte();
        if (first <= detail::varint_single_max) {
            return first;
        }
        const unsigned length = first - unsigned{detail::varint_single_max};
        std::uint64_t word = 0;
        if (available() >= sizeof(word)) {
            std::memcpy(&word, next_, sizeof(word));
            word = detail::little_endian(word) & (~std::uint64_t{0} >> (64 - 8 * length));
        } else {
            word = peek_short_word(length);
        }
        next_ += length;
        const std::uint64_t least = length == 1 ? detail::varint_single_max + std::uint64_t{1}
                                                : std::uint64_t{1} << (8 * (length - 1));
        if (word < least) {
            fail(ArchiveErrc::bad_value);
        }
        return word;
    }

    /// Reads what `write_fixed` wrote.
    template <class Word>
    Word read_fixed() {
        static_assert(std::is_unsigned_v<Word>);
        Word word = 0;
        read(std::as_writable_bytes(std::span(&word, 1)));
        return detail::little_endian(word);
    }

    /// Reads a count of elements, each of which takes at least `element_bytes_min` (at least 1)
    /// bytes. A count that the remaining bytes cannot hold is `count_too_large`, so the result is
    /// safe to reserve for.
    std::size_t read_count(std::uint64_t element_bytes_min = 1) {
        const std::uint64_t count = read_varint();
        if (count > remaining() / element_bytes_min ||
            count > std::numeric_limits<std::size_t>::max()) {
            fail(ArchiveErrc::count_too_large);
        }
        return static_cast<std::size_t>(count);
    }

    /// How many bytes were taken.
    std::uint64_t offset() const noexcept {
        return consumed_ + static_cast<std::uint64_t>(next_ - begin_);
    }
    /// How many bytes are left.
    std::uint64_t remaining() const noexcept { return available() + unread_; }

    /// Confirms that everything was taken; otherwise throws `trailing_bytes`.
    void finish() const {
        if (remaining() != 0) {
            fail(ArchiveErrc::trailing_bytes);
        }
    }

    /// Refuses the bytes with an ArchiveError at the present position; for checks in users' own
    /// load functions.
    [[noreturn]] void fail(ArchiveErrc code) const { throw ArchiveError(code, offset()); }

    /// What Boost's headers for other containers ask of an archive. Addresses are not tracked.
    void load_binary(void* data, std::size_t count) {
        read({static_cast<std::byte*>(data), count});
    }
    template <class T>
    void reset_object_address(const T*, const T*) noexcept {}
    static boost::serialization::library_version_type get_library_version() {
        return OutputArchive::get_library_version();
    }

protected:
    InputArchive() = default;

    /// Makes at least `count` bytes available, where `count` is at most `detail::varint_bytes_max`,
    /// or throws `truncated`.
    virtual void make_available(std::size_t count) = 0;
    /// Reads `out`, which exceeds what is available, or throws `truncated`.
    virtual void read_beyond_available(std::span<std::byte> out) = 0;

    std::size_t available() const noexcept { return static_cast<std::size_t>(end_ - next_); }

    // begin_ <= next_ <= end_: taken up to next_, available from next_ to end_.
    const std::byte* begin_ = nullptr;
    const std::byte* next_ = nullptr;
    const std::byte* end_ = nullptr;
    // Bytes of the archive before the one at begin_, and from the one at end_ on.
    std::uint64_t consumed_ = 0;
    std::uint64_t unread_ = 0;

private:
    template <class T>
    friend struct detail::Encoding;

    // Near the end of the available bytes a whole word must not be loaded.
    std::uint64_t peek_short_word(unsigned length) {
        if (available() < length) {
            make_available(length);
        }
        std::uint64_t word = 0;
        for (unsigned i = 0; i < length; ++i) {
            word |= std::to_integer<std::uint64_t>(next_[i]) << (8 * i);
        }
        return word;
    }

    std::uint32_t depth_ = 0;
};

/// An archive that writes to memory of its own, which grows by doubling and can be used again.
class BufferWriter final : public OutputArchive {
public:
    BufferWriter() = default;

    /// The bytes that were written; valid until the next write, `clear` or `take`.
    std::span<const std::byte> view() const noexcept {
        return {begin_, static_cast<std::size_t>(size())};
    }

    /// Forgets the bytes and keeps the memory.
    void clear() noexcept { next_ = begin_; }

    /// Hands over the bytes and leaves the writer empty and without memory.
    std::vector<std::byte> take() {
        storage_.resize(static_cast<std::size_t>(size()));
        begin_ = next_ = end_ = nullptr;
        return std::exchange(storage_, {});
    }

private:
    void make_room(std::size_t count) override {
        constexpr std::size_t first_capacity = 256;
        const auto used = static_cast<std::size_t>(size());
        storage_.resize(std::max({first_capacity, used + count, 2 * storage_.size()}));
        begin_ = storage_.data();
        next_ = begin_ + used;
        end_ = begin_ + storage_.size();
    }

    void write_beyond_room(std::span<const std::byte> bytes) override {
        make_room(bytes.size());
        write(bytes);
    }

    std::vector<std::byte> storage_;
};

/// An archive that reads from bytes that belong to the caller and must outlive it. Nothing is
/// copied but the values.
class BufferReader final : public InputArchive {
public:
    explicit BufferReader(std::span<const std::byte> bytes) noexcept {
        begin_ = next_ = bytes.data();
        end_ = begin_ + bytes.size();
    }

    /// The bytes that are left.
    std::span<const std::byte> rest() const noexcept { return {next_, available()}; }

private:
    void make_available(std::size_t) override { fail(ArchiveErrc::truncated); }
    void read_beyond_available(std::span<std::byte>) override { fail(ArchiveErrc::truncated); }
};

inline constexpr std::size_t snapshot_buffer_bytes = 64 * 1024;

/// An archive that hands its bytes to a sink in pieces of about `snapshot_buffer_bytes`, so that a
/// snapshot of any size takes that much memory. Larger blocks, such as long strings, go to the sink
/// directly and are not copied.
class SnapshotWriter final : public OutputArchive {
public:
    /// The sink must outlive the writer. `buffer_bytes` is raised to 16 if it is less.
    explicit SnapshotWriter(raft::ByteSink& sink, std::size_t buffer_bytes = snapshot_buffer_bytes)
        : sink_(sink), buffer_(std::max(buffer_bytes, std::size_t{16})) {
        begin_ = next_ = buffer_.data();
        end_ = begin_ + buffer_.size();
    }

    /// Hands what is left in the buffer to the sink. Without this call the last piece is lost: a
    /// writer that goes out of scope, for example because the user's function threw, leaves the
    /// snapshot unfinished on purpose.
    void flush() {
        if (next_ != begin_) {
            const auto count = static_cast<std::size_t>(next_ - begin_);
            sink_.write({begin_, count});
            flushed_ += count;
            next_ = begin_;
        }
    }

private:
    void make_room(std::size_t) override { flush(); }

    void write_beyond_room(std::span<const std::byte> bytes) override {
        flush();
        if (bytes.size() < buffer_.size()) {
            write(bytes);
        } else {
            sink_.write(bytes);
            flushed_ += bytes.size();
        }
    }

    raft::ByteSink& sink_;
    std::vector<std::byte> buffer_;
};

/// An archive that takes its bytes from a source, of which the total is known, through a buffer of
/// fixed size. Counts are compared with the stated total, so the caller states what it has stored,
/// not what a peer promises.
class SnapshotReader final : public InputArchive {
public:
    /// The source must outlive the reader. At most `total_bytes` are taken from it; if it ends or
    /// fails earlier, the load that needs the missing bytes throws `truncated`. `buffer_bytes` is
    /// raised to 16 if it is less.
    SnapshotReader(raft::ByteSource& source, std::uint64_t total_bytes,
                   std::size_t buffer_bytes = snapshot_buffer_bytes)
        : source_(source), buffer_(capacity_for(total_bytes, buffer_bytes)) {
        begin_ = next_ = end_ = buffer_.data();
        unread_ = total_bytes;
    }

private:
    void make_available(std::size_t count) override {
        const std::size_t kept = available();
        consumed_ += static_cast<std::uint64_t>(next_ - begin_);
        std::memmove(buffer_.data(), next_, kept);
        next_ = begin_;
        end_ = begin_ + kept;
        while (available() < count) {
            const std::size_t got = pull(std::span(buffer_).subspan(available()));
            end_ += got;
        }
    }

    void read_beyond_available(std::span<std::byte> out) override {
        if (out.size() > remaining()) {
            fail(ArchiveErrc::truncated);
        }
        const std::size_t buffered = available();
        read(out.first(buffered));
        std::span<std::byte> rest = out.subspan(buffered);
        // The buffer is empty now. Large blocks bypass it; the end of a block comes through it.
        while (rest.size() >= buffer_.size()) {
            const std::size_t got = pull(rest);
            consumed_ += got;
            rest = rest.subspan(got);
        }
        while (!rest.empty()) {
            make_available(1);
            const std::size_t part = std::min(rest.size(), available());
            read(rest.first(part));
            rest = rest.subspan(part);
        }
    }

    static std::size_t capacity_for(std::uint64_t total_bytes, std::size_t buffer_bytes) {
        const std::uint64_t useful = std::min<std::uint64_t>(total_bytes, buffer_bytes);
        return std::max(static_cast<std::size_t>(useful), std::size_t{16});
    }

    // Takes at least one byte from the source into `out`, which must not be empty.
    std::size_t pull(std::span<std::byte> out) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), unread_));
        const std::size_t got = wanted == 0 ? 0 : source_.read(out.first(wanted));
        if (got == 0 || got > wanted) {
            fail(ArchiveErrc::truncated);
        }
        unread_ -= got;
        return got;
    }

    raft::ByteSource& source_;
    std::vector<std::byte> buffer_;
};

}  // namespace rsm

#include <rsm/detail/archive_encoding.hpp>

namespace rsm {

/// The encoding of one value.
template <class T>
std::vector<std::byte> encode(const T& value) {
    BufferWriter writer;
    writer << value;
    return writer.take();
}

/// The value whose encoding `bytes` is, to the last byte. Errors: ArchiveError.
template <class T>
T decode(std::span<const std::byte> bytes) {
    T value{};
    BufferReader reader(bytes);
    reader >> value;
    reader.finish();
    return value;
}

}  // namespace rsm

#endif
