// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Oracle: what must hold in a cluster of Cores, checked after every piece of work of every node and
// for every message that leaves one. Each rule has its file; here they are put together, in the
// order in which they are asked.
#ifndef RSM_SIM_RULES_ORACLE_HPP
#define RSM_SIM_RULES_ORACLE_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/rules/bounds.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/commit_rule.hpp>
#include <rsm/sim/rules/durable_before_visible.hpp>
#include <rsm/sim/rules/election_safety.hpp>
#include <rsm/sim/rules/events.hpp>
#include <rsm/sim/rules/handovers.hpp>
#include <rsm/sim/rules/leader_append_only.hpp>
#include <rsm/sim/rules/leader_barrier.hpp>
#include <rsm/sim/rules/leader_completeness.hpp>
#include <rsm/sim/rules/log_matching.hpp>
#include <rsm/sim/rules/look.hpp>
#include <rsm/sim/rules/marks_in_order.hpp>
#include <rsm/sim/rules/member_changes.hpp>
#include <rsm/sim/rules/members_in_force.hpp>
#include <rsm/sim/rules/only_forward.hpp>
#include <rsm/sim/rules/prompt_step_down.hpp>
#include <rsm/sim/rules/quorums.hpp>
#include <rsm/sim/rules/removed_fall_silent.hpp>
#include <rsm/sim/rules/repetition.hpp>
#include <rsm/sim/rules/returning_members.hpp>
#include <rsm/sim/rules/rule.hpp>
#include <rsm/sim/rules/sending_pace.hpp>
#include <rsm/sim/rules/severe_events.hpp>
#include <rsm/sim/rules/snapshot_sources.hpp>
#include <rsm/sim/rules/stable_leadership.hpp>
#include <rsm/sim/rules/state_machine_safety.hpp>
#include <rsm/sim/rules/troubled_disks.hpp>
#include <rsm/sim/rules/versions_in_force.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/rules/votes.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>

namespace rsm::inline v0::sim {

class Oracle {
public:
    using DurableView = DurableBeforeVisible::DurableView;

    /// @param reigns_last  see StableLeadership
    Oracle(std::size_t nodes, const raft::Options& options, bool reigns_last, Complain complain,
           DurableView durable)
        : options_(options),
          complain_(std::move(complain)),
          chronicle_(nodes),
          votes_(nodes),
          election_safety_(chronicle_),
          log_matching_(chronicle_),
          only_forward_(nodes),
          durable_(nodes, std::move(durable)),
          quorums_(chronicle_),
          versions_in_force_(nodes),
          removed_fall_silent_(chronicle_),
          handovers_(nodes, options.heartbeat_interval),
          returning_members_(nodes, options.election_timeout),
          repetition_(options.heartbeat_interval),
          sending_pace_(nodes, options),
          snapshot_sources_(options),
          prompt_step_down_(nodes, options),
          troubled_disks_(nodes, options),
          stable_leadership_(nodes, reigns_last),
          events_(nodes) {}
    Oracle(const Oracle&) = delete;
    Oracle& operator=(const Oracle&) = delete;

    // ---- what happens ----

    /// A node has recovered and is about to take part.
    void started(const raft::Core& core) {
        Chronicle::Node& node = chronicle_.of(core.self());
        ++node.incarnation;
        report(Rule::only_forward, only_forward_.restarted(core));
        report(Rule::votes, votes_.restarted(core));
        report(Rule::durable_before_visible, durable_.restarted(core));
        report(Rule::only_forward, log_not_ahead(core));
        node.seen = look(core);
        report(Rule::log_matching, log_matching_.restarted(core));
        note_memberships(core, chronicle_);
        report(Rule::members_in_force, members_in_force(core, chronicle_));
        events_.restarted(core);
        stable_leadership_.restarted(core.self());
        troubled_disks_.restarted(core.self());
        removed_fall_silent_.restarted(core.self());
        node.up = true;
    }
    void crashed(raft::NodeId id) { chronicle_.of(id).up = false; }
    /// The program that a node runs from now on reads up to this version.
    void runs(raft::NodeId id, std::uint32_t version) { versions_in_force_.runs(id, version); }
    /// A node has lost its disk: what comes back is another instance of it.
    void wiped(raft::NodeId id) {
        votes_.wiped(id);
        only_forward_.wiped(id);
        durable_.wiped(id);
    }

