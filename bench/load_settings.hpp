// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The load that `floor` and `cluster` are put under. Both read it and report it here, because what
// is to be compared must mean the same to both.
#ifndef RSM_BENCH_LOAD_SETTINGS_HPP
#define RSM_BENCH_LOAD_SETTINGS_HPP

#include "arguments.hpp"
#include "measure.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace bench {

struct LoadSettings {
    std::size_t window = 1;
    std::size_t payload = 256;
    bool durable = false;
    bool pinned = false;
    double seconds = 2;
    double warm_up = 0.5;
    std::string data;

    void read_from(Arguments& arguments) {
        window = arguments.count("window", window);
        payload = arguments.count("payload", payload);
        durable = arguments.flag("durable");
        pinned = arguments.flag("pin");
        seconds = arguments.number("seconds", seconds);
        warm_up = arguments.number("warm-up", warm_up);
        data = arguments.text("data", ".");
    }
    /// @param inside  whether the client is in the leader's process
    void tell(Line& line, bool inside, std::string_view operation) const {
        line.flag("durable", durable).flag("inside", inside);
        line.flag("pinned", pinned).text("operation", operation);
        line.count("window", window).count("payload", payload);
    }
};

}  // namespace bench

#endif
