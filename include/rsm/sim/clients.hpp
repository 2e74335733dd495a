// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Clients of a simulated cluster, the record of what they saw, and its check.
//
// The order in which the replicas applied the operations is known here (Witness), so whether a
// history is linearizable need not be searched for: that order must fit what the clients saw. It
// does if every operation that returned is in it with the result that was returned, none that was
// reported as not committed is, none is twice, and no two of them, and no read, stand against the
// order in which one had returned before the other was called.
#ifndef RSM_SIM_CLIENTS_HPP
#define RSM_SIM_CLIENTS_HPP

#include <raft/types.hpp>
#include <rsm/error.hpp>
#include <rsm/sim/cluster.hpp>
#include <rsm/sim/observed.hpp>
#include <rsm/sim/oracle.hpp>
#include <rsm/sim/workload.hpp>
#include <rsm/sim/world.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::sim {

struct ClientPlan {
    std::size_t clients = 3;
    raft::Duration pause_max = std::chrono::milliseconds(50);  ///< between two operations
    std::uint64_t reads = 300;                                 ///< of a thousand
    std::uint64_t at_leader = 800;      ///< of a thousand; the others go to any node
    std::uint64_t pipeline = 1;         ///< operations of one client under way at a time
    std::size_t operations_max = 5000;  ///< over all clients
    std::uint64_t burst = 1;            ///< up to so many at the same moment
    /// Of a thousand that go to the leader, so many go to one of an earlier term, if there is any.
    std::uint64_t at_old_leader = 0;
    /// Whether all clocks and processes run as they should, so that deadlines are kept.
    bool punctual = false;
};

template <Workload Load>
class Clients {
public:
    using Machine = typename Load::Machine;
    using Record = RecordOf<Load>;
    using Watched = Observed<Machine>;

    Clients(Cluster<Machine>& cluster, Load& load, ClientPlan plan, std::uint64_t seed)
        : cluster_(cluster), load_(load), plan_(plan), random_(seed) {}
    Clients(const Clients&) = delete;
    Clients& operator=(const Clients&) = delete;

    void start() {
        running_ = true;
        for (std::uint64_t i = 0; i < plan_.clients * plan_.pipeline; ++i) {
            pause(1 + i % plan_.clients);
        }
    }
    /// No new operations; those under way go on.
    void stop() { running_ = false; }
    std::size_t under_way() const { return under_way_; }
    const std::vector<Record>& history() const { return history_; }

    /// One operation at that node, beside the clients'; returns its place in history().
    std::size_t submit(raft::NodeId node) { return submit(0, node); }
    /// The same for a read.
    std::size_t read(raft::NodeId node) { return read(0, node); }

    /// What is wrong with the history, if anything is.
    std::optional<std::string> check() const;

private:
    using Kind = typename Record::Kind;
    using End = typename Record::End;

    void pause(std::uint64_t client) {
        const raft::Duration length = random_.below(plan_.pause_max) + raft::Duration(1);
        cluster_.world().call_after(length, [this, client] { act(client); });
    }
    void act(std::uint64_t client) {
        if (!running_ || history_.size() >= plan_.operations_max) return;
        const raft::NodeId node = choose_node();
        if (!node) return pause(client);
        check_room(node);
        ask(client, node);
        if (plan_.burst < 2) return;
        for (std::uint64_t more = random_.below(plan_.burst); more > 0; --more) ask(0, node);
    }
    void ask(std::uint64_t client, raft::NodeId node) {
        const bool reads = random_.below(1000) < plan_.reads;
        if (reads) {
            read(client, node);
        } else {
            submit(client, node);
        }
    }
    raft::NodeId choose_node() {
        const bool wants_leader = random_.below(1000) < plan_.at_leader;
        raft::NodeId node{1 + random_.below(cluster_.size())};
        if (wants_leader && cluster_.leader()) node = cluster_.leader();
        if (wants_leader && plan_.at_old_leader != 0 && random_.below(1000) < plan_.at_old_leader &&
            cluster_.old_leader()) {
            node = cluster_.old_leader();
        }
        return cluster_.running(node) ? node : raft::NodeId{};
    }

