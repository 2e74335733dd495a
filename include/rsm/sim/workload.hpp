// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Workload: what a user says of a state machine so that it can be simulated, and the records of
// what its clients saw.
#ifndef RSM_SIM_WORKLOAD_HPP
#define RSM_SIM_WORKLOAD_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/state_machine.hpp>

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

namespace rsm::inline v0::sim {

/// What a state machine is simulated with.
///
///   using Machine             the state machine
///   operation(random)         draws an operation: Machine::Operation
///
/// and, each optional:
///
///   machine()                 static: a machine in its initial state, unless Machine{} is one
///   describe(operation), and  an operation or a result in words, for reports: std::string; const
///   describe(result)          or static. Without it numbers and texts stand for themselves, and
///                             anything else is shown as its bytes
///   query(random), and        draws what a read asks for,
///   read(machine, query)      and what it then sees: any two default constructible types
///   saw(record)               is told of each operation and read that has ended
///   check(machine)            what is wrong with a state that a read sees; empty: nothing
///   check_history(records)    what else is wrong with all that the clients saw; empty: nothing
///
/// All that it draws must come from `random`, and all that a machine does from its operations.
template <class W>
concept Workload = StateMachine<typename W::Machine> && requires(W workload, raft::Random& random) {
    { workload.operation(random) } -> std::convertible_to<typename W::Machine::Operation>;
};

namespace detail {

/// What an operation results in; std::monostate: in nothing.
template <StateMachine Machine>
using InnerResult =
    std::conditional_t<std::is_void_v<ResultOf<Machine>>, std::monostate, ResultOf<Machine>>;

template <class Load>
concept Reads = requires(Load load, const typename Load::Machine& machine, raft::Random& random) {
    load.read(machine, load.query(random));
};
template <class Load>
struct ReadTypes {
    using Query = std::monostate;
    using View = std::monostate;
};
template <Reads Load>
struct ReadTypes<Load> {
    using Query = decltype(std::declval<Load&>().query(std::declval<raft::Random&>()));
    using View = decltype(std::declval<Load&>().read(std::declval<const typename Load::Machine&>(),
                                                     std::declval<const Query&>()));
};

}  // namespace detail

/// One operation or read of a client, by the types that it is about.
template <class Operation, class Result, class Query, class View>
struct BasicClientRecord {
    enum class Kind : std::uint8_t { submit, read };
    enum class End : std::uint8_t { open, committed, not_committed, unknown };

    std::uint64_t client = 0;
    std::uint64_t id = 0;
    Kind kind = Kind::submit;
    End end = End::open;
    raft::Time call{};
    raft::Time ret{};
    /// Counts calls and returns of all clients: their order, also where time stands still.
    std::uint64_t called = 0;
    std::uint64_t returned = std::numeric_limits<std::uint64_t>::max();
    Operation operation{};
    Result result{};
    Query query{};
    View view{};
    /// Committed: the operation's place in the order of application, the first being 1; a read's:
    /// how many were applied in the state that it saw.
    std::uint64_t number = 0;
};

/// Query and View are what the workload's reads ask and see.
template <StateMachine Machine, class Query = std::monostate, class View = std::monostate>
using ClientRecord =
    BasicClientRecord<typename Machine::Operation, detail::InnerResult<Machine>, Query, View>;

/// The records that a workload gives rise to.
template <Workload Load>
using RecordOf = ClientRecord<typename Load::Machine, typename detail::ReadTypes<Load>::Query,
                              typename detail::ReadTypes<Load>::View>;

}  // namespace rsm::sim

#endif
