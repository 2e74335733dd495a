// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Explores all histories of small clusters of Cores within bounds, by breadth, and prints the
// shortest one that breaks a safety property. Exit status: 0 none was found, 1 one was, 2 bad
// command line. docs/model-checker.md says what is explored and why that is sound.
#include "../presets.hpp"
#include "../report.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

using model::Setup;

constexpr double progress_seconds = 5;

/// What the command line says differs from the preset, or from the default where none is named.
struct CommandLine {
    std::vector<std::string> presets;
    bool list = false;
    bool quiet = false;
    double memory_mib = 4096;
    std::string duplicates;
    std::vector<std::function<void(Setup&)>> changes;

    template <class T, class Value = T>
    CLI::Option* option(CLI::App& app, const std::string& name, T Setup::*member,
                        const std::string& help) {
        return app.add_option_function<Value>(
            name,
            [this, member](const Value& value) {
                changes.push_back(
                    [member, value](Setup& setup) { setup.*member = static_cast<T>(value); });
            },
            help);
    }
    void flag(CLI::App& app, const std::string& name, bool Setup::*member,
              const std::string& help) {
        app.add_flag_function(
            name,
            [this, member](std::int64_t count) {
                changes.push_back([member, count](Setup& setup) { setup.*member = count > 0; });
            },
            help);
    }
};

void declare_changes(CLI::App& app, CommandLine& line) {
    line.option(app, "--founders", &Setup::founders, "Nodes that begin, the others join; 0: all");
    line.option(app, "--target", &Setup::target, "The nodes that are to vote after a change")
        ->delimiter(',');
    line.option(app, "--changes", &Setup::changes,
                "Changes asked for, to the target or back to the founders");
    line.option(app, "--lapses", &Setup::lapses,
                "How often a leader that changes the members loses touch with them, or gives up; "
                "15: any number");
    const std::map<std::string, model::Start> starts{{"empty", model::Start::empty},
                                                     {"led", model::Start::led},
                                                     {"introduced", model::Start::introduced}};
    line.option(app, "--from", &Setup::start,
                "Where histories begin: 'empty' disks, 'led' by node 1, or where the newcomers of "
                "a change are 'introduced' as learners")
        ->transform(CLI::CheckedTransformer(starts));
}

void declare(CLI::App& app, CommandLine& line) {
    app.add_option("--preset", line.presets,
                   "Which exploration; may be given several times; 'all' in the order of --list");
    app.add_flag("--list", line.list, "Name the presets and what they are for");
    app.add_flag("--quiet", line.quiet, "No progress lines");
    line.option(app, "--nodes", &Setup::nodes, "Nodes, 1 to 6");
    line.option(app, "--terms", &Setup::terms, "No node enters a later term");
    line.option(app, "--operations", &Setup::operations, "Operations proposed in all");
    line.option(app, "--reads", &Setup::reads, "Reads asked for in all");
    line.option(app, "--crashes", &Setup::crashes, "Crashes in all");
    line.option(app, "--snapshots", &Setup::snapshots, "Snapshots taken in all");
    declare_changes(app, line);
    line.option(app, "--heartbeats", &Setup::heartbeats,
                "Heartbeats beyond those at the start of a term; 15: any number");
    app.add_option_function<std::string>(
           "--duplicates",
           [&line](const std::string& count) {
               line.changes.push_back([count](Setup& setup) {
                   setup.keep_messages = count == "any";
                   setup.duplicates = 0;
                   if (count != "any")
                       setup.duplicates = static_cast<std::uint32_t>(std::stoul(count));
               });
           },
           "Deliveries after which the message may arrive once more, or 'any'")
        ->check(CLI::IsMember({"any"}) | CLI::Range(0, 15));
    line.option(app, "--messages", &Setup::in_flight,
                "Cut off states with more messages under way; 0: none");
    line.flag(app, "--newest-only,!--no-newest-only", &Setup::newest_only,
              "Of what one node has sent to another, only the newest may arrive");
    line.flag(app, "--lose-stale,!--no-lose-stale", &Setup::lose_stale,
              "Requests of earlier terms than the receiver's never arrive");
    const std::map<std::string, model::DiskMode> disks{{"instant", model::DiskMode::instant},
                                                       {"joined", model::DiskMode::joined},
                                                       {"split", model::DiskMode::split}};
    line.option(app, "--disk", &Setup::disk, "instant, joined or split")
        ->transform(CLI::CheckedTransformer(disks));
    line.flag(app, "--pre-vote,!--no-pre-vote", &Setup::pre_vote, "Options::pre_vote");
    line.flag(app, "--check-quorum,!--no-check-quorum", &Setup::check_quorum,
              "Options::check_quorum");
    line.flag(app, "--barrier,!--no-barrier", &Setup::barrier, "Options::barrier_on_election");
    line.flag(app, "--one-entry,!--no-one-entry", &Setup::one_entry_messages,
              "Append requests carry one entry at most");
    line.flag(app, "--symmetry,!--no-symmetry", &Setup::symmetry,
              "Take states that differ only in who is who for one");
    const std::map<std::string, model::Sabotage> faults{{"vote", model::Sabotage::forget_vote},
                                                        {"write", model::Sabotage::forget_write},
                                                        {"joint", model::Sabotage::skip_joint},
                                                        {"early", model::Sabotage::leave_early},
                                                        {"late", model::Sabotage::members_late}};
    line.option(app, "--fault", &Setup::sabotage,
                "To be found: the disk forgets the 'vote' or the last 'write'; there is no 'joint' "
                "membership, or it is left too 'early'; members are in force too 'late'")
        ->transform(CLI::CheckedTransformer(faults));
    line.option(app, "--states", &Setup::states, "Stop after so many states; 0: no bound");
    line.option(app, "--minutes", &Setup::minutes,
                "Stop after so long, the presets together; 0: no bound");
    line.option(app, "--depth", &Setup::depth, "Stop at this depth; 0: no bound");
    app.add_option("--memory", line.memory_mib, "In MiB; stop when it is used up")
        ->check(CLI::Range(16.0, 1048576.0));
}