    /// A node has an old copy of its disk in place of the disk: it answers for what that holds.
    void fell_back(raft::NodeId id, const raft::Recovered& copy) {
        votes_.fell_back(id, copy.hard_state);
        only_forward_.fell_back(id, copy.hard_state.term);
        durable_.fell_back(id, copy.hard_state.term, copy.last);
        quorums_.forgot(id);
    }

    /// @param excused  the node that the event is about may have lost what it had acknowledged
    void event(raft::NodeId id, const raft::Event& event, bool excused) {
        report(Rule::severe_events, severe_event(id, event, excused));
        events_.event(id, event.kind);
        report(Rule::stable_leadership, stable_leadership_.event(id, event.kind));
        report(Rule::leader_append_only, leader_append_only(id, event, chronicle_.of(id).seen));
        if (event.kind == raft::EventKind::log_truncated) log_matching_.truncated(id, event.index);
        if (event.kind == raft::EventKind::removed) removed_fall_silent_.removed(id, event.index);
    }

    /// After each piece of work of a node.
    /// @param ended  in the midst of it: what it would have said of itself is not said
    void step(const raft::Core& core, bool ended = false) {
        removed_fall_silent_.step(core);
        const Look now = look(core);
        if (now == chronicle_.of(core.self()).seen) return;
        const Look before = std::exchange(chronicle_.of(core.self()).seen, now);
        report(Rule::marks_in_order, marks_in_order(core));
        report(Rule::troubled_disks, troubled_disks_.step(core, before));
        report(Rule::only_forward, only_forward(core.self(), before, now));
        report(Rule::only_forward, log_not_ahead(core));
        if (!ended) report(Rule::events, events_.step(core));
        if (now.role == raft::Role::leader) check_leadership(core, before);
        report(Rule::log_matching, log_matching_.verify(core));
        if (now.commit != before.commit) check_commit(core, before);
        check_members(core, before);
        report(Rule::state_machine_safety, snapshot_of_the_committed(core, before, chronicle_));
        check_bounds(core);
    }

    /// For each message that leaves a node. `core` and `now` are the sender's.
    void sent(const raft::Message& message, const raft::Core& core, raft::Time now) {
        const raft::Recovered* disk = durable_.view(message.from);
        troubled_disks_.spoke(core, now);
        const bool requests = std::holds_alternative<raft::AppendRequest>(message.body);
        if (requests && core.role() == raft::Role::leader) {
            report(Rule::prompt_step_down, prompt_step_down_.spoke(core, now));
            report(Rule::troubled_disks, troubled_disks_.leads(core, now));
            report(Rule::handovers, handovers_.spoke(core, now));
            report(Rule::member_changes, returning_members_.spoke(core, now));
            report(Rule::member_changes, lets_go_of_leavers(core, now, options_.election_timeout));
        }
        report(Rule::member_changes, removed_rightly(core, chronicle_));
        report(Rule::bounds, reads_bounded(core, options_));
        const Sent context{message.from, message.to, message.sender, core, disk, now};
        std::visit([&](const auto& body) { sent(context, body); }, message.body);
    }

    /// For each message that a node takes in. `core` and `now` are the receiver's.
    void received(const raft::Message& message, const raft::Core& core, raft::Time now) {
        prompt_step_down_.heard(message, core, now);
        const auto* const reply = std::get_if<raft::AppendReply>(&message.body);
        if (reply != nullptr) troubled_disks_.heard(core, message, *reply);
    }

    /// Everything of one node, without regard to what was verified before: at the end of a run.
    void verify_whole(const raft::Core& core) {
        report(Rule::log_matching, log_matching_.verify_whole(core));
    }

    // ---- what is known ----

    const Chronicle& chronicle() const { return chronicle_; }
    /// How often a node was started.
    std::uint64_t incarnation(raft::NodeId id) const { return chronicle_.of(id).incarnation; }
    const StableLeadership& stable_leadership() const { return stable_leadership_; }
    SnapshotSources& snapshot_sources() { return snapshot_sources_; }
    /// How often each rule was asked.
    const std::array<std::uint64_t, rules>& asked() const { return asked_; }

private:
    /// A message that leaves, but for its body.
    struct Sent {
        raft::NodeId from;
        raft::NodeId to;
        raft::Instance instance;  ///< of the sender
        const raft::Core& core;
        const raft::Recovered* disk;  ///< of the sender; null: not known
        raft::Time now;               ///< the sender's clock
    };

