// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How large a command may be, in one place: for the parser, for the commands and for the log.
#ifndef RSM_EXAMPLES_KV_LIMITS_HPP
#define RSM_EXAMPLES_KV_LIMITS_HPP

#include <cstddef>

namespace kv {

// A command is carried out in one go, on every replica if it writes, and nothing else happens
// there meanwhile. These limits keep that to some 10 ms: 4096 keys take 5, 8 MiB are copied a few
// times.

/// Bytes of all arguments of one command together, its name not counted; so of a value, of its key
/// and value, of all keys and values of MSET.
inline constexpr std::size_t command_bytes_max = std::size_t{8} << 20;
/// Keys of one command.
inline constexpr std::size_t command_keys_max = 4096;
/// Arguments of one command, its name counted: those of an MSET of as many keys.
inline constexpr std::size_t command_arguments_max = 2 * command_keys_max + 1;
/// Bytes of the reply to one command.
inline constexpr std::size_t reply_bytes_max_default = std::size_t{16} << 20;

/// Bytes of values that a transaction reads, writes or writes over: the log's entry is no measure
/// for that, because each APPEND to a large value takes as long as the value is large.
inline constexpr std::size_t transaction_work_max = std::size_t{64} << 20;
/// Keys that may be there for KEYS, which looks at all of them.
inline constexpr std::size_t keys_looked_at_max = 16384;
/// Keys that one SCAN looks at.
inline constexpr std::size_t scan_count_max = 1024;
/// Bytes of a pattern.
inline constexpr std::size_t pattern_bytes_max = 1024;
/// Comparisons of bytes that the patterns of one command may take.
inline constexpr std::size_t match_steps_max = std::size_t{4} << 20;
/// Keys that a SET frees of those that have expired, and that nothing but the time frees.
inline constexpr std::size_t freed_by_write = 64;
inline constexpr std::size_t freed_by_tick = 1024;

/// Bytes of a request with its framing: "$<up to 7 digits>\r\n" and "\r\n" around each argument.
inline constexpr std::size_t request_bytes_max = command_bytes_max + 16 * command_arguments_max;
/// Bytes of a command in the log: less framing than in the request.
inline constexpr std::size_t entry_bytes_max = request_bytes_max;

}  // namespace kv

#endif
