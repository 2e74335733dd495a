// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Explorations that are worth having, each with a name and a bound at which it stops.
#ifndef RSM_TESTS_MODEL_PRESETS_HPP
#define RSM_TESTS_MODEL_PRESETS_HPP

#include "setup.hpp"

#include <string>
#include <vector>

namespace model {

struct Preset {
    std::string name;
    std::string what;
    Setup setup;
};

inline std::vector<Preset> presets() {
    std::vector<Preset> made;
    const auto add = [&made](const char* name, const char* what) -> Setup& {
        made.push_back({name, what, {}});
        made.back().setup.keep_messages = true;
        made.back().setup.heartbeats = 0;
        return made.back().setup;
    };
    add("elections", "e").states=1000;
    add("figure-8", "e").states=1000;
    return made;
}

}  // namespace model

#endif
