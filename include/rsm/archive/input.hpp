// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The loading archive: bytes to values.
#ifndef RSM_ARCHIVE_INPUT_HPP
#define RSM_ARCHIVE_INPUT_HPP

#include <rsm/archive/errors.hpp>
#include <rsm/archive/format_versions.hpp>
#include <rsm/archive/words.hpp>

#include <boost/mpl/bool.hpp>
#include <boost/serialization/library_version_type.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

namespace rsm::inline v0 {

namespace detail {

// How a T is written and read; defined in archive/encoding.hpp and archive/standard_types.hpp.
template <class T>
struct Encoding;
// False for the wrappers, which are specialized beside Encoding.
template <class T>
inline constexpr bool loadable_in_place = true;

}  // namespace detail

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

    /// In which version this was written, where the state machine has versions: for those who read
    /// by hand.
    std::uint32_t version() const noexcept { return versions_.written; }
    const FormatVersions& versions() const noexcept { return versions_; }
    void use_versions(const FormatVersions& versions) noexcept { versions_ = versions; }

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
        return boost::serialization::library_version_type(19);
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

    FormatVersions versions_;
    std::uint32_t depth_ = 0;
};

}  // namespace rsm

#endif
