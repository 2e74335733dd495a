// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 3: a group of raft engines with the labs' service on top, and the labs' helpers.
#ifndef RSM_TESTS_LAB_RAFT_LAB_HPP
#define RSM_TESTS_LAB_RAFT_LAB_HPP

#include "lab.hpp"

#include <raft/engine.hpp>
#include <rsm/archive.hpp>
#include <rsm/sim/world.hpp>
#include <rsm/storage/memory.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lab {

/// An operation that a leader took in.
struct Started {
    std::uint64_t index = 0;
    std::uint64_t term = 0;
};

/// One server of the lab: the production Engine, hosted by the labs' service, which keeps every
/// command by its index and in 3D takes a snapshot at each tenth.
class RaftServer {
public:
    using Engine =
        raft::Engine<Transport, rsm::MemoryStorage, rsm::sim::Clock, RaftServer>;
    using Commands = std::map<std::uint64_t, std::string>;

    static constexpr std::uint64_t snapshot_interval = 10;

    RaftServer(Lab& lab, ServerId self, raft::NodeConfig config,
               std::shared_ptr<rsm::MemoryDisk> disk, bool snapshots)
        : lab_(lab), alive_(std::make_shared<bool>(true)), snapshots_(snapshots) {
        rsm::MemoryStorage storage(std::move(disk));
        storage.attach(lab.world().get_executor());
        engine_ = std::make_unique<Engine>(std::move(config),
                                           Transport(lab.network(), self, lab.size()),
                                           std::move(storage), rsm::sim::Clock(lab.world()),
                                           *this);
        const raft::Result<void> started = engine_->start();
        require(started.has_value(), "a server did not start");
    }
    ~RaftServer() { *alive_ = false; }
    RaftServer(const RaftServer&) = delete;
    RaftServer& operator=(const RaftServer&) = delete;

    // ---- the labs' Raft interface ----

    /// Start(command): nothing if this server does not lead.
    std::optional<Started> start(const std::string& command) {
        started_.reset();
        engine_->propose(0, raft::Bytes::copy_of(command));
        engine_->turn();
        return started_;
    }
    std::uint64_t term() const { return engine_->core().term().value; }
    bool leads() const { return engine_->core().role() == raft::Role::leader; }
    std::uint64_t persisted_bytes() const { return engine_->storage().persisted_bytes(); }

    const Commands& commands() const { return commands_; }
    /// The first thing that was delivered wrongly, if anything was.
    const std::string& complaint() const { return complaint_; }

    // ---- raft::EngineHost ----

    void wake() {
        lab_.world().post([this, alive = alive_] {
            if (*alive) engine_->turn();
        });
    }
    void proposed(const raft::ProposalOutcome& outcome) {
        if (outcome.refusal != raft::Refusal::none) return;
        started_ = Started{outcome.position.index.value, outcome.position.term.value};
    }
    void read_ready(const raft::ReadOutcome&) {}
    void apply(std::span<const raft::Entry> entries) {
        for (const raft::Entry& entry : entries) deliver(entry);
    }
    raft::Result<void> restore(const raft::SnapshotMeta& meta, raft::ByteSource& source) {
        rsm::SnapshotReader in(source, meta.size);
        std::uint64_t index = 0;
        std::map<std::uint64_t, std::string> commands;
        in >> index >> commands;
        in.finish();
        if (index != meta.last.index.value) complain("a snapshot of another index");
        commands_ = std::move(commands);
        last_ = index;
        return {};
    }
    void snapshot_saved(const raft::SnapshotMeta&) { saving_ = false; }
    void observe(const raft::Event& event) {
        if (event.kind == raft::EventKind::protocol_violation) complain("protocol violation");
    }
    raft::Time tick(raft::Time) { return raft::Time::max(); }
    void failed(const raft::Failure& failure) { complain(failure.message()); }

private:
    void complain(const std::string& what) {
        if (complaint_.empty()) complaint_ = what;
    }

    void deliver(const raft::Entry& entry) {
        const std::uint64_t index = entry.index.value;
        if (entry.kind != raft::EntryKind::operation) complain("an index without a command");
        if (index != last_ + 1) complain("out of order at index " + std::to_string(index));
        last_ = index;
        commands_[index] = std::string(entry.payload.text());
        if (snapshots_ && (index + 1) % snapshot_interval == 0) take_snapshot(entry.position());
    }

