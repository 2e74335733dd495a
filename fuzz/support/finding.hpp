// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a fuzzer says that something is not as it must be.
#ifndef RSM_FUZZ_SUPPORT_FINDING_HPP
#define RSM_FUZZ_SUPPORT_FINDING_HPP

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fuzz {

/// Ends the program, which makes libFuzzer keep the input.
[[noreturn]] inline void report(const std::string& what) {
    std::fprintf(stderr, "FINDING: %s\n", what.c_str());
    std::abort();
}
inline void require(bool holds, const char* what) {
    if (!holds) report(what);
}

}  // namespace fuzz

#endif