    std::size_t begin(std::uint64_t client, Kind kind, raft::NodeId node) {
        Record record;
        record.client = client;
        record.id = history_.size() + 1;
        record.kind = kind;
        record.call = cluster_.world().now();
        record.called = ++events_;
        history_.push_back(std::move(record));
        trace_call(history_.back(), node);
        ++under_way_;
        return history_.size() - 1;
    }
    void finish(std::size_t place, const boost::system::error_code& error) {
        Record& record = history_[place];
        record.ret = cluster_.world().now();
        record.returned = ++events_;
        --under_way_;
        switch (rsm::outcome(error)) {
            case Outcome::committed: record.end = End::committed; break;
            case Outcome::not_committed: record.end = End::not_committed; break;
            case Outcome::unknown: record.end = End::unknown; break;
        }
        if (record.kind == Kind::submit) take_back(record, error);
        count(record);
        if constexpr (requires { load_.saw(record); }) load_.saw(record);
        trace(record, error);
        check_deadline(record);
        if (record.client != 0) pause(record.client);
    }
    /// What a node is asked to keep, told by what it was given and has not answered.
    struct Kept {
        std::uint64_t life = 0;
        std::size_t bytes = 0;
    };
    struct Asked {
        raft::NodeId node;
        std::uint64_t life = 0;
        std::size_t bytes = 0;
        std::size_t before = 0;     ///< what the node kept when it was asked
        std::size_t unsettled = 0;  ///< of its log, then
    };
    std::size_t& kept_by(raft::NodeId node) {
        if (kept_.empty()) kept_.resize(cluster_.size() + 1);
        Kept& kept = kept_[node.value];
        const std::uint64_t life = cluster_.oracle().incarnation(node);
        if (kept.life != life) kept = {life, 0};
        return kept.bytes;
    }
    void give(std::size_t place, raft::NodeId node, const typename Watched::Operation& operation) {
        BufferWriter& scratch = cluster_.witness().scratch;
        scratch.clear();
        scratch << operation;
        Asked asked;
        asked.node = node;
        asked.life = cluster_.oracle().incarnation(node);
        asked.bytes = scratch.view().size() + raft::entry_overhead_bytes;
        asked.before = std::exchange(kept_by(node), kept_by(node) + asked.bytes);
        asked.unsettled = cluster_.core(node).unsettled_bytes();
        asked_.resize(place + 1);
        asked_[place] = asked;
    }
    void take_back(const Record& record, const boost::system::error_code& error) {
        const Asked& asked = asked_[record.id - 1];
        if (asked.life != cluster_.oracle().incarnation(asked.node)) return;
        kept_by(asked.node) -= asked.bytes;
        if (error == rsm::Errc::overloaded) check_overload(record, asked);
    }
    /// Whether nothing that the node has done waits to be seen by the clients.
    bool is_prompt(raft::NodeId node) {
        const Process& process = cluster_.process(node);
        return cluster_.watched(node) && !process.paused() && process.lag() == raft::Duration{};
    }
    /// @pre called from a timer: the work of this moment that was posted is done
    void check_room(raft::NodeId node) {
        if (!is_prompt(node) || kept_by(node) <= cluster_.plan().options.max_pending_bytes) return;
        cluster_.violate(
            {"bounds",
             "node " + std::to_string(node.value) + " keeps more operations than max_pending_bytes",
             {node}});
    }
    /// A node refuses what it has no room for, and nothing else.
    void check_overload(const Record& record, const Asked& asked) {
        const rsm::Options& options = cluster_.plan().options;
        const bool at_once = record.ret == record.call && is_prompt(asked.node);
        if (!at_once || asked.before + asked.bytes > options.max_pending_bytes) return;
        const raft::Core& core = cluster_.core(asked.node);
        if (core.role() != raft::Role::leader) return;
        // Some may have been settled since, at this very moment, and some have come.
        const std::size_t unsettled = asked.unsettled + core.unsettled_bytes();
        if (unsettled + asked.bytes > options.raft.max_uncommitted_bytes) return;
        cluster_.violate({"bounds", name(record) + " was refused although there is room", {}});
    }
    void check_deadline(const Record& record) {
        constexpr auto slack = std::chrono::milliseconds(100);
        const raft::Duration limit = cluster_.plan().options.operation_timeout;
        const bool limited = plan_.punctual && limit > raft::Duration{};
        if (!limited || record.ret - record.call <= limit + slack) return;
        cluster_.violate({"deadlines", name(record) + " was answered after its timeout", {}});
    }
    void count(const Record& record) {
        Coverage& coverage = cluster_.coverage();
        switch (record.end) {
            case End::committed:
                coverage.count(record.kind == Kind::read ? Counter::reads : Counter::committed);
                break;
            case End::unknown: coverage.count(Counter::unknown); break;
            default: coverage.count(Counter::refused); break;
        }
    }
    void trace_call(const Record& record, raft::NodeId node) {
        Trace& trace = cluster_.trace();
        if (!trace.enabled()) return;
        TraceRecord span;
        span.at = record.call;
        span.kind = TraceKind::client;
        span.client = record.client;
        span.node = node;
        span.text = name(record);
        spans_.resize(record.id + 1);
        spans_[record.id] = trace.add(std::move(span));
    }
    void trace(const Record& record, const boost::system::error_code& error) {
        if (!cluster_.trace().enabled()) return;
        const TraceOutcome outcome = record.end == End::committed ? TraceOutcome::ok
                                     : record.end == End::unknown ? TraceOutcome::unknown
                                                                  : TraceOutcome::failed;
        cluster_.trace().end(spans_[record.id], record.ret, outcome,
                             error ? error.message() : outcome_of(record));
    }

