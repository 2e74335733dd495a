// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// Says whether a key/value history file (format: examples/kv/check/history_file.hpp) is
// linearizable. Exit status: 0 linearizable, 1 not linearizable, 2 bad input or command line, or
// undecided within the limits.

#include "kv/check/history_file.hpp"
#include "kv/check/model.hpp"

#include <rsm/check/linearizability.hpp>
#include <rsm/version_text.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <new>
#include <string>
#include <variant>
#include <vector>

namespace {

enum ExitStatus : int { exit_linearizable = 0, exit_not_linearizable = 1, exit_undecided = 2 };

struct Settings {
    std::string path;
    std::size_t memory_mib = 512;
    std::uint64_t steps = rsm::check::Limits{}.steps;
    std::size_t lines_max = 10;
    bool explain = true;
};

void print_line(const kv::check::KvOperation& operation) {
    std::cout << "  " << kv::check::format_kv_operation(operation) << '\n';
}

void print(const std::vector<kv::check::KvOperation>& history,
           const rsm::check::Explanation& explanation, std::size_t lines_max) {
    std::cout << "first reply that cannot be explained:\n";
    print_line(history[explanation.culprit]);
    const std::vector<std::size_t>& prefix = explanation.prefix;
    const std::size_t skipped = prefix.size() - std::min(prefix.size(), lines_max);
    std::cout << "an order that explains every earlier reply for this key (operations: "
              << prefix.size() << ", not shown: the first " << skipped << "):\n";
    for (std::size_t i = skipped; i < prefix.size(); ++i) {
        print_line(history[prefix[i]]);
    }
    const std::vector<std::size_t>& core = explanation.core;
    const std::size_t shown = std::min(core.size(), lines_max);
    std::cout
        << "replies that contradict each other, whatever the other operations did (operations: "
        << core.size() << ", not shown: the last " << core.size() - shown << "):\n";
    for (std::size_t i = 0; i < shown; ++i) {
        print_line(history[core[i]]);
    }
    if (!explanation.minimal) {
        std::cout << "a limit was reached: an earlier reply or fewer replies may be at fault\n";
    }
}

const char* text_of(rsm::check::UndecidedReason reason) {
    switch (reason) {
        case rsm::check::UndecidedReason::memory: return "the memory limit was reached";
        case rsm::check::UndecidedReason::steps: return "the step limit was reached";
        case rsm::check::UndecidedReason::malformed: return "the history is malformed or too long";
        case rsm::check::UndecidedReason::none: break;
    }
    return "no reason";
}

int check(const std::vector<kv::check::KvOperation>& history, const Settings& settings) {
    rsm::check::Limits limits;
    limits.memo_bytes = settings.memory_mib << 20U;
    limits.steps = settings.steps;
    if (!settings.explain) {
        limits.explanation_steps = 0;
    }
    const rsm::check::Report report =
        rsm::check::check_linearizability(kv::check::KvModel{}, history, limits);
    switch (report.verdict) {
        case rsm::check::Verdict::linearizable:
            std::cout << "linearizable (operations: " << history.size()
                      << ", keys: " << report.partitions << ", steps: " << report.steps
                      << ", memo entries: " << report.memo_entries << ")\n";
            return exit_linearizable;
        case rsm::check::Verdict::not_linearizable:
            std::cout << "not linearizable\n";
            if (report.explanation) {
                print(history, *report.explanation, settings.lines_max);
            }
            return exit_not_linearizable;
        case rsm::check::Verdict::undecided: break;
    }
    std::cerr << "undecided: " << text_of(report.reason) << '\n';
    return exit_undecided;
}

int run(const Settings& settings) {
    std::ifstream file;
    if (settings.path != "-") {
        file.open(settings.path, std::ios::binary);
        if (!file) {
            std::cerr << settings.path << ": cannot be opened\n";
            return exit_undecided;
        }
    }
    const auto read = kv::check::read_kv_history(settings.path == "-" ? std::cin : file);
    if (const auto* const error = std::get_if<kv::check::HistoryFileError>(&read)) {
        std::cerr << settings.path << ':' << error->line << ':' << error->column << ": "
                  << error->message << '\n';
        return exit_undecided;
    }
    const int status = check(std::get<std::vector<kv::check::KvOperation>>(read), settings);
    // A verdict that could not be told must not pass for one that was.
    return std::cout.flush() ? status : exit_undecided;
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    CLI::App app{
        "Says whether a key/value history is linearizable. Exit status: 0 it is, 1 it is "
        "not, 2 bad input or undecided."};
    app.set_version_flag("--version", "check-history of rsm " + rsm::version_text());
    app.add_option("file", settings.path,
                   "history file, one JSON object per line; - is standard input")
        ->required();
    app.add_option("--memory", settings.memory_mib, "mebibytes for the search's memo")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20U))
        ->capture_default_str();
    app.add_option("--steps", settings.steps, "steps of the search before it gives up");
    app.add_option("--lines", settings.lines_max, "operations to show of each list")
        ->capture_default_str();
    app.add_flag("!--no-explanation", settings.explain, "only the verdict");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_undecided;
    }
    try {
        return run(settings);
    } catch (const std::bad_alloc&) {
        std::cerr << "undecided: out of memory\n";
    } catch (const std::exception& error) {
        std::cerr << "undecided: " << error.what() << '\n';
    }
    return exit_undecided;
}
