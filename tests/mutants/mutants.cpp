// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Shows that the simulator finds each mutant (mutants.hpp): runs seeds with one fault switched
// on until a rule is violated. Prints the table of docs/mutants.md.
#include <rsm-sim/workloads.hpp>

#include <mutants.hpp>
#include <rsm/sim/simulate.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace sim_workloads;

struct Kill {
    std::uint64_t seed = 0;
    std::string by;
};

std::optional<Kill> hunt(mutants::Mutant mutant, std::uint64_t seeds) {
    mutants::active = mutant;
    std::optional<Kill> kill;
    for (std::uint64_t seed = 1; seed <= seeds && !kill; ++seed) {
        const rsm::sim::RunReport report =
            rsm::sim::simulate_any<KvPuts, KvMixed, Counting, Transfers>(seed);
        if (report.violation) {
            kill = Kill{seed, report.violation->property + ": " + report.violation->where};
        }
    }
    mutants::active = mutants::Mutant::none;
    return kill;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Switches on one fault of the library after the other and hunts for each.");
    std::uint64_t seeds = 2000;
    std::uint64_t healthy = 20;
    std::string only;
    app.add_option("--seeds", seeds, "how many to try for each")->capture_default_str();
    app.add_option("--healthy", healthy, "seeds that must pass with no fault switched on")
        ->capture_default_str();
    app.add_option("--only", only, "the name of one mutant");
    CLI11_PARSE(app, argc, argv);

    if (const auto wrong = hunt(mutants::Mutant::none, healthy)) {
        std::cerr << "without a mutant, seed " << wrong->seed << ": " << wrong->by << '\n';
        return 1;
    }
    int survivors = 0;
    int hunted = 0;
    for (const mutants::Description& one : mutants::descriptions) {
        if (!only.empty() && one.name != only) continue;
        ++hunted;
        const auto began = std::chrono::steady_clock::now();
        const std::optional<Kill> kill = hunt(one.mutant, seeds);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        std::cout << "| " << one.area << " | `" << one.name << "` | " << one.what << " | "
                  << (kill ? std::to_string(kill->seed) : "survives") << " | "
                  << (kill ? kill->by : "") << " |" << std::endl;
        std::cerr << one.name << ": " << took.count() << " s\n";
        if (!kill) ++survivors;
    }
    std::cerr << hunted - survivors << " of " << hunted << " mutants were found\n";
    return survivors == 0 && hunted != 0 ? 0 : 1;
}
