// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rule of kept files: what it lets pass, and that it speaks when it is broken.
#include <rsm/sim/rules/kept_files.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace kept_files_test {

namespace {

using namespace rsm::sim;

std::string padded(std::uint64_t number) {
    char text[21];
    std::snprintf(text, sizeof text, "%020llu", static_cast<unsigned long long>(number));
    return text;
}
std::string segment(std::uint64_t number) { return "d/" + padded(number) + ".wal"; }
std::string snapshot(std::uint64_t index) {
    return "d/" + padded(index) + "-" + padded(1) + ".snapshot";
}

/// A node whose files and needs a test sets.
struct Node {
    explicit Node(const FileNeeds& at_start = {}) : needs(at_start) { rule.restarted(needs); }

    /// What the rule says of the files; empty: nothing.
    std::string look(std::vector<std::string> now) {
        files = std::move(now);
        ++names_version;
        return look();
    }
    std::string look() {
        while (!rule.due(names_version)) {}
        const Broken broken = rule.look({1}, needs, jobs, [this] { return files; });
        return broken ? broken->property + ": " + broken->where : "";
    }
    void append(std::uint64_t count) { needs.written = needs.last = needs.last + count; }

    KeptFiles rule{2};
    FileNeeds needs;
    LaneJobs jobs;
    std::vector<std::string> files;
    std::uint64_t names_version = 0;
};

}  // namespace

TEST_CASE("Jobs of lanes: what was given by then is done when none of it is left") {
    LaneJobs jobs;
    CHECK(jobs.done(jobs.given()));
    const std::uint64_t first = jobs.begin();
    const std::uint64_t second = jobs.begin();
    CHECK(jobs.given() == 2);
    jobs.end(second);
    CHECK_FALSE(jobs.done(first));
    CHECK_FALSE(jobs.done(second));
    const std::uint64_t third = jobs.begin();
    jobs.end(first);
    CHECK(jobs.done(second));
    CHECK_FALSE(jobs.done(third));
}

TEST_CASE("Kept files: as many spares as there may be, and one draft") {
    Node node;
    const std::vector<std::string> most{segment(3), segment(4), segment(5) + ".tmp",
                                        segment(1) + ".spare.tmp", segment(2) + ".spare.tmp"};
    CHECK(node.look(most) == "");
    auto more = most;
    more.push_back(segment(7) + ".spare.tmp");
    CHECK(node.look(more) == "kept files: node 1 keeps 3 spare segments");
    more = most;
    more.push_back(segment(6) + ".tmp");
    CHECK(node.look(more) == "kept files: node 1 keeps 2 drafts of segments");
}

TEST_CASE("Kept files: a snapshot that could not be saved is gone at once") {
    Node node;
    CHECK(node.look({segment(1), "d/saving.tmp"}) ==
          "kept files: node 1 keeps a snapshot that could not be saved");
}

TEST_CASE("Kept files: a part of a snapshot goes with its transfer") {
    Node node;
    std::string part = "d/incoming.tmp";
    SUBCASE("its content") {}
    SUBCASE("what is noted of that") { part = "d/incoming-marks.tmp"; }
    node.needs.receives = true;
    const std::vector<std::string> files{segment(1), part};
    CHECK(node.look(files) == "");
    node.needs.receives = false;
    const std::uint64_t removal = node.jobs.begin();
    CHECK(node.look() == "");
    SUBCASE("it stays") {
        node.jobs.end(removal);
        CHECK(node.look() ==
              "kept files: node 1 keeps a part of a snapshot that it does not receive");
    }
    SUBCASE("another transfer has begun") {
        node.needs.receives = true;
        CHECK(node.look() == "");
        node.jobs.end(removal);
        CHECK(node.look() == "");
    }
}

