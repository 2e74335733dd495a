// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How disk_and_clock.cpp is told what is wrong with a server's disk and clock.
#ifndef RSM_TESTS_CHAOS_CONTROL_HPP
#define RSM_TESTS_CHAOS_CONTROL_HPP

#include <cstdint>

namespace chaos {

/// The variable of the environment that names the file.
inline constexpr const char* control_variable = "RSM_CHAOS_CONTROL";

/// What the file holds, in the machine's byte order (tests/chaos/servers.py writes it, too). Only
/// zeros: nothing is wrong.
struct Control {
    std::int64_t clock_offset_s = 0;  ///< added to the wall clock
    std::int32_t sync_ms = 0;         ///< how long each sync takes longer
    std::int32_t sync_hangs = 0;      ///< syncs do not return
    std::int32_t sync_error = 0;      ///< an errno that each sync ends with
    std::int32_t write_error = 0;     ///< an errno that each write of a file ends with
    std::int32_t full = 0;            ///< no file is made, and none grows
};

}  // namespace chaos

#endif
