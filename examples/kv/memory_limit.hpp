// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How much memory this process may have.
#ifndef RSM_EXAMPLES_KV_MEMORY_LIMIT_HPP
#define RSM_EXAMPLES_KV_MEMORY_LIMIT_HPP

#include "integer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

namespace kv {

namespace detail {

inline constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

/// The number in a file; "max", or no file: no limit.
inline std::uint64_t limit_in(const std::string& path) {
    std::ifstream file(path);
    std::string word;
    if (!(file >> word)) return no_limit;
    const auto number = parse_integer(word);
    return number && *number >= 0 ? static_cast<std::uint64_t>(*number) : no_limit;
}

/// Of a control group and of those that it is in.
inline std::uint64_t limit_of_group(const std::string& root, std::string group,
                                    const std::string& file) {
    std::uint64_t least = limit_in(root + "/" + file);
    while (!group.empty() && group != "/") {
        least = std::min(least, limit_in(root + group + "/" + file));
        group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
    return least;
}

/// By the lines "<number>:<controllers>:<path>" of /proc/self/cgroup (man 7 cgroups).
/// @param root  where the control groups are mounted
inline std::uint64_t limit_of_groups(const std::string& groups, const std::string& root) {
    std::ifstream lines(groups);
    std::uint64_t least = no_limit;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const std::string path = line.substr(second + 1);
        if (controllers == ",,") {
            least = std::min(least, limit_of_group(root, path, "memory.max"));
        } else if (controllers.find(",memory,") != std::string::npos) {
            least =
                std::min(least, limit_of_group(root + "/memory", path, "memory.limit_in_bytes"));
        }
    }
    return least;
}

}  // namespace detail

/// The least of what the machine has, what the process may map (ulimit -v), and what its control
/// groups may have, in bytes.
inline std::uint64_t memory_limit() {
    std::uint64_t least = detail::limit_of_groups("/proc/self/cgroup", "/sys/fs/cgroup");
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_bytes = ::sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_bytes > 0) {
        least = std::min(
            least, static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes));
    }
    rlimit mapped{};
    if (::getrlimit(RLIMIT_AS, &mapped) == 0 && mapped.rlim_cur != RLIM_INFINITY) {
        least = std::min<std::uint64_t>(least, mapped.rlim_cur);
    }
    return least;
}

/// What of `limit` bytes for the process its clients may take together where nobody has said it:
/// a quarter, 64 MiB at least and 256 MiB at most. The rest is for the state, the log's cache and
/// the queues to peers.
inline std::size_t usual_client_memory(std::uint64_t limit) {
    constexpr std::uint64_t least = std::uint64_t{64} << 20;
    constexpr std::uint64_t most = std::uint64_t{256} << 20;
    return static_cast<std::size_t>(std::clamp(limit / 4, least, most));
}

}  // namespace kv

#endif
