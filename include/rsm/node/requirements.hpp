// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What Replicated asks of the types that it is made of, each in a sentence for the compiler to say.
#ifndef RSM_NODE_REQUIREMENTS_HPP
#define RSM_NODE_REQUIREMENTS_HPP

#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <rsm/archive.hpp>
#include <rsm/plan.hpp>
#include <rsm/state_machine.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace rsm::inline v0::detail {

/// Has a member function of the name, whatever it takes.
template <class SM>
concept NamesSnapshot = std::is_member_function_pointer_v<decltype(&SM::snapshot)>;
template <class SM>
concept NamesRestore = std::is_member_function_pointer_v<decltype(&SM::restore)>;
template <class SM>
concept NamesApply = requires {
    &SM::apply;
};

template <class SM>
concept ChangesInSnapshot = !WritesSnapshot<SM> && requires(SM & machine, SnapshotWriter& out) {
    machine.snapshot(out);
};
template <class SM>
concept ChangesInFreeze = !Freezes<SM> && requires(SM & machine, SnapshotWriter& out) {
    machine.freeze().snapshot(out);
};

/// What an operation must be, looked at once there is one.
template <class SM, bool has_operation = HasOperation<SM>>
struct OperationRequirements {
    static constexpr bool held = true;
};
template <class SM>
struct OperationRequirements<SM, true> {
    using Operation = typename SM::Operation;
    static_assert(std::movable<Operation> && std::default_initializable<Operation>,
                  "rsm: the state machine's Operation must be movable and default constructible");
    static_assert(
        Serializable<Operation>,
        "rsm: the state machine's Operation has no serialize: give it the member template "
        "<class Archive> void serialize(Archive&, unsigned), or such a function beside "
        "it");
    static constexpr bool applies =
        Persistent<SM> || requires(SM & machine, const Operation& operation) {
        machine.apply(operation);
    };
    static constexpr bool applies_at_position = requires(SM & machine, const Operation& operation) {
        machine.apply(operation, raft::LogPosition{});
    };
    static_assert(applies || !applies_at_position,
                  "rsm: the state machine's apply takes a raft::LogPosition, but there is no "
                  "raft::LogPosition applied() const that says how far it has come");
    static_assert(applies || NamesApply<SM>,
                  "rsm: the state machine has no apply(const Operation&)");
    static_assert(applies || !NamesApply<SM>,
                  "rsm: the state machine's apply cannot be called with a const Operation&");
    static constexpr bool held = true;
};

/// Instantiating it says the first thing that a state machine lacks.
template <class SM>
struct MachineRequirements {
    static_assert(std::is_class_v<SM> && std::movable<SM>,
                  "rsm: the state machine must be a movable class");
    static_assert(HasOperation<SM>, "rsm: the state machine has no type Operation");
    static_assert(OperationRequirements<SM>::held);

    static_assert(!ChangesInSnapshot<SM>,
                  "rsm: the state machine's snapshot must be const: "
                  "void snapshot(rsm::SnapshotWriter&) const");
    static_assert(!Persistent<SM> || ReadsSnapshot<SM>,
                  "rsm: a state machine that keeps its state itself (applied) needs "
                  "void restore(rsm::SnapshotReader&, raft::LogPosition)");
    static_assert(!Persistent<SM> || WritesSnapshot<SM> || ChangesInSnapshot<SM>,
                  "rsm: a state machine that keeps its state itself (applied) needs "
                  "void snapshot(rsm::SnapshotWriter&) const");
    static_assert(!Persistent<SM> || !Freezes<SM> || FreezesWithPosition<SM>,
                  "rsm: the state machine keeps its state itself (applied), so what its freeze "
                  "returns needs a raft::LogPosition applied() const");
    // A function of one of the two names may mean something else in a machine that serializes,
    // as long as it is not the other half of what is there.
    static_assert(!ReadsSnapshot<SM> || WritesSnapshot<SM> || ChangesInSnapshot<SM>,
                  "rsm: the state machine has a restore but no "
                  "void snapshot(rsm::SnapshotWriter&) const that writes what it reads");
    static_assert(!WritesSnapshot<SM> || ReadsSnapshot<SM> || !NamesRestore<SM>,
                  "rsm: the state machine's restore cannot be called with a rsm::SnapshotReader&");
    static_assert(
        !WritesSnapshot<SM> || ReadsSnapshot<SM> || NamesRestore<SM>,
        "rsm: the state machine has a snapshot but no void restore(rsm::SnapshotReader&): "
        "nothing could read its snapshots");
    static constexpr bool by_hand =
        WritesSnapshot<SM> || ReadsSnapshot<SM> || ChangesInSnapshot<SM>;
    static_assert(by_hand || Serializable<SM> || !NamesSnapshot<SM> || !NamesRestore<SM>,
                  "rsm: the state machine's snapshot and restore cannot be called with a "
                  "rsm::SnapshotWriter& and a rsm::SnapshotReader&");
    static_assert(by_hand || Serializable<SM> || (NamesSnapshot<SM> && NamesRestore<SM>),
                  "rsm: the state machine's state cannot be saved: it needs "
                  "void snapshot(rsm::SnapshotWriter&) const and "
                  "void restore(rsm::SnapshotReader&), or serialize");
    static_assert(!ChangesInFreeze<SM>,
                  "rsm: the state machine's freeze must be const, and so must the snapshot of the "
                  "image that it returns");
    static_assert(!Freezes<SM> || SnapshotsByHand<SM>,
                  "rsm: the state machine has a freeze but not both snapshot and restore: restore "
                  "reads what the image writes");
    static constexpr bool held = true;
};

template <class P>
concept OpensTransport = Plan<P> && raft::Transport<Running<P>>;

template <class Transport, class Storage, class Clock>
struct PolicyRequirements {
    static_assert(OpensTransport<Transport>,
                  "rsm: the second argument of Replicated is no transport: a copyable plan whose "
                  "open(boost::asio::any_io_executor) makes a raft::Transport");
    static_assert(TransportPlan<Transport>,
                  "rsm: the transport needs self() and members(): who the node is, and who the "
                  "cluster is at its first start");
    static_assert(StoragePlan<Storage>,
                  "rsm: the third argument of Replicated is no storage: a copyable plan whose "
                  "open(boost::asio::any_io_executor) makes a raft::Storage");
    static_assert(ClockPlan<Clock>,
                  "rsm: the fourth argument of Replicated is no clock: a copyable plan whose "
                  "open(boost::asio::any_io_executor) makes a raft::Clock");
    static constexpr bool held = true;
};

}  // namespace rsm::detail

#endif
