// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The life of a log that does everything once, on a simulated disk, and what it has promised.
#ifndef RSM_TESTS_SIM_WORLD_WAL_SCRIPT_HPP
#define RSM_TESTS_SIM_WORLD_WAL_SCRIPT_HPP

#include "support/fake_disk.hpp"
#include "support/inline_lane.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

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
#include <vector>

namespace wal_script {

using namespace raft::test;
using namespace rsm_test;
using rsm::sim::Disk;
using rsm::sim::DiskFault;

using Wal = rsm::BasicWalStorage<rsm::sim::Files, InlineLane>;
inline Wal wal_on(const std::shared_ptr<Disk>& disk) {
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
inline bool run_script(const std::shared_ptr<Disk>& disk, Model& model) {
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
    node.storage().drop_snapshots_except({{5}});
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
    node.storage().drop_snapshots_except({{30}});
    if (!write(write_of({entry(32, 10, 50)}))) return false;
    node.close();
    return true;
}

/// The state that a recovery has to show for a state of the model: a snapshot that the log does
/// not contain voids it.
inline Model::State expected_state(Model::State state) {
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
inline void check_recovery(const std::shared_ptr<Disk>& disk, const Model& model) {
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

}  // namespace wal_script

#endif
