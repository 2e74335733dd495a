// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the algorithm itself costs: three engines in one thread, with a transport, a storage and a
// clock that do as little as their contracts allow. No socket, no disk, no Asio, no encoding.
// Operations come in batches, and the next batch when the last one is applied by the leader.
//
//   engine [--payload BYTES] [--batch N] [--operations N | --seconds S] [--pin]
//
// With --operations the number of executed instructions repeats itself, which
// bench/engine_budget makes use of. Allocations are counted by this program's operator new.
#include "arguments.hpp"
#include "measure.hpp"
#include "process.hpp"

#include <raft/base/result.hpp>
#include <raft/raft.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

/// Whose work is being done, so that allocations can be told apart.
enum Party : std::size_t { outside, leader_engine, follower_engines, payloads, parties };
Party party = outside;
std::array<std::uint64_t, parties> allocations{};

void* counted_allocation(std::size_t size) {
    ++allocations[party];
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted_allocation(size); }
void* operator new[](std::size_t size) { return counted_allocation(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

/// Messages on their way to one node.
using Mailbox = std::vector<raft::Message>;

class MailTransport {
public:
    explicit MailTransport(std::span<Mailbox> mailboxes) : mailboxes_(mailboxes) {}
    void start(std::function<void(raft::Message)> receive) { receive_ = std::move(receive); }
    void send(raft::Message message) {
        mailboxes_[message.to.value - 1].push_back(std::move(message));
    }
    void stop() { receive_ = nullptr; }
    void deliver(raft::Message message) { receive_(std::move(message)); }

private:
    std::span<Mailbox> mailboxes_;
    std::function<void(raft::Message)> receive_;
};

/// Keeps nothing: entries that are asked for again come from the log's cache. Writes complete when
/// complete() is called.
class NoStorage {
public:
    raft::Result<raft::Recovered> recover() { return raft::Recovered{}; }
    void append(raft::Write, raft::WriteDone done) { waiting_.push_back(std::move(done)); }
    void read(raft::Index, std::size_t, raft::EntriesRead done) {
        done(raft::Failure{std::make_error_code(std::errc::not_supported), "read"});
    }
    std::uint64_t persisted_bytes() const { return 0; }
    void save_snapshot(raft::LogPosition, raft::Membership, raft::SnapshotProducer,
                       raft::SnapshotSaved) {}
    void abandon_transfer() {}
    void receive_chunk(const raft::SnapshotMeta&, std::uint64_t, raft::Bytes, raft::ChunkReceived) {
    }
    void read_chunk(const raft::SnapshotMeta&, std::uint64_t, std::size_t, raft::ChunkRead) {}
    raft::Result<std::unique_ptr<raft::ByteSource>> open_snapshot(const raft::SnapshotMeta&) {
        return raft::Failure{std::make_error_code(std::errc::not_supported), "open_snapshot"};
    }
    void drop_snapshots_except(const std::vector<raft::Index>&) {}
    void close(std::function<void()> done) { done(); }

    bool complete() {
        if (waiting_.empty()) return false;
        working_.swap(waiting_);
        for (const raft::WriteDone& done : working_) done(raft::Result<void>());
        working_.clear();
        return true;
    }

private:
    std::vector<raft::WriteDone> waiting_;
    std::vector<raft::WriteDone> working_;
};

/// Shows a time that the program moves on.
class HandClock {
public:
    explicit HandClock(const raft::Time& time) : time_(time) {}
    raft::Time now() const { return time_; }
    void start(std::function<void()>) {}
    void arm(raft::Time) {}
    void stop() {}

private:
    const raft::Time& time_;
};

class Node {
public:
    using Engine = raft::Engine<MailTransport, NoStorage, HandClock, Node>;

    Node(raft::NodeConfig config, std::span<Mailbox> mailboxes, const raft::Time& time)
        : engine_(
              std::move(config), [&] { return MailTransport(mailboxes); },
              [] { return NoStorage(); }, [&] { return HandClock(time); }, *this) {
        if (!engine_.start()) throw std::runtime_error("an engine does not start");
    }

    // What the engine tells (raft::EngineHost).
    void wake() { woken_ = true; }
    void proposed(const raft::ProposalOutcome& outcome) {
        if (outcome.refusal != raft::Refusal::none) throw std::runtime_error("refused");
    }
    void read_ready(const raft::ReadOutcome&) {}
    void change_ended(const raft::ChangeOutcome&) {}
    void handover_ended(const raft::HandoverOutcome&) {}
    void apply(std::span<const raft::Entry> entries) {
        for (const raft::Entry& entry : entries) {
            if (entry.kind == raft::EntryKind::operation) ++applied_;
        }
    }
    raft::Result<void> restore(const raft::SnapshotMeta&,
                               const std::unique_ptr<raft::ByteSource>&) {
        return {};
    }
    void snapshot_saved(const raft::SnapshotMeta&) {}
    void snapshot_failed(const raft::Failure&) {}
    void observe(const raft::Event&) {}
    raft::Time tick(raft::Time) { return raft::Time::max(); }
    void failed(const raft::Failure&) {}

    Engine& engine() { return engine_; }
    bool take_wake() { return std::exchange(woken_, false); }
    std::uint64_t applied() const { return applied_; }
    bool leads() const { return engine_.core().role() == raft::Role::leader; }

private:
    bool woken_ = false;
    std::uint64_t applied_ = 0;
    Engine engine_;
};

class EngineCluster {
public:
    EngineCluster() {
        for (std::uint64_t id = 1; id <= mailboxes_.size(); ++id) {
            raft::NodeConfig config;
            config.self = {id};
            config.founding = raft::Membership::of_voters({{1}, {2}, {3}});
            config.options.log_cache_bytes = std::size_t{1} << 20;
            config.seed = id;
            nodes_.push_back(std::make_unique<Node>(std::move(config), mailboxes_, time_));
        }
    }

    /// Lets time pass until there is a leader that can commit.
    void elect() {
        for (int steps = 0; steps < 100000; ++steps) {
            time_ += std::chrono::milliseconds(1);
            for (const auto& node : nodes_) node->wake();
            settle();
            for (const auto& node : nodes_) {
                if (node->leads() && node->engine().core().log().commit().value > 0) {
                    leader_ = node.get();
                    return;
                }
            }
        }
        throw std::runtime_error("no leader");
    }

    /// Replicates a batch and comes back when the leader has applied it.
    void run(std::size_t batch, std::span<const std::byte> payload) {
        const std::uint64_t wanted = leader_->applied() + batch;
        for (std::size_t i = 0; i < batch; ++i) {
            party = payloads;
            raft::Bytes bytes = raft::Bytes::copy_of(payload);
            party = leader_engine;
            leader_->engine().propose(0, std::move(bytes));
        }
        time_ += std::chrono::microseconds(10);
        settle();
        party = outside;
        if (leader_->applied() != wanted) throw std::runtime_error("a batch is not applied");
    }

private:
    /// Until nobody has anything to do. Each round is what one trip through an executor and one
    /// over the network would be.
    void settle() {
        for (bool busy = true; busy;) {
            busy = false;
            for (const auto& node : nodes_) {
                party = node.get() == leader_ ? leader_engine : follower_engines;
                if (node->take_wake()) {
                    node->engine().turn();
                    busy = true;
                }
                busy = node->engine().storage().complete() || busy;
            }
            for (std::size_t i = 0; i < nodes_.size(); ++i) {
                party = nodes_[i].get() == leader_ ? leader_engine : follower_engines;
                for (raft::Message& message : mailboxes_[i]) {
                    nodes_[i]->engine().transport().deliver(std::move(message));
                    busy = true;
                }
                mailboxes_[i].clear();
            }
        }
    }

    raft::Time time_{std::chrono::seconds(1)};
    std::array<Mailbox, 3> mailboxes_;
    std::vector<std::unique_ptr<Node>> nodes_;
    Node* leader_ = nullptr;
};

int run(std::size_t batch, std::size_t payload_bytes, std::uint64_t limit, double seconds) {
    const std::vector<std::byte> payload(payload_bytes);
    EngineCluster cluster;
    cluster.elect();
    // Until every container has the size that it keeps.
    for (std::uint64_t done = 0; done < 40000; done += batch) cluster.run(batch, payload);

    const auto allocated = allocations;
    const double cpu = bench::cpu_seconds(0);
    const std::uint64_t begin = bench::now_ns();
    const auto end = begin + static_cast<std::uint64_t>(seconds * 1e9);
    std::uint64_t operations = 0;
    while (limit != 0 ? operations < limit : bench::now_ns() < end) {
        for (int batches = 0; batches < 16; ++batches, operations += batch) {
            cluster.run(batch, payload);
        }
    }
    const double used = bench::cpu_seconds(0) - cpu;
    const double elapsed = static_cast<double>(bench::now_ns() - begin) * 1e-9;
    const auto count = static_cast<double>(operations);
    const auto per_operation = [&](Party who) {
        return static_cast<double>(allocations[who] - allocated[who]) / count;
    };
    bench::Line line("engine");
    line.count("batch", batch).count("payload", payload_bytes).count("operations", operations);
    line.number("seconds", elapsed).number("ops_per_s", count / elapsed);
    line.number("ops_per_cpu_s", count / used);
    line.number("leader_allocations_per_op", per_operation(leader_engine));
    line.number("follower_allocations_per_op", per_operation(follower_engines) / 2);
    line.number("payload_allocations_per_op", per_operation(payloads));
    line.print();
    return EXIT_SUCCESS;
}

}  // namespace

int main(int count, char** words) try {
    bench::Arguments arguments(count, words);
    const std::uint64_t batch = arguments.count("batch", 64);
    const std::uint64_t payload = arguments.count("payload", 16);
    const std::uint64_t operations = arguments.count("operations", 0);
    const double seconds = arguments.number("seconds", 2);
    if (arguments.flag("pin")) bench::pin_to_one_core();
    arguments.finish();
    if (batch == 0) throw std::invalid_argument("--batch must be 1 or more");
    return run(batch, payload, operations, seconds);
} catch (const std::exception& error) {
    std::fprintf(stderr, "engine: %s\n", error.what());
    return EXIT_FAILURE;
}
