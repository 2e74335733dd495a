// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Linearizable reads without log entries (ReadIndex; section 8, thesis section 6.4).
//
// A read must see everything that was committed when it was asked for. A leader knows that its
// commit index is that recent once an entry of its own term is committed and once a quorum has
// answered to it after the read arrived: then no later leader can have committed anything before.
#ifndef RSM_RAFT_RULES_READS_HPP
#define RSM_RAFT_RULES_READS_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/proposals.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Takes a read on, or refuses it.
inline void ask_read(const Step& step, Office& office, Reads& reads, Log& log,
                     const ReadIndex& read) {
    Reign* reign = office.reign();
    if (reign == nullptr) {
        step.out.reads.push_back({read.token, Refusal::not_leader, {}});
        return;
    }
    if (reads.waiting >= step.options.max_waiting_reads) {
        step.out.reads.push_back({read.token, Refusal::overloaded, {}});
        return;
    }
    ++reads.waiting;
    reign->rounds.joining.push_back(read.token);
    ensure_own_entry(step, reign->budget, log);
}

/// All reads that have come in since the last round share the next one, which begins once an entry
/// of this term is committed.
inline void open_read_round(const Step& step, ReadRounds& rounds, const Log& log) {
    const bool current = log.term_at(log.commit()) == step.term();
    if (rounds.joining.empty() || !current) return;
    rounds.latest += 1;
    rounds.due = true;
    rounds.open.push_back({rounds.latest, log.commit(), std::move(rounds.joining)});
    rounds.joining.clear();
}

/// "wait for the state machine to advance at least as far as the readIndex" (thesis 6.4). That a
/// later leader may exist by now does no harm: the read's time was before.
inline void release_reads(const Step& step, Reads& reads, const Log& log) {
    const Index reached = log.applied();
    while (!reads.confirmed.empty() && reads.confirmed.front().index <= reached) {
        const Reads::Confirmed& released = reads.confirmed.front();
        for (const Token token : released.tokens) {
            step.out.reads.push_back({token, Refusal::none, released.index});
        }
        reads.waiting -= released.tokens.size();
        reads.confirmed.pop_front();
    }
}

/// A quorum's echo of a round confirms it and all before it.
inline void confirm_reads(const Step& step, Reign& reign, Reads& reads, const Log& log) {
    ReadRounds& rounds = reign.rounds;
    if (rounds.open.empty()) return;
    const auto confirmed = step.membership().reached_by_quorum<std::uint64_t>([&](NodeId node) {
        return reign.of_node(node, step.self, &Progress::acknowledged_round, rounds.latest);
    });
    while (!rounds.open.empty() && rounds.open.front().number <= confirmed) {
        ReadRounds::Round& round = rounds.open.front();
        reads.confirmed.push_back({round.index, std::move(round.tokens)});
        rounds.open.pop_front();
    }
    release_reads(step, reads, log);
}

/// A leader that steps down cannot confirm anything any more.
inline void refuse_reads(const Step& step, const ReadRounds& rounds, Reads& reads) {
    const auto refuse = [&](const std::vector<Token>& tokens) {
        for (const Token token : tokens) {
            step.out.reads.push_back({token, Refusal::not_leader, {}});
        }
        reads.waiting -= tokens.size();
    };
    for (std::size_t i = 0; i < rounds.open.size(); ++i) refuse(rounds.open[i].tokens);
    refuse(rounds.joining);
}

}  // namespace raft

#endif
