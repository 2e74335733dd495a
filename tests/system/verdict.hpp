// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a run under load ends: the history of the clerks is judged, and kept where something is
// wrong.
#ifndef RSM_TESTS_SYSTEM_VERDICT_HPP
#define RSM_TESTS_SYSTEM_VERDICT_HPP

#include "kv/check/history_file.hpp"
#include "kv/check/model.hpp"
#include "load.hpp"
#include "support/temporary_directory.hpp"

#include <rsm/check/linearizability.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

namespace system_test {

/// @param file  where to write it; empty: only if the run has failed, into the directory
inline void write_history(std::string file, const rsm_test::TemporaryDirectory& directory,
                          const Load& load, bool failed) {
    if (file.empty() && failed) file = directory / "history.jsonl";
    if (file.empty()) return;
    std::ofstream out(file);
    kv::check::write_kv_history(out, load.history.operations());
    out.flush();
    if (!out) throw std::runtime_error("cannot write " + file);
    std::cout << "history: " << file << std::endl;
}

inline bool is_linearizable(const Load& load) {
    const auto report =
        rsm::check::check_linearizability(kv::check::KvModel{}, load.history.operations());
    switch (report.verdict) {
        case rsm::check::Verdict::linearizable: return true;
        case rsm::check::Verdict::not_linearizable:
            std::cout << "NOT LINEARIZABLE" << std::endl;
            if (report.explanation) {
                for (const std::size_t position : report.explanation->core) {
                    const auto& operation = load.history.operations()[position];
                    std::cout << "  " << kv::check::format_kv_operation(operation) << '\n';
                }
            }
            return false;
        case rsm::check::Verdict::undecided: break;
    }
    std::cout << "linearizable or not: undecided within the checker's limits" << std::endl;
    return false;
}

/// Runs a `Story`, which is made of the settings and a directory and has run(), cluster() and
/// summary(), and says how it ended.
/// @return whether all is well; else the directory is kept
template <class Story, class Settings>
bool tell(const Settings& settings) {
    const auto begin = std::chrono::steady_clock::now();
    rsm_test::TemporaryDirectory directory;
    Story story(settings, directory.path());
    directory.keep = true;  // until all has gone well
    bool good = false;
    try {
        story.run();
        good = is_linearizable(story.cluster().load());
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << std::endl;
    }
    const Load& load = story.cluster().load();
    write_history(settings.history, directory, load, !good);
    directory.keep = !good;
    const auto taken =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
    std::cout << (good ? "passed: " : "failed: ") << story.summary() << ", " << load.history.size()
              << " operations, " << load.puts_ok << " acknowledged puts, " << load.puts_maybe
              << " in doubt, " << taken.count() << " s" << std::endl;
    if (!good) std::cout << "logs and data: " << directory.path() << std::endl;
    story.cluster().gaps().print();
    return good;
}

}  // namespace system_test

#endif
