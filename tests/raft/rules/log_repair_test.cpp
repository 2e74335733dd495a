// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes without a leader put their logs together from what each of them has left: whatever has been
// lost where, whichever tails of deposed leaders are about, and in whatever order they hear of each
// other.
#include "membership_support.hpp"

#include <raft/base/random.hpp>
#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace log_repair_test {

using namespace membership_support;

/// A node's log as its storage wrote it, entry by entry, and what became of each of these writes.
struct Written {
    Entry entry;
    bool lost = false;          ///< damaged
    bool end_is_known = false;  ///< lost, but not where it led to
};
using Writes = std::vector<Written>;

/// What a storage makes of its writes (docs/format.md, "What is made of damage").
Disk recovered_from(const Writes& writes, Term term) {
    Disk disk;
    disk.hard = {term, {}, {1}};
    const auto damage = std::ranges::find(writes, true, &Written::lost);
    for (auto each = writes.begin(); each != damage; ++each) {
        disk.carry_out(write_of({each->entry}));
    }
    if (damage == writes.end()) return disk;
    const LogPosition end = writes.back().entry.position();
    if (is_up_to_date(disk.end(), end)) return disk;
    disk.promised = end;
    for (auto each = damage; each != writes.end(); ++each) {
        if (each->lost) continue;
        const Entry& found = each->entry;
        for (std::vector<Entry>& earlier : disk.detached) {
            std::erase_if(earlier, [&](const Entry& old) { return old.index >= found.index; });
        }
        std::erase_if(disk.detached, [](const auto& run) { return run.size() < 2; });
        const Written& before = *std::prev(each);
        const bool continues =
            !before.lost && !disk.detached.empty() && disk.detached.back().back() == before.entry;
        if (continues) {
            disk.detached.back().push_back(found);
        } else if (each != damage && (!before.lost || before.end_is_known) &&
                   before.entry.index + 1 == found.index) {
            disk.detached.push_back({before.entry, found});
        } else {
            disk.detached.push_back({found});
        }
    }
    std::erase_if(disk.detached, [](const auto& run) { return run.size() < 2; });
    return disk;
}

/// Whether the entry is in the log or behind the damage.
bool has(const Disk& disk, const Entry& wanted) {
    const auto in = [&wanted](auto begin, auto end) {
        return std::find(begin, end, wanted) != end;
    };
    if (in(disk.log.begin(), disk.log.end())) return true;
    return std::ranges::any_of(disk.detached, [&](const std::vector<Entry>& run) {
        return in(run.begin() + 1, run.end());
    });
}

/// A log of six entries, all of them committed by the leader of the last one's term, and two
/// others, of deposed leaders, that have parted from it, or end before it.
struct Logs {
    explicit Logs(Random& random) {
        // Who led in the terms before, and so to which of the logs the term belongs.
        std::array<std::uint64_t, last_term> owners{};
        for (std::uint64_t& owner : owners) owner = random.below(3);
        owners.back() = 0;
        committed = {entry(1, 1)};
        extend(random, committed, owners, 0, 6);
        while (committed.back().term != Term{last_term}) {
            committed.resize(1 + random.below(std::min<std::size_t>(committed.size(), 5)));
            committed.push_back(entry(committed.size() + 1, last_term));
            extend(random, committed, owners, 0, 6);
        }
        for (std::uint64_t owner = 1; owner <= 2; ++owner) {
            std::vector<Entry>& other = stale[owner - 1];
            other = committed;
            other.resize(1 + random.below(committed.size() - 1));
            extend(random, other, owners, owner, other.size() + random.below(5));
        }
    }

    static constexpr std::uint64_t last_term = 7;
    std::vector<Entry> committed;
    std::array<std::vector<Entry>, 2> stale;

private:
    static void extend(Random& random, std::vector<Entry>& log,
                       const std::array<std::uint64_t, last_term>& owners, std::uint64_t owner,
                       std::size_t size) {
        std::uint64_t term = log.back().term.value;
        while (log.size() < size) {
            if (random.below(2) == 0) ++term;
            while (term <= last_term && owners[term - 1] != owner) ++term;
            if (term > last_term) return;
            log.push_back(entry(log.size() + 1, term));
        }
    }
};

