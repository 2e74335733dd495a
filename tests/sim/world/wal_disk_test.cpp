// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The production write-ahead log on the simulated disk: a crash at every file operation.
#include "support/fake_disk.hpp"
#include "support/inline_lane.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/base/random.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace wal_disk_test {

using namespace raft::test;
using namespace rsm_test;
using rsm::sim::Disk;
using rsm::sim::DiskFault;

using Wal = rsm::BasicWalStorage<rsm::sim::Files, InlineLane>;
Wal wal_on(const std::shared_ptr<Disk>& disk) {
    return Wal(small_segments(), rsm::sim::Files(disk));
}

/// What a storage should hold, and what it has promised to.
struct Model {
    struct State {
        raft::HardState hard_state;
        raft::LogPosition base;
        std::vector<raft::Entry> entries;
        raft::LogPosition snapshot;
        friend bool operator==(const State&, const State&) = default;
    };
    std::vector<State> states{State{}};  ///< after each step that was begun
    std::size_t acknowledged = 0;        ///< the last of them that was acknowledged

    void begin(const raft::Write& write) {
        State next = states.back();
        if (write.reset) {
            next.entries.clear();
            next.base = *write.reset;
        }
        for (const raft::Entry& one : write.entries) {
            std::erase_if(next.entries, [&](const auto& old) { return old.index >= one.index; });
            next.entries.push_back(one);
        }
        if (write.hard_state) next.hard_state = *write.hard_state;
        if (write.release) {
            next.base = *write.release;
            std::erase_if(next.entries,
                          [&](const auto& old) { return old.index <= next.base.index; });
        }
        states.push_back(next);
    }
    void begin_snapshot(raft::LogPosition last) {
        states.push_back(states.back());
        states.back().snapshot = last;
    }
    void acknowledge() { acknowledged = states.size() - 1; }
};

/// One life of a node that does everything once: false when its disk stopped.
bool run_script(const std::shared_ptr<Disk>& disk, Model& model) {
    StorageNode<Wal> node(wal_on(disk));
    node.gives_up_without_room = true;
    if (!node.recover()) return false;
    const auto write = [&](const raft::Write& one) {
        model.begin(one);
        if (!node.write(one)) return false;
        model.acknowledge();
        return true;
    };
    const auto save = [&](raft::LogPosition last) {
        model.begin_snapshot(last);
        if (!node.save(last, std::string(5000, 'z'))) return false;
        model.acknowledge();
        return true;
    };
    for (std::uint64_t i = 1; i <= 6; ++i) {
        raft::Write one = write_of({entry(i, 1, 700), entry(i + 1, 1, 300)});
        one.hard_state = raft::HardState{{i}, {i % 3}, {}};
        if (!write(one)) return false;
    }
    if (!write(write_of({entry(5, 7, 100), entry(6, 7, 1800), entry(7, 8, 10)}))) return false;
    if (!save(position(5, 7))) return false;
    if (!write(release(position(4, 1)))) return false;
    node.storage().drop_snapshots_before({5});
    for (std::uint64_t i = 8; i <= 12; ++i) {
        if (!write(write_of({entry(i, 8, 900)}))) return false;
    }
    const std::string text(3000, 'q');
    const raft::SnapshotMeta meta{position(30, 9), voters(3), text.size(),
                                  rsm::detail::checksum(std::as_bytes(std::span(text)))};
    if (!node.receive(meta, 0, text.substr(0, 1000))) return false;
    model.begin_snapshot(meta.last);
    if (!node.receive(meta, 1000, text.substr(1000))) return false;
    model.acknowledge();
    raft::Write one = reset(meta.last);
    one.entries = {entry(31, 10, 50)};
    one.hard_state = raft::HardState{{10}, {}, {30}};
    if (!write(one)) return false;
    node.storage().drop_snapshots_before({30});
    if (!write(write_of({entry(32, 10, 50)}))) return false;
    node.close();
    return true;
}

/// The state that a recovery has to show for a state of the model: a snapshot that the log does
/// not contain voids it.
Model::State expected_state(Model::State state) {
    const bool contained = state.snapshot == state.base ||
                           std::ranges::any_of(state.entries, [&](const raft::Entry& one) {
                               return one.position() == state.snapshot;
                           });
    if (!contained && state.snapshot.index > state.base.index) {
        state.base = state.snapshot;
        state.entries.clear();
    }
    return state;
}

template <class NodeType>
Model::State state_of(NodeType& node, const raft::Recovered& recovered) {
    Model::State state{recovered.hard_state, recovered.base, {}, recovered.snapshot.last};
    if (recovered.last > recovered.base.index) {
        state.entries = *node.read(recovered.base.index.value + 1, 1 << 20);
    }
    CHECK(recovered.last == recovered.base.index + state.entries.size());
    return state;
}

