// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv-server rescue: what is left of a cluster without a majority, as a backup.
#ifndef RSM_EXAMPLES_KV_RESCUE_HPP
#define RSM_EXAMPLES_KV_RESCUE_HPP

#include "store.hpp"

#include <raft/base/types.hpp>
#include <rsm/backup.hpp>
#include <rsm/rescue.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace kv {

struct RescueWish {
    std::vector<std::string> directories;
    std::string file;
    std::optional<std::uint64_t> confirmed;  ///< the index that was shown
};

namespace detail {

inline std::string entry_text(raft::LogPosition position) {
    return "entry " + std::to_string(position.index.value) + " of term " +
           std::to_string(position.term.value);
}

inline void tell(const rsm::Remains& remains, std::ostream& out) {
    out << remains.directory() << ": " << rsm::detail::wal::describe(remains.identity()) << '\n'
        << "  up to " << entry_text(remains.last()) << "; known to be committed up to "
        << remains.hard_state().commit.value << "; last term " << remains.hard_state().term.value
        << '\n';
    if (remains.promised().index.value != 0) {
        out << "  DAMAGED: it had come to " << entry_text(remains.promised())
            << ", and what was behind its end is lost here\n";
    }
    for (const std::string& what : remains.damages()) out << "  " << what << '\n';
}

/// The one whose log an election would prefer. Throws where they are not of one cluster.
inline const rsm::Remains& most_advanced(const std::vector<rsm::Remains>& all) {
    const rsm::Remains* best = &all.front();
    for (const rsm::Remains& one : all) {
        const raft::Identity& first = all.front().identity();
        const bool same = one.identity().cluster == first.cluster &&
                          one.identity().founding.members.size() == first.founding.members.size() &&
                          one.identity().origin == first.origin;
        if (!same) {
            throw std::runtime_error(all.front().directory() + " and " + one.directory() +
                                     " are of different clusters");
        }
        if (!rsm::is_up_to_date(*best, one)) best = &one;
    }
    return *best;
}

inline void tell_losses(const rsm::Remains& best, std::ostream& out) {
    const std::uint64_t last = best.last().index.value;
    const std::uint64_t committed =
        std::max(best.hard_state().commit.value, best.snapshot().last.index.value);
    out << "\nThe most advanced is " << best.directory() << ". The backup would have all up to "
        << entry_text(best.last()) << ".\n";
    if (committed < last) {
        out << "- Of the entries " << committed + 1 << " to " << last
            << " nobody here knows whether they were committed: writes among them may have been "
               "reported as unknown, and are in it.\n";
    }
    out << "- What was acknowledged behind entry " << last
        << ", by members whose directories are not given here, is lost.\n";
}

}  // namespace detail

/// Tells what there is and, where its end is confirmed, writes it. Returns the exit status.
inline int rescue(const RescueWish& wish, std::ostream& out) {
    std::vector<rsm::Remains> all;
    for (const std::string& directory : wish.directories) {
        auto remains = rsm::Remains::open(directory);
        if (!remains) throw std::runtime_error(remains.error().message());
        detail::tell(*remains, out);
        all.push_back(*std::move(remains));
    }
    const rsm::Remains& best = detail::most_advanced(all);
    const std::uint64_t last = best.last().index.value;
    detail::tell_losses(best, out);
    if (wish.confirmed != last) {
        out << "\nNothing was written" << (wish.confirmed ? ": it is another entry" : "")
            << ". To write it: the same with --confirm " << last << '\n';
        return EXIT_FAILURE;
    }
    Store store;
    const auto state = best.apply_to(store);
    if (!state) throw std::runtime_error(state.error().message());
    const auto backup = rsm::Backup::save(*state, wish.file);
    if (!backup) throw std::runtime_error(backup.error().message());
    out << "\nWrote " << wish.file << ": " << store.key_count()
        << " keys. Found a new cluster from it: kv-server --cluster ... --restore " << wish.file
        << " on every founder, each with an empty directory.\n";
    return EXIT_SUCCESS;
}

/// The command line behind "kv-server rescue".
inline int run_rescue(int count, char** words) {
    RescueWish wish;
    CLI::App app(
        "Makes a backup of what is left of a cluster whose majority is gone. Changes nothing in "
        "the directories.",
        "kv-server rescue");
    app.add_option("DIRECTORY", wish.directories, "All data directories that are left")
        ->required()
        ->expected(1, -1);
    app.add_option("--to", wish.file, "The backup")->required();
    app.add_option("--confirm", wish.confirmed,
                   "The last entry that it will have, as it was shown without this option");
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    try {
        return rescue(wish, std::cout);
    } catch (const std::exception& error) {
        std::cerr << "kv-server: nothing was rescued: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}

}  // namespace kv

#endif
