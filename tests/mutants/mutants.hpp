// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Mutants: deliberate faults, one of which is switched on at a time to see whether the simulator
// finds it. Each is a small edit of a header (edits/), applied to a copy of the headers from which
// the program `mutants` is built (apply_edits.cpp); the library itself knows nothing of them.
//
// Each is a mistake that is easily made, and most have been made in published implementations.
#ifndef RSM_TESTS_MUTANTS_MUTANTS_HPP
#define RSM_TESTS_MUTANTS_MUTANTS_HPP

#include <cstddef>
#include <string_view>

namespace mutants {

#define RSM_MUTANT_LIST(M)                                                                         \
    M(vote_not_persisted, "elections", "a granted vote is not written")                            \
    M(term_not_persisted, "elections", "a later term that was seen is not written")                \
    M(votes_twice, "elections", "a second candidate of the term gets a vote too")                  \
    M(votes_without_log_check, "elections", "any candidate gets the vote, however short its log")  \
    M(log_check_by_length, "elections", "the longer log wins, whatever its last term")             \
    M(old_vote_replies, "elections", "a vote for an earlier candidacy is counted")                 \
    M(own_vote_at_once, "elections", "a candidate's own vote counts before it is durable")         \
    M(half_is_a_quorum, "elections", "half of an even number of voters suffices")                  \
    M(stale_leader_followed, "elections", "append requests of earlier terms are accepted")         \
    M(no_step_down, "elections", "a later term in an answer does not end leadership")              \
    M(prevote_reply_is_vote, "elections", "the answer to a pre-vote counts as a vote")             \
    M(leader_not_sticky, "elections", "a leader gives way to any vote request")                    \
    M(no_barrier, "elections", "a new leader appends no barrier")                                  \
    M(same_timeouts, "elections", "election timeouts are not drawn but all the same")              \
    M(vote_forgotten_by_log, "elections", "a node starts in a term before its log's")              \
    M(late_request_truncates, "replication", "a late request cuts off what newer ones brought")    \
    M(previous_term_unchecked, "replication", "the entry before is compared by index only")        \
    M(conflicts_kept, "replication", "entries that conflict stay, only missing ones are appended") \
    M(acknowledges_all, "replication", "an answer vouches for the whole log, not what was sent")   \
    M(old_append_replies, "replication", "an acknowledgement from an earlier term is counted")     \
    M(refusals_ignored, "replication", "a refusal does not make the leader go back")               \
    M(commit_beyond_match, "replication", "a follower commits entries that the leader never saw")  \
    M(probe_below_match, "replication", "a late refusal takes back what was acknowledged")         \
    M(loaded_entries_unchecked, "replication", "what is read back may have been replaced")         \
    M(window_leaks, "replication", "answered bytes stay in the window")                            \
    M(commits_old_terms, "commit", "entries of earlier terms are committed by counting")           \
    M(leader_counts_unsynced, "commit",                                                            \
      "the leader counts its own entries before they are durable")                                 \
    M(commits_second_best, "commit", "what a single other node holds is committed")                \
    M(vote_sent_early, "durability", "votes and terms leave before they are durable")              \
    M(append_acknowledged_early, "durability", "appended entries are acknowledged before durable") \
    M(any_write_persists_all, "durability", "one finished write marks all begun ones durable")     \
    M(replaced_entries_durable, "durability", "a write vouches for entries replaced since")        \
    M(deferred_sent_at_once, "durability", "the engine does not hold back what waits for a write") \
    M(log_not_synced, "durability", "the log is written without a sync")                           \
    M(snapshot_not_synced, "durability", "a snapshot gets its name before it is synced")           \
    M(directory_not_synced, "durability", "the name of a snapshot is not made durable")            \
    M(segment_name_not_synced, "durability", "the name of a new segment is not made durable")      \
    M(spare_name_not_synced, "durability", "a segment is used again under a name not durable")     \
    M(goes_on_after_failure, "durability", "writing goes on after a failed sync")                  \
    M(last_batch_trusted, "durability", "recovery takes what it reads for durable")                \
    M(tail_left_in_place, "durability", "recovery leaves a torn tail in place")                    \
    M(damage_is_the_end, "durability", "damage in the log is taken for its end")                   \
    M(blank_piece_off, "durability", "a damaged last batch is taken for a torn one")               \
    M(loss_forgotten, "durability", "who has lost entries votes for who lacks them")               \
    M(lossy_candidate, "durability", "who has lost entries stands for election")                   \
    M(promise_not_kept, "durability", "what was lost is forgotten at the next start")              \
    M(damaged_snapshot_forgotten, "durability", "a damaged snapshot was not promised")             \
    M(replaced_entries_believed, "durability", "what is lost has replaced nothing")                \
    M(truncated_bytes_counted, "durability", "replaced entries still count as persisted")          \
    M(checkpoint_without_vote, "durability", "a new segment does not take over the hard state")    \
    M(segment_removed_early, "durability", "a segment with live entries is removed")               \
    M(void_log_kept, "snapshots", "a log that contradicts the snapshot is not voided")             \
    M(older_snapshot_installed, "snapshots", "a snapshot older than the state replaces it")        \
    M(suffix_kept, "snapshots", "an installed snapshot keeps a log that conflicts with it")        \
    M(chunks_unordered, "snapshots", "pieces of a snapshot are kept in any order, unverified")     \
    M(chunk_never_resent, "snapshots", "a piece that was lost is not sent again")                  \
    M(applies_while_lent, "snapshots", "operations go on while a state is written in place")       \
    M(late_entries_lost, "snapshots", "what waited for a lent machine is left out")                \
    M(thrown_in_place_ignored, "snapshots",                                                        \
      "a node goes on whose machine threw as it was written")                                      \
    M(segment_removed_unsynced, "durability", "segments go before what follows is durable")        \
    M(names_not_synced, "durability", "recovery does not make the names durable that it finds")    \
    M(cut_error_swallowed, "durability", "an error while a torn tail is cut is ignored")           \
    M(rewrite_error_swallowed, "durability",                                                       \
      "an error while the last batch is made durable is ignored")                                  \
    M(names_error_swallowed, "durability", "an error while names are made durable is ignored")     \
    M(step_error_swallowed, "durability", "a failed sync of a part of a new segment is ignored")   \
    M(segment_name_error_swallowed, "durability",                                                  \
      "a failed sync of a new segment's name is ignored")                                          \
    M(end_error_swallowed, "durability", "an error while a segment is ended is ignored")           \
    M(snapshot_step_error_swallowed, "durability",                                                 \
      "a failed sync of a part of a snapshot is ignored")                                          \
    M(snapshot_name_error_swallowed, "durability",                                                 \
      "a failed sync of a snapshot's name is ignored")                                             \
    M(identity_name_error_swallowed, "durability",                                                 \
      "a failed sync of the identity's name is ignored")                                           \
    M(unlisted_is_empty, "durability", "a directory that cannot be listed counts as empty")        \
    M(parents_not_synced, "durability", "only the last directory is made durable, if it is there") \
    M(spare_zeroed_in_part, "durability", "a spare is zeroed in its first step only")              \
    M(zeros_in_one_part, "durability", "zeros are written up to the size of one part")             \
    M(snapshot_end_not_synced, "durability",                                                       \
      "a snapshot that was synced on the way is not at its end")                                   \
    M(large_block_first, "snapshots",                                                              \
      "a large block overtakes what is in the buffer of the archive")                              \
    M(transfers_mixed, "snapshots", "a new transfer is appended to the one before")                \
    M(released_too_far, "snapshots", "the log is released beyond the snapshot")                    \
    M(snapshot_misnumbered, "snapshots", "a snapshot is labelled with the batch before")           \
    M(snapshot_vouches_for_all, "snapshots", "an installed snapshot vouches for unsynced entries") \
    M(compacts_once, "snapshots", "only the first snapshot is ever taken")                         \
    M(restore_forgotten, "snapshots", "a received snapshot does not reach the state machine")      \
    M(read_without_quorum, "reads", "a leader answers reads without asking anybody")               \
    M(unconfirmed_round, "reads", "the round after the confirmed one counts, too")                 \
    M(waiting_reads_leak, "reads", "answered reads still count as waiting")                        \
    M(reads_not_expired, "reads", "the deadlines of reads are forgotten")                          \
    M(read_before_barrier, "reads", "a leader reads before an entry of its term is committed")     \
    M(read_joins_round, "reads", "a read joins a round that was sent before it came")              \
    M(read_before_applied, "reads", "a read does not wait for the state machine")                  \
    M(new_reads_not_refused, "reads", "a deposed leader forgets reads that have no round yet")     \
    M(overload_unanswered, "reads", "a read that is refused as overload has no answer")            \
    M(pending_unbounded, "limits", "operations wait without a bound")                              \
    M(timed_out_bytes_kept, "limits", "what has timed out still takes room")                       \
    M(segments_never_removed, "limits", "segments that hold nothing stay on the disk")             \
    M(snapshots_never_dropped, "limits", "older snapshots stay on the disk")                       \
    M(uncommitted_unbounded, "limits", "operations are taken in without a bound")                  \
    M(waiting_reads_unbounded, "limits", "reads are taken in without a bound")                     \
    M(window_unbounded, "limits", "a follower's window is ignored")                                \
    M(settled_at_commit, "limits", "what waits for the leader's own disk does not count")          \
    M(log_not_held, "liveness", "the log is released although a transfer under way needs it")      \
    M(heartbeat_waits_for_disk, "liveness", "entries take the place of a heartbeat")               \
    M(stalled_leader_stays, "liveness", "a leader whose disk hangs keeps leading")                 \
    M(stalled_votes, "elections", "a node whose disk hangs votes")                                 \
    M(stalled_stands, "elections", "a node whose disk hangs stands for election")                  \
    M(stall_never_ends, "liveness", "a disk that has hung once counts as one that hangs for ever") \
    M(stalled_asked_to_lead, "handover", "leadership is handed to a node whose disk hangs")        \
    M(full_leader_stays, "handover", "a leader without room leads on, whoever has some")           \
    M(handed_to_the_full, "handover", "a leader without room hands over to one without room")      \
    M(contact_on_send, "liveness", "a leader takes what it sends for a sign of life")              \
    M(lonely_leader_stays, "liveness", "a leader without a quorum keeps leading")                  \
    M(superseded_by_snapshot, "outcomes", "what a snapshot covers is reported as not committed")   \
    M(result_by_index, "outcomes", "an operation takes the result of another at its index")        \
    M(timeout_is_refusal, "outcomes", "an operation that timed out is reported as not committed")  \
    M(never_redialled, "transport", "a connection that broke is not made anew")                    \
    M(rest_written_again, "transport", "after a short write the part is written from its start")   \
    M(events_lost, "outcomes", "only the first event of a step is told")                           \
    M(apply_kept_at_install, "snapshots",                                                          \
      "what was handed over is applied after a snapshot that covers it")                           \
    M(two_makers_mixed, "snapshots",                                                               \
      "snapshots of one position are taken for the same, whoever made them")                       \
    M(loaded_uncommitted_applied, "commit",                                                        \
      "what is read back is applied whether committed or not")                                     \
    M(restore_forgets_operations, "outcomes",                                                      \
      "an installed snapshot decides no operation that waits")                                     \
    M(log_held_for_the_dead, "limits", "the log is kept for followers that are not heard of")      \
    M(transfer_kept_for_the_dead, "limits",                                                        \
      "a snapshot is kept for a follower that died in the midst of it")                            \
    M(voters_not_loyal, "elections", "a voter that hears from a leader helps to depose it")        \
    M(all_must_be_heard, "liveness", "a leader gives way when it does not hear from everybody")    \
    M(spares_unbounded, "limits", "segments to be used again are kept without a bound")            \
    M(heartbeat_answer_waits, "liveness", "the answer to a heartbeat waits for a write")           \
    M(all_must_acknowledge, "commit", "nothing is committed that a follower lacks")                \
    M(one_full_window_stops_all, "liveness",                                                       \
      "a follower whose window is full keeps the leader from the next ones")                       \
    M(install_not_handed, "snapshots", "what an installed snapshot covers waits to be applied")    \
    M(reading_back_sticks, "snapshots",                                                            \
      "a read back that a snapshot overtook counts as under way for ever")                         \
    M(reading_for_follower_sticks, "replication",                                                  \
      "entries that were read for a follower in vain count as being read for ever")                \
    M(pre_vote_raises_term, "elections", "the question for a pre-vote raises the term")            \
    M(budget_waits_for_all, "liveness", "operations take room until every follower has them")      \
    M(reads_wait_for_all, "liveness", "a read waits for the echo of every follower")               \
    M(silent_not_spoken_to, "liveness",                                                            \
      "a leader speaks no more to followers that were silent for long")                            \
    M(candidates_grant_nothing, "elections", "who asks for pre-votes grants none")                 \
    M(install_not_applied, "snapshots",                                                            \
      "what an installed snapshot covers does not count as applied")                               \
    M(received_unverified, "snapshots", "a received snapshot is taken whatever its checksum")      \
    M(rejected_not_resent, "snapshots", "a snapshot that was rejected is not sent again")          \
    M(throw_passed_over, "machines", "a node goes on where its state machine threw")               \
    M(skipped_by_half, "machines", "what a skipped operation has done before it threw stays")      \
    M(skips_forgotten, "machines", "a snapshot does not say what its state lacks")                 \
    M(snapshots_between_kept, "limits", "while a snapshot is sent, all that are newer stay, too")  \
    M(ended_transfer_kept, "limits",                                                               \
      "a snapshot whose transfer has ended stays until there is a newer one")                      \
    M(abandoned_transfer_kept, "limits", "what came of an abandoned snapshot stays")               \
    M(failed_save_kept, "limits", "what was written of a snapshot that could not be saved stays")  \
    M(joint_by_new_alone, "members", "in a joint membership the new one decides alone")            \
    M(joint_by_old_alone, "members", "in a joint membership the old one decides alone")            \
    M(joint_by_union, "members", "a joint membership decides by a majority of all who vote in it") \
    M(learners_counted, "members", "learners count toward a quorum")                               \
    M(in_force_when_committed, "members", "a membership is in force only when it is committed")    \
    M(membership_not_rolled_back, "members", "a membership stays in force when the log loses it")  \
    M(rolled_back_too_far, "members", "a truncation takes back one membership too many")           \
    M(recovered_from_founding, "members",                                                          \
      "a restart begins with the founders, whatever the snapshot says")                            \
    M(recovered_memberships_forgotten, "members", "a restart forgets the memberships in the log")  \
    M(snapshot_takes_force, "members",                                                             \
      "a node's own snapshot puts the membership of its index in force")                           \
    M(snapshot_with_latest_membership, "members", "a snapshot carries the latest membership")      \
    M(membership_survives_install, "members",                                                      \
      "an installed snapshot leaves the membership as it was")                                     \
    M(changes_not_awaited, "members", "a membership follows one that is not committed")            \
    M(joint_left_uncommitted, "members", "a joint membership is left before it is committed")      \
    M(joint_not_finished, "members", "a new leader leaves a joint membership as it is")            \
    M(voters_added_at_once, "members", "newcomers vote without a joint membership")                \
    M(promoted_at_once, "members", "learners vote in the old membership at once, too")             \
    M(demoted_at_once, "members",                                                                  \
      "a voter that is to learn loses its vote without the old membership")                        \
    M(catch_up_skipped, "members", "newcomers vote before they have caught up")                    \
    M(newcomers_not_enlisted, "members", "a leader sends nothing to those who were added")         \
    M(change_never_given_up, "members", "a change that takes too long goes on for ever")           \
    M(change_cancelled_goes_on, "members", "a change that was given up goes on")                   \
    M(change_unanswered, "members", "a change has no answer when the reign ends")                  \
    M(removed_leader_stays, "members", "a leader that was removed goes on leading")                \
    M(removed_leader_leaves_early, "members",                                                      \
      "a leader that is removed gives way before that is committed")                               \
    M(removed_leader_counts_itself, "members", "a leader that is removed counts its own log")      \
    M(leavers_forgotten_at_once, "members",                                                        \
      "who is removed is sent nothing any more, not even that")                                    \
    M(leavers_kept, "members", "a leader never lets go of who was removed")                        \
    M(strangers_not_told, "members", "who asks for votes is not told that it was removed")         \
    M(removed_by_earlier_membership, "members",                                                    \
      "a membership from before its own takes a node for removed")                                 \
    M(excluded_stand, "members", "a node that was told of its removal goes on standing")           \
    M(removed_stand, "members", "a node stands by a membership that is no more")                   \
    M(learners_stand, "members", "learners stand for election")                                    \
    M(learners_refuse_votes, "members", "who does not know yet that it votes refuses to")          \
    M(uncommitted_removal_ends_candidacy, "members",                                               \
      "who is removed by what is not committed does not stand")                                    \
    M(outgoing_not_asked, "members", "who leaves a joint membership is not asked for its vote")    \
    M(strangers_not_heard, "members", "requests of nodes that are no members are dropped")         \
    M(acknowledgements_of_another_instance, "identity",                                            \
      "the acknowledgement of another instance counts")                                            \
    M(wiped_votes_at_once, "identity", "another instance takes the place of a voter at once")      \
    M(wiped_not_taken_in, "identity",                                                              \
      "a node that comes back as another instance is never taken in")                              \
    M(votes_not_restored, "identity", "who was taken in again never gets its vote back")           \
    M(instances_not_noted, "identity", "a leader does not note which instances the founders are")  \
    M(founders_not_heard, "identity", "a founder's answer counts only when its instance is known") \
    M(instance_redrawn, "identity", "each start is another instance")                              \
    M(joiner_is_founder, "identity", "a node that joins takes itself for a founder")               \
    M(identity_not_synced, "identity", "the identity gets its name before it is synced")           \
    M(handed_over_too_early, "handover",                                                           \
      "the target is asked to stand before it has the whole log")                                  \
    M(proposals_during_handover, "handover", "operations are taken in during a handover")          \
    M(handover_without_end, "handover", "a handover has no deadline")                              \
    M(handover_outlives_deadline, "handover",                                                      \
      "a handover goes on after it was reported to have timed out")                                \
    M(handover_to_learner, "handover", "leadership is handed over to a learner")                   \
    M(handover_asked_once, "handover", "the target is asked to stand only once")                   \
    M(handover_asked_at_every_step, "handover",                                                    \
      "the target is asked to stand again and again at once")                                      \
    M(handover_unanswered, "handover", "a handover has no answer when the reign ends")             \
    M(loyal_at_handover, "handover", "a vote for the target is refused for loyalty")               \
    M(late_timeout_now, "handover", "what the leader of an earlier term has asked for is done")    \
    M(log_unlimited, "limits", "a leader takes operations in although its log is at its limit")    \
    M(full_log_goes_on, "limits", "a follower takes entries in although its log is at its limit")  \
    M(full_for_ever, "limits", "a log at its limit takes nothing, though no snapshot can help")    \
    M(fullness_sticks, "limits", "a follower whose log was full is sent nothing any more")         \
    M(waits_too_long, "limits", "members wait for a whole threshold more before a snapshot")       \
    M(pace_for_each, "limits", "each follower is sent snapshots as fast as it takes them")         \
    M(late_for_its_turn, "snapshots", "a piece that waits for its turn counts as lost")            \
    M(transfer_begun_anew, "snapshots", "what was received is dropped when a leader begins")       \
    M(offer_unchecked, "snapshots", "a source may send what the leader's log does not follow")     \
    M(sources_snapshot_needed, "snapshots", "a leader takes a source's snapshot for its own")      \
    M(errand_without_end, "limits", "a source keeps what it has sent for as long as the reign")    \
    M(nothing_lent, "snapshots", "nobody lends a snapshot where there is no leader")               \
    M(lent_unasked, "snapshots", "what was read for a leader is sent as lent")                     \
    M(loan_ends_promise, "snapshots", "who is sent a snapshot forgets what it has promised")       \
    M(marks_unverified, "snapshots", "what a restart finds of a snapshot is not checked")          \
    M(marks_left, "limits", "the marks of a transfer stay after its end")                          \
    M(digest_restarts, "states", "a snapshot does not carry on the digest of what was applied")    \
    M(results_left_out, "states", "results do not count when states are compared")                 \
    M(own_results_left_out, "states", "results of operations that a node took in do not count")    \
    M(difference_passed_over, "states", "that two states differ is not looked into")               \
    M(minority_outvotes, "states", "a leader outvotes the others by itself")                       \
    M(outvoted_goes_on, "states", "a node that is outvoted goes on")                               \
    M(outvoted_leader_stays, "states", "a leader that is outvoted goes on")                        \
    M(read_before_late_restore, "snapshots", "reads do not wait for a snapshot that is put off")   \
    M(version_of_those_who_speak, "versions", "members that say nothing are taken to read all")    \
    M(version_lost_in_joint, "versions", "the version falls at the end of a change of members")    \
    M(writes_newest_at_once, "versions", "operations are written in the newest version")           \
    M(operation_kept_at_hand, "versions", "who takes an operation in applies what is not written")

#define RSM_MUTANT_ENUMERATOR(name, area, what) name,
enum class Mutant { none, RSM_MUTANT_LIST(RSM_MUTANT_ENUMERATOR) };
#undef RSM_MUTANT_ENUMERATOR

struct Description {
    Mutant mutant;
    std::string_view name;
    std::string_view area;
    std::string_view what;
};
#define RSM_MUTANT_DESCRIPTION(name, area, what) Description{Mutant::name, #name, area, what},
inline constexpr Description descriptions[] = {RSM_MUTANT_LIST(RSM_MUTANT_DESCRIPTION)};
#undef RSM_MUTANT_DESCRIPTION

/// The one that is switched on for what this thread simulates.
inline thread_local Mutant active = Mutant::none;

}  // namespace mutants

#define RSM_MUTANT(name) (::mutants::active == ::mutants::Mutant::name)

#endif
