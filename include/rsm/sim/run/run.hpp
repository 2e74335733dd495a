// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Run: a cluster under faults and clients, then, when the faults have ended, a cluster that must
// come back to life. Users call simulate() (simulate.hpp).
#ifndef RSM_SIM_RUN_RUN_HPP
#define RSM_SIM_RUN_RUN_HPP

#include <raft/base/digest.hpp>
#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/proof/invariants.hpp>
#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/liveness.hpp>
#include <rsm/sim/rules/outvoted_replicas.hpp>
#include <rsm/sim/rules/persisted_bytes.hpp>
#include <rsm/sim/rules/progress_under_minority_fault.hpp>
#include <rsm/sim/rules/prompt_answers.hpp>
#include <rsm/sim/rules/stable_leadership.hpp>
#include <rsm/sim/rules/waits_for_a_person.hpp>
#include <rsm/sim/run/backups.hpp>
#include <rsm/sim/run/clients.hpp>
#include <rsm/sim/run/cluster.hpp>
#include <rsm/sim/run/minority_fault.hpp>
#include <rsm/sim/run/nemesis.hpp>
#include <rsm/sim/run/report.hpp>
#include <rsm/sim/run/swarm.hpp>
#include <rsm/sim/trace/trace.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

namespace detail {

/// @tparam Load  has all that a workload may have, and makes its machines itself
template <Workload Load>
class Run {
public:
    Run(Load load, std::uint64_t seed, const RunPlan& plan, Tracing tracing)
        : seed_(seed),
          plan_(plan),
          random_(seed + plan.course * 0x9e3779b97f4a7c15ULL),
          load_(std::move(load)),
          cluster_(
              plan.cluster, [this] { return load_.machine(); }, tracing == Tracing::on),
          clients_(cluster_, load_, plan.clients, random_.next()),
          nemesis_(cluster_, plan.faults, random_.next()),
          minority_fault_(cluster_, random_.next()),
          backups_(cluster_, load_, clients_, plan.clients.backups_max, random_.next()) {}

    RunReport go() {
        clients_.start();
        backups_.start();
        nemesis_.start();
        wait(plan_.safety_phase);
        if (!failed() && plan_.theme == Theme::chased_snapshots) catch_up_under_load();
        const bool has_minority = plan_.cluster.nodes >= MinorityFault::nodes_min;
        if (!failed() && plan_.theme == Theme::minority_faults && has_minority) {
            go_on_beside_faults();
        }
        if (!failed()) recover();
        if (!failed()) check_end();
        return report();
    }

private:
    /// A hundred times what a run needs.
    static constexpr std::uint64_t events_max = 10'000'000;

    bool failed() const { return cluster_.violation().has_value(); }

    /// Whether the condition came to hold in time and nothing was violated on the way.
    template <class Condition>
    bool run_until(Condition holds, raft::Duration limit) {
        World& world = cluster_.world();
        const auto ends = [&] {
            if (world.events() > events_max) {
                cluster_.violate(too_busy());
            }
            return failed() || holds();
        };
        return world.run_until(ends, world.now() + limit) && !failed();
    }

