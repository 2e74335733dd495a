// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Clients of a simulated cluster, and the record of what they saw.
#ifndef RSM_SIM_RUN_CLIENTS_HPP
#define RSM_SIM_RUN_CLIENTS_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/error.hpp>
#include <rsm/sim/rules/deadlines.hpp>
#include <rsm/sim/rules/linearizability.hpp>
#include <rsm/sim/rules/pending_bytes.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/run/cluster.hpp>
#include <rsm/sim/run/observed.hpp>
#include <rsm/sim/run/plans.hpp>
#include <rsm/sim/workload.hpp>
#include <rsm/sim/world/world.hpp>

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

template <Workload Load>
class Clients {
public:
    using Machine = typename Load::Machine;
    using Record = RecordOf<Load>;
    using Watched = typename Cluster<Machine>::Watched;

    Clients(Cluster<Machine>& cluster, Load& load, ClientPlan plan, std::uint64_t seed)
        : cluster_(cluster),
          load_(load),
          plan_(plan),
          random_(seed),
          pending_(cluster.size(), cluster.plan().options) {}
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

    /// What is wrong with the history, by the order in which the operations were applied and by
    /// what the workload says of it.
    Broken check() const {
        if (Broken broken = linearizability(history_, cluster_.sequence().applied())) return broken;
        if constexpr (requires { load_.check_history(history_); }) {
            if (std::string wrong = load_.check_history(history_); !wrong.empty()) {
                return Violation{"linearizability", std::move(wrong), {}};
            }
        }
        return {};
    }

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
    void give(std::size_t place, raft::NodeId node, const typename Watched::Operation& operation) {
        const OperationSize size =
            size_once_taken(cluster_.sequence().scratch, operation,
                            cluster_.replica(node).machine().versions(), is_prompt(node));
        pending_.given(place, node, cluster_.oracle().incarnation(node), size, cluster_.core(node));
    }
    void take_back(const Record& record, const boost::system::error_code& error) {
        const std::size_t place = record.id - 1;
        const raft::NodeId node = pending_.node(place);
        if (!pending_.answered(place, cluster_.oracle().incarnation(node))) return;
        const bool at_once = record.ret == record.call && is_prompt(node);
        if (error != rsm::Errc::overloaded || !at_once) return;
        cluster_.report(Rule::causes,
                        pending_.refusal_has_cause(place, named(record), cluster_.core(node)));
    }
    /// Whether nothing that the node has done waits to be seen by the clients.
    bool is_prompt(raft::NodeId node) {
        const Process& process = cluster_.process(node);
        return cluster_.watched(node) && !process.paused() && process.lag() == raft::Duration{};
    }
    /// @pre called from a timer: the work of this moment that was posted is done
    void check_room(raft::NodeId node) {
        if (!is_prompt(node)) return;
        cluster_.report(Rule::bounds, pending_.bounded(node, cluster_.oracle().incarnation(node)));
    }
    void check_deadline(const Record& record) {
        if (!plan_.punctual) return;
        cluster_.report(Rule::deadlines, deadline(named(record), record.ret - record.call,
                                                  cluster_.plan().options.operation_timeout));
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
        span.text = named(record);
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
            return "saw the state after " + cluster_.sequence().after(record.number);
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
        operation.additions.fill(operation.id);
        cluster_.troubles().given(operation.id);
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
            [this, place](const Watched& machine) { return see(machine, history_[place].query); },
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
    Sight see(const Watched& machine, const typename detail::ReadTypes<Load>::Query& query) {
        Sight sight;
        sight.applied = machine.operations();
        if constexpr (detail::Reads<Load>) sight.view = load_.read(machine.machine(), query);
        if constexpr (requires { load_.check(machine.machine()); }) {
            sight.wrong = load_.check(machine.machine());
        }
        return sight;
    }

    Cluster<Machine>& cluster_;
    Load& load_;
    ClientPlan plan_;
    raft::Random random_;
    bool running_ = false;
    std::size_t under_way_ = 0;
    std::uint64_t events_ = 0;
    std::vector<Record> history_;
    PendingBytes pending_;
    std::vector<Trace::Number> spans_;  ///< by id, while there is a trace
};

}  // namespace rsm::sim

#endif
