// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One node as the checker sees it: a real Core, and in miniature what Engine and Storage keep
// beside it. A value in canonical form: nodes that will behave alike from now on are equal.
#ifndef RSM_TESTS_MODEL_NODE_STATE_HPP
#define RSM_TESTS_MODEL_NODE_STATE_HPP

#include "setup.hpp"
#include "support/core_node.hpp"

#include <raft/proof/state_digest.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace model {

using namespace raft;

/// Up to eight entries, one byte for each: term and purpose (Members::code). Both the content of a
/// state machine and the record of what has been committed are of this form.
class History {
public:
    static constexpr std::uint64_t most = 8;

    History() = default;
    explicit History(std::uint64_t packed) : packed_(packed) {}

    std::uint64_t size() const {
        return packed_ == 0 ? 0 : 8 - static_cast<std::uint64_t>(__builtin_clzll(packed_)) / 8;
    }
    std::uint8_t operator[](std::uint64_t position) const {
        return static_cast<std::uint8_t>(packed_ >> (8 * position));
    }
    void push_back(std::uint8_t entry) {
        packed_ |= static_cast<std::uint64_t>(entry) << (8 * size());
    }
    /// Whether one of the two begins with the other.
    friend bool agree(History left, History right) {
        const std::uint64_t both = std::min(left.size(), right.size());
        const std::uint64_t mask =
            both == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * both)) - 1;
        return ((left.packed_ ^ right.packed_) & mask) == 0;
    }
    std::uint64_t packed() const { return packed_; }
    friend bool operator==(const History&, const History&) = default;

private:
    std::uint64_t packed_ = 0;
};

struct Disk : test::Disk {
    friend bool operator==(const Disk& left, const Disk& right) {
        return left.hard == right.hard && left.base == right.base && left.log == right.log;
    }
};

/// A write that is under way and the messages that wait for it.
struct Flight {
    Write write;
    std::vector<Message> bound;
    friend bool operator==(const Flight&, const Flight&) = default;
};

/// Something that storage will tell the core.
struct Answer {
    enum class Kind : std::uint8_t { entries, snapshot_taken, chunk_loaded, chunk_stored };
    Kind kind{};
    NodeId reader;
    SnapshotMeta meta;
    std::uint64_t offset = 0;
    std::optional<Bytes> data;
    ChunkOutcome outcome{};
    std::vector<Entry> entries;
    friend bool operator==(const Answer&, const Answer&) = default;

    Input input() const {
        switch (kind) {
            case Kind::entries: return EntriesLoaded{reader, entries, false};
            case Kind::snapshot_taken: return SnapshotTaken{meta};
            case Kind::chunk_loaded: return ChunkLoaded{reader, meta, offset, data};
            case Kind::chunk_stored: return ChunkStored{meta, outcome};
        }
        return Tick{};
    }
};

/// A snapshot that arrives. The content of one is a History, which is also its checksum.
struct Arriving {
    SnapshotMeta meta;
    Bytes content;
    friend bool operator==(const Arriving&, const Arriving&) = default;
};

inline Bytes content_of(const SnapshotMeta& meta) {
    const std::uint64_t packed = meta.checksum;
    return Bytes::copy_of(std::as_bytes(std::span(&packed, 1)));
}

struct NodeState {
    Core core;
    Disk durable;                         // with all writes that are done
    std::vector<Flight> flights;          // writes under way
    WriteId done;                         // the last write that is done; the core may not know yet
    History machine;                      // what has been applied
    std::vector<SnapshotMeta> snapshots;  // kept
    std::optional<Arriving> arriving;
    std::vector<Answer> answers;            // in no order
    std::uint8_t reads = 0;                 // asked here and not answered yet, one bit for each
    bool out_of_touch = false;              // see awaits_newcomers()
    std::optional<Disk> before_last_write;  // for Sabotage::forget_write only

    NodeId id() const { return core.self(); }
    SnapshotMeta newest() const {
        const auto found = std::ranges::max_element(
            snapshots, {}, [](const SnapshotMeta& meta) { return meta.last.index; });
        return found == snapshots.end() ? SnapshotMeta{} : *found;
    }
    /// Durably, by itself or in a snapshot.
    bool holds(LogPosition position) const {
        const Index covered = std::max(durable.base.index, newest().last.index);
        return position.index <= covered || durable.covers(position);
    }
    /// With the writes that are under way.
    Disk begun() const {
        Disk disk = durable;
        for (const Flight& flight : flights) disk.carry_out(flight.write);
        return disk;
    }
    friend bool operator==(const NodeState&, const NodeState&) = default;
};

// ---- canonical form --------------------------------------------------------------------------

/// Whether the node leads and is to change the members, which it goes on with as soon as those who
/// are needed are heard from and newcomers have caught up in time. So it depends on what time there
/// was for what it has come to: all of it, or none (NodeState::out_of_touch). Who speaks in the
/// very step is heard from either way. Both steps are explored, and there is no third.
inline bool awaits_newcomers(Core& core) {
    const Reign* const reign = Anatomy::reign(core);
    return reign != nullptr && reign->change && !core.membership().joint();
}