    // Holds the index and every command up to it, so that it grows for the whole test.
    void take_snapshot(raft::LogPosition position) {
        if (std::exchange(saving_, true)) return;
        engine_->take_snapshot(position, [index = position.index.value,
                                          commands = commands_](raft::ByteSink& sink) {
            rsm::SnapshotWriter out(sink);
            out << index << commands;
            out.flush();
        });
    }

    Lab& lab_;
    std::shared_ptr<bool> alive_;
    bool snapshots_;
    bool saving_ = false;
    Commands commands_;
    std::uint64_t last_ = 0;
    std::string complaint_;
    std::optional<Started> started_;
    std::unique_ptr<Engine> engine_;
};

/// The labs' tester of Raft.
class RaftLab : public Lab {
public:
    RaftLab(std::size_t servers, std::uint64_t seed, bool reliable, bool snapshots = false)
        : Lab(servers, seed),
          snapshots_(snapshots),
          servers_(servers),
          records_(servers),
          disks_(servers),
          connected_(servers, false) {
        network().reliable = reliable;
        for (ServerId i = 0; i < servers; ++i) disks_[i] = std::make_shared<rsm::MemoryDisk>();
        for (ServerId i = 0; i < servers; ++i) start_server(i);
        connect_all();
    }

    RaftServer& server(ServerId i) { return *servers_[i]; }
    bool up(ServerId i) const { return servers_[i] != nullptr; }
    bool connected(ServerId i) const { return connected_[i]; }
    std::size_t connected_count() const {
        return static_cast<std::size_t>(std::ranges::count(connected_, true));
    }

    // ---- faults (section 1.2 of the scenarios) ----

    void disconnect(ServerId i) {
        connected_[i] = false;
        network().connect(i, false);
    }
    void connect(ServerId i) {
        connected_[i] = true;
        for (ServerId j = 0; j < size(); ++j) {
            if (!connected_[j]) continue;
            network().link(i, j, true);
            network().link(j, i, true);
        }
    }
    void connect_all() {
        for (ServerId i = 0; i < size(); ++i) connect(i);
    }
    /// What was not durable is lost. The record of what it delivered stays until a restart.
    void crash(ServerId i) {
        disconnect(i);
        if (servers_[i] == nullptr) return;
        check_server(i);
        records_[i] = servers_[i]->commands();
        servers_[i].reset();
    }
    /// As the 2026 edition does: the server comes back and only its own links with it.
    void restart(ServerId i) {
        crash(i);
        start_server(i);
        connect(i);
    }

    // ---- the labs' checks (section 1.4) ----

    const RaftServer::Commands& record(ServerId i) const {
        return servers_[i] != nullptr ? servers_[i]->commands() : records_[i];
    }

    /// How many servers have delivered that index, and what.
    std::pair<std::size_t, std::string> committed(std::uint64_t index) {
        std::size_t count = 0;
        std::string value;
        for (ServerId i = 0; i < size(); ++i) {
            const auto found = record(i).find(index);
            if (found == record(i).end()) continue;
            if (count > 0 && found->second != value) {
                throw Failure("different commands delivered at index " + std::to_string(index));
            }
            value = found->second;
            ++count;
        }
        return {count, value};
    }

    Task<ServerId> check_one_leader() {
        for (int round = 0; round < 10; ++round) {
            co_await sleep(450ms + random_milliseconds(100));
            std::map<std::uint64_t, std::vector<ServerId>> leaders;
            for (ServerId i = 0; i < size(); ++i) {
                if (connected_[i] && up(i) && server(i).leads()) {
                    leaders[server(i).term()].push_back(i);
                }
            }
            for (const auto& [term, who] : leaders) {
                require(who.size() == 1, "two leaders in term " + std::to_string(term));
            }
            if (!leaders.empty()) co_return leaders.rbegin()->second.front();
        }
        throw Failure("expected one leader, got none");
    }

    std::uint64_t check_terms() {
        std::optional<std::uint64_t> term;
        for (ServerId i = 0; i < size(); ++i) {
            if (!connected_[i] || !up(i)) continue;
            require(!term || *term == server(i).term(), "servers disagree on the term");
            term = server(i).term();
        }
        return term.value_or(0);
    }