    /// What came of an operation or a read that succeeded.
    std::string outcome_of(const Record& record) const {
        if (record.kind == Kind::read) {
            return "saw the state after " + cluster_.witness().after(record.number);
        }
        const std::string words = detail::describe(record.result);
        return words.empty() ? words : "result " + words;
    }
    void trace_operation(const Record& record) {
        if (!cluster_.trace().enabled()) return;
        cluster_.trace().end(spans_[record.id], TraceRecord::open,
                             detail::describe(record.operation));
    }

    std::size_t submit(std::uint64_t client, raft::NodeId node) {
        const std::size_t place = begin(client, Kind::submit, node);
        typename Watched::Operation operation;
        operation.id = history_[place].id;
        operation.inner = load_.operation(random_);
        history_[place].operation = operation.inner;
        trace_operation(history_[place]);
        give(place, node, operation);
        cluster_.replica(node).async_submit(
            std::move(operation),
            [this, place](const boost::system::error_code& error, typename Watched::Result result) {
                history_[place].number = result.number;
                history_[place].result = std::move(result.inner);
                finish(place, error);
            });
        return place;
    }

    /// What a read brings back: how many operations its state had seen, and the rest.
    struct Sight {
        std::uint64_t applied = 0;
        typename detail::ReadTypes<Load>::View view{};
        std::string wrong;
    };
    std::size_t read(std::uint64_t client, raft::NodeId node) {
        const std::size_t place = begin(client, Kind::read, node);
        if constexpr (detail::Reads<Load>) history_[place].query = load_.query(random_);
        cluster_.replica(node).async_read(
            [this, place](const Watched& machine) { return look(machine, history_[place].query); },
            [this, place, node](const boost::system::error_code& error, Sight sight) {
                history_[place].number = sight.applied;
                history_[place].view = std::move(sight.view);
                if (!sight.wrong.empty()) {
                    cluster_.violate(
                        {"the state machine's own check", std::move(sight.wrong), {node}});
                }
                finish(place, error);
            });
        return place;
    }
    Sight look(const Watched& machine, const typename detail::ReadTypes<Load>::Query& query) {
        Sight sight;
        sight.applied = machine.applied();
        if constexpr (detail::Reads<Load>) sight.view = load_.read(machine.machine(), query);
        if constexpr (requires { load_.check(machine.machine()); }) {
            sight.wrong = load_.check(machine.machine());
        }
        return sight;
    }

