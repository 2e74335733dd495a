// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 3: a group of raft engines with the labs' service on top, and the labs' helpers.
#ifndef RSM_TESTS_LAB_RAFT_LAB_HPP
#define RSM_TESTS_LAB_RAFT_LAB_HPP

#include "lab.hpp"

#include <raft/base/result.hpp>
#include <raft/driver/engine.hpp>
#include <rsm/archive.hpp>
#include <rsm/sim/world/clock.hpp>
#include <rsm/sim/world/world.hpp>
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

/// What all incarnations of all servers have done together. Unlike the labs' own record (see
/// RaftLab::committed), this one knows everything since the beginning, whoever has crashed since.
class Witness {
public:
    void delivered(std::uint64_t index, const std::string& command) {
        const auto [known, news] = delivered_.emplace(index, command);
        if (!news && known->second != command) {
            complain("different commands delivered at index " + std::to_string(index));
        }
    }
    void elected(std::uint64_t term, ServerId server) {
        if (leaders_.emplace(term, server).first->second != server) {
            complain("two leaders in term " + std::to_string(term));
        }
    }
    void complain(const std::string& what) {
        if (complaint_.empty()) complaint_ = what;
    }
    /// The first thing that went wrong, if anything did.
    const std::string& complaint() const { return complaint_; }

private:
    std::map<std::uint64_t, std::string> delivered_;
    std::map<std::uint64_t, ServerId> leaders_;
    std::string complaint_;
};

/// One server of the lab: the production Engine, hosted by the labs' service, which keeps every
/// command by its index and in 3D takes a snapshot at each tenth.
class RaftServer {
public:
    using Engine = raft::Engine<RunningTransport, rsm::RunningMemoryStorage, rsm::sim::RunningClock,
                                RaftServer>;
    using Commands = std::map<std::uint64_t, std::string>;

    static constexpr std::uint64_t snapshot_interval = 10;

    RaftServer(Lab& lab, Witness& witness, ServerId self, raft::NodeConfig config,
               const std::shared_ptr<rsm::MemoryDisk>& disk, bool snapshots)
        : lab_(lab),
          witness_(witness),
          self_(self),
          alive_(std::make_shared<bool>(true)),
          snapshots_(snapshots) {
        engine_ = std::make_unique<Engine>(
            std::move(config), [&] { return RunningTransport(lab.network(), self); },
            [&] { return rsm::RunningMemoryStorage(lab.world().get_executor(), disk); },
            [&] { return rsm::sim::RunningClock(lab.world()); }, *this);
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
    std::uint64_t last_index() const { return engine_->core().log().last_index().value; }
    std::uint64_t persisted_bytes() const { return engine_->storage().persisted_bytes(); }

    const Commands& commands() const { return commands_; }

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
    void change_ended(const raft::ChangeOutcome&) {}
    void handover_ended(const raft::HandoverOutcome&) {}
    void apply(std::span<const raft::Entry> entries) {
        for (const raft::Entry& entry : entries) deliver(entry);
    }
    raft::Result<void> restore(const raft::SnapshotMeta& meta,
                               const std::unique_ptr<raft::ByteSource>& source) {
        rsm::SnapshotReader in(*source, meta.size);
        std::uint64_t index = 0;
        std::map<std::uint64_t, std::string> commands;
        in >> index >> commands;
        in.finish();
        if (index != meta.last.index.value) complain("a snapshot of another index");
        commands_ = std::move(commands);
        for (const auto& [at, command] : commands_) witness_.delivered(at, command);
        last_ = index;
        return {};
    }
    void snapshot_saved(const raft::SnapshotMeta&) { saving_ = false; }
    void snapshot_failed(const raft::Failure& failure) { complain(failure.message()); }
    void observe(const raft::Event& event) {
        if (event.kind == raft::EventKind::protocol_violation) complain("protocol violation");
        if (event.kind == raft::EventKind::became_leader) {
            witness_.elected(event.term.value, self_);
        }
    }
    raft::Time tick(raft::Time) { return raft::Time::max(); }
    void failed(const raft::Failure& failure) { complain(failure.message()); }

private:
    void complain(const std::string& what) {
        witness_.complain("server " + std::to_string(self_) + ": " + what);
    }

    void deliver(const raft::Entry& entry) {
        const std::uint64_t index = entry.index.value;
        if (entry.kind != raft::EntryKind::operation) complain("an index without a command");
        if (index != last_ + 1) complain("out of order at index " + std::to_string(index));
        last_ = index;
        commands_[index] = std::string(entry.payload.text());
        witness_.delivered(index, commands_[index]);
        if (snapshots_ && (index + 1) % snapshot_interval == 0) take_snapshot(entry.position());
    }

    // Holds the index and every command up to it, so that it grows for the whole test.
    void take_snapshot(raft::LogPosition position) {
        if (std::exchange(saving_, true)) return;
        engine_->take_snapshot(
            position, [index = position.index.value, commands = commands_](raft::ByteSink& sink) {
                rsm::SnapshotWriter out(sink);
                out << index << commands;
                out.flush();
            });
    }

    Lab& lab_;
    Witness& witness_;
    ServerId self_;
    std::shared_ptr<bool> alive_;
    bool snapshots_;
    bool saving_ = false;
    Commands commands_;
    std::uint64_t last_ = 0;
    std::optional<Started> started_;
    std::unique_ptr<Engine> engine_;
};

/// How elections begin: as the library is configured by default; the same in a tenth of the time;
/// as Figure 2 of the paper has it (without pre-votes, and no leader steps down for want of a
/// quorum).
enum class Elections { standard, quick, figure2 };

/// The labs' tester of Raft.
class RaftLab : public Lab {
public:
    RaftLab(std::size_t servers, std::uint64_t seed, bool reliable, bool snapshots = false,
            Elections elections = Elections::standard)
        : Lab(servers, seed, reliable),
          snapshots_(snapshots),
          elections_(elections),
          servers_(servers),
          records_(servers),
          patient_(servers, false) {
        for (ServerId i = 0; i < servers; ++i) start_server(i);
        connect_all();
    }

