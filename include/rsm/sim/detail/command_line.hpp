// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The command line of a simulator: campaigns over seeds, and the account of a single run.
#ifndef RSM_SIM_DETAIL_COMMAND_LINE_HPP
#define RSM_SIM_DETAIL_COMMAND_LINE_HPP

#include <rsm/sim/command_line.hpp>
#include <rsm/sim/detail/coverage_tables.hpp>
#include <rsm/sim/run/campaign.hpp>
#include <rsm/sim/run/reduction.hpp>
#include <rsm/sim/run/report.hpp>
#include <rsm/sim/run/shrink.hpp>
#include <rsm/sim/run/swarm.hpp>
#include <rsm/sim/run/themes.hpp>
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
#include <string_view>
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
        std::string theme;
        app.add_option("--theme", theme, "of --seeds, only those that follow this theme");
        std::string reduced;
        app.add_option("--reduced", reduced, "what --seed leaves out, as a shrunk run says it");
        app.add_option("--shrink", shrink_runs_, "runs to spend on a smaller one; 0: none")
            ->capture_default_str();
        app.add_flag("--tables", tables_,
                     "how often each workload, theme, fault, rule and pair of events was met");
        app.add_option("--out", folder_, "where trace-SEED.html goes")->capture_default_str();
        CLI11_PARSE(app, argc, argv);
        const std::string& range = seed.empty() ? seeds : seed;
        const auto parsed = parse_range(range);
        if (!parsed || (!seed.empty() && parsed->first != parsed->second)) {
            std::cerr << "not a seed or a range of seeds: " << range << '\n';
            return 2;
        }
        const auto reduction = Reduction::parse(reduced);
        if (!reduction || (seed.empty() && !reduction->empty())) {
            std::cerr << "not what a run of --seed can leave out: " << reduced << '\n';
            return 2;
        }
        if (!theme.empty() && !choose(theme, options)) {
            std::cerr << "not a theme: " << theme << "; there are";
            for (const std::string_view name : theme_names) std::cerr << ' ' << name;
            std::cerr << '\n';
            return 2;
        }
        program_ = argv[0];
        return seed.empty() ? search(*parsed, options) : replay(parsed->first, *reduction);
    }

private:
    /// Nothing but the seeds of that theme. Returns whether there is one of that name.
    static bool choose(const std::string& name, CampaignOptions& options) {
        const auto found = std::ranges::find(theme_names, name);
        if (found == theme_names.end()) return false;
        const auto theme = static_cast<Theme>(found - theme_names.begin());
        options.wanted = [theme](std::uint64_t seed) { return draw_plan(seed).theme == theme; };
        return true;
    }

    int replay(std::uint64_t seed, const Reduction& reduction) {
        const RunReport report = simulate_(seed, Tracing::on, reduction);
        std::cout << "seed " << seed << ": " << in_words(report.plan) << "\n";
        print_coverage(std::cout, report.coverage);
        std::cout << "  digest " << std::hex << report.digest << std::dec << ", " << report.events
                  << " events, " << report.simulated.count() / 1'000'000 << " ms simulated\n";
        const bool same = is_same(report, simulate_(seed, Tracing::on, reduction));
        if (report.violation && same && reduction.empty()) {
            shrink_and_explain(report);
        } else if (report.violation) {
            explain(report, reduction);
        } else {
            std::cout << "  no rule was broken\n";
        }
        return same && !report.violation ? 0 : 1;
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
        Campaign campaign([this](std::uint64_t seed) { return simulate_(seed, Tracing::off, {}); },
                          options);
        const CampaignReport report = campaign.run(seeds.first, seeds.second, std::cerr);
        std::cout << report.seeds << " seeds in " << report.seconds << " s ("
                  << static_cast<double>(report.seeds) / report.seconds << " a second), "
                  << report.simulated_seconds << " s simulated ("
                  << report.simulated_seconds / report.seconds << " times real time)\n";
        print_coverage(std::cout, report.coverage);
        if (tables_) print_tables(std::cout, report.coverage);
        std::cout << "  digest " << std::hex << report.digest << std::dec << '\n';
        for (const RunReport& failed : report.failed) tell_again(failed);
        if (report.failed.empty()) std::cout << "no rule was broken\n";
        return report.failed.empty() ? 0 : 1;
    }
    /// Runs a seed that failed once more, for its trace.
    void tell_again(const RunReport& failed) {
        RunReport traced = simulate_(failed.seed, Tracing::on, {});
        RunReport bare = traced;
        bare.applied.clear();  // as in the run that failed
        if (is_same(bare, failed)) return shrink_and_explain(traced);
        if (!traced.violation) traced.violation = failed.violation;
        explain(traced, {});
    }

    /// Tells what a seed breaks, then, with all that belongs to it, the smallest run that was found
    /// to break the same rule.
    void shrink_and_explain(const RunReport& failed) {
        Shrinker shrinker(
            [this, seed = failed.seed](const Reduction& reduction) {
                return simulate_(seed, Tracing::off, reduction);
            },
            shrink_runs_);
        const Shrinker::Result smaller = shrinker.shrink(failed);
        if (smaller.reduction.empty()) return explain(failed, {});
        std::cout << "seed " << failed.seed << " VIOLATES " << to_string(*failed.violation)
                  << "\n  " << in_words(failed.plan) << "\n  replay: " << replay_of(failed.seed, {})
                  << " --shrink 0\n  shrunk in " << smaller.runs << " runs to:\n";
        explain(simulate_(failed.seed, Tracing::on, smaller.reduction), smaller.reduction);
    }
    std::string replay_of(std::uint64_t seed, const Reduction& reduction) const {
        const std::string reduced = reduction.empty() ? "" : " --reduced " + reduction.text();
        return program_ + " --seed " + std::to_string(seed) + reduced;
    }

    /// The violation, the nodes' last events, and the page.
    void explain(const RunReport& report, const Reduction& reduction) {
        std::ostream& out = std::cout;
        const std::string seed = std::to_string(report.seed);
        out << "seed " << seed << " VIOLATES " << to_string(*report.violation) << "\n  "
            << in_words(report.plan) << "\n";
        out << "  replay: " << replay_of(report.seed, reduction) << "\n";
        report.trace.write_text(out, events_, report.violation->nodes);
        const std::string path = folder_ + "/trace-" + seed + ".html";
        std::ofstream file(path);
        TraceHeader header;
        header.seed = report.seed;
        header.title = "seed " + seed;
        header.property = to_string(*report.violation);
        header.replay = replay_of(report.seed, reduction);
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
    bool tables_ = false;
    std::size_t shrink_runs_ = 300;
};

}  // namespace rsm::sim::detail

#endif
