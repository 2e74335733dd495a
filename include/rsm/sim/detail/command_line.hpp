// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The command line of a simulator: campaigns over seeds, and the account of a single run.
#ifndef RSM_SIM_DETAIL_COMMAND_LINE_HPP
#define RSM_SIM_DETAIL_COMMAND_LINE_HPP

#include <rsm/sim/command_line.hpp>
#include <rsm/sim/run/campaign.hpp>
#include <rsm/sim/run/report.hpp>
#include <rsm/sim/run/swarm.hpp>
#include <rsm/sim/trace/page.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

namespace rsm::inline v0::sim::detail {

/// "7", or "1..10000".
inline std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_range(const std::string& text) {
    const std::size_t dots = text.find("..");
    try {
        std::size_t used = 0;
        const std::string head = text.substr(0, dots);
        const std::uint64_t first = std::stoull(head, &used);
        if (used != head.size()) return std::nullopt;
        if (dots == std::string::npos) return std::pair{first, first};
        const std::string tail = text.substr(dots + 2);
        const std::uint64_t last = std::stoull(tail, &used);
        if (used != tail.size() || last < first) return std::nullopt;
        return std::pair{first, last};
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

inline void print_coverage(std::ostream& out, const Coverage& coverage) {
    for (std::size_t i = 0; i < counter_names.size(); ++i) {
        const std::uint64_t count = coverage[static_cast<Counter>(i)];
        if (count != 0) out << "  " << counter_names[i] << ": " << count << '\n';
    }
}

inline std::string account_of(const AppliedOperation& one) {
    return "operation " + std::to_string(one.id) +
           (one.operation.empty() ? "" : " (" + one.operation + ")") + " with the result " +
           (one.result.empty() ? "of nothing" : one.result);
}

/// In what two runs of one seed differ; empty: in nothing. The first of them was traced, and the
/// second too, if anything is to be said of its operations.
inline std::string difference(const RunReport& first, const RunReport& second) {
    const auto as_words = [](const std::optional<Violation>& violation) {
        return violation ? to_string(*violation) : "no rule was broken";
    };
    const auto& one = first.applied;
    const auto& other = second.applied;
    const std::size_t both = std::min(one.size(), other.size());
    for (std::size_t i = 0; i < both; ++i) {
        if (one[i] == other[i]) continue;
        return "one applied " + account_of(one[i]) + " where the other applied " +
               account_of(other[i]);
    }
    if (as_words(first.violation) != as_words(second.violation)) {
        return "of one: " + as_words(first.violation) +
               "; of the other: " + as_words(second.violation);
    }
    if (first.digest == second.digest && first.events == second.events) return {};
    return "their digests are different";
}

class CommandLine {
public:
    explicit CommandLine(SimulateSeed simulate) : simulate_(simulate) {}

    int run(int argc, char** argv) {
        CLI::App app(
            "Simulates clusters under faults, each run from one seed, and checks every rule.");
        std::string seeds = "1..1000";
        std::string seed;
        CampaignOptions options;
        app.add_option("--seeds", seeds, "the seeds to try: FIRST..LAST")->capture_default_str();
        app.add_option("--seed", seed, "replay this one, twice, and tell all about it");
        app.add_option("--jobs", options.jobs, "threads")
            ->capture_default_str()
            ->check(CLI::Range(1, 256));
        app.add_option("--minutes", options.minutes, "stop after so many; 0: when the seeds end")
            ->capture_default_str();
        app.add_option("--failures", options.failures_max, "stop after so many failing seeds")
            ->capture_default_str();
        app.add_option("--events", events_, "how many last events to print of a failing run")
            ->capture_default_str();
        app.add_option("--out", folder_, "where trace-SEED.html goes")->capture_default_str();
        CLI11_PARSE(app, argc, argv);
        const std::string& range = seed.empty() ? seeds : seed;
        const auto parsed = parse_range(range);
        if (!parsed || (!seed.empty() && parsed->first != parsed->second)) {
            std::cerr << "not a seed or a range of seeds: " << range << '\n';
            return 2;
        }
        program_ = argv[0];
        return seed.empty() ? search(*parsed, options) : replay(parsed->first);
    }

private:
    int replay(std::uint64_t seed) {
        const RunReport report = simulate_(seed, Tracing::on);
        std::cout << "seed " << seed << ": " << in_words(report.plan) << "\n";
        print_coverage(std::cout, report.coverage);
        std::cout << "  digest " << std::hex << report.digest << std::dec << ", " << report.events
                  << " events, " << report.simulated.count() / 1'000'000 << " ms simulated\n";
        const bool same = is_same_twice(report);
        if (report.violation) {
            explain(report);
        } else {
            std::cout << "  no rule was broken\n";
        }
        return same && !report.violation ? 0 : 1;
    }

    /// Runs the seed of the report once more.
    bool is_same_twice(const RunReport& report) {
        return is_same(report, simulate_(report.seed, Tracing::on));
    }
    bool is_same(const RunReport& report, const RunReport& again) {
        const std::string wrong = difference(report, again);
        if (wrong.empty()) return true;
        std::cout << "seed " << report.seed << " is NOT DETERMINISTIC: two runs of it differ; "
                  << wrong << ".\n  The state machine or the workload depends on something else "
                  << "than its operations and its random numbers: on time, on\n  addresses, on "
                  << "memory that nobody has set, on variables that outlive a run.\n";
        return false;
    }

    int search(std::pair<std::uint64_t, std::uint64_t> seeds, const CampaignOptions& options) {
        Campaign campaign([this](std::uint64_t seed) { return simulate_(seed, Tracing::off); },
                          options);
        const CampaignReport report = campaign.run(seeds.first, seeds.second, std::cerr);
        std::cout << report.seeds << " seeds in " << report.seconds << " s ("
                  << static_cast<double>(report.seeds) / report.seconds << " a second), "
                  << report.simulated_seconds << " s simulated ("
                  << report.simulated_seconds / report.seconds << " times real time)\n";
        print_coverage(std::cout, report.coverage);
        std::cout << "  digest " << std::hex << report.digest << std::dec << '\n';
        for (const RunReport& failed : report.failed) tell_again(failed);
        if (report.failed.empty()) std::cout << "no rule was broken\n";
        return report.failed.empty() ? 0 : 1;
    }
    /// Runs a seed that failed once more, for its trace.
    void tell_again(const RunReport& failed) {
        RunReport traced = simulate_(failed.seed, Tracing::on);
        RunReport bare = traced;
        bare.applied.clear();  // as in the run that failed
        is_same(bare, failed);
        if (!traced.violation) traced.violation = failed.violation;
        explain(traced);
    }

    /// The violation, the nodes' last events, and the page.
    void explain(const RunReport& report) {
        std::ostream& out = std::cout;
        const std::string seed = std::to_string(report.seed);
        out << "seed " << seed << " VIOLATES " << to_string(*report.violation) << "\n  "
            << in_words(report.plan) << "\n";
        out << "  replay: " << program_ << " --seed " << seed << "\n";
        report.trace.write_text(out, events_, report.violation->nodes);
        const std::string path = folder_ + "/trace-" + seed + ".html";
        std::ofstream file(path);
        TraceHeader header;
        header.seed = report.seed;
        header.title = "seed " + seed;
        header.property = to_string(*report.violation);
        header.replay = program_ + " --seed " + seed;
        for (std::uint64_t id = 1; id <= report.nodes; ++id) header.nodes.push_back({id});
        header.parameters = report.plan;
        write_trace_html(file, report.trace, header);
        file.close();
        out << (file ? "  diagram: " : "  the diagram could not be written: ") << path << '\n';
    }

    SimulateSeed simulate_;
    std::string program_;
    std::string folder_ = ".";
    std::size_t events_ = 30;
};

}  // namespace rsm::sim::detail

#endif
