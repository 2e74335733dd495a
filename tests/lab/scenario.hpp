// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The seeds that every scenario runs on: --seed N is the first, --repeat N how many. Scenarios with
// clients write their operations to --history FILE.
#ifndef RSM_TESTS_LAB_SCENARIO_HPP
#define RSM_TESTS_LAB_SCENARIO_HPP

#include "../arguments.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
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

template <class Function>
void for_each_seed(Function scenario) {
    for (std::uint64_t i = 0; i < settings().repeat; ++i) {
        const std::uint64_t seed = settings().seed + i;
        try {
            scenario(seed);
            CHECK_MESSAGE(true, seed);
        } catch (const std::exception& error) {
            FAIL_CHECK("seed " << seed << ": " << error.what());
        }
    }
}

}  // namespace lab

#endif