TEST_CASE("Kept files: an older snapshot goes when the lane has come to it") {
    Node node(FileNeeds{.base = {5}, .last = {5}, .written = {5}, .snapshot = {5}});
    CHECK(node.look({segment(1), snapshot(5), snapshot(9)}) == "");  // it has not heard of it
    const std::uint64_t removal = node.jobs.begin();
    node.needs.snapshot = {9};
    CHECK(node.look() == "");
    SUBCASE("it stays") {
        const std::uint64_t later = node.jobs.begin();
        node.jobs.end(removal);
        CHECK(node.look() == "kept files: node 1 keeps the outdated snapshot of 5");
        node.jobs.end(later);
    }
    SUBCASE("it goes") {
        node.jobs.end(removal);
        CHECK(node.look({segment(1), snapshot(9)}) == "");
    }
}

TEST_CASE("Kept files: of older snapshots only those stay that are on their way") {
    Node node(FileNeeds{.base = {5}, .last = {5}, .written = {5}, .snapshot = {5}});
    node.needs.sent = {{5}};
    CHECK(node.look({segment(1), snapshot(5)}) == "");
    node.needs.snapshot = {9};
    CHECK(node.look({segment(1), snapshot(5), snapshot(9)}) == "");
    CHECK(node.look() == "");
    SUBCASE("the transfer ends") {
        node.needs.sent.clear();
        CHECK(node.look() == "kept files: node 1 keeps the outdated snapshot of 5");
    }
    SUBCASE("one in between") {
        node.needs.snapshot = {12};
        CHECK(node.look({segment(1), snapshot(5), snapshot(9), snapshot(12)}) ==
              "kept files: node 1 keeps the outdated snapshot of 9");
    }
}

TEST_CASE("Kept files: a snapshot that was saved too late may not be known yet") {
    Node node(FileNeeds{.base = {5}, .last = {5}, .written = {5}, .snapshot = {5}});
    node.needs.snapshot = {20};
    CHECK(node.look({segment(1), snapshot(20)}) == "");
    CHECK(node.look({segment(1), snapshot(9), snapshot(20)}) == "");
    node.needs.snapshot = {30};
    CHECK(node.look({segment(1), snapshot(9), snapshot(30)}) == "");
}

TEST_CASE("Kept files: segments go that hold nothing of the log") {
    Node node;
    node.look({segment(1), segment(2)});
    node.append(10);
    node.look();
    node.look({segment(1), segment(2), segment(3)});
    node.append(10);
    CHECK(node.look() == "");
    CHECK(node.look({segment(1), segment(2), segment(3), segment(4)}) == "");
    node.append(10);  // from 21 on they are in segment 3, or behind it
    CHECK(node.look() == "");
    node.needs.base = {9};
    CHECK(node.look() == "");
    node.append(1);
    node.needs.base = {20};
    CHECK(node.look() == "");
    CHECK(node.look() == "");  // nothing later is durable: the release may not be
    const std::uint64_t removal = node.jobs.begin();
    node.append(1);
    CHECK(node.look() == "");
    SUBCASE("they stay") {
        node.jobs.end(removal);
        CHECK(node.look() == "kept files: node 1 keeps segment 1 without need");
    }
    SUBCASE("one of them stays") {
        CHECK(node.look({segment(2), segment(3), segment(4)}) == "");
        node.jobs.end(removal);
        CHECK(node.look() == "kept files: node 1 keeps segment 2 without need");
    }
    SUBCASE("they go") {
        node.jobs.end(removal);
        CHECK(node.look({segment(3), segment(4)}) == "");
        node.append(1);
        CHECK(node.look() == "");
    }
}

TEST_CASE("Kept files: an empty log needs the segment in use and what was prepared") {
    Node node(FileNeeds{.base = {5}, .last = {5}, .written = {5}, .snapshot = {5}});
    CHECK(node.look({segment(3), segment(4), segment(5), snapshot(5)}) == "");
    node.append(1);
    CHECK(node.look() == "kept files: node 1 keeps segment 3 without need");
}

TEST_CASE("Kept files: another life begins without what was seen in the one before") {
    Node node(FileNeeds{.base = {5}, .last = {5}, .written = {5}, .snapshot = {5}});
    const std::uint64_t removal = node.jobs.begin();
    node.needs.snapshot = {9};
    CHECK(node.look({segment(1), snapshot(5), snapshot(9)}) == "");
    node.rule.restarted(node.needs);
    node.jobs.end(removal);
    CHECK(node.look() == "");
}

}  // namespace kept_files_test
