// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The Raft consensus algorithm, with nothing but the standard library. Open this file first.
//
// `Core` is the algorithm as a value, `Engine` carries out what it asks for. Whoever drives a Core
// by hand, without the Engine, has these duties:
//
//  1. Recover the stored state (Storage::recover) and hand it to the constructor. Give every node
//     of a cluster another seed.
//  2. Call step() with everything that has happened since the last call, in order, and with the
//     time; and at the latest at Output::deadline. Where Options::max_log_bytes is set, LogRoom is
//     the first of it.
//  3. Begin Output::write before anything else. Writes become durable in the order of their ids.
//     When one is durable, say so with Persisted. A write that fails is final: stop the node.
//  4. Send Output::send now. Send each of Output::send_after only once the write it names is
//     durable, in order.
//  5. Tell the proposers of Output::proposals where their operations stand. An operation is done
//     when the entry with exactly that position is applied.
//  6. Replace the state machine's state by Output::restore, then apply Output::apply, in order;
//     then say Applied.
//  7. Answer each read of Output::reads that is released from the state as it is then, and tell who
//     asked for them how Output::changes and Output::handovers have ended.
//  8. Answer Output::load_entries, load_chunks and store_chunk with EntriesLoaded, ChunkLoaded and
//     ChunkStored. Drop snapshots when told to.
//  9. When the log has grown (Storage::persisted_bytes), write a snapshot of the applied state,
//     make it durable, then say SnapshotTaken.
//
// The map: each rule of the paper ("In Search of an Understandable Consensus Algorithm", extended
// version; its section comes first) and of Ongaro's thesis (T), in the paper's order, and its one
// home. What serves a node's own safety beyond both is marked with a dash.
//
//   2        operations are applied in the log's order  rules/application.hpp hand_over
//   5.1      a later term makes a follower of everybody rules/election.hpp become_follower
//   5.1      durable before visible: votes and terms    rules/context.hpp send
//   5.1      durable before visible: entries            rules/acceptance.hpp acknowledge
//   5.1      durable before visible: what a step writes rules/durability.hpp record
//   5.1      durable before visible: in which order     driver/carry_out.hpp carry_out
//   5.2      when to stand is drawn at random           parts/election_timer.hpp restart
//   5.2      to stand for election                      rules/election.hpp stand_for_election
//   5.2      RequestVote at its receiver                rules/election.hpp answer_vote_request
//   5.2      one vote in a term                         rules/election.hpp has_vote_for
//   5.2      a majority of votes makes a leader         rules/election.hpp count_vote
//   5.2      the own vote counts when it is durable     rules/election.hpp count_own_vote
//   5.2      what a leader begins with                  rules/election.hpp become_leader
//   5.2      whom a follower follows                    rules/election.hpp follow
//   5.3      a leader only appends                      rules/proposals.hpp append_own
//   5.3      AppendEntries: entries for a follower      rules/replication.hpp replicate
//   5.3      AppendEntries: heartbeats                  rules/replication.hpp send_heartbeat
//   5.3      AppendEntries: the consistency check       rules/acceptance.hpp accept_entries
//   5.3      AppendEntries: what conflicts goes         rules/acceptance.hpp append_received
//   5.3      AppendEntries: what an answer tells        rules/replication.hpp take_append_reply
//   5.3      fast backup: the hint where logs may agree parts/log.hpp last_agreeing
//   5.4.1    the election restriction                   rules/election.hpp may_lead
//   5.4.2    counting commits this term's entries only  rules/commit.hpp advance_commit
//   5.6      how timeouts must relate to each other     protocol/options.hpp validate
//   6        joint memberships need both majorities     protocol/membership.hpp has_quorum
//   6        a membership is in force from its append   rules/membership.hpp append_entry
//   6        the old and the new members: C_old,new     rules/member_change.hpp enter_joint
//   6        the new members: C_new                     rules/member_change.hpp leave_joint
//   7        a snapshot is due: by the bytes of the log rsm/node/compaction.hpp due
//   7        what of the log a snapshot releases        rules/compaction.hpp release_covered
//   7        which snapshots go                         rules/compaction.hpp drop_unused_snapshots
//   7        InstallSnapshot: when one is sent          rules/snapshot_sending.hpp begin_snapshot
//   7        InstallSnapshot at its receiver            rules/snapshot_receiving.hpp take_chunk
//   7        what an installed snapshot does to the log rules/snapshot_receiving.hpp install
//   7        which log is void after a crash            driver/recovery.hpp fit_to_snapshot
//   8        an entry of its term first (the barrier)   rules/election.hpp become_leader
//   8        reads: a leader asks whether it leads      rules/reads.hpp open_read_round
//   8        reads: a quorum's echo confirms them       rules/reads.hpp confirm_reads
//   T 6.4    reads: the state machine is far enough     rules/reads.hpp release_reads
//   T 3.10   leadership transfer: the leader            rules/handover.hpp advance_handover
//            leadership is for who has room and the
//            highest priority                           rules/handover.hpp prefer_successor
//   T 3.10   leadership transfer: its target            rules/election.hpp take_timeout_now
//   T 4.1    a membership falls back with its entry     rules/membership.hpp truncate_entries
//   T 4.1    requests are heard from everybody          rules/admission.hpp is_admitted
//   T 4.2.1  newcomers catch up in rounds               rules/member_change.hpp has_caught_up
//   T 4.2.2  who stands for election                    rules/membership.hpp may_stand
//   T 4.2.2  a leader that is removed steps down        rules/health.hpp retire
//   T 4.2.3  who hears from a leader does not depose it rules/election.hpp hears_from_leader
//   T 6.2    a leader without a quorum steps down       rules/health.hpp hears_from_quorum
//   T 9.6    pre-vote                                   rules/election.hpp stand_for_election
//   T 10.2.1 entries are sent without waiting           parts/progress.hpp allowance
//   T 10.2.1 the own write counts when it is durable    rules/commit.hpp advance_commit
//   -        when a disk hangs                          rules/health.hpp watch_disk
//   -        a leader whose disk hangs steps down       rules/health.hpp check_leadership
//   -        whose disk hangs does not vote             rules/election.hpp answer_vote_request
//   -        a disk that hangs is told of               rules/acceptance.hpp tell_of_disk
//   -        time in which a node did not run excuses   rules/health.hpp excuse_pause
//   -        numbers that no cluster comes to           rules/admission.hpp is_plausible
//   -        whose answers count                        rules/admission.hpp is_trusted
//   -        who is no member does not vote             rules/membership.hpp may_vote
//   -        who leaves is told                         rules/membership.hpp dismiss
//   -        a node that comes back as another one      rules/member_change.hpp readmit
//   -        a follower that lost what it acknowledged  rules/replication.hpp doubt
//   -        a log that lost what it acknowledged        parts/log.hpp up_to_date
//   -        a log that has that again                   rules/durability.hpp regain
//   -        who lacks entries gets them without a leader  rules/log_repair.hpp take_lacking
//   -        what is left of a log behind damage           rules/log_repair.hpp take_detached
//   -        a snapshot where there is no leader           rules/snapshot_lending.hpp take_offer
//   -        the log waits for who is behind            rules/compaction.hpp held_for_followers
//   -        a log that is as long as it may be          rules/acceptance.hpp is_full
//   -        snapshots leave at a pace                  rules/snapshot_sending.hpp read_at_pace
//   -        a follower sends for the leader            rules/snapshot_source.hpp choose_source
//   -        a transfer that outlives its receiver      rules/snapshot_receiving.hpp resumed
//   -        what a leader owes each follower           rules/leading.hpp serve
//   -        whose words on states are heard            rules/comparison.hpp take_marks
//   -        the version that everybody reads            rules/version_agreement.hpp finds_version
#ifndef RSM_RAFT_RAFT_HPP
#define RSM_RAFT_RAFT_HPP

#if __cplusplus < 202002L
#error "rsm needs C++20: compile with -std=c++20 or later"
#else

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/driver/engine.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/proof/invariants.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>

#endif  // C++20

#endif
