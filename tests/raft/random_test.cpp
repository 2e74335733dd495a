// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whole clusters of Cores under every fault that the model of core_node.hpp knows, in an order
// and with options drawn from a seed. After each step all safety properties are checked; after the
// faults the cluster must become useful again.
//
// RAFT_RANDOM_SEEDS=first:count in the environment runs other seeds than the fixed ones.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace random_test {

namespace {

using namespace raft;
using namespace raft::test;

class Chaos {
public:
    explicit Chaos(std::uint64_t seed)
        : random_(seed), cluster_(1 + random_.below(7), draw_options(), seed) {
        cluster_.lost = [this](const Message& message) { return lost(message); };
        founders_ = cluster_.size();
        if (chance(50)) bear_instances();
        if (chance(60)) {
            changes_ = 1 + random_.below(6);
            for (std::uint64_t more = random_.below(4); more > 0; --more) {
                const std::uint64_t id = cluster_.add_node(cluster_.node(1).options);
                if (instances_) cluster_.wipe(id, {++instances_});
            }
        }
        cut_.resize(cluster_.size() + 1);
        loss_ = chance(30) ? 0 : random_.below(20);
        doubling_ = random_.below(15);
        crashes_ = chance(30) ? 0 : random_.below(40);
        snapshots_ = chance(20) ? 0 : random_.below(100);
        lazy_disk_ = random_.below(60);
        lazy_network_ = random_.below(60);
    }

    /// What went wrong, or nothing.
    std::string run(int steps) {
        for (int i = 0; i < steps && cluster_.failure.empty(); ++i) {
            act();
            cluster_.check();
        }
        if (cluster_.failure.empty()) recover();
        return cluster_.failure;
    }
    std::size_t applied() const { return cluster_.history.size(); }
    const std::vector<Event>& events() const { return cluster_.events; }
    /// Everything that a run leads to, as one number.
    std::uint64_t digest() {
        Digest digest;
        digest.add(cluster_.now);
        digest.add(cluster_.messages);
        for (const std::uint64_t value : cluster_.values) digest.add(value);
        for (const ReadOutcome& read : cluster_.reads) digest.add(read.index);
        for (const Event& event : cluster_.events) digest.add(event.term);
        return digest.value();
    }

private:
    bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
    std::uint64_t any_node() { return 1 + random_.below(cluster_.size()); }

    Options draw_options() {
        Options options;
        options.election_timeout = milliseconds(300);
        options.pre_vote = chance(60);
        options.check_quorum = chance(60);
        options.barrier_on_election = chance(60);
        options.commit_notice_delay = milliseconds(random_.below(3) * 50);
        options.disk_stall_timeout = milliseconds(chance(30) ? 200 : 5000);
        options.max_entry_bytes = 64;
        options.max_message_bytes = chance(50) ? 64 : 1000;
        options.window_bytes = options.max_message_bytes * (1 + random_.below(4));
        options.max_uncommitted_bytes = chance(50) ? 200 : 100000;
        options.apply_batch_bytes = chance(50) ? 1 : 500;
        options.log_cache_bytes = chance(50) ? 0 : random_.below(2000);
        options.retained_bytes = chance(50) ? 0 : random_.below(1000);
        options.snapshot_chunk_bytes = chance(50) ? 8 : 64;
        options.max_waiting_reads = chance(50) ? 2 : 1000;
        return options;
    }

    bool lost(const Message& message) {
        const auto link = std::pair{message.from.value, message.to.value};
        return cut_[link.first].contains(link.second) || chance(loss_);
    }

    /// One of the things that may happen next.
    void act() {
        const std::uint64_t what = random_.below(100);
        const std::uint64_t id = any_node();
        if (chance(changes_)) return change();
        if (chance(wipes_) && may_wipe(id)) return cluster_.wipe(id, {++instances_});
        if (what < 53) return move_something();
        if (what < 60) return pass_time();
        if (what < 78) return ask(id);
        if (what < 92) return serve(id);
        if (what < 93) return partition(id);
        if (what < 95) return heal();
        if (what < 98) {
            if (chance(snapshots_) && cluster_.up(id)) {
                cluster_.take_snapshot(id, random_.below(60));
            }
            return;
        }
        if (!chance(crashes_)) return;
        if (cluster_.up(id)) {
            cluster_.crash(id, random_.below(4));
        } else {
            cluster_.restart(id);
        }
    }

