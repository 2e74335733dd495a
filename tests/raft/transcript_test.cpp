// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The stories in transcripts/: what is told there is what the cores do. `raft_tests --renew` writes
// what they do now; read the difference before you believe it.
#include "transcript.hpp"
#include "support/arguments.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

namespace transcript_test {

namespace {

void check_story(const std::string& name) {
    const std::string path = RSM_TRANSCRIPTS "/" + name + ".txt";
    std::ifstream in(path, std::ios::binary);
    REQUIRE(in);
    const std::string told{std::istreambuf_iterator<char>(in), {}};
    const std::string now = raft::test::Transcript::renew(told);
    if (std::ranges::find(test_arguments(), "--renew") != test_arguments().end()) {
        std::ofstream(path, std::ios::binary) << now;
        return;
    }
    CHECK(now == told);
    CHECK(now.find("FAILURE") == std::string::npos);
}

}  // namespace

TEST_CASE("story: a new leader makes the logs of figure 7 like its own") {
    check_story("figure-7");
}
TEST_CASE("story: an entry of an earlier term is not committed by counting (figure 8)") {
    check_story("figure-8");
}
TEST_CASE("story: a vote survives a crash, and leaves only when it is durable") {
    check_story("vote");
}
TEST_CASE("story: a leader goes back by whole terms") { check_story("fast-backup"); }
TEST_CASE("story: a follower that needs what is gone gets a snapshot") { check_story("snapshot"); }
TEST_CASE("story: a read sees what was committed before it, or is refused") { check_story("read"); }
TEST_CASE("story: a node that comes back from isolation disturbs nobody") {
    check_story("pre-vote");
}

}  // namespace transcript_test