std::vector<model::Preset> chosen(const CommandLine& line) {
    const std::vector<model::Preset> known = model::presets();
    if (line.presets.empty() && line.changes.empty()) return known;
    if (line.presets.empty()) return {{"own", "the bounds of the command line", Setup{}}};
    std::vector<model::Preset> found;
    for (const std::string& name : line.presets) {
        const std::size_t before = found.size();
        for (const model::Preset& preset : known) {
            if (name == "all" || name == preset.name) found.push_back(preset);
        }
        if (found.size() == before) throw CLI::ValidationError("--preset", "unknown: " + name);
    }
    return found;
}

bool explore(const model::Preset& preset, const CommandLine& line) {
    std::cout << preset.name << ": " << preset.what << "\n  " << model::text_of(preset.setup)
              << std::endl;
    model::Checker checker(preset.setup);
    double last = 0;
    const model::Report report = checker.run([&](const model::Report& so_far) {
        if (line.quiet || so_far.seconds - last < progress_seconds) return;
        last = so_far.seconds;
        std::cout << "  ... " << model::numbers_of(so_far) << std::endl;
    });
    model::print(checker, report, std::cout);
    std::cout.flush();
    return report.end != model::End::violation;
}

int run(CommandLine& line) {
    std::vector<model::Preset> presets = chosen(line);
    if (line.list) {
        for (const model::Preset& preset : presets) {
            std::cout << preset.name << ": " << preset.what << "\n  "
                      << model::text_of(preset.setup) << '\n';
        }
        return 0;
    }
    for (model::Preset& preset : presets) {
        for (const auto& change : line.changes) change(preset.setup);
        preset.setup.memory_bytes = static_cast<std::uint64_t>(line.memory_mib * 1048576);
        if (const std::string refusal = preset.setup.refusal(); !refusal.empty()) {
            throw CLI::ValidationError(preset.name, refusal);
        }
    }
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < presets.size(); ++i) {
        Setup& setup = presets[i].setup;
        if (setup.minutes > 0) {
            // What one leaves of its share, the later ones get.
            const std::chrono::duration<double, std::ratio<60>> used =
                std::chrono::steady_clock::now() - began;
            const auto left = static_cast<double>(presets.size() - i);
            setup.minutes = std::max(0.001, (setup.minutes - used.count()) / left);
        }
        if (!explore(presets[i], line)) return 1;
    }
    std::cout << "no violation\n";
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Explores all histories of small raft clusters within bounds.");
    CommandLine line;
    declare(app, line);
    try {
        app.parse(argc, argv);
        return run(line);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