/// Replaces what has no meaning for the future by one value: the time of day (the next deadline
/// may pass at any moment, whatever it is), the random numbers (they only set deadlines), the
/// numbers of writes (only their order counts), the order in which votes came in.
inline void make_canonical(Core& core, const Options& options, bool out_of_touch) {
    const Time now = Anatomy::now(core);
    const Time zero{};
    std::optional<Time>& heard = Anatomy::leader_heard(core);
    const bool counts = options.pre_vote || options.check_quorum;
    if (heard && counts && now - *heard < options.election_timeout) {
        heard = zero;
    } else {
        heard.reset();
    }
    if (IncomingSnapshot* incoming = Anatomy::incoming(core)) incoming->moved_at = zero;
    Anatomy::votes_from(core).reset();  // before that requests are as good as lost
    Anatomy::preference(core) = {};     // all members have the same priority
    Anatomy::now(core) = zero;
    Anatomy::random(core) = Random(0);
    Anatomy::election_at(core) = zero + options.election_timeout + Duration(1);
    Anatomy::renumber_writes(core, zero);
    if (std::vector<NodeId>* granted = Anatomy::granted(core)) std::ranges::sort(*granted);
    if (auto* leader = Anatomy::reign(core)) {
        leader->heartbeat_at = zero + options.heartbeat_interval;
        leader->quorum_check_at = zero + options.election_timeout;
        leader->commit_notice_at.reset();  // the next heartbeat says it
        const Time contact = out_of_touch ? zero - options.election_timeout : zero;
        for (Progress& follower : leader->followers) {
            follower.last_contact = contact;
            if (follower.catch_up) follower.catch_up->began = contact;
            if (follower.departure) follower.departure->since = zero;
            follower.transfer.moved_at = zero;
            follower.transfer.patience = Duration{};
            if (follower.hold) follower.hold = LogHold{zero, 0};
        }
        Anatomy::appended(*leader) = 0;  // only limits holds
    }
}

/// Gives values that stand for a set an order of their own, each once.
template <class T, class Key>
void make_set(std::vector<T>& values, Key key) {
    std::ranges::sort(values, {}, key);
    values.erase(std::unique(values.begin(), values.end()), values.end());
}

template <class Names>
void add(StateDigest<Names>& digest, const Disk& disk) {
    digest.add_all(disk.hard, disk.base, disk.log);
}
template <class Names>
void add(StateDigest<Names>& digest, const Answer& answer) {
    digest.add_all(answer.kind, answer.reader, answer.meta, answer.offset, answer.data,
                   answer.outcome, answer.entries);
}

inline void make_canonical(NodeState& node, const Options& options) {
    const std::uint64_t known = Anatomy::persisted(node.core).value;
    const auto renumber = [known](WriteId& id) { id.value -= std::min(id.value, known); };
    node.out_of_touch = node.out_of_touch && awaits_newcomers(node.core);
    make_canonical(node.core, options, node.out_of_touch);
    renumber(node.done);
    for (Flight& flight : node.flights) {
        renumber(flight.write.id);
        make_set(flight.bound, [](const Message& message) { return digest(message); });
    }
    make_set(node.snapshots, [](const SnapshotMeta& meta) { return digest(meta); });
    make_set(node.answers, [](const Answer& answer) {
        StateDigest<SameNames> digest({});
        add(digest, answer);
        return digest.value();
    });
}

/// The digest of a node whose vectors that stand for sets count without their order.
template <class Names>
std::uint64_t digest_of(const NodeState& node, Names names) {
    StateDigest<Names> digest(names);
    const auto sum = [&](const auto& values, auto add_one) {
        std::uint64_t total = 0;
        for (const auto& value : values) {
            StateDigest<Names> element(names);
            add_one(element, value);
            total += element.value();
        }
        return total;
    };
    const auto add_plain = [](auto& element, const auto& value) { element.add(value); };
    digest.add(node.core);
    add(digest, node.durable);
    digest.add(node.flights.size());
    for (const Flight& flight : node.flights) {
        const Write& write = flight.write;
        digest.add_all(write.id, write.reset, write.entries, write.hard_state, write.release,
                       flight.bound.size(), sum(flight.bound, add_plain));
    }
    digest.add_all(node.done, node.machine.packed(), sum(node.snapshots, add_plain));
    digest.add(node.arriving.has_value());
    if (node.arriving) digest.add_all(node.arriving->meta, node.arriving->content);
    digest.add_all(node.answers.size(),
                   sum(node.answers, [](auto& element, const Answer& one) { add(element, one); }));
    digest.add_all(node.reads, node.out_of_touch, node.before_last_write.has_value());
    if (node.before_last_write) add(digest, *node.before_last_write);
    return digest.value();
}

}  // namespace model

#endif
