// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Operations that make a state machine throw, and the way out.
#include "support/virtual_cluster.hpp"

#include <rsm/node/saved_state.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace poison_test {

namespace {

using Error = boost::system::error_code;

// Throws in the middle of its work, when some of it is done.
struct Notes {
    struct Operation {
        std::vector<std::string> lines;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& lines;
        }
    };
    std::size_t apply(const Operation& operation) {
        for (const std::string& line : operation.lines) {
            if (line == "poison") throw std::runtime_error("will not write that");
            lines.push_back(line);
        }
        return lines.size();
    }
    void snapshot(rsm::SnapshotWriter& out) const { out << lines; }
    void restore(rsm::SnapshotReader& in) { in >> lines; }
    std::vector<std::string> lines;
};

struct FrozenNotes : Notes {
    Notes freeze() const { return *this; }
};
static_assert(rsm::Freezes<FrozenNotes>);

template <class Machine>
struct Group {
    rsm_test::VirtualCluster<Machine> cluster;
    std::map<std::string, int> failures;

    explicit Group(std::uint64_t size, rsm::Options options = {}) : cluster(size, with(options)) {}

    rsm::Options with(rsm::Options options) {
        options.on_failure = [this](const raft::Failure& why) { ++failures[why.what]; };
        return options;
    }

    std::shared_ptr<std::optional<Error>> submit(std::vector<std::string> lines) {
        const std::uint64_t leader = cluster.elect();
        REQUIRE(leader != 0);
        auto ended = std::make_shared<std::optional<Error>>();
        cluster.node(leader).async_submit({std::move(lines)},
                                          [ended](Error error, std::size_t) { *ended = error; });
        return ended;
    }
    Error outcome(std::vector<std::string> lines) {
        const auto ended = submit(std::move(lines));
        REQUIRE(cluster.run_until([&] { return ended->has_value(); }));
        return **ended;
    }
    /// Until so many have stopped. A node that comes to the operation stops before it can tell the
    /// others that it is committed: the last one waits for a majority that is not there.
    bool stop(int count) {
        return cluster.run_until([&] {
            int stopped = 0;
            for (std::uint64_t id = 1; id <= 3; ++id) {
                if (cluster.up(id) && cluster.node(id).status().stopped) ++stopped;
            }
            return stopped == count;
        });
    }
    void restart(std::uint64_t id) {
        cluster.crash(id);
        cluster.start(id);
    }
    bool all_hold(std::uint64_t size, const std::vector<std::string>& lines) {
        return cluster.run_until([&] {
            for (std::uint64_t id = 1; id <= size; ++id) {
                if (cluster.node(id).machine().lines != lines) return false;
            }
            return true;
        });
    }
    std::string only_failure() const {
        return failures.size() == 1 ? failures.begin()->first : std::string();
    }
};

// The leader's barrier has index 1, the first operation 2, the poison 3.
const std::vector<raft::Index> poison{{3}};

template <class Machine>
void poison_all(Group<Machine>& group) {
    REQUIRE_FALSE(group.outcome({"one"}));
    CHECK(group.outcome({"half", "poison", "never"}) == rsm::Errc::interrupted);
    REQUIRE(group.stop(2));
}

bool says(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE_TEMPLATE("an operation that throws stops every node until all of them skip it", Machine,
                   Notes, FrozenNotes) {
    Group<Machine> group(3);
    poison_all(group);
    CHECK(group.failures.begin()->second == 2);
    CHECK(says(group.only_failure(), "index 3 (will not write that)"));
    CHECK(says(group.only_failure(), "unless Options::skip_operations leaves that operation out"));
    for (std::uint64_t id = 1; id <= 3; ++id) group.restart(id);
    REQUIRE(group.stop(2));  // again

    group.cluster.options().skip_operations = poison;
    for (std::uint64_t id = 1; id <= 3; ++id) group.restart(id);
    CHECK_FALSE(group.outcome({"two"}));
    CHECK(group.all_hold(3, {"one", "two"}));
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(group.cluster.node(id).status().skipped_operations == poison);
        group.restart(id);
    }
    CHECK_FALSE(group.outcome({"three"}));
    CHECK(group.all_hold(3, {"one", "two", "three"}));
}

