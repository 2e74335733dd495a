// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core and Message as keys: a digest of all that they consist of, so that states can be told apart
// without keeping them. Equal values have equal digests. Nodes may be renamed on the way, which
// makes states that differ only in who is who recognisable (symmetry reduction).
//
// Not part of raft.hpp: only explorers of states need it.
#ifndef RSM_RAFT_DIGEST_HPP
#define RSM_RAFT_DIGEST_HPP

#include <raft/core.hpp>
#include <raft/message.hpp>
#include <raft/types.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <variant>
#include <vector>

namespace raft {

/// Every node keeps its name.
struct SameNames {
    NodeId operator()(NodeId node) const { return node; }
};

/// Adds values of the algorithm's types to one digest. What has an order counts in that order;
/// what stands for a set of nodes counts without one, whatever the nodes are called.
template <class Names>
class StateDigest {
public:
    explicit StateDigest(Names names) : names_(names) {}

    std::uint64_t value() const { return digest_.value(); }

    template <class T>
        requires std::integral<T> || std::is_enum_v<T>
    void add(T value) { digest_.add(static_cast<std::uint64_t>(value)); }
    void add(Term term) { digest_.add(term); }
    void add(Index index) { digest_.add(index); }
    void add(NodeId node) { digest_.add(names_(node)); }
    void add(LogPosition position) { digest_.add(position); }
    void add(Time time) { digest_.add(time); }
    void add(WriteId write) { digest_.add(write.value); }
    void add(const Bytes& bytes) { digest_.add(bytes.view()); }
    void add(const Random& random) { digest_.add(random.state()); }
    void add(const TermRun& run) { add_all(run.first, run.term); }
    void add(const HardState& hard) { add_all(hard.term, hard.voted_for, hard.commit); }
    void add(const Entry& entry) { add_all(entry.index, entry.term, entry.kind, entry.payload); }
    void add(const Membership& membership) {
        add_set(membership.voters);
        add_set(membership.outgoing);
        add_set(membership.learners);
    }
    void add(const SnapshotMeta& meta) {
        add_all(meta.last, meta.membership, meta.size, meta.checksum);
    }
    template <class T>
    void add(const std::optional<T>& value) {
        add(value.has_value());
        if (value) add(*value);
    }
    template <class T>
    void add(const std::vector<T>& values) {
        add(values.size());
        for (const T& value : values) add(value);
    }
    template <class T>
    void add(const Ring<T>& values) {
        add(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) add(values[i]);
    }
    template <class... T>
    void add_all(const T&... values) {
        (add(values), ...);
    }
    /// A sum has no order, and each element's digest is well mixed.
    template <class T>
    void add_set(const std::vector<T>& values) {
        std::uint64_t sum = 0;
        for (const T& value : values) {
            StateDigest element(names_);
            element.add(value);
            sum += element.value();
        }
        add_all(values.size(), sum);
    }

    void add(const VoteRequest& request) { add_all(request.term, request.pre_vote, request.last); }
    void add(const VoteReply& reply) {
        add_all(reply.term, reply.election, reply.pre_vote, reply.granted);
    }
    void add(const AppendRequest& request) {
        add_all(request.term, request.previous, request.commit, request.round, request.entries);
    }
    void add(const AppendReply& reply) {
        add_all(reply.term, reply.accepted, reply.index, reply.hint, reply.round);
    }
    void add(const SnapshotChunk& chunk) {
        add_all(chunk.term, chunk.meta, chunk.offset, chunk.data);
    }
    void add(const SnapshotReply& reply) {
        add_all(reply.term, reply.last, reply.checksum, reply.next_offset, reply.installed,
                reply.rejected, reply.match);
    }
    void add(const Message& message) {
        add_all(message.from, message.to, message.body.index());
        std::visit([this](const auto& body) { this->add(body); }, message.body);
    }