    RaftServer& server(ServerId i) { return *servers_[i]; }
    bool up(ServerId i) const { return servers_[i] != nullptr; }

    /// What was not durable is lost. The record of what it delivered stays until a restart.
    void crash(ServerId i) {
        disconnect(i);
        if (servers_[i] == nullptr) return;
        records_[i] = servers_[i]->commands();
        servers_[i].reset();
    }
    /// As the 2026 edition does: the server comes back and only its own links with it.
    void restart(ServerId i) {
        crash(i);
        start_server(i);
        connect(i);
    }

    /// From its next start on, the server is slow to stand for election (or not any more), so that
    /// a scenario decides who does.
    void make_patient(ServerId i, bool patient) { patient_[i] = patient; }

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
                if (connected(i) && up(i) && server(i).leads()) {
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
            if (!connected(i) || !up(i)) continue;
            require(!term || *term == server(i).term(), "servers disagree on the term");
            term = server(i).term();
        }
        return term.value_or(0);
    }

    void check_no_leader() {
        for (ServerId i = 0; i < size(); ++i) {
            const bool leads = connected(i) && up(i) && server(i).leads();
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
        require(witness_.complaint().empty(), witness_.complaint());
        std::uint64_t last = 0;
        for (ServerId i = 0; i < size(); ++i) {
            if (!record(i).empty()) last = std::max(last, record(i).rbegin()->first);
        }
        for (std::uint64_t index = 1; index <= last; ++index) committed(index);
    }

private:
    raft::NodeConfig config(ServerId self, std::uint64_t seed) const {
        raft::NodeConfig config;
        config.self = node_id(self);
        std::vector<raft::NodeId> voters;
        for (ServerId i = 0; i < size(); ++i) voters.push_back(node_id(i));
        config.founding = raft::Membership::of_voters(voters);
        config.seed = seed;
        config.options.heartbeat_interval = 100ms;
        config.options.election_timeout = 400ms;
        config.options.barrier_on_election = false;  // the labs count indexes from 1, without gaps
        config.options.retained_bytes = 0;
        if (patient_[self]) config.options.election_timeout = 10s;
        config.options.pre_vote = elections_ != Elections::figure2;
        config.options.check_quorum = elections_ != Elections::figure2;
        if (elections_ == Elections::quick) {
            config.options.heartbeat_interval = 15ms;
            config.options.election_timeout = 45ms;
        }
        return config;
    }

    void start_server(ServerId i) {
        servers_[i] = std::make_unique<RaftServer>(*this, witness_, i, config(i, random()), disk(i),
                                                   snapshots_);
        records_[i].clear();
    }

    std::uint64_t dead_log(ServerId i) {
        rsm::RunningMemoryStorage storage(world().get_executor(), disk(i));
        const auto recovered = storage.recover();
        require(recovered.has_value(), "a disk cannot be read");
        return storage.persisted_bytes();
    }

    // Every call of `one` begins its round at server 1; later tries go on after the last one.
    std::optional<std::uint64_t> start_somewhere(const std::string& command, ServerId& next) {
        for (std::size_t tried = 0; tried < size(); ++tried) {
            next = (next + 1) % size();
            if (!connected(next) || !up(next)) continue;
            if (const auto started = server(next).start(command)) return started->index;
        }
        return std::nullopt;
    }

    bool snapshots_;
    Elections elections_;
    Witness witness_;
    std::vector<std::unique_ptr<RaftServer>> servers_;
    std::vector<RaftServer::Commands> records_;
    std::vector<bool> patient_;
};

inline std::string random_command(RaftLab& lab) { return std::to_string(lab.random()); }

/// Of five servers two have filled their logs with so many commands that no other has seen, and the
/// others, alone since, with as many of their own. Returns the leader of the two.
inline Task<ServerId> part_logs(RaftLab& lab, int commands) {
    co_await lab.one(random_command(lab), 5, true);
    const ServerId leader = co_await lab.check_one_leader();
    for (std::size_t i = 2; i <= 4; ++i) lab.disconnect((leader + i) % 5);
    for (int i = 0; i < commands; ++i) lab.server(leader).start(random_command(lab));
    co_await lab.sleep(election_timeout / 2);
    lab.disconnect(leader);
    lab.disconnect((leader + 1) % 5);
    for (std::size_t i = 2; i <= 4; ++i) lab.connect((leader + i) % 5);
    for (int i = 0; i < commands; ++i) co_await lab.one(random_command(lab), 3, true);
    co_return leader;
}

}  // namespace lab

#endif