TEST_CASE("whoever submits an operation that is skipped learns that it has no effect") {
    Group<Notes> group(3, {.skip_operations = poison});
    REQUIRE_FALSE(group.outcome({"one"}));
    const Error error = group.outcome({"half", "poison"});
    CHECK(error == rsm::Errc::skipped);
    CHECK(rsm::outcome(error) == rsm::Outcome::not_committed);
    CHECK(rsm::error_class(error) == rsm::ErrorClass::misuse);
    CHECK_FALSE(group.outcome({"two"}));
    CHECK(group.all_hold(3, {"one", "two"}));
}

TEST_CASE("an operation that does not throw is not skipped") {
    Group<Notes> group(1);
    REQUIRE_FALSE(group.outcome({"one"}));
    group.cluster.options().skip_operations = {{2}};
    group.restart(1);
    REQUIRE(group.stop(1));
    CHECK(says(group.only_failure(),
               "Options::skip_operations names index 2, but the state machine does not throw"));
}

TEST_CASE("what is no operation is not skipped") {
    Group<Notes> group(1, {.skip_operations = {{1}}});
    REQUIRE(group.stop(1));
    CHECK(says(group.only_failure(),
               "Options::skip_operations names index 1, but that entry is no operation"));
}

TEST_CASE("a snapshot remembers what was skipped, for its own node and for others") {
    Group<Notes> group(3);
    poison_all(group);
    group.cluster.options().skip_operations = poison;
    group.cluster.options().snapshot_threshold = 300;
    group.cluster.options().raft.retained_bytes = 0;
    group.cluster.crash(3);
    for (const std::uint64_t id : {1U, 2U}) group.restart(id);
    std::vector<std::string> lines{"one"};
    for (int i = 0; i < 30; ++i) {
        lines.push_back("line " + std::to_string(i));
        REQUIRE_FALSE(group.outcome({lines.back()}));
    }
    SUBCASE("with the list") { group.cluster.start(3); }
    SUBCASE("without it") {
        group.cluster.options().skip_operations = {};
        for (const std::uint64_t id : {1U, 2U}) group.restart(id);
        group.cluster.start(3);
    }
    CHECK(group.all_hold(3, lines));
    group.cluster.run_for(std::chrono::seconds(5));  // snapshots under way end
    for (std::uint64_t id = 1; id <= 3; ++id) {
        const rsm::Status status = group.cluster.node(id).status();
        CHECK(status.snapshot.value > 3);
        CHECK(status.skipped_operations == poison);
        CHECK_FALSE(status.stopped);
    }
}

TEST_CASE("an operation that a snapshot has is not skipped any more") {
    Group<Notes> group(3, {.snapshot_threshold = 300});
    for (int i = 0; i < 30; ++i) REQUIRE_FALSE(group.outcome({"line"}));
    group.cluster.options().skip_operations = poison;
    group.cluster.crash(1);
    std::string refused;
    try {
        group.cluster.start(1);
    } catch (const boost::system::system_error& error) {
        refused = error.what();
    }
    CHECK(says(refused, "names index 3, but the snapshot up to index "));
    CHECK(says(refused, "was made with that operation applied"));
}

TEST_CASE("a state that is put back is that of before, however the snapshot is cut into pieces") {
    Notes notes;
    for (int i = 0; i < 5000; ++i) notes.lines.push_back("line " + std::to_string(i));
    notes.lines.emplace_back(200'000, 'x');
    const std::vector<std::string> before = notes.lines;
    const rsm::detail::SavedState<Notes> saved(notes);
    notes.lines = {"others"};
    saved.put_back(notes);
    CHECK(notes.lines == before);
}

}  // namespace poison_test
