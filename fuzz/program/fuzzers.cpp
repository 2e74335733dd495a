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

namespace archive_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace codec_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace core_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace frames_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace history_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace replies_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace resp_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace snapshot_input {
int test(const std::uint8_t* data, std::size_t size);
}
namespace wal_input {
int test(const std::uint8_t* data, std::size_t size);
}

namespace {

struct Named {
    std::string_view name;
    int (*test)(const std::uint8_t* data, std::size_t size);
};

constexpr std::array known{
    Named{"archive", archive_input::test}, Named{"codec", codec_input::test},
    Named{"core", core_input::test},       Named{"frames", frames_input::test},
    Named{"history", history_input::test}, Named{"replies", replies_input::test},
    Named{"resp", resp_input::test},       Named{"snapshot", snapshot_input::test},
    Named{"wal", wal_input::test}};

int (*chosen)(const std::uint8_t* data, std::size_t size) = nullptr;

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