    void report(Rule rule, Broken broken) {
        ++asked_[static_cast<std::size_t>(rule)];
        if (broken) complain_(std::move(*broken));
    }

    /// @pre core leads
    void check_leadership(const raft::Core& core, const Look& before) {
        if (before.role == raft::Role::leader && before.term == core.term()) {
            return report(Rule::leader_append_only, leader_append_only(core, before));
        }
        report(Rule::election_safety, election_safety_.elected(core));
        report(Rule::quorums, quorums_.elected(core));
        report(Rule::leader_barrier, leader_barrier(core, options_));
        report(Rule::leader_completeness, leader_completeness(core, chronicle_));
    }

    void check_members(const raft::Core& core, const Look& before) {
        report(Rule::members_in_force, members_in_force(core, chronicle_));
        report(Rule::versions_in_force, versions_in_force_.step(core));
        report(Rule::member_changes, has_a_vote(core, chronicle_));
        report(Rule::handovers, handovers_.step(core, before.last.index));
        if (core.role() != raft::Role::leader) return;
        report(Rule::member_changes, member_changes(core, before.last.index, chronicle_));
    }

    void check_commit(const raft::Core& core, const Look& before) {
        const raft::Log& log = core.log();
        raft::Index index = std::max(before.commit + 1, log.base().index);
        for (; index <= log.commit(); ++index) {
            if (index.value == 0) continue;
            const bool known = index.value <= chronicle_.committed.size();
            Broken broken = known ? commits_the_same(core, index, chronicle_)
                                  : only_leaders_commit(core, before, index, chronicle_);
            const bool ends = broken.has_value();
            report(known ? Rule::state_machine_safety : Rule::commit_rule, std::move(broken));
            if (ends) return;
            if (!known) extend_committed(core, index, before.last.index);
        }
    }
    /// @param last  of the log, before
    void extend_committed(const raft::Core& core, raft::Index index, raft::Index last) {
        const raft::Log& log = core.log();
        const raft::Index end = log.commit();
        const raft::Term reign = log.term_at(end).value_or(raft::Term{});
        report(Rule::commit_rule, commits_own_term(core, end, reign, chronicle_));
        chronicle_.committed.push_back(*log.term_at(index));
        chronicle_.committed_in.push_back(reign);
        if (index != end) return;
        report(Rule::quorums, quorums_.committed(core, {end, reign}, last));
        report(Rule::durable_before_visible, durable_.committed(core, {end, reign}));
        report(Rule::leader_completeness, leader_completeness(core.self(), end, reign, chronicle_));
    }

    void check_bounds(const raft::Core& core) {
        report(Rule::marks_in_order, followers_marks_in_order(core));
        report(Rule::bounds, windows_bounded(core, options_, chronicle_));
        report(Rule::bounds, memory_bounded(core, options_));
        if (core.role() == raft::Role::leader)
            report(Rule::bounds, uncommitted_bounded(core, options_));
    }

    // ---- messages ----

    void spoke(const Sent& message, raft::Term term) {
        only_forward_.spoke(message.from, term);
        report(Rule::durable_before_visible,
               DurableBeforeVisible::spoke(message.from, term, message.disk));
    }
    void voted(const Sent& message, raft::Term term, raft::NodeId candidate) {
        report(Rule::votes, votes_.cast(message.from, term, candidate));
        quorums_.cast({message.from, message.instance}, term, candidate);
        report(Rule::durable_before_visible,
               DurableBeforeVisible::voted(message.from, term, candidate, message.disk));
    }
    void acknowledged(const Sent& message, raft::Term term, raft::Index index) {
        quorums_.acknowledged({message.from, message.instance}, term, index);
        report(Rule::durable_before_visible,
               durable_.acknowledged(term, index, message.core, message.disk));
    }

