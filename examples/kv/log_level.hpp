// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which lines a server prints, which may be changed while it runs.
#ifndef RSM_EXAMPLES_KV_LOG_LEVEL_HPP
#define RSM_EXAMPLES_KV_LOG_LEVEL_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// What a line is for. The names are those of Redis.
enum class LogLevel : std::uint8_t {
    debug,    ///< each client that comes and goes
    verbose,  ///< each attempt to be elected
    notice,   ///< what changes: roles, leaders, peers, snapshots, clients that had to be closed
    warning,  ///< what somebody should look at
};

inline constexpr std::string_view log_level_names[] = {"debug", "verbose", "notice", "warning"};

inline std::string_view to_string(LogLevel level) {
    return log_level_names[static_cast<std::size_t>(level)];
}
inline std::vector<std::string> names_of_log_levels() {
    return {std::begin(log_level_names), std::end(log_level_names)};
}
/// @param name  in lower case
inline std::optional<LogLevel> parse_log_level(std::string_view name) {
    for (std::size_t i = 0; i < std::size(log_level_names); ++i) {
        if (name == log_level_names[i]) return static_cast<LogLevel>(i);
    }
    return std::nullopt;
}

/// Lines of this level and of those behind it are printed. One for the process, as its standard
/// error is. From any thread.
inline std::atomic<LogLevel>& log_level() {
    static std::atomic<LogLevel> level{LogLevel::notice};
    return level;
}
inline bool is_logged(LogLevel level) {
    return level >= log_level().load(std::memory_order_relaxed);
}

}  // namespace kv

#endif
