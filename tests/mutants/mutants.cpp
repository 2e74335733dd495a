// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Shows that the simulator finds each mutant (mutants.hpp): runs seeds with one fault switched
// on until a rule is violated. Prints the table of docs/mutants.md, and can begin with the seeds
// that such a table names.
#include <rsm-sim/workloads.hpp>

#include <mutants.hpp>
#include <rsm/sim/simulate.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <syncstream>
#include <thread>
#include <vector>

namespace {

using namespace sim_workloads;
using Clock = std::chrono::steady_clock;

struct Kill {
    std::uint64_t seed = 0;
    std::string by;
};

struct Hunt {
    std::optional<Kill> kill;
    bool renewed = false;  // the seed that the table names does not find it
    std::chrono::duration<double> took{};
};

std::optional<Kill> run(std::uint64_t seed) {
    const rsm::sim::RunReport report =
        rsm::sim::simulate_any<KvPuts, KvMixed, Counting, Transfers>(seed);
    if (!report.violation) return std::nullopt;
    return Kill{seed, report.violation->property + ": " + report.violation->where};
}

Hunt hunt(mutants::Mutant mutant, std::uint64_t seeds, std::optional<std::uint64_t> known) {
    const auto began = Clock::now();
    mutants::active = mutant;
    Hunt result;
    if (known) result.kill = run(*known);
    result.renewed = known && !result.kill;
    for (std::uint64_t seed = 1; seed <= seeds && !result.kill; ++seed) result.kill = run(seed);
    mutants::active = mutants::Mutant::none;
    result.took = Clock::now() - began;
    return result;
}

/// The seed of each mutant in a table such as show() prints; 0 where it says "rare".
std::map<std::string, std::uint64_t, std::less<>> read_table(const std::string& path) {
    std::map<std::string, std::uint64_t, std::less<>> seeds;
    std::ifstream file(path);
    if (!file) throw CLI::FileError::Missing(path);
    for (std::string line; std::getline(file, line);) {
        std::array<std::string, 5> cells;  // the first is what stands before the first bar
        std::istringstream row(line);
        for (std::string& cell : cells) std::getline(row, cell, '|');
        std::getline(row, line, '|');
        const std::string& name = cells[2];
        if (name.size() < 4 || name[1] != '`') continue;
        std::uint64_t seed = 0;
        const bool rare = cells[4] == " rare ";
        const char* const digits = cells[4].data() + 1;
        const auto read = std::from_chars(digits, digits + cells[4].size(), seed);
        if (!rare && read.ec != std::errc{}) continue;
        seeds.emplace(name.substr(2, name.size() - 4), seed);
    }
    return seeds;
}

void tell(const mutants::Description& one, const Hunt& hunt) {
    std::osyncstream(std::cerr) << one.name << ": " << hunt.took.count() << " s"
                                << (hunt.renewed ? ", and not on the seed of the table" : "")
                                << '\n';
}
void show(const mutants::Description& one, const Hunt& hunt) {
    std::cout << "| " << one.area << " | `" << one.name << "` | " << one.what << " | "
              << (hunt.kill ? std::to_string(hunt.kill->seed) : "survives") << " | "
              << (hunt.kill ? hunt.kill->by : "") << " |\n";
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Switches on one fault of the library after the other and hunts for each.");
    std::uint64_t seeds = 2000;
    std::uint64_t healthy = 20;
    std::size_t jobs = 1;
    std::vector<std::string> only;
    std::string table;
    app.add_option("--seeds", seeds, "how many to try for each")->capture_default_str();
    app.add_option("--healthy", healthy, "seeds that must pass with no fault switched on")
        ->capture_default_str();
    app.add_option("--jobs", jobs, "threads")->capture_default_str()->check(CLI::Range(1, 256));
    app.add_option("--only", only, "names of mutants, or of areas of them")->delimiter(',');
    app.add_option("--table", table, "try the seeds that this table names before all others")
        ->check(CLI::ExistingFile);
    CLI11_PARSE(app, argc, argv);

    if (const auto wrong = hunt(mutants::Mutant::none, healthy, std::nullopt).kill) {
        std::cerr << "without a mutant, seed " << wrong->seed << ": " << wrong->by << '\n';
        return 1;
    }
    const auto known = table.empty() ? decltype(read_table(table)){} : read_table(table);
    const auto is_rare = [&known](std::string_view name) {
        const auto row = known.find(name);
        return row != known.end() && row->second == 0;
    };
    const auto is_named = [&only](const mutants::Description& one) {
        return std::ranges::find(only, one.name) != only.end() ||
               std::ranges::find(only, one.area) != only.end();
    };
    std::vector<mutants::Description> wanted;
    for (const mutants::Description& one : mutants::descriptions) {
        if (only.empty() ? !is_rare(one.name) : is_named(one)) wanted.push_back(one);
    }
    std::vector<std::optional<Hunt>> hunts(wanted.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t i = next++; i < wanted.size(); i = next++) {
            const auto row = known.find(wanted[i].name);
            const bool has_seed = row != known.end() && row->second != 0;
            hunts[i] =
                hunt(wanted[i].mutant, seeds, has_seed ? std::optional(row->second) : std::nullopt);
            tell(wanted[i], *hunts[i]);
        }
    };
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < jobs; ++i) threads.emplace_back(work);
    }
    std::size_t found = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        show(wanted[i], *hunts[i]);
        if (hunts[i]->kill) ++found;
    }
    std::cerr << found << " of " << wanted.size() << " mutants were found\n";
    return found == wanted.size() && found != 0 ? 0 : 1;
}