    void sent(const Sent& message, const raft::VoteRequest& request) {
        // One that waited for the disk may leave when the node knows better.
        if (message.core.role() != raft::Role::follower) {
            report(Rule::removed_fall_silent, removed_fall_silent_.asks(message.core));
        }
        if (request.pre_vote) return;
        spoke(message, request.term);
        voted(message, request.term, message.from);
        if (request.by_handover) {
            report(Rule::handovers, handovers_.stood(message.from, request));
        }
    }
    void sent(const Sent& message, const raft::VoteReply& reply) {
        spoke(message, reply.term);
        if (reply.granted && !reply.pre_vote) voted(message, reply.election, message.to);
    }
    void sent(const Sent& message, const raft::AppendRequest& request) {
        spoke(message, request.term);
        report(Rule::election_safety, election_safety_.spoke(message.from, request.term));
        report(Rule::log_matching, log_matching_.sent(message.from, request));
        report(Rule::bounds, message_bounded(message.from, request, options_));
    }
    void sent(const Sent& message, const raft::AppendReply& reply) {
        spoke(message, reply.term);
        if (reply.accepted) acknowledged(message, reply.term, reply.index);
    }
    void sent(const Sent& message, const raft::SnapshotChunk& chunk) {
        spoke(message, chunk.term);
        report(Rule::election_safety, election_safety_.spoke(message.from, chunk.term));
        report(Rule::repetition, repetition_.sent(message.from, message.to, chunk, message.now));
        report(Rule::sending_pace,
               sending_pace_.sent(message.from, {}, chunk.term, chunk.data.size(), message.now));
        report(Rule::bounds, message_bounded(message.from, chunk, options_));
    }
    void sent(const Sent& message, const raft::SnapshotReply& reply) {
        spoke(message, reply.term);
        if (!reply.installed()) return;
        snapshot_sources_.installed(message.from);
        acknowledged(message, reply.term, reply.match);
    }
    void sent(const Sent& message, const raft::TimeoutNow& request) {
        spoke(message, request.term);
        report(Rule::election_safety, election_safety_.spoke(message.from, request.term));
        report(Rule::troubled_disks, troubled_disks_.asked(message.core, message.to));
        report(Rule::handovers,
               handovers_.asked(message.core, message.to, request.term, message.now));
    }
    void sent(const Sent& message, const raft::LackingEntries& lacking) {
        spoke(message, lacking.term);
        report(Rule::log_matching, log_matching_.sent(message.from, lacking));
        report(Rule::bounds, message_bounded(message.from, lacking, options_));
    }

    void sent(const Sent& message, const raft::StateMarks& told) {
        spoke(message, told.term);
        if (raft::is_leaders(told.kind)) {
            report(Rule::election_safety, election_safety_.spoke(message.from, told.term));
        }
    }
    void sent(const Sent& message, const raft::SourceRequest& request) {
        spoke(message, request.term);
        if (request.target == message.from) {
            return report(Rule::snapshot_sources,
                          snapshot_sources_.borrows(message.core, message.to, request));
        }
        report(Rule::election_safety, election_safety_.spoke(message.from, request.term));
        report(Rule::snapshot_sources,
               snapshot_sources_.asked(message.core, message.to, request, message.now));
        report(Rule::sending_pace, sending_pace_.sent(message.from, message.to, request.term,
                                                      request.bytes, message.now));
    }
    void sent(const Sent& message, const raft::SourceReply& reply) { spoke(message, reply.term); }
    void sent(const Sent& message, const raft::SourceChunk& chunk) {
        spoke(message, chunk.term);
        report(Rule::snapshot_sources, snapshot_sources_.sent(message.from, message.to, chunk));
        report(Rule::repetition, repetition_.sent(message.from, message.to, chunk, message.now));
        report(Rule::bounds, message_bounded(message.from, chunk, options_));
    }

    void sent(const Sent& message, const raft::ReadableVersion& report) {
        spoke(message, report.term);
    }

    raft::Options options_;
    std::array<std::uint64_t, rules> asked_{};
    Complain complain_;
    Chronicle chronicle_;
    Votes votes_;
    ElectionSafety election_safety_;
    LogMatching log_matching_;
    OnlyForward only_forward_;
    DurableBeforeVisible durable_;
    Quorums quorums_;
    VersionsInForce versions_in_force_;
    RemovedFallSilent removed_fall_silent_;
    Handovers handovers_;
    ReturningMembers returning_members_;
    Repetition repetition_;
    SendingPace sending_pace_;
    SnapshotSources snapshot_sources_;
    PromptStepDown prompt_step_down_;
    TroubledDisks troubled_disks_;
    StableLeadership stable_leadership_;
    Events events_;
};

}  // namespace rsm::sim

#endif
