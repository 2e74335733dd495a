// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a trace says of a cluster.
#include <rsm/sim/trace/words.hpp>

#include <doctest/doctest.h>

namespace words_test {

TEST_CASE("A trace names what befell a disk, and where") {
    using namespace rsm::sim;
    Trace trace(true);
    trace_hit(trace, {}, {2}, {.fault = DiskFault::copied_in_part, .path = "d/f", .offset = 7});
    REQUIRE(trace.records().size() == 1);
    CHECK(trace.records()[0].kind == TraceKind::disk_fault);
    CHECK(trace.records()[0].text == "copied in part: d/f at offset 7, 0 bytes");
    trace_hit(trace, {}, {2},
              {.fault = DiskFault::call_error, .path = "d/f", .call = DiskCall::sync_directory});
    CHECK(trace.records().back().text == "failed call: sync directory d/f");
}

}  // namespace words_test