/// What is recovered is a state that was begun, and none before the last acknowledged one; the log
/// goes on from there.
void check_recovery(const std::shared_ptr<Disk>& disk, const Model& model) {
    StorageNode<Wal> node(wal_on(disk));
    const raft::Recovered recovered = node.start();
    const Model::State state = state_of(node, recovered);
    bool found = false;
    for (std::size_t i = model.acknowledged; i < model.states.size(); ++i) {
        found = found || state == expected_state(model.states[i]);
    }
    REQUIRE(found);
    const std::uint64_t bytes = node.storage().persisted_bytes();
    const raft::HardState none;
    const std::uint64_t hard_state_bytes =
        state.hard_state == none ? 0 : raft::codec::persisted_hard_state_size;
    CHECK(bytes == bytes_of(state.entries) + hard_state_bytes);

    const auto next = entry(recovered.last.value + 1, 77, 600);
    CHECK(node.write(write_of({next})).has_value());
    node.close();
    disk->crash_all_lost();
    StorageNode<Wal> again(wal_on(disk));
    const Model::State after = state_of(again, again.start());
    CHECK(after.base == state.base);
    REQUIRE(after.entries.size() == state.entries.size() + 1);
    CHECK(after.entries.back() == next);
}

std::uint64_t operations_of_script() {
    const auto disk = std::make_shared<Disk>(0);
    Model model;
    REQUIRE(run_script(disk, model));
    return disk->operations();
}

TEST_CASE("After a crash at any file operation everything acknowledged is there") {
    const std::uint64_t operations = operations_of_script();
    REQUIRE(operations > 60);
    for (std::uint64_t stop = 1; stop <= operations + 1; ++stop) {
        for (std::uint64_t seed = 0; seed < 24; ++seed) {
            CAPTURE(stop);
            CAPTURE(seed);
            const auto disk = std::make_shared<Disk>(seed);
            raft::Random random(seed * 1000 + stop);
            Model model;
            disk->fail_after(stop, DiskFault::stop);
            const bool finished = run_script(disk, model);
            CHECK(finished == (stop > operations));
            CHECK(disk->stopped() != finished);
            disk->crash(random);
            // The repair may be interrupted too; it changes nothing that counts.
            for (std::uint64_t round = 0; round < seed % 4; ++round) {
                disk->fail_after(1 + random.below(9), DiskFault::stop);
                {
                    StorageNode<Wal> node(wal_on(disk));
                    static_cast<void>(node.recover().has_value());
                }
                disk->crash(random);
            }
            check_recovery(disk, model);
        }
    }
}

TEST_CASE("At every moment of a run what is durable holds everything acknowledged") {
    const std::uint64_t operations = operations_of_script();
    for (std::uint64_t stop = 1; stop <= operations + 1; ++stop) {
        CAPTURE(stop);
        const auto disk = std::make_shared<Disk>(stop);
        Model model;
        disk->fail_after(stop, DiskFault::stop);
        run_script(disk, model);
        check_recovery(std::make_shared<Disk>(disk->durable_image()), model);
    }
}

TEST_CASE("After a failed write or sync the process starts again and has everything acknowledged") {
    for (const DiskFault fault : {DiskFault::write_error, DiskFault::sync_error}) {
        for (std::uint64_t count = 1; count < 60; ++count) {
            for (std::uint64_t seed = 0; seed < 12; ++seed) {
                CAPTURE(count);
                CAPTURE(seed);
                const auto disk = std::make_shared<Disk>(seed);
                Model model;
                disk->fail_after(count, fault);
                const bool finished = run_script(disk, model);
                if (finished) CHECK(disk->hits().size() <= 1);
                disk->clear_plans();
                // The machine goes on in one half of the cases, with all that it has cached.
                raft::Random random(seed);
                if (seed % 2 == 0) disk->crash(random);
                check_recovery(disk, model);
            }
        }
    }
}

TEST_CASE("A recovery whose sync fails is done again, by the next process or after a crash") {
    const std::uint64_t operations = operations_of_script();
    std::size_t failed = 0;
    for (std::uint64_t stop = 1; stop <= operations; ++stop) {
        for (std::uint64_t seed = 0; seed < 16; ++seed) {
            CAPTURE(stop);
            CAPTURE(seed);
            const auto disk = std::make_shared<Disk>(seed);
            raft::Random random(seed * 1000 + stop);
            Model model;
            disk->fail_after(stop, DiskFault::stop);
            run_script(disk, model);
            disk->crash(random);
            disk->fail_after(1 + seed % 2, DiskFault::sync_error);
            {
                StorageNode<Wal> node(wal_on(disk));
                if (!node.recover()) ++failed;
            }
            disk->clear_plans();
            if (seed % 4 == 3) disk->crash(random);
            check_recovery(disk, model);
        }
    }
    CHECK(failed > operations);
}

TEST_CASE("A disk that gets full lets the log wait, and nothing acknowledged is lost") {
    const auto whole = std::make_shared<Disk>(0);
    Model everything;
    REQUIRE(run_script(whole, everything));
    std::size_t refused = 0;
    for (std::uint64_t capacity = 0; capacity < 60000; capacity += 512) {
        CAPTURE(capacity);
        const auto disk = std::make_shared<Disk>(capacity);
        disk->set_capacity(capacity);
        Model model;
        if (!run_script(disk, model)) ++refused;
        disk->set_capacity(1 << 30);
        raft::Random random(capacity);
        disk->crash(random);
        check_recovery(disk, model);
    }
    CHECK(refused > 20);
    CHECK(refused < 117);
}

}  // namespace wal_disk_test
