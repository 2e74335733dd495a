// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a report says of a fault in the user's own state machine.
#include <rsm/sim/command_line.hpp>
#include <rsm/sim/run/swarm.hpp>
#include <rsm/sim/simulate.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace report_test {

namespace {

using namespace rsm::sim;

struct Number {
    std::uint32_t value = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& value;
    }
};

/// Counts, and its snapshot forgets how far.
class Forgetful {
public:
    using Operation = Number;
    std::uint64_t apply(const Number& number) { return count_ += number.value; }
    void snapshot(rsm::SnapshotWriter& out) const { out << kept_; }
    void restore(rsm::SnapshotReader& in) { in >> kept_; }

private:
    std::uint64_t kept_ = 0;
    std::uint64_t count_ = 0;
};
struct Forgetting {
    using Machine = Forgetful;
    static Number operation(raft::Random& random) {
        return {static_cast<std::uint32_t>(1 + random.below(9))};
    }
    static std::string describe(const Number& number) {
        return "add " + std::to_string(number.value);
    }
    static std::string describe(std::uint64_t count) { return "count " + std::to_string(count); }
};
/// The same, without words.
struct Speechless {
    using Machine = Forgetful;
    static Number operation(raft::Random& random) { return Forgetting::operation(random); }
};

std::uint64_t outlives_a_run = 0;

/// Replicas agree, for each starts with what the first of them has set; runs do not.
class Careless {
public:
    using Operation = Number;
    explicit Careless(std::uint64_t start = 0) : sum_(start) {}
    std::uint64_t apply(const Number& number) { return sum_ += number.value; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& sum_;
    }

private:
    std::uint64_t sum_;
};
struct Carelessly {
    using Machine = Careless;
    Carelessly() { start = ++outlives_a_run; }
    static Careless machine() { return Careless(start); }
    static Number operation(raft::Random& random) { return Forgetting::operation(random); }
    static std::uint64_t start;
};
std::uint64_t Carelessly::start = 0;

template <Workload Load>
RunReport first_failure() {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        const RunReport report = simulate<Load>(seed);
        if (report.violation) return simulate<Load>(seed, Tracing::on);
    }
    return RunReport();
}
bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// What the command line says on standard output.
template <Workload Load>
std::string said(std::vector<std::string> arguments, int expected) {
    const std::string folder = std::filesystem::temp_directory_path().string();
    arguments.insert(arguments.begin(), "program");
    arguments.insert(arguments.end(), {"--out", folder, "--events", "2"});
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    std::ostringstream out;
    std::ostringstream progress;
    std::streambuf* const before = std::cout.rdbuf(out.rdbuf());
    std::streambuf* const errors = std::cerr.rdbuf(progress.rdbuf());
    const int code = command_line<Load>(static_cast<int>(pointers.size()), pointers.data());
    std::cout.rdbuf(before);
    std::cerr.rdbuf(errors);
    CHECK(code == expected);
    return out.str();
}

}  // namespace

TEST_CASE("a result that differs is shown with its operation, both results and the snapshot") {
    const RunReport report = first_failure<Forgetting>();
    REQUIRE(report.violation);
    const std::string& where = report.violation->where;
    CHECK(report.violation->property == "equal state machines");
    CHECK_MESSAGE(contains(where, "(add "), where);
    CHECK_MESSAGE(contains(where, " has another result: count "), where);
    CHECK_MESSAGE(contains(where, "; it was count "), where);
    CHECK_MESSAGE(contains(where, "came from a snapshot that ends after operation "), where);
    CHECK_MESSAGE(contains(where, ", at index "), where);
    CHECK_MESSAGE(contains(where, ", made by node "), where);
}

TEST_CASE("an operation has one name in the text and on the page, and its words in both") {
    const RunReport report = first_failure<Forgetting>();
    REQUIRE(report.violation);
    const std::string& where = report.violation->where;
    const std::size_t begin = where.find("operation ");
    const std::size_t paren = where.find(" (", begin);
    const std::string name = where.substr(begin, paren - begin);
    const std::string words = where.substr(paren + 2, where.find(')', paren) - paren - 2);
    const auto is_it = [&](const TraceRecord& record) {
        return record.kind == TraceKind::client && record.text.starts_with(name + "; " + words);
    };
    CHECK_MESSAGE(std::ranges::any_of(report.trace.records(), is_it), name);
    for (const TraceRecord& record : report.trace.records()) {
        CHECK_FALSE(contains(record.text, "number "));
    }
}

TEST_CASE("without words, an operation is shown by its bytes and a number by itself") {
    const RunReport report = first_failure<Speechless>();
    REQUIRE(report.violation);
    const std::string& where = report.violation->where;
    CHECK_MESSAGE(contains(where, " (2 bytes: 00 0"), where);
    CHECK_MESSAGE(contains(where, " has another result: "), where);
}

TEST_CASE("a failing seed is told with the smallest run that was found, and one command for it") {
    const std::string told = said<Forgetting>({"--seeds", "1..100", "--failures", "1"}, 1);
    const std::size_t at = told.find("program --seed ", told.find("shrunk in "));
    REQUIRE_MESSAGE(at != std::string::npos, told);
    std::istringstream command(told.substr(at, told.find('\n', at) - at));
    std::vector<std::string> words;
    std::string word;
    command >> word;
    while (command >> word) words.push_back(word);
    REQUIRE(words.size() == 4);
    CHECK(words[2] == "--reduced");
    CHECK(contains(words[3], "only="));
    const std::string again = said<Forgetting>(words, 1);
    CHECK_MESSAGE(contains(again, "VIOLATES equal state machines"), again);
    words[3] += ",nonsense";
    said<Forgetting>(words, 2);
}

TEST_CASE("a machine that is not the same twice is told, where every run by itself is in order") {
    REQUIRE_FALSE(simulate<Carelessly>(1).violation);
    const std::string told = said<Carelessly>({"--seed", "1"}, 1);
    CHECK_MESSAGE(contains(told, "seed 1 is NOT DETERMINISTIC"), told);
    CHECK_MESSAGE(contains(told, "one applied operation "), told);
    CHECK_MESSAGE(contains(told, "where the other applied operation "), told);
    CHECK(contains(said<Speechless>({"--seeds", "1..100", "--failures", "1"}, 1), "VIOLATES"));
}

TEST_CASE("a seed that fails once and not again is told, and nothing breaks") {
    struct FailsFirst : Forgetting {
        using Machine = Careless;
        static Careless machine() { return Careless(); }
        static std::string check(const Careless&) { return outlives_a_run++ == 0 ? "once" : ""; }
    };
    outlives_a_run = 0;
    const std::string told = said<FailsFirst>({"--seeds", "1..1"}, 1);
    CHECK_MESSAGE(contains(told, "seed 1 is NOT DETERMINISTIC"), told);
    CHECK_MESSAGE(contains(told, "VIOLATES the state machine's own check: once"), told);
}

TEST_CASE("a cluster of one has no links to be cut, and its trace tells of none") {
    int alone = 0;
    for (std::uint64_t seed = 1; seed <= 120 && alone < 4; ++seed) {
        const RunPlan plan = draw_plan(seed);
        if (plan.cluster.nodes != 1) continue;
        const RunReport report = simulate<Forgetting>(seed, plan, Tracing::on);
        if (report.coverage[Counter::partitions] == 0) continue;
        ++alone;
        for (const TraceRecord& record : report.trace.records()) {
            CHECK(record.kind != TraceKind::partition);
        }
    }
    CHECK(alone == 4);
}

}  // namespace report_test
