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

/// Bytes of a request with its framing: "$<up to 7 digits>\r\n" and "\r\n" around each argument.
inline constexpr std::size_t request_bytes_max = command_bytes_max + 16 * command_arguments_max;
/// Bytes of a command in the log: less framing than in the request.
inline constexpr std::size_t entry_bytes_max = request_bytes_max;

}  // namespace kv

#endif
