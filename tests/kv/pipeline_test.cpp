// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/pipeline.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

using kv::Pipeline;
using kv::Sequence;

namespace {

constexpr std::size_t limit = 100;

kv::Write write() { return {{kv::Set{"k", "v"}}, kv::Write::Form::status}; }
kv::Read read() { return {kv::Read::Kind::get, {"k"}}; }

/// Begins all that may begin.
std::vector<Sequence> start_all(Pipeline& pipeline, std::size_t unsent = 0) {
    std::vector<Sequence> started;
    Sequence sequence = 0;
    while (pipeline.start(unsent, sequence) != nullptr) started.push_back(sequence);
    return started;
}

void finish(Pipeline& pipeline, Sequence sequence, const std::string& reply) {
    pipeline.expect(reply.size());
    pipeline.finish(sequence, reply);
}

std::string taken(Pipeline& pipeline) {
    std::string out;
    pipeline.take_replies(out);
    return out;
}

using Sequences = std::vector<Sequence>;

}  // namespace

TEST_CASE("pipeline: consecutive writes begin together, and a read begins when they are done") {
    Pipeline pipeline(limit);
    pipeline.add(write(), 1);
    pipeline.add(write(), 1);
    pipeline.add(read(), 1);
    CHECK(start_all(pipeline) == Sequences{0, 1});
    finish(pipeline, 0, "a");
    CHECK(start_all(pipeline).empty());
    finish(pipeline, 1, "b");
    CHECK(start_all(pipeline) == Sequences{2});
}

TEST_CASE("pipeline: consecutive reads begin together, and a write begins when they are done") {
    Pipeline pipeline(limit);
    pipeline.add(read(), 1);
    pipeline.add(read(), 1);
    pipeline.add(write(), 1);
    CHECK(start_all(pipeline) == Sequences{0, 1});
    finish(pipeline, 1, "b");
    finish(pipeline, 0, "a");
    CHECK(start_all(pipeline) == Sequences{2});
}

TEST_CASE("pipeline: replies leave in the order of the requests, whatever is done first") {
    Pipeline pipeline(limit);
    pipeline.add(write(), 7);
    pipeline.add_reply("local ", 3);
    pipeline.add(write(), 5);
    CHECK(pipeline.request_bytes() == 15);
    REQUIRE(start_all(pipeline) == Sequences{0, 2});
    finish(pipeline, 2, "third ");
    CHECK(taken(pipeline).empty());
    finish(pipeline, 0, "first ");
    CHECK(taken(pipeline) == "first local third ");
    CHECK(pipeline.empty());
    CHECK(pipeline.request_bytes() == 0);
    CHECK(pipeline.reply_bytes() == 0);
}

TEST_CASE("pipeline: nothing begins while too many bytes of replies are unsent") {
    Pipeline pipeline(limit);
    pipeline.add(read(), 1);
    CHECK(start_all(pipeline, limit).empty());
    CHECK(start_all(pipeline, limit - 1) == Sequences{0});
}

TEST_CASE("pipeline: the oldest request begins although replies wait behind it") {
    Pipeline pipeline(limit);
    pipeline.add(read(), 1);
    pipeline.add(read(), 1);
    pipeline.add(read(), 1);
    REQUIRE(start_all(pipeline) == Sequences{0, 1, 2});
    finish(pipeline, 1, std::string(limit, 'x'));
    CHECK_FALSE(pipeline.put_off(0, 0));
    CHECK(pipeline.put_off(2, 0));
    pipeline.give_back(2);
    pipeline.give_back(0);
    CHECK(start_all(pipeline) == Sequences{0});
}

TEST_CASE("pipeline: when a read is put off, so are those behind it, and all begin again") {
    Pipeline pipeline(limit);
    for (int i = 0; i < 3; ++i) pipeline.add(read(), 1);
    REQUIRE(start_all(pipeline) == Sequences{0, 1, 2});
    CHECK_FALSE(pipeline.put_off(0, 0));
    CHECK(pipeline.put_off(1, limit));
    CHECK(pipeline.put_off(2, 0));
    finish(pipeline, 0, "a");
    pipeline.give_back(1);
    pipeline.add(read(), 1);
    CHECK(start_all(pipeline).empty());
    pipeline.give_back(2);
    CHECK(taken(pipeline) == "a");
    CHECK(start_all(pipeline) == Sequences{1, 2, 3});
}
