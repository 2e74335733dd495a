// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The command line of a simulator for a user's own state machine. The whole program is
//
//     #include <rsm/sim/command_line.hpp>
//     int main(int argc, char** argv) { return rsm::sim::command_line<MyWorkload>(argc, argv); }
//
// It needs CLI11's header. Several workloads may be given; a seed draws one of them.
#ifndef RSM_SIM_COMMAND_LINE_HPP
#define RSM_SIM_COMMAND_LINE_HPP

#include <rsm/sim/campaign.hpp>
#include <rsm/sim/simulate.hpp>
#include <rsm/sim/trace_html.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::sim {

namespace detail {

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

struct Output {
    std::string folder = ".";
    std::size_t events = 30;
};

/// The violation, the nodes' last events, and the page.
inline void explain(std::ostream& out, const RunReport& report, const std::string& program,
                    const Output& output) {
    out << "seed " << report.seed << " VIOLATES " << report.violation->property << ": "
        << report.violation->where << "\n  " << in_words(report.plan) << "\n";
    out << "  replay: " << program << " --seed " << report.seed << "\n";
    report.trace.write_text(out, output.events, report.violation->nodes);
    const std::string path = output.folder + "/trace-" + std::to_string(report.seed) + ".html";
    std::ofstream file(path);
    TraceHeader header;
    header.seed = report.seed;
    header.title = "seed " + std::to_string(report.seed);
    header.property = report.violation->property + ": " + report.violation->where;
    header.replay = program + " --seed " + std::to_string(report.seed);
    for (std::uint64_t id = 1; id <= report.nodes; ++id) header.nodes.push_back({id});
    header.parameters = report.plan;
    write_trace_html(file, report.trace, header);
    file.close();
    out << (file ? "  diagram: " : "  the diagram could not be written: ") << path << '\n';
}

template <Workload... Loads>
int replay(std::uint64_t seed, const std::string& program, const Output& output) {
    const RunReport report = simulate_any<Loads...>(seed, Tracing::on);
    std::cout << "seed " << seed << ": " << in_words(report.plan) << "\n";
    print_coverage(std::cout, report.coverage);
    std::cout << "  digest " << std::hex << report.digest << std::dec << ", " << report.events
              << " events, " << report.simulated.count() / 1'000'000 << " ms simulated\n";
    if (!report.violation) {
        std::cout << "  no rule was broken\n";
        return 0;
    }
    explain(std::cout, report, program, output);
    return 1;
}

template <Workload... Loads>
int search(std::pair<std::uint64_t, std::uint64_t> seeds, const CampaignOptions& options,
           const std::string& program, const Output& output) {
    Campaign campaign([](std::uint64_t seed) { return simulate_any<Loads...>(seed); }, options);
    const CampaignReport report = campaign.run(seeds.first, seeds.second, std::cerr);
    std::cout << report.seeds << " seeds in " << report.seconds << " s ("
              << static_cast<double>(report.seeds) / report.seconds << " a second), "
              << report.simulated_seconds << " s simulated ("
              << report.simulated_seconds / report.seconds << " times real time)\n";
    print_coverage(std::cout, report.coverage);
    std::cout << "  digest " << std::hex << report.digest << std::dec << '\n';
    for (const std::uint64_t seed : report.failed) {
        explain(std::cout, simulate_any<Loads...>(seed, Tracing::on), program, output);
    }
    if (report.failed.empty()) std::cout << "no rule was broken\n";
    return report.failed.empty() ? 0 : 1;
}

}  // namespace detail

/// Exit code: 0 no rule was broken, 1 one was, 2 or more: the command line was wrong.
template <Workload... Loads>
int command_line(int argc, char** argv) {
    CLI::App app("Simulates clusters under faults, each run from one seed, and checks every rule.");
    std::string seeds = "1..1000";
    std::string seed;
    detail::Output output;
    CampaignOptions options;
    app.add_option("--seeds", seeds, "the seeds to try: FIRST..LAST")->capture_default_str();
    app.add_option("--seed", seed, "replay this one and tell all about it");
    app.add_option("--jobs", options.jobs, "threads")
        ->capture_default_str()
        ->check(CLI::Range(1, 256));
    app.add_option("--minutes", options.minutes, "stop after so many; 0: when the seeds end")
        ->capture_default_str();
    app.add_option("--failures", options.failures_max, "stop after so many failing seeds")
        ->capture_default_str();
    app.add_option("--events", output.events, "how many last events to print of a failing run")
        ->capture_default_str();
    app.add_option("--out", output.folder, "where trace-SEED.html goes")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    const std::string& range = seed.empty() ? seeds : seed;
    const auto parsed = detail::parse_range(range);
    if (!parsed || (!seed.empty() && parsed->first != parsed->second)) {
        std::cerr << "not a seed or a range of seeds: " << range << '\n';
        return 2;
    }
    const std::string program = argv[0];
    if (!seed.empty()) return detail::replay<Loads...>(parsed->first, program, output);
    return detail::search<Loads...>(*parsed, options, program, output);
}

}  // namespace rsm::sim

#endif
