// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The seeds that every scenario runs on: --seed N is the first, --repeat N how many. Scenarios with
// clients write their operations to --history FILE: the first of a run to exactly that, each
// further one with `.<scenario>.<seed>` before the file's extension.
#ifndef RSM_TESTS_LAB_SCENARIO_HPP
#define RSM_TESTS_LAB_SCENARIO_HPP

#include "lab.hpp"
#include "support/arguments.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace lab {

struct Settings {
    std::uint64_t seed = 1;
    std::uint64_t repeat = 1;
    std::string history;
};

/// From the command line; a number that is none is an error.
inline const Settings& settings() {
    static const Settings instance = [] {
        Settings read;
        const std::vector<std::string>& words = test_arguments();
        for (std::size_t i = 0; i + 1 < words.size(); ++i) {
            if (words[i] == "--seed") read.seed = std::stoull(words[i + 1]);
            if (words[i] == "--repeat") read.repeat = std::stoull(words[i + 1]);
            if (words[i] == "--history") read.history = words[i + 1];
        }
        return read;
    }();
    return instance;
}

/// The file for the operations of the scenario that is running; empty if none is wanted.
inline std::string next_history_file(std::uint64_t seed) {
    static bool first = true;
    const std::filesystem::path file = settings().history;
    if (file.empty() || std::exchange(first, false)) return file.string();
    std::string name = file.stem().string() + '.';
    for (const char c : std::string(doctest::getContextOptions()->currentTest->m_name)) {
        const bool safe =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        name += safe ? c : '-';
    }
    name += '.' + std::to_string(seed) + file.extension().string();
    return (file.parent_path() / name).string();
}

template <class Function>
void for_each_seed(Function scenario) {
    for (std::uint64_t i = 0; i < settings().repeat; ++i) {
        const std::uint64_t seed = settings().seed + i;
        try {
            scenario(seed);
            CHECK_MESSAGE(true, seed);
        } catch (const Endless& error) {
            FAIL_CHECK("seed " << seed << ": " << std::string(error.what()));
            return;
        } catch (const std::exception& error) {
            FAIL_CHECK("seed " << seed << ": " << std::string(error.what()));
        }
    }
}

}  // namespace lab

#endif