    void add(const Options& options);
    void add(const Progress& progress);
    void add(const Log& log);
    void add(const Core& core);

private:
    Names names_;
    Digest digest_;
};

/// The way to the private parts of the algorithm's values, for those who must see a whole state.
struct Anatomy {
    template <class Names>
    static void add(StateDigest<Names>& digest, const Progress& progress) {
        digest.add(progress.in_flight_.size());
        for (std::size_t i = 0; i < progress.in_flight_.size(); ++i) {
            digest.add_all(progress.in_flight_[i].last, progress.in_flight_[i].bytes);
        }
        digest.add(progress.in_flight_bytes_);
    }
    template <class Names>
    static void add(StateDigest<Names>& digest, const Log& log) {
        digest.add_all(log.base_, log.runs_, log.last_, log.cache_, log.cache_bytes_,
                       log.submitted_, log.durable_, log.writes_.size());
        for (std::size_t i = 0; i < log.writes_.size(); ++i) {
            digest.add_all(log.writes_[i].id, log.writes_[i].last, log.writes_[i].bytes,
                           log.writes_[i].since);
        }
        digest.add_all(log.writing_bytes_, log.unsubmitted_bytes_, log.commit_, log.handed_,
                       log.applied_);
    }
    template <class Names>
    static void add(StateDigest<Names>& digest, const Core& core) {
        digest.add_all(core.options_, core.self_, core.membership_, core.hard_, core.log_,
                       core.snapshot_, core.role_.index());
        std::visit([&digest](const auto& role) { add(digest, role); }, core.role_);
        digest.add_all(core.random_, core.now_, core.pauses_, core.election_at_, core.leader_heard_,
                       core.receiving_.has_value());
        if (core.receiving_) {
            const Core::Receiving& receiving = *core.receiving_;
            digest.add_all(receiving.meta, receiving.term, receiving.from, receiving.kept,
                           receiving.next_offset, receiving.storing, receiving.over);
        }
        digest.add(core.confirmed_reads_.size());
        for (std::size_t i = 0; i < core.confirmed_reads_.size(); ++i) {
            digest.add_all(core.confirmed_reads_[i].index, core.confirmed_reads_[i].tokens);
        }
        digest.add_all(core.waiting_reads_, core.applying_load_, core.hard_changed_,
                       core.last_write_, core.hard_write_, core.persisted_, core.pending_reset_,
                       core.pending_release_, core.dropped_before_, core.holding_);
    }
    template <class Names>
    static void add(StateDigest<Names>& digest, const Core::Follower& role) {
        digest.add(role.leader);
    }
    template <class Names>
    static void add(StateDigest<Names>& digest, const Core::Candidate& role) {
        digest.add(role.pre_vote);
        digest.add_set(role.granted);
    }
    template <class Names>
    static void add(StateDigest<Names>& digest, const Core::Leader& role) {
        digest.add_set(role.followers);
        digest.add_all(role.appended_bytes, role.unsettled_bytes, role.step_bytes,
                       role.unsettled.size());
        for (std::size_t i = 0; i < role.unsettled.size(); ++i) {
            digest.add_all(role.unsettled[i].last, role.unsettled[i].bytes);
        }
        digest.add_all(role.heartbeat_at, role.quorum_check_at, role.stall_seen_at,
                       role.commit_notice_at, role.round, role.round_due, role.new_reads,
                       role.rounds.size());
        for (std::size_t i = 0; i < role.rounds.size(); ++i) {
            digest.add_all(role.rounds[i].round, role.rounds[i].index, role.rounds[i].tokens);
        }
    }

    /// What of a core an explorer may replace by a value of equal meaning.
    static Random& random(Core& core) { return core.random_; }
    static Time& now(Core& core) { return core.now_; }
    static Time& election_at(Core& core) { return core.election_at_; }
    static std::optional<Time>& leader_heard(Core& core) { return core.leader_heard_; }
    static std::vector<NodeId>* granted(Core& core) {
        auto* candidate = std::get_if<Core::Candidate>(&core.role_);
        return candidate == nullptr ? nullptr : &candidate->granted;
    }
    static Core::Leader* leader(Core& core) { return std::get_if<Core::Leader>(&core.role_); }

    static WriteId persisted(const Core& core) { return core.persisted_; }
    /// Counts writes anew from the last one that the core knows to be durable.
    static void renumber_writes(Core& core, Time since) {
        const auto renumber = [base = core.persisted_.value](WriteId& id) {
            id.value = id.value > base ? id.value - base : 0;
        };
        for (std::size_t i = 0; i < core.log_.writes_.size(); ++i) {
            renumber(core.log_.writes_[i].id);
            core.log_.writes_[i].since = since;
        }
        renumber(core.last_write_);
        renumber(core.hard_write_);
        core.persisted_ = WriteId{};
    }
};

template <class Names>
void StateDigest<Names>::add(const Options& options) {
    add_all(options.election_timeout.count(), options.heartbeat_interval.count(),
            options.commit_notice_delay.count(), options.disk_stall_timeout.count(),
            options.max_hold_time.count(), options.pre_vote, options.check_quorum,
            options.barrier_on_election);
    add_all(options.max_entry_bytes, options.max_message_bytes, options.window_bytes,
            options.max_uncommitted_bytes, options.apply_batch_bytes, options.log_cache_bytes,
            options.retained_bytes, options.max_hold_bytes, options.snapshot_chunk_bytes,
            options.snapshot_window_bytes, options.max_waiting_reads);
}

template <class Names>
void StateDigest<Names>::add(const Progress& progress) {
    add_all(progress.node, progress.state, progress.match, progress.next, progress.sent_commit,
            progress.acknowledged_round, progress.last_contact, progress.paused, progress.reading);
    const SnapshotTransfer& transfer = progress.transfer;
    add_all(transfer.meta, transfer.kept, transfer.offset, transfer.window, transfer.loading,
            transfer.installed, transfer.moved_at, transfer.patience.count());
    add_all(progress.doubted_round, progress.doubted_match, progress.trusted_round,
            progress.hold.has_value());
    if (progress.hold) add_all(progress.hold->since, progress.hold->appended);
    Anatomy::add(*this, progress);
}

template <class Names>
void StateDigest<Names>::add(const Log& log) {
    Anatomy::add(*this, log);
}

template <class Names>
void StateDigest<Names>::add(const Core& core) {
    Anatomy::add(*this, core);
}

/// Equal values have equal digests; different ones have different digests but for chance.
template <class Value, class Names = SameNames>
std::uint64_t digest(const Value& value, Names names = {}) {
    StateDigest<Names> digest(names);
    digest.add(value);
    return digest.value();
}

}  // namespace raft

template <>
struct std::hash<raft::Core> {
    std::size_t operator()(const raft::Core& core) const {
        return static_cast<std::size_t>(raft::digest(core));
    }
};
template <>
struct std::hash<raft::Message> {
    std::size_t operator()(const raft::Message& message) const {
        return static_cast<std::size_t>(raft::digest(message));
    }
};

#endif