    /// Messages, finished writes and answers arrive, several in one step now and then.
    void move_something() {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.up(id) || chance(30)) continue;
            std::vector<Input> inputs;
            const std::size_t limit = 1 + random_.below(4);
            while (inputs.size() < limit && take_input(id, inputs)) {}
            if (!inputs.empty()) cluster_.step(id, std::move(inputs));
        }
    }
    bool take_input(std::uint64_t id, std::vector<Input>& inputs) {
        Node& node = cluster_.node(id);
        if (!node.writes.empty() && !chance(lazy_disk_)) {
            inputs.push_back(*cluster_.complete_write(id));
            return true;
        }
        if (!node.answers.empty() && chance(50)) {
            inputs.push_back(std::move(node.answers.front()));
            node.answers.pop_front();
            return true;
        }
        if (chance(lazy_network_)) return false;
        // Not always the oldest: that is reordering.
        std::vector<std::size_t> mine;
        for (std::size_t i = 0; i < cluster_.bag.size(); ++i) {
            if (cluster_.bag[i].to.value == id) mine.push_back(i);
        }
        if (mine.empty()) return false;
        const std::size_t chosen = mine[chance(80) ? 0 : random_.below(mine.size())];
        inputs.push_back(cluster_.bag[chosen]);
        if (!chance(doubling_)) {
            cluster_.bag.erase(cluster_.bag.begin() + static_cast<std::ptrdiff_t>(chosen));
        }
        return true;
    }
    void pass_time() {
        // In one piece, the nodes do not run meanwhile; in small ones, only nothing arrives.
        const bool paused = chance(20);
        auto left = milliseconds(random_.below(chance(90) ? 60 : 700));
        while (left > milliseconds(0)) {
            const auto piece = paused ? left : std::min(left, milliseconds(20));
            left -= piece;
            cluster_.now += piece;
            cluster_.tick();
        }
        if (chance(3)) cluster_.bag.clear();
    }
    void ask(std::uint64_t id) {
        const std::uint64_t leader = cluster_.leader();
        if (leader != 0 && chance(80)) id = leader;
        if (!cluster_.up(id)) return;
        if (chance(30)) {
            cluster_.read(id);
        } else {
            cluster_.propose(id, std::string(random_.below(66), 'p'));
        }
    }
    void bear_instances() {
        instances_ = 1000;
        wipes_ = random_.below(4);
        for (std::uint64_t id = 1; id <= founders_; ++id) cluster_.wipe(id, {++instances_});
        // A wiped one answers to what was sent to the one before.
        cluster_.expected_events.push_back(EventKind::protocol_violation);
    }
    /// Members come and go, are to be voters or learners, and leaders hand over.
    void change() {
        const std::uint64_t leader = cluster_.leader();
        if (leader == 0) return;
        const std::uint64_t what = random_.below(10);
        if (what == 0) return void(cluster_.step(leader, CancelChange{changes_asked_}));
        if (what < 4) {
            const std::uint64_t target = random_.below(cluster_.size() + 1);
            const auto patience = milliseconds(100 + random_.below(500));
            return void(cluster_.step(leader, HandOver{++changes_asked_, {target}, patience}));
        }
        Membership target;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            const std::uint64_t standing = random_.below(4);
            if (standing < 2) target.put({{id}, Standing::voter, {}, {}});
            if (standing == 2) target.put({{id}, Standing::learner, {}, {}});
        }
        const bool forced = chance(10);
        const auto patience = milliseconds(random_.below(3000));
        cluster_.step(leader, ChangeMembers{++changes_asked_, target, forced, patience});
    }
    /// A minority of instances at a time, and not before everybody knows that it was there.
    bool may_wipe(std::uint64_t id) {
        const std::uint64_t leader = cluster_.leader();
        if (instances_ == 0 || leader == 0) return false;
        const Membership& present = cluster_.core(leader).configuration().settled().membership;
        if (cluster_.core(leader).membership() != present || present.joint()) return false;
        std::size_t voters = 0;
        for (const Member& member : present.members) {
            if (!member.votes()) continue;
            ++voters;
            if (member.instance != cluster_.node(member.id.value).instance) return false;
        }
        for (std::uint64_t other = 1; other <= cluster_.size(); ++other) {
            if (!cluster_.up(other)) return false;
            const Member* known = cluster_.core(other).membership().find({id});
            const bool knows = known != nullptr && known->instance;
            if (other != id && present.is_voter({other}) && !knows) return false;
        }
        return id != leader && voters > 2;
    }
    /// A phase in which things go well, so that histories become long.
    void serve(std::uint64_t id) {
        if (cluster_.up(id)) cluster_.persist(id);
        for (std::size_t i = std::min<std::size_t>(cluster_.bag.size(), 20); i > 0; --i) {
            cluster_.deliver(0);
        }
    }
    void partition(std::uint64_t id) {
        for (std::uint64_t other = 1; other <= cluster_.size(); ++other) {
            if (chance(70)) cut_[id].insert(other);
            if (chance(70)) cut_[other].insert(id);
        }
    }
    void heal() {
        for (auto& links : cut_) links.clear();
    }

    /// After the faults stop, a leader must be found and an operation committed and applied by
    /// everybody, within a bounded time.
    void recover() {
        heal();
        loss_ = 0;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.up(id)) cluster_.restart(id);
        }
        LogPosition wanted;
        const bool done =
            cluster_.run_until([&] { return everybody_has(wanted); }, milliseconds(300) * 100);
        cluster_.check();
        if (!done) cluster_.fail("the cluster does not come back to life:" + told());
    }
    std::string told() {
        std::string all;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.up(id)) continue;
            const Core& core = cluster_.core(id);
            all += "\nnode " + std::to_string(id) + " instance " +
                   std::to_string(core.instance().value) + " role " +
                   std::to_string(static_cast<int>(core.role())) + " term " +
                   std::to_string(core.term().value) + " commit " +
                   std::to_string(core.log().commit().value) + " of " +
                   std::to_string(core.log().last_index().value) + " excluded " +
                   std::to_string(core.configuration().is_excluded()) + " members";
            for (const Member& member : core.membership().members) {
                all += " " + std::to_string(member.id.value) + "/" +
                       std::to_string(member.instance.value) + "." +
                       std::to_string(static_cast<int>(member.standing));
            }
            for (const Progress& follower : core.followers()) {
                all += "\n   follower " + std::to_string(follower.node.value) + " state " +
                       std::to_string(static_cast<int>(follower.state)) + " match " +
                       std::to_string(follower.match.value) + " next " +
                       std::to_string(follower.next.value) + " paused " +
                       std::to_string(follower.paused) + " reading " +
                       std::to_string(follower.reading) + " claimed " +
                       std::to_string(follower.claimed.value) + " trusted " +
                       std::to_string(follower.trusted_round) + " acknowledged " +
                       std::to_string(follower.acknowledged_round) + " departs " +
                       std::to_string(follower.departure.has_value()) + " base " +
                       std::to_string(core.log().base().index.value);
            }
        }
        return all;
    }
    /// Too many of the instances that decide have lost their disks.
    bool is_lost() {
        const Core* newest = &cluster_.core(1);
        for (std::uint64_t id = 2; id <= cluster_.size(); ++id) {
            const Core& other = cluster_.core(id);
            const LogPosition end = other.log().last();
            if (newest->log().up_to_date(end) && newest->log().last() != end) newest = &other;
        }
        const Membership& members = newest->membership();
        return !members.has_quorum([&](NodeId id) {
            const Member* const known = members.find(id);
            return known == nullptr || !known->instance ||
                   known->instance == cluster_.node(id.value).instance;
        });
    }
    bool everybody_has(LogPosition& wanted) {
        if (is_lost()) return true;
        const std::uint64_t leader = cluster_.leader();
        if (leader == 0) return false;
        if (wanted.term != cluster_.core(leader).term()) {
            const ProposalOutcome outcome = cluster_.propose(leader, "final");
            if (outcome.refusal == Refusal::none) wanted = outcome.position;
            return false;
        }
        if (cluster_.core(leader).changing_members()) return false;
        for (const Member& member : cluster_.core(leader).membership().members) {
            if (cluster_.node(member.id.value).machine.applied < wanted.index) return false;
        }
        return true;
    }

    Random random_;
    CoreCluster cluster_;
    std::vector<std::set<std::uint64_t>> cut_;  // by sender: who does not hear it
    std::uint64_t founders_ = 0;
    std::uint64_t instances_ = 0;  // the last one that was given out; 0: nobody bears one
    std::uint64_t wipes_ = 0;
    std::uint64_t changes_ = 0;
    Token changes_asked_ = 0;
    std::uint64_t loss_ = 0;
    std::uint64_t doubling_ = 0;
    std::uint64_t crashes_ = 0;
    std::uint64_t snapshots_ = 0;
    std::uint64_t lazy_disk_ = 0;
    std::uint64_t lazy_network_ = 0;
};

}  // namespace

