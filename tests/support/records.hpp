// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Makers of what Raft's records are in tests: times, entries, writes, memberships, messages.
#ifndef RSM_TESTS_SUPPORT_RECORDS_HPP
#define RSM_TESTS_SUPPORT_RECORDS_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raft::test {

using std::chrono::milliseconds;

inline Time at(milliseconds time) { return Time{} + time; }
inline Bytes text(std::string_view characters) { return Bytes::copy_of(characters); }
inline Entry entry(std::uint64_t index, std::uint64_t term, std::string_view payload = "x") {
    return {Index{index}, Term{term}, EntryKind::operation, text(payload)};
}
/// Its payload has this size.
inline Entry entry(std::uint64_t index, std::uint64_t term, std::size_t size) {
    return entry(index, term, std::string(size, static_cast<char>('a' + index % 26)));
}
inline LogPosition position(std::uint64_t index, std::uint64_t term) { return {{index}, {term}}; }
/// Entries first, first + 1, ... of these terms.
inline std::vector<Entry> entries(std::uint64_t first, std::vector<std::uint64_t> terms) {
    std::vector<Entry> made;
    for (const std::uint64_t term : terms) made.push_back(entry(first++, term));
    return made;
}
inline Membership voters(std::uint64_t count) {
    std::vector<NodeId> ids;
    for (std::uint64_t id = 1; id <= count; ++id) ids.push_back({id});
    return Membership::of_voters(std::move(ids));
}
template <class Body>
Message message(std::uint64_t from, std::uint64_t to, Body body) {
    return {NodeId{from}, NodeId{to}, std::move(body)};
}

/// Bytes as lower-case hexadecimal digits.
inline std::string hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char byte : bytes) {
        text += digits[static_cast<unsigned char>(byte) >> 4U];
        text += digits[static_cast<unsigned char>(byte) & 15U];
    }
    return text;
}

inline Write write_of(std::vector<Entry> list) {
    Write write;
    write.entries = std::move(list);
    return write;
}
inline Write hard_state(HardState state) {
    Write write;
    write.hard_state = state;
    return write;
}
inline Write release(LogPosition to) {
    Write write;
    write.release = to;
    return write;
}
inline Write reset(LogPosition to) {
    Write write;
    write.reset = to;
    return write;
}

}  // namespace raft::test

#endif