    void check_no_leader() {
        for (ServerId i = 0; i < size(); ++i) {
            const bool leads = connected_[i] && up(i) && server(i).leads();
            require(!leads, "a server without a quorum claims to lead");
        }
    }

    /// Submits until `expected` servers have delivered it; returns its index.
    Task<std::uint64_t> one(std::string command, std::size_t expected, bool retry) {
        const raft::Time end = now() + 10s;
        ServerId next = 0;
        while (now() < end) {
            const std::optional<std::uint64_t> index = start_somewhere(command, next);
            if (!index) {
                co_await sleep(50ms);
                continue;
            }
            const raft::Time patience = now() + 2s;
            while (now() < patience) {
                const auto [count, value] = committed(*index);
                if (count >= expected && value == command) co_return *index;
                co_await sleep(20ms);
            }
            require(retry, "no agreement on a command without a second try");
        }
        throw Failure("no agreement within 10 s");
    }

    /// Waits until at least `expected` servers have delivered the index; nothing if the term has
    /// moved on.
    Task<std::optional<std::string>> wait(std::uint64_t index, std::size_t expected,
                                          std::optional<std::uint64_t> start_term) {
        raft::Duration delay = 10ms;
        for (int round = 0; round < 30; ++round) {
            if (committed(index).first >= expected) break;
            co_await sleep(delay);
            if (delay < 1s) delay *= 2;
            if (!start_term) continue;
            for (ServerId i = 0; i < size(); ++i) {
                if (up(i) && server(i).term() > *start_term) co_return std::nullopt;
            }
        }
        const auto [count, value] = committed(index);
        require(count >= expected, "an index was not delivered widely enough");
        co_return value;
    }

    /// Over all servers, dead ones included.
    std::uint64_t largest_log() {
        std::uint64_t largest = 0;
        for (ServerId i = 0; i < size(); ++i) {
            largest = std::max(largest, up(i) ? server(i).persisted_bytes() : dead_log(i));
        }
        return largest;
    }

    /// Nothing was delivered wrongly anywhere.
    void check() {
        for (ServerId i = 0; i < size(); ++i) check_server(i);
        std::uint64_t last = 0;
        for (ServerId i = 0; i < size(); ++i) {
            if (!record(i).empty()) last = std::max(last, record(i).rbegin()->first);
        }
        for (std::uint64_t index = 1; index <= last; ++index) committed(index);
    }

private:
    static raft::NodeConfig config(ServerId self, std::size_t servers, std::uint64_t seed) {
        raft::NodeConfig config;
        config.self = node_id(self);
        std::vector<raft::NodeId> voters;
        for (ServerId i = 0; i < servers; ++i) voters.push_back(node_id(i));
        config.membership = raft::Membership::of_voters(voters);
        config.seed = seed;
        config.options.heartbeat_interval = 100ms;
        config.options.election_timeout = 400ms;
        config.options.barrier_on_election = false;  // the labs count indexes from 1, without gaps
        config.options.retained_bytes = 0;
        return config;
    }

    void start_server(ServerId i) {
        servers_[i] = std::make_unique<RaftServer>(*this, i, config(i, size(), random()),
                                                   disks_[i], snapshots_);
        records_[i].clear();
    }

    void check_server(ServerId i) {
        if (servers_[i] == nullptr) return;
        require(servers_[i]->complaint().empty(),
                "server " + std::to_string(i) + ": " + servers_[i]->complaint());
    }

    std::uint64_t dead_log(ServerId i) {
        rsm::MemoryStorage storage(disks_[i]);
        storage.attach(world().get_executor());
        const auto recovered = storage.recover();
        require(recovered.has_value(), "a disk cannot be read");
        return storage.persisted_bytes();
    }

    // Every call of `one` begins its round at server 1; later tries go on after the last one.
    std::optional<std::uint64_t> start_somewhere(const std::string& command, ServerId& next) {
        for (std::size_t tried = 0; tried < size(); ++tried) {
            next = (next + 1) % size();
            if (!connected_[next] || !up(next)) continue;
            if (const auto started = server(next).start(command)) return started->index;
        }
        return std::nullopt;
    }

    bool snapshots_;
    std::vector<std::unique_ptr<RaftServer>> servers_;
    std::vector<RaftServer::Commands> records_;
    std::vector<std::shared_ptr<rsm::MemoryDisk>> disks_;
    std::vector<bool> connected_;
};

}  // namespace lab

#endif