TEST_CASE("random clusters under faults keep every safety property and recover afterwards") {
    unsigned long long first = 1;
    unsigned long long count = 300;
    if (const char* range = std::getenv("RAFT_RANDOM_SEEDS")) {
        std::sscanf(range, "%llu:%llu", &first, &count);
    }
    for (unsigned long long seed = first; seed < first + count; ++seed) {
        Chaos chaos(seed);
        const std::string failure = chaos.run(1500);
        CHECK_MESSAGE(failure.empty(), "seed " << seed << ": " << failure);
    }
}

TEST_CASE("the random runs reach the corners that they are meant for") {
    std::size_t applied = 0;
    std::map<EventKind, std::size_t> seen;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Chaos chaos(seed);
        chaos.run(1500);
        applied += chaos.applied();
        for (const Event& event : chaos.events()) ++seen[event.kind];
    }
    CHECK(applied > 500);
    CHECK(seen[EventKind::became_leader] > 40);
    CHECK(seen[EventKind::quorum_lost] > 5);
    CHECK(seen[EventKind::disk_stalled] > 0);
    CHECK(seen[EventKind::log_truncated] > 0);
    CHECK(seen[EventKind::snapshot_installed] > 5);
    CHECK(seen[EventKind::members_changed] > 20);
    CHECK(seen[EventKind::removed] > 5);
    CHECK(seen[EventKind::other_instance] > 0);
    CHECK(seen[EventKind::unrecognized] > 0);
}

TEST_CASE("the same seed gives the same history, step for step") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Chaos left(seed);
        Chaos right(seed);
        left.run(1000);
        right.run(1000);
        CHECK(left.digest() == right.digest());
        Chaos other(seed + 1000);
        other.run(1000);
        CHECK(left.digest() != other.digest());
    }
}

}  // namespace random_test
