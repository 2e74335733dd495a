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
//   classes               The class version (BOOST_CLASS_VERSION, 0 if not given; an earlier one
//                         where the archive has one to write in) as a varint, so
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

#include <rsm/archive/buffer.hpp>
#include <rsm/archive/encoding.hpp>
#include <rsm/archive/errors.hpp>
#include <rsm/archive/format_versions.hpp>
#include <rsm/archive/input.hpp>
#include <rsm/archive/output.hpp>
#include <rsm/archive/snapshot.hpp>
#include <rsm/archive/standard_types.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace rsm::inline v0 {

/// The encoding of one value.
template <class T>
std::vector<std::byte> encode(const T& value) {
    BufferWriter writer;
    writer << value;
    return writer.take();
}

/// The value whose encoding `bytes` is, to the last byte. Errors: ArchiveError.
template <class T>
T decode(std::span<const std::byte> bytes, const FormatVersions& versions = {}) {
    T value{};
    BufferReader reader(bytes);
    reader.use_versions(versions);
    reader >> value;
    reader.finish();
    return value;
}

}  // namespace rsm

#endif
