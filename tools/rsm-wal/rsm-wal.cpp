// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// rsm-wal: looks into a data directory or a backup, and cuts a log where a person has decided that.
//
//   rsm-wal show DIR|FILE [--json]
//   rsm-wal verify DIR|FILE
//   rsm-wal dump DIR [--from INDEX] [--to INDEX] [--json]
//   rsm-wal cut DIR --after INDEX [--even-committed] [--yes-lose-entries-above INDEX]
//
// The first three change nothing, and a node may be running on the directory meanwhile.
//
// Exit status: 0 done, or whole; 1 damaged; 2 not readable, refused, or wrong usage.
#include "commands.hpp"

#include <CLI/CLI.hpp>

#include <rsm/version_text.hpp>

#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

namespace {

int run(int count, char** words) {
    std::string directory;
    bool json = false;
    rsm_wal::Range range;
    rsm_wal::Cut wish;
    CLI::App app("Looks into the data directory of a node, or into a backup.");
    app.set_version_flag("--version", "rsm-wal " + rsm::version_text());
    app.require_subcommand(1);
    CLI::App* const show = app.add_subcommand("show", "What it is, and what is in it");
    CLI::App* const verify = app.add_subcommand("verify", "Whether all of it is whole");
    CLI::App* const dump = app.add_subcommand("dump", "The entries of its log");
    CLI::App* const cut = app.add_subcommand("cut", "Removes the end of its log, for good");
    for (CLI::App* const command : {dump, cut}) {
        command->add_option("DIR", directory)->required();
    }
    for (CLI::App* const command : {show, verify}) {
        command->add_option("DIR|FILE", directory, "A data directory, or the file of a backup")
            ->required();
    }
    for (CLI::App* const command : {show, dump}) {
        command->add_flag("--json", json, "For programs");
    }
    dump->add_option("--from", range.from, "The first index");
    dump->add_option("--to", range.to, "The last index");
    cut->add_option("--after", wish.after, "The index of the entry that is to be the last")
        ->required();
    cut->add_flag("--even-committed", wish.even_committed,
                  "Also entries that are known to be committed");
    cut->add_option("--yes-lose-entries-above", wish.confirmed, "The same index once more");
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? rsm_wal::whole : rsm_wal::unreadable;
    }
    if (*show) return rsm_wal::show(directory, json, std::cout, std::cerr);
    if (*verify) return rsm_wal::verify(directory, std::cout, std::cerr);
    if (*dump) return rsm_wal::dump(directory, range, json, std::cout, std::cerr);
    return rsm_wal::cut(directory, wish, std::cout, std::cerr);
}

}  // namespace

int main(int count, char** words) {
    try {
        return run(count, words);
    } catch (const std::exception& error) {
        std::cerr << "rsm-wal: " << error.what() << '\n';
        return rsm_wal::unreadable;
    }
}
