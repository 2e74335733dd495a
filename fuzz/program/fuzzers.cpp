// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One program for all fuzzers, because what they are made of takes long to compile. It is the one
// that it is called as: fuzz_<name>.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace fuzz {

/// Tries one input.
using Test = int(const std::uint8_t* data, std::size_t size);

namespace archive_input {
Test test;
}
namespace codec_input {
Test test;
}
namespace core_input {
Test test;
}
namespace frames_input {
Test test;
}
namespace history_input {
Test test;
}
namespace replies_input {
Test test;
}
namespace resp_input {
Test test;
}
namespace snapshot_input {
Test test;
}
namespace wal_input {
Test test;
}

namespace {

struct Named {
    std::string_view name;
    Test* test;
};

constexpr std::array known{
    Named{"archive", archive_input::test}, Named{"codec", codec_input::test},
    Named{"core", core_input::test},       Named{"frames", frames_input::test},
    Named{"history", history_input::test}, Named{"replies", replies_input::test},
    Named{"resp", resp_input::test},       Named{"snapshot", snapshot_input::test},
    Named{"wal", wal_input::test}};

Test* chosen = nullptr;

void choose(std::string_view called) {
    constexpr std::string_view prefix = "fuzz_";
    const std::size_t at = called.rfind(prefix);
    if (at == std::string_view::npos) return;
    called.remove_prefix(at + prefix.size());
    for (const auto& [name, test] : known) {
        if (name == called) chosen = test;
    }
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerInitialize(int* count, char*** words) {
    if (*count > 0) fuzz::choose((*words)[0]);
    if (fuzz::chosen != nullptr) return 0;
    std::cerr << "it is to be called as one of these:";
    for (const auto& each : fuzz::known) std::cerr << " fuzz_" << each.name;
    std::cerr << '\n';
    std::exit(EXIT_FAILURE);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return fuzz::chosen(data, size);
}