    static std::string name(const Record& record) {
        return (record.kind == Kind::read ? "read " : "operation ") + std::to_string(record.id);
    }
    std::optional<std::string> check_places(
        const std::map<std::uint64_t, std::uint64_t>& places) const;
    std::optional<std::string> check_order(
        const std::map<std::uint64_t, std::uint64_t>& places) const;

    Cluster<Machine>& cluster_;
    Load& load_;
    ClientPlan plan_;
    raft::Random random_;
    bool running_ = false;
    std::size_t under_way_ = 0;
    std::uint64_t events_ = 0;
    std::vector<Record> history_;
    std::vector<Asked> asked_;          ///< by place in history_; of operations
    std::vector<Kept> kept_;            ///< by node
    std::vector<Trace::Number> spans_;  ///< by id, while there is a trace
};

template <Workload Load>
std::optional<std::string> Clients<Load>::check() const {
    std::map<std::uint64_t, std::uint64_t> places;
    const auto& applied = cluster_.witness().applied();
    for (std::size_t i = 0; i < applied.size(); ++i) {
        const std::uint64_t id = applied[i].id;
        if (id == 0 || id > history_.size())
            return "an operation was applied that nobody submitted";
        if (!places.try_emplace(id, i + 1).second) {
            return "operation " + std::to_string(id) + " was applied twice";
        }
    }
    if (auto wrong = check_places(places)) return wrong;
    if (auto wrong = check_order(places)) return wrong;
    if constexpr (requires { load_.check_history(history_); }) {
        if (std::string wrong = load_.check_history(history_); !wrong.empty()) return wrong;
    }
    return std::nullopt;
}

template <Workload Load>
std::optional<std::string> Clients<Load>::check_places(
    const std::map<std::uint64_t, std::uint64_t>& places) const {
    for (const Record& record : history_) {
        if (record.kind == Kind::read) continue;
        const auto place = places.find(record.id);
        const bool applied = place != places.end();
        if (record.end == End::not_committed && applied) {
            return name(record) + " was reported as not committed, and was applied";
        }
        if (record.end != End::committed) continue;
        if (!applied) return name(record) + " was acknowledged and never applied";
        if (place->second != record.number) {
            return name(record) + " was acknowledged with the result of another operation";
        }
    }
    return std::nullopt;
}

template <Workload Load>
std::optional<std::string> Clients<Load>::check_order(
    const std::map<std::uint64_t, std::uint64_t>& places) const {
    std::vector<const Record*> by_return;
    for (const Record& record : history_) {
        if (record.end == End::committed) by_return.push_back(&record);
    }
    std::ranges::sort(by_return, {}, &Record::returned);
    // The latest place that had returned before the call at hand: history is ordered by call.
    std::uint64_t floor = 0;
    const Record* last = nullptr;
    auto returned = by_return.begin();
    for (const Record& record : history_) {
        for (; returned != by_return.end() && (*returned)->returned < record.called; ++returned) {
            if ((*returned)->number < floor) continue;
            floor = (*returned)->number;
            last = *returned;
        }
        std::uint64_t place = record.number;
        if (record.kind == Kind::submit) {
            const auto found = places.find(record.id);
            if (found == places.end()) continue;
            place = found->second;
            if (place > floor) continue;
        } else if (record.end != End::committed || place >= floor) {
            continue;
        }
        return name(record) + " took effect before " + name(*last) +
               ", which had returned before it was called";
    }
    return std::nullopt;
}

}  // namespace rsm::sim

#endif
