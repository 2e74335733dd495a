// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// trace_page [--empty | --single] [operations per second] > page.html
//     Writes the page of a made-up run, to be looked at or to be opened by a test.

#include "../trace_example.hpp"

#include <rsm/sim/trace/page.hpp>
#include <rsm/sim/trace/trace.hpp>

#include <cstdlib>
#include <iostream>
#include <string_view>

int main(int argc, char** argv) {
    const std::string_view option = argc > 1 ? argv[1] : "";
    rsm::sim::Trace trace(true);
    if (option == "--empty") {
        rsm::sim::write_trace_html(std::cout, trace, {});
        return 0;
    }
    if (option == "--single") {
        trace.add({.kind = rsm::sim::TraceKind::role, .node = {1}});
        trace.add({.at = rsm::sim::test::at_ms(200),
                   .kind = rsm::sim::TraceKind::role,
                   .node = {1},
                   .term = {1},
                   .role = rsm::sim::TraceRole::leader});
        trace.add({.at = rsm::sim::test::at_ms(900),
                   .kind = rsm::sim::TraceKind::commit,
                   .node = {1},
                   .term = {1},
                   .index = {1}});
        rsm::sim::write_trace_html(std::cout, trace, {.seed = 1, .nodes = {{1}}});
        return 0;
    }
    const int rate = argc > 1 ? std::atoi(argv[1]) : 0;
    rsm::sim::test::ExampleRun(trace, rate > 0 ? rate : 40).run();
    rsm::sim::write_trace_html(std::cout, trace, rsm::sim::test::example_header());
    return 0;
}
