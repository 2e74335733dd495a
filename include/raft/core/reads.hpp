// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: linearizable reads without log entries (ReadIndex; section 8, thesis section 6.4).
//
// A read must see everything that was committed when it was asked for. A leader knows that its
// commit index is that recent once an entry of its own term is committed and once a quorum has
// answered to it after the read arrived: then no later leader can have committed anything before.
#ifndef RSM_RAFT_CORE_READS_HPP
#define RSM_RAFT_CORE_READS_HPP

#include <raft/core.hpp>
#include <raft/mutant.hpp>

#include <algorithm>
#include <utility>

namespace raft {

inline void Core::on(Output& out, ReadIndex& read) {
    auto* leader = std::get_if<Leader>(&role_);
    if (leader == nullptr) {
        out.reads.push_back({read.token, Refusal::not_leader, {}});
        return;
    }
    if (waiting_reads_ >= options_.max_waiting_reads && !RSM_MUTANT(waiting_reads_unbounded)) {
        out.reads.push_back({read.token, Refusal::overloaded, {}});
        return;
    }
    if (RSM_MUTANT(read_without_quorum)) {
        out.reads.push_back({read.token, Refusal::none, log_.commit()});
        return;
    }
    ++waiting_reads_;
    leader->new_reads.push_back(read.token);
    if (log_.last().term != hard_.term) append_own(*leader, EntryKind::barrier, {});
}

/// All reads that have come in since the last round share the next one.
inline void Core::open_read_round(Leader& leader) {
    const bool current =
        log_.term_at(log_.commit()) == hard_.term || RSM_MUTANT(read_before_barrier);
    if (leader.new_reads.empty() || !current) return;
    if (RSM_MUTANT(read_joins_round) && !leader.rounds.empty()) {
        std::vector<Token>& tokens = leader.rounds.back().tokens;
        tokens.insert(tokens.end(), leader.new_reads.begin(), leader.new_reads.end());
        leader.new_reads.clear();
        return;
    }
    leader.round += 1;
    leader.round_due = true;
    leader.rounds.push_back({leader.round, log_.commit(), std::move(leader.new_reads)});
    leader.new_reads.clear();
}

/// A quorum's echo of a round confirms it and all before it.
inline void Core::confirm_reads(Output& out, Leader& leader) {
    if (leader.rounds.empty()) return;
    const auto confirmed = membership_.reached_by_quorum<std::uint64_t>([&](NodeId node) {
        return of_node(leader, node, &Progress::acknowledged_round, leader.round);
    });
    while (!leader.rounds.empty() &&
           leader.rounds.front().round <= confirmed + (RSM_MUTANT(unconfirmed_round) ? 1 : 0)) {
        ReadRound& round = leader.rounds.front();
        confirmed_reads_.push_back({round.index, std::move(round.tokens)});
        leader.rounds.pop_front();
    }
    release_reads(out);
}

/// "wait for the state machine to advance at least as far as the readIndex" (thesis 6.4). That a
/// later leader may exist by now does no harm: the read's time was before.
inline void Core::release_reads(Output& out) {
    const Index reached = RSM_MUTANT(read_before_applied) ? log_.commit() : log_.applied();
    while (!confirmed_reads_.empty() && confirmed_reads_.front().index <= reached) {
        const ConfirmedReads& reads = confirmed_reads_.front();
        for (const Token token : reads.tokens) {
            out.reads.push_back({token, Refusal::none, reads.index});
        }
        if (!RSM_MUTANT(waiting_reads_leak)) waiting_reads_ -= reads.tokens.size();
        confirmed_reads_.pop_front();
    }
}

/// A leader that steps down cannot confirm anything any more.
inline void Core::refuse_reads(Output& out, Leader& leader) {
    const auto refuse = [&](const std::vector<Token>& tokens) {
        for (const Token token : tokens) {
            out.reads.push_back({token, Refusal::not_leader, {}});
        }
        waiting_reads_ -= tokens.size();
    };
    for (std::size_t i = 0; i < leader.rounds.size(); ++i) refuse(leader.rounds[i].tokens);
    if (!RSM_MUTANT(new_reads_not_refused)) refuse(leader.new_reads);
}

}  // namespace raft

#endif