struct Repaired : Changing {
    /// @param compacts  whether some have a snapshot in the place of the beginning of their log
    Repaired(std::uint64_t seed, std::uint64_t nodes, bool compacts = false)
        : Changing(nodes), random(seed), logs(random) {
        expected_events = {EventKind::acknowledgement_lost};
        for (std::uint64_t id = 1; id <= nodes; ++id) {
            crash(id);
            writes.push_back(written(2 * id <= nodes + 1));
            node(id).durable = recovered_from(writes.back(), {Logs::last_term});
            if (compacts) compact(id);
            restart(id);
            left.push_back(held(id));
        }
    }
    /// What was written by a node, of whom `voted` have all that was committed.
    Writes written(bool voted) {
        Writes made;
        const auto write = [&made](const std::vector<Entry>& log) {
            std::vector<Entry> before = entries_of(made);
            const auto parted = std::ranges::mismatch(log, before).in1;
            for (auto each = parted; each != log.end(); ++each) made.push_back({*each});
        };
        write({logs.committed.front()});
        for (int i = 0; i < 2; ++i) {
            if (random.below(2) == 0) write(logs.stale[random.below(2)]);
        }
        if (voted || random.below(3) == 0) write(logs.committed);
        if (!voted && random.below(2) == 0) return made;
        const std::uint64_t rate = 2 + random.below(4);
        for (std::size_t i = 1; i < made.size(); ++i) {
            made[i].lost = random.below(rate) == 0;
            made[i].end_is_known = random.below(4) != 0;
        }
        return made;
    }
    /// The node has known of some entries that they are committed.
    void compact(std::uint64_t id) {
        Disk& disk = node(id).durable;
        const auto parted = std::ranges::mismatch(disk.log, logs.committed).in1;
        const auto most = static_cast<std::size_t>(parted - disk.log.begin());
        const std::size_t count = random.below(most + 1);
        if (count == 0) return;
        Machine machine;
        for (std::size_t i = 0; i < count; ++i) {
            machine.apply(logs.committed[i]);
            if (history.size() > i) continue;
            history.push_back(logs.committed[i]);
            values.push_back(machine.value);
        }
        const LogPosition last = logs.committed[count - 1].position();
        const std::string content = std::to_string(machine.value);
        Snapshot made{{last, voters(size()), content.size(), 0}, text(content), machine};
        made.meta.checksum = checksum_of(made.content);
        node(id).snapshots.push_back(std::move(made));
        disk.log.erase(disk.log.begin(), disk.log.begin() + static_cast<std::ptrdiff_t>(count));
        disk.base = last;
    }
    static std::vector<Entry> entries_of(const Writes& writes) {
        Disk disk;
        for (const Written& each : writes) disk.carry_out(write_of({each.entry}));
        return disk.log;
    }
    /// Whether a node has acknowledged all that was committed, and what is left of that was not
    /// replaced by its own later writes.
    bool had_all(std::uint64_t id) const {
        const Writes& all = writes[id - 1];
        const auto is_last = [&all](const Entry& each) {
            return std::ranges::count(all, each, &Written::entry) == 1;
        };
        return all.back().entry == logs.committed.back() &&
               std::ranges::all_of(logs.committed, is_last);
    }
    /// How much of what was committed stands in the node's log.
    std::size_t held(std::uint64_t id) {
        const Log& log = core(id).log();
        const auto is_missing = [&log](const Entry& each) {
            return each.index > log.base().index && !log.matches(each.position());
        };
        const auto end = std::ranges::find_if(logs.committed, is_missing);
        return static_cast<std::size_t>(end - logs.committed.begin());
    }
    /// Nothing that a node had acknowledged and still has is cut.
    void watch() {
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (had_all(id) && held(id) < left[id - 1]) {
                fail("node " + std::to_string(id) + " has cut what was committed");
            }
        }
    }
    /// Whether each entry is left on one that had all that was committed, or a snapshot stands for
    /// it. Another one has the right to follow what is as up to date as it was itself.
    bool survives() {
        return std::ranges::all_of(logs.committed, [this](const Entry& each) {
            for (std::uint64_t id = 1; id <= size(); ++id) {
                if (each.index <= node(id).newest().last.index) return true;
                if (had_all(id) && has(node(id).durable, each)) return true;
            }
            return false;
        });
    }
    /// As run(), but what is on its way arrives in any order, or twice.
    void run_in_any_order(Duration duration) {
        const Time end = now + duration;
        while (now < end && failure.empty()) {
            while (!bag.empty()) {
                const std::size_t chosen = random.below(bag.size());
                if (random.below(8) == 0) bag.push_back(bag[chosen]);
                deliver(chosen);
                const std::uint64_t id = 1 + random.below(size());
                if (random.below(2) == 0) persist(id);
                if (random.below(2) == 0 && !node(id).answers.empty()) answer(id);
            }
            for (std::uint64_t id = 1; id <= size(); ++id) {
                persist(id);
                while (!node(id).answers.empty()) answer(id);
            }
            watch();
            const std::uint64_t unlucky = 1 + random.below(200 * size());
            if (unlucky <= size()) {
                crash(unlucky, random.below(2));
                restart(unlucky);
            }
            now += milliseconds(10);
            tick();
        }
    }
    std::string story() {
        std::string told;
        for (std::uint64_t id = 1; id <= size(); ++id) {
            told += "node " + std::to_string(id) + ":";
            for (const Written& each : writes[id - 1]) {
                told += " " + std::to_string(each.entry.index.value) + "@" +
                        std::to_string(each.entry.term.value) +
                        (each.lost ? (each.end_is_known ? "-" : "!") : "");
            }
            told += "; now";
            for (const std::uint64_t term : terms_of(core(id))) told += " " + std::to_string(term);
            told += core(id).log().is_whole() ? "\n" : " of more\n";
        }
        return told;
    }

    Random random;
    Logs logs;
    std::vector<Writes> writes;
    std::vector<std::size_t> left;  ///< held() when all began
};

/// @param compact  whether some have taken snapshots
void heal_clusters(std::uint64_t seeds, bool compact) {
    std::size_t healed = 0;
    std::size_t hopeless = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Repaired cluster(seed, seed % 4 == 0 ? 5 : 3, compact);
        const bool survives = cluster.survives();
        const auto serves = [&] {
            return cluster.leader() != 0 && cluster.history.size() > cluster.logs.committed.size();
        };
        for (int i = 0; i < 40 && !serves(); ++i) cluster.run_in_any_order(milliseconds(250));
        INFO(cluster.story());
        REQUIRE(cluster.failure == "");
        if (survives) CHECK(serves());
        if (cluster.leader() != 0) {
            CHECK(cluster.held(cluster.leader()) == cluster.logs.committed.size());
        }
        ++(serves() ? healed : hopeless);
    }
    CHECK(healed > seeds / 2);
    CHECK(hopeless > seeds / 8);
}

TEST_CASE("what was committed is served again wherever each entry of it is left anywhere") {
    heal_clusters(4000, false);
}

TEST_CASE("what was committed is served again wherever it is left in logs or in snapshots") {
    heal_clusters(4000, true);
}

}  // namespace log_repair_test
