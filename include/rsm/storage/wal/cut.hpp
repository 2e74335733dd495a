// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Cutting a log on purpose: what a person decides where no node can.
#ifndef RSM_STORAGE_WAL_CUT_HPP
#define RSM_STORAGE_WAL_CUT_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/lanes.hpp>
#include <rsm/storage/wal/log.hpp>
#include <rsm/storage/wal/open.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace rsm::inline v0::detail::wal {

/// Why a log cannot be cut behind an entry, or nothing.
/// @param even_committed  also where entries go that are known to be committed
template <class Files>
std::optional<std::string> cut_refused(const OpenedWal<Files>& opened, raft::Index after,
                                       bool even_committed) {
    const LogState& state = opened.log.state;
    const auto number = [](raft::Index index) { return std::to_string(index.value); };
    const raft::Index snapshot = opened.recovered.snapshot.last.index;
    if (opened.void_after || after >= state.last.index) {
        return "there is no entry behind " + number(after) + ": the log ends with " +
               number(opened.recovered.last);
    }
    if (after < std::max(snapshot, state.base.index)) {
        return "the snapshot holds everything up to entry " +
               number(std::max(snapshot, state.base.index));
    }
    if (after < state.hard_state.commit && !even_committed) {
        return "the entries up to " + number(state.hard_state.commit) +
               " are known to be committed, and other nodes may have applied them";
    }
    return std::nullopt;
}

/// Makes entry `after` the last one, durably: the log goes on behind it in a new segment, as where
/// it is mended behind damage. What it had promised beyond that is forgotten, so the node may help
/// to elect a leader that lacks the entries which are cut. Blocks. No node may work on the
/// directory.
/// Errors: those of a start; invalid_argument with the reason where it must not be cut.
template <class Files, class Lane>
raft::Result<void> cut_log(const Files& files, const WalOptions& options, raft::Index after,
                           bool even_committed) {
    const std::optional<raft::Identity> nobody_asks;
    auto opened = WalOpener<Files>(files, options, nobody_asks).run();
    if (!opened) return opened.error();
    if (auto why = cut_refused(*opened, after, even_committed)) {
        return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                             options.directory + ": " + *why};
    }
    ScannedLog<Files>& log = opened->log;
    raft::LogPosition end = log.state.base;
    for (const raft::TermRun& run : opened->recovered.runs) {
        if (run.first <= after) end = {after, run.term};
    }
    log.state.last = end;
    log.state.promised = {};
    log.state.live.truncate_after(after);
    log.state.hard_state.commit = std::min(log.state.hard_state.commit, after);
    log.to_be_mended = true;

    const auto lanes = std::make_shared<Lanes<Lane>>();
    if (auto started = lanes->start(); !started) return started;
    using Log = WalLog<Files, Lane>;
    const auto writer = std::make_shared<Log>(
        files, opened->directory, options, lanes,
        typename Log::Reports{[](typename Log::Outcome) {}, [](std::optional<raft::Failure>) {}});
    auto result = writer->start(std::move(log), std::nullopt);
    std::promise<void> closed;
    opened->directory = nullptr;
    writer->close([&closed] { closed.set_value(); });
    closed.get_future().wait();
    lanes->stop();
    return result;
}

}  // namespace rsm::detail::wal

#endif
