// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The lines that a node writes through spdlog.
#include "../counters.hpp"

#include <rsm/admin/spdlog.hpp>

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>

namespace spdlog_test {

namespace {

struct Logged {
    std::ostringstream text;
    std::shared_ptr<spdlog::logger> logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    Logged() { logger->set_pattern("[%l] %v"); }
};

TEST_CASE("events of a node at work become lines with a level and fields") {
    Logged logged;
    int seen = 0;
    rsm::Options options;
    options.on_event = [&](const raft::Event&) { ++seen; };
    counter_test::Counters cluster(1, rsm::log_to(logged.logger, "a", std::move(options)));
    cluster.elect();
    cluster.settle();
    CHECK(seen > 0);
    CHECK(logged.text.str().find("[info] event=became_leader node=a ") != std::string::npos);
    CHECK(logged.text.str().find(" term=1\n") != std::string::npos);
}

TEST_CASE("what no correct cluster does is critical, and each line stays one") {
    Logged logged;
    const rsm::Options options = rsm::log_to(logged.logger, "", {});
    options.on_event(
        {raft::EventKind::states_differ, raft::Term{3}, raft::NodeId{2}, raft::Index{17}, 5, 6});
    options.on_notice("a \"word\"\n{} and a line");
    options.on_failure({std::make_error_code(std::errc::io_error), "the disk"});
    const std::string text = logged.text.str();
    CHECK(text.find("[critical] event=states_differ peer=2 index=17 term=3 own_digest=5 "
                    "other_digest=6\n") == 0);
    CHECK(text.find("[warning] notice text=\"a \\\"word\\\"\\n{} and a line\"\n") !=
          std::string::npos);
    CHECK(text.find("[critical] failure text=\"the disk") != std::string::npos);

    logged.logger->set_level(spdlog::level::err);
    options.on_event({raft::EventKind::paused, raft::Term{3}, {}, {}});
    CHECK(logged.text.str() == text);
}

}  // namespace

}  // namespace spdlog_test