    /// A follower that was away until it needs a snapshot has caught up in a bounded time, however
    /// fast writes go on.
    void catch_up_under_load() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return;
        const raft::NodeId away{leader.value % cluster_.size() + 1};
        const auto position = [&] { return cluster_.core(away).log().applied(); };
        const auto snapshot = [&] { return cluster_.core(leader).log().base().index; };
        isolate(away);
        const bool behind =
            run_until([&] { return snapshot() > position(); }, std::chrono::seconds(20));
        cluster_.network().heal();
        if (!behind || cluster_.leader() != leader) return;
        const auto caught_up = [&] {
            return has_caught_up(cluster_.core(away).log(), cluster_.core(leader).log());
        };
        wait(2 * plan_.cluster.options.raft.election_timeout);
        cluster_.coverage().asked(Rule::liveness);
        if (run_until(caught_up, plan_.recovery_limit) || failed()) return;
        cluster_.violate(does_not_catch_up(away, leader));
    }
    void isolate(raft::NodeId node) {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            cluster_.network().cut(node, {id}, true);
            cluster_.network().cut({id}, node, true);
        }
    }

    /// One after the other; each finds the cluster as the one before has left it.
    void go_on_beside_faults() {
        constexpr int faults = 4;
        for (int i = 0; i < faults && !failed(); ++i) {
            minority_fault_.begin();
            go_on_beside_fault();
            minority_fault_.end();
            wait(random_.below(6 * plan_.cluster.options.raft.election_timeout));
        }
    }
    void go_on_beside_fault() {
        const raft::Options& raft = plan_.cluster.options.raft;
        if (!serves(longest_interregnum(raft))) return;
        wait(8 * raft.election_timeout);  // what it leads to at first
        const Leadership reign{cluster_.leader(), this->reign()};
        const bool lasts = !minority_fault_.unsteady(reign.leader);
        const raft::Index newest =
            reign.leader ? cluster_.core(reign.leader).snapshot().last.index : raft::Index{};
        for (int i = 0; i < 4 && !failed(); ++i) {
            wait(3 * raft.election_timeout);
            if (!serves(lasts ? longest_answer(raft) : longest_interregnum(raft))) return;
        }
        if (failed() || !lasts) return;
        cluster_.report(Rule::minority_fault, reign_lasts(reign, {cluster_.leader(), this->reign()},
                                                          minority_fault_.in_words()));
        if (failed() || !minority_fault_.silences()) return;
        if (!cluster_.disk_history(reign.leader).cluttered) {
            const std::vector<std::string> paths = cluster_.disk(reign.leader).paths();
            cluster_.report(Rule::minority_fault,
                            keeps_no_old_snapshot(reign.leader, newest, paths));
        }
        const auto compacted = [&] {
            return keeps_log_for_state() || is_covered(reign.leader) ||
                   is_compacted(cluster_.persisted_bytes(reign.leader),
                                cluster_.core(reign.leader).snapshot().size, plan_.cluster.options);
        };
        if (run_until(compacted, longest_answer(raft)) || failed()) return;
        cluster_.violate(does_not_compact(reign.leader, minority_fault_.in_words()));
    }
    /// An operation and then a read succeed within the limit; in the time of liveness where the
    /// others, who are in no trouble, wait for a snapshot meanwhile.
    bool serves(raft::Duration limit) {
        const raft::Time begin = cluster_.world().now();
        const auto is_late = [&] {
            if (minority_fault_.waits_for_snapshot()) limit = plan_.recovery_limit;
            return cluster_.world().now() - begin >= limit;
        };
        const auto is_served = [&](auto ask) {
            std::optional<std::size_t> wanted;
            bool served = false;
            run_until([&] { return (served = ended(wanted, ask)) || is_late(); },
                      plan_.recovery_limit);
            return served;
        };
        const bool ends = is_served(submit()) && is_served(read());
        if (!ends && !failed()) cluster_.violate(no_progress(minority_fault_.in_words(), limit));
        return ends && !failed();
    }
    void wait(raft::Duration time) {
        run_until([] { return false; }, time);
    }

    /// Liveness: the faults have ended.
    void recover() {
        nemesis_.heal();
        if (cluster_.lost()) return wait_for_a_person();
        // Where members change, that is judged by those of the end.
        if (!plan_.cluster.members_change && !cluster_.is_able()) return;
        cluster_.coverage().asked(Rule::liveness);
        const raft::Time end = cluster_.world().now() + plan_.recovery_limit;
        const auto left = [&] { return end - cluster_.world().now(); };
        std::optional<std::size_t> wanted;
        const bool committed = run_until([&] { return has_committed(wanted); }, left());
        clients_.stop();
        backups_.stop();
        if (failed()) return;
        if (!committed) return not_alive("nothing was committed");
        wanted.reset();
        if (!run_until([&] { return has_read(wanted); }, left())) {
            return not_alive("nothing could be read");
        }
        if (!run_until([&] { return clients_.under_way() == 0; }, left())) {
            return not_alive("an operation has no answer");
        }
        if (!run_until([&] { return all_equal(); }, left())) {
            return not_alive("a node did not catch up");
        }
        if (!run_until([&] { return all_changes_ended(); }, left())) {
            return not_alive("a change of members has not ended");
        }
        if (!run_until([&] { return all_compacted(); }, left())) {
            return not_alive("a node did not compact its log");
        }
        if (!run_until([&] { return no_read_waits(); }, left())) {
            return not_alive("a node keeps reads that have ended");
        }
        cluster_.coverage().asked(Rule::clutter);
        if (!run_until([&] { return !cluttered(); }, left())) {
            const raft::NodeId node = cluttered();
            return not_alive("node " + std::to_string(node.value) + " keeps " +
                             cluster_.clutter(node));
        }
        cluster_.coverage().asked(Rule::outvoted_replicas);
        if (!run_until([&] { return !outvoted(); }, left()) && !failed()) {
            cluster_.violate(OutvotedReplicas::goes_on(outvoted()));
            return;
        }
        // Who was removed while it was away hears of it when it asks for votes, if that is not
        // lost.
        const raft::Duration timeout = plan_.cluster.options.raft.election_timeout;
        if (plan_.cluster.members_change) {
            wait(4 * timeout);
            run_until([&] { return all_told(); }, 40 * timeout);
        }
        if (!failed()) stay_calm();
    }
    /// What is lost everywhere comes back by no means that a cluster has.
    void wait_for_a_person() {
        run_until([&] { return revive_all(), false; }, plan_.recovery_limit);
        const raft::LogPosition lost = *cluster_.lost();
        if (running_where([&](raft::NodeId id) { return has_entry(cluster_.core(id), lost); })) {
            return;
        }
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.running({id})) continue;
            cluster_.report(
                Rule::waits_for_a_person,
                waits_for_a_person(cluster_.core({id}), lost, cluster_.disk_history({id}).healing));
        }
    }
    /// With nothing wrong, nobody stands for election; and where the rules say so, a node that
    /// comes back from isolation does not disturb the others (Raft thesis, 4.2.3 and 9.6).
    void stay_calm() {
        const raft::NodeId leader = cluster_.leader();
        const raft::Options& raft = plan_.cluster.options.raft;
        const raft::Duration quiet_time = 4 * raft.election_timeout;
        if (!leader || plan_.cluster.disk.stall_one_in != 0) return;
        if (!all_up() || prefers_another(leader)) return;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (cluster_.disk({id}).stalled_until() >= cluster_.world().now()) return;
        }
        NetworkConditions& now = cluster_.network().conditions;
        now.loss = now.duplication = now.reordering = 0;
        // What is late comes in, and what it leads to.
        const raft::Duration late = cluster_.network().latest_arrival() - cluster_.world().now();
        wait(std::max(raft::Duration{}, late) + raft.election_timeout);
        if (failed() || cluster_.leader() != leader) return;
        const std::vector<std::uint64_t> before = candidacies();
        wait(quiet_time);
        // A write that failed while the next segment was made ends the node when that is needed.
        if (failed() || !all_up()) return;
        cluster_.report(Rule::stable_leadership, nobody_stood(before, candidacies()));
        if (failed()) return;
        ask_in_peace(leader);
        if (failed() || !all_up()) return;
        if (!raft.pre_vote || !raft.check_quorum || cluster_.size() < 3) return;
        const raft::NodeId away{leader.value % cluster_.size() + 1};
        const Leadership reign{leader, cluster_.core(leader).term()};
        const raft::Membership& members = cluster_.core(leader).membership();
        if (!members.has_quorum([&](raft::NodeId node) { return node != away; })) return;
        isolate(away);
        wait(quiet_time);
        cluster_.network().heal();
        wait(quiet_time);
        if (failed() || !all_up()) return;
        cluster_.report(Rule::stable_leadership,
                        not_deposed(reign, {cluster_.leader(), this->reign()}));
    }
    /// With nothing wrong, answers come after one round of messages and syncs, and wait for no
    /// timer.
    void ask_in_peace(raft::NodeId leader) {
        const ClusterPlan& plan = cluster_.plan();
        const raft::Duration limit = prompt_answer_time(cluster_.network().conditions, plan.disk);
        for (const std::size_t place : {clients_.read(leader), clients_.submit(leader)}) {
            cluster_.coverage().asked(Rule::prompt_answers);
            using End = typename RecordOf<Load>::End;
            run_until([&] { return clients_.history()[place].end != End::open; }, limit);
            if (failed() || clients_.history()[place].end != End::open) continue;
            if (!all_up()) return;  // a disk that was full has left no room for the next segment
            cluster_.violate(not_prompt(leader));
        }
    }
    /// Whether leadership is still to pass to a voter of a higher priority.
    bool prefers_another(raft::NodeId leader) const {
        const raft::Membership& members = cluster_.core(leader).membership();
        const raft::Member* const own = members.find(leader);
        return std::ranges::any_of(members.members, [own](const raft::Member& member) {
            return own != nullptr && member.votes() && member.priority > own->priority;
        });
    }
    bool all_up() const {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.running({id})) return false;
        }
        return true;
    }
    /// Of those who would be told if they were no members.
    std::vector<std::uint64_t> candidacies() {
        std::vector<std::uint64_t> counts = cluster_.oracle().stable_leadership().candidacies();
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!can_be_told({id})) counts[id] = 0;
        }
        return counts;
    }
    /// Whether the node is a member, or knows one to ask: else it has been away for so long that
    /// nobody is left whom it knows.
    bool can_be_told(raft::NodeId node) const {
        if (!cluster_.leader() || !cluster_.running(node)) return true;
        const raft::Membership& members = cluster_.core(cluster_.leader()).membership();
        const raft::Membership& known = cluster_.core(node).membership();
        return members.contains(node) ||
               std::ranges::any_of(known.members, [&members](const raft::Member& member) {
                   return member.votes() && members.contains(member.id);
               });
    }
    /// Whether those who are no members know, as far as they can.
    bool all_told() const {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return false;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            const bool counts = cluster_.running({id}) && can_be_told({id});
            if (!counts || cluster_.core(leader).membership().contains({id})) continue;
            const raft::Configuration& known = cluster_.core({id}).configuration();
            if (!known.is_excluded() && known.latest().contains({id})) return false;
        }
        return true;
    }
    void not_alive(const std::string& what) {
        if (failed() || !cluster_.is_able()) return;
        cluster_.violate(sim::not_alive(what, plan_.recovery_limit));
    }
    bool all_changes_ended() {
        if (!plan_.cluster.members_change) return true;
        const raft::NodeId leader = cluster_.leader();
        if (!leader || cluster_.requests_under_way() != 0) return false;
        return !cluster_.core(leader).changing_members();
    }
    /// Who is no member has not got everything, and need not have it.
    bool is_member(raft::NodeId node) {
        const raft::NodeId leader = cluster_.leader();
        return !leader || cluster_.core(leader).membership().contains(node);
    }
    auto submit() {
        return [this](raft::NodeId node) { return clients_.submit(node); };
    }
    bool has_committed(std::optional<std::size_t>& wanted) { return has_ended(wanted, submit()); }
    auto read() {
        return [this](raft::NodeId node) { return clients_.read(node); };
    }
    bool has_read(std::optional<std::size_t>& wanted) { return has_ended(wanted, read()); }
    /// The same as ended(), and all nodes start that can.
    template <class Ask>
    bool has_ended(std::optional<std::size_t>& wanted, Ask ask) {
        if (ended(wanted, ask)) return true;
        revive_all();
        return false;
    }
    /// Asks the leader again and again until what was asked succeeds.
    template <class Ask>
    bool ended(std::optional<std::size_t>& wanted, Ask ask) {
        using End = typename RecordOf<Load>::End;
        if (wanted) {
            const End end = clients_.history()[*wanted].end;
            if (end == End::committed) return true;
            // An operation without a time limit may wait for ever where its leader has gone.
            if (end == End::open && reign() == asked_in_) return false;
        }
        wanted = ask_now_and_then(ask);
        return false;
    }
    template <class Ask>
    std::optional<std::size_t> ask_now_and_then(Ask ask) {
        if (!cluster_.leader() || cluster_.world().now() < try_again_) return std::nullopt;
        try_again_ = cluster_.world().now() + std::chrono::milliseconds(20);
        asked_in_ = reign();
        return ask(cluster_.leader());
    }
    /// The term of the leader; 0: there is none.
    raft::Term reign() {
        const raft::NodeId leader = cluster_.leader();
        return leader ? cluster_.core(leader).term() : raft::Term{};
    }
    bool all_equal() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) {
            revive_all();
            return false;
        }
        const raft::Log& log = cluster_.core(leader).log();
        if (log.commit() != log.last_index()) {
            // Without a barrier, what is left of earlier terms waits for an operation of this one.
            if (log.last().term != cluster_.core(leader).term()) ask_now_and_then(submit());
            return false;
        }
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            const NodeState state = cluster_.state({id});
            if (!cluster_.is_usable({id})) continue;
            if (state != NodeState::up) {
                revive({id});
                return false;
            }
            if (!is_member({id})) continue;
            if (cluster_.core({id}).log().applied() != log.commit()) return false;
        }
        return true;
    }
    void revive_all() {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) revive({id});
    }
    /// A node that failed after the healing, for what had been done to its disk before.
    void revive(raft::NodeId node) {
        if (cluster_.state(node) == NodeState::stopping) return;
        if (cluster_.state(node) == NodeState::failed) cluster_.kill(node);
        if (cluster_.state(node) == NodeState::down) cluster_.start(node);
    }

    void check_end() {
        cluster_.report(Rule::linearizability, clients_.check());
        if (failed()) return;
        std::vector<const raft::Core*> cores;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.running({id})) continue;
            cores.push_back(&cluster_.core({id}));
            cluster_.oracle().verify_whole(*cores.back());
            cluster_.report(Rule::persisted_bytes,
                            persisted_bytes(*cores.back(), cluster_.persisted_bytes({id}),
                                            cluster_.oracle().chronicle()));
            cluster_.replica({id}).machine().tell_state();
            cluster_.report(Rule::machines_that_throw,
                            cluster_.machines_that_throw().lacks_what_all_lack(
                                {id}, cluster_.replica({id}).status().skipped_operations,
                                cores.back()->log().applied()));
        }
        cluster_.report(Rule::log_matching, raft::invariants::check(cores));
    }
    /// The log is kept for what a state on disk has not made durable, and that waits for more
    /// operations to be made durable with.
    bool keeps_log_for_state() const {
        const ClusterPlan& plan = plan_.cluster;
        return plan.states_on_disk && plan.transaction * plan.sync_every > 1;
    }
    /// Without a barrier the last entries may wait for an operation to be committed with.
    bool all_compacted() {
        if (keeps_log_for_state()) return true;
        return !running_where([&](raft::NodeId id) {
            const raft::Log& log = cluster_.core(id).log();
            const bool is_settled = log.commit() == log.last_index();
            return is_member(id) && is_settled && !is_covered(id) &&
                   !is_compacted(cluster_.persisted_bytes(id), cluster_.core(id).snapshot().size,
                                 plan_.cluster.options);
        });
    }
    /// Whether a snapshot has all of a state that knows of operations only: what is no operation
    /// stays behind it.
    bool is_covered(raft::NodeId id) {
        const auto& machine = cluster_.replica(id).machine();
        if constexpr (requires { machine.applied(); }) {
            return cluster_.core(id).snapshot().last.index >= machine.applied().index;
        } else {
            return false;
        }
    }
    /// Who goes on although it has been outvoted; 0: nobody. @pre all have applied the same
    raft::NodeId outvoted() {
        const raft::NodeId leader = cluster_.leader();
        // Who speaks the oldest version tells nothing of its state.
        if (!leader || plan_.cluster.older_speakers != 0) return {};
        std::vector<OutvotedReplicas::Running> running;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.running({id}) || !is_member({id})) continue;
            running.push_back({{id}, cluster_.replica({id}).machine().flaw()});
        }
        return OutvotedReplicas::outvoted(cluster_.core(leader).membership(), running);
    }
    bool no_read_waits() {
        return !running_where(
            [&](raft::NodeId id) { return cluster_.core(id).waiting_reads() != 0; });
    }
    /// A member whose disk holds what nobody needs; 0: none. One that was removed in the middle of
    /// a transfer keeps what it has of that, for it may be taken in again.
    raft::NodeId cluttered() {
        return running_where(
            [&](raft::NodeId id) { return is_member(id) && !cluster_.clutter(id).empty(); });
    }
    /// The first running node of which that is so; 0: none.
    template <class Condition>
    raft::NodeId running_where(Condition holds) {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (cluster_.running({id}) && holds(raft::NodeId{id})) return {id};
        }
        return {};
    }

    RunReport report() {
        RunReport report;
        report.seed = seed_;
        report.plan = facts_of(plan_);
        report.violation = cluster_.violation();
        cluster_.count_whole();
        cluster_.coverage().ran(load_.name(), plan_.theme);
        report.coverage = cluster_.coverage();
        report.simulated = cluster_.world().now().time_since_epoch();
        report.events = cluster_.world().events();
        report.digest = digest();
        report.trace = cluster_.trace();
        if (report.trace.enabled()) report.applied = applied();
        report.nodes = cluster_.size();
        return report;
    }
    std::vector<AppliedOperation> applied() {
        std::vector<AppliedOperation> result;
        for (const AppliedSequence::Applied& one : cluster_.sequence().applied()) {
            AppliedOperation words;
            words.id = one.id;
            if (one.id - 1 < clients_.history().size()) {
                words.operation = describe(clients_.history()[one.id - 1].operation);
            }
            words.result = cluster_.sequence().result_of(result.size() + 1);
            result.push_back(std::move(words));
        }
        return result;
    }
    std::uint64_t digest() {
        raft::Digest digest;
        digest.add(cluster_.world().events());
        digest.add(cluster_.world().now());
        digest.add(cluster_.network().delivered());
        for (const raft::Term term : cluster_.oracle().chronicle().committed) digest.add(term);
        for (const auto& applied : cluster_.sequence().applied()) {
            digest.add(applied.operation);
            digest.add(applied.result);
        }
        for (const auto& record : clients_.history()) {
            digest.add(record.returned);
            digest.add(record.number);
            digest.add(record.ret);
        }
        return digest.value();
    }

    std::uint64_t seed_;
    RunPlan plan_;
    raft::Random random_;
    Load load_;
    raft::Time try_again_{};
    raft::Term asked_in_;
    Cluster<typename Load::Machine> cluster_;
    Clients<Load> clients_;
    Nemesis nemesis_;
    MinorityFault minority_fault_;
    Backups<Load> backups_;
};

}  // namespace detail

}  // namespace rsm::sim

#endif
