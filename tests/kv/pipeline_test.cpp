// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/pipeline.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace pipeline_test {

using kv::Pipeline;
using kv::Sequence;

namespace {

kv::Write write() { return {{kv::Set{"k", "v"}}, kv::Write::Form::status}; }
kv::Read read() { return {kv::Read::Kind::get, {"k"}}; }

/// Begins all that may begin.
std::vector<Sequence> start_all(Pipeline& pipeline) {
    std::vector<Sequence> started;
    Sequence sequence = 0;
    while (pipeline.start(sequence) != nullptr) started.push_back(sequence);
    return started;
}

std::string taken(Pipeline& pipeline) {
    std::string out;
    while (pipeline.take_reply(out)) {}
    return out;
}

using Sequences = std::vector<Sequence>;

}  // namespace

TEST_CASE("pipeline: consecutive writes begin together, and a read begins when they are done") {
    Pipeline pipeline;
    pipeline.add(write(), 1);
    pipeline.add(write(), 1);
    pipeline.add(read(), 1);
    CHECK(start_all(pipeline) == Sequences{0, 1});
    pipeline.finish(0, "a");
    CHECK(start_all(pipeline).empty());
    pipeline.finish(1, "b");
    CHECK(start_all(pipeline) == Sequences{2});
}

TEST_CASE("pipeline: of changes of the members and handovers there is one at a time") {
    Pipeline pipeline;
    pipeline.add(kv::MemberEdit{kv::MemberEdit::Kind::remove, 1, 1, {}}, 1);
    pipeline.add(kv::MemberEdit{kv::MemberEdit::Kind::remove, 2, 2, {}}, 1);
    pipeline.add(kv::Transfer{}, 1);
    pipeline.add(kv::Transfer{}, 1);
    for (Sequence sequence = 0; sequence < 4; ++sequence) {
        CHECK(start_all(pipeline) == Sequences{sequence});
        CHECK(start_all(pipeline).empty());
        pipeline.finish(sequence, "+");
    }
    CHECK(taken(pipeline) == "++++");
}

TEST_CASE("pipeline: consecutive reads begin together, and a write begins when they are answered") {
    Pipeline pipeline;
    pipeline.add(read(), 1);
    pipeline.add(read(), 1);
    pipeline.add(write(), 1);
    CHECK(start_all(pipeline) == Sequences{0, 1});
    CHECK(pipeline.allowed_read() == nullptr);
    pipeline.allow(0, 1);
    REQUIRE(pipeline.allowed_read() != nullptr);
    pipeline.pop_read();
    CHECK(start_all(pipeline).empty());
    REQUIRE(pipeline.allowed_read() != nullptr);
    pipeline.pop_read();
    CHECK(start_all(pipeline) == Sequences{2});
    CHECK(pipeline.allowed_read() == nullptr);
}

TEST_CASE("pipeline: replies leave in the order of the requests, whatever is done first") {
    Pipeline pipeline;
    pipeline.add(write(), 7);
    pipeline.add_reply("local ", 3);
    pipeline.add(write(), 5);
    CHECK(pipeline.request_bytes() == 15);
    REQUIRE(start_all(pipeline) == Sequences{0, 2});
    pipeline.finish(2, "third ");
    CHECK(taken(pipeline).empty());
    pipeline.finish(0, "first ");
    CHECK(taken(pipeline) == "first local third ");
    CHECK(pipeline.empty());
    CHECK(pipeline.request_bytes() == 0);
    CHECK(pipeline.reply_bytes() == 0);
}

TEST_CASE("pipeline: a read is answered when all before it is, and not earlier") {
    Pipeline pipeline;
    pipeline.add(read(), 1);
    pipeline.add_reply("local ", 1);
    pipeline.add(read(), 1);
    REQUIRE(start_all(pipeline) == Sequences{0, 2});
    pipeline.allow(2, 2);
    CHECK(pipeline.allowed_read() == nullptr);
    pipeline.allow(0, 0);
    REQUIRE(pipeline.allowed_read() != nullptr);
    pipeline.pop_read();
    CHECK(pipeline.allowed_read() == nullptr);
    CHECK(taken(pipeline) == "local ");
    CHECK(pipeline.allowed_read() != nullptr);
}

TEST_CASE("pipeline: reads that fail together each have a reply, and what is between them stays") {
    Pipeline pipeline;
    pipeline.add(read(), 1);
    pipeline.add_reply("local ", 1);
    pipeline.add(read(), 1);
    pipeline.add(write(), 1);
    REQUIRE(start_all(pipeline) == Sequences{0, 2});
    pipeline.fail(0, 2, "no ");
    CHECK(pipeline.reply_bytes() == 12);
    CHECK(taken(pipeline) == "no local no ");
    CHECK(start_all(pipeline) == Sequences{3});
}

}  // namespace pipeline_test
