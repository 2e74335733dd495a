// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// What a sequential model is to the linearizability checker: what it must have, and what it may
// promise besides.

#ifndef RSM_CHECK_SEQUENTIAL_MODEL_HPP
#define RSM_CHECK_SEQUENTIAL_MODEL_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace rsm::inline v0::check {

/// A deterministic sequential object.
///
/// A model has the types `Input`, `Output` and `State`; states are copyable and compare with ==.
/// Required of a model `m`:
///
///   m.initial()          The state before any operation.
///   m.step(s, in, out)   The state after operation `in` on state `s`, or nothing when `*out` is
///                        not what the object would reply. `out` is null when the reply is unknown:
///                        then the state after the operation has happened.
///   m.hash(s)            Equal for equal states.
///
/// `step` must agree with itself: when `step(s, in, &out)` gives a state, `step(s, in, nullptr)`
/// gives the same one. A specification that leaves the object a choice is made deterministic by
/// taking the set of possible states as the State.
///
/// Optional members, each a promise that makes the search faster or its memory bound more exact:
///
///   m.partition_key(in)          Operations with different keys do not influence each other; keys
///                                compare with <. The states are then those of one key.
///   m.read_only(in, out)         Whatever the state, the operation with this reply (null: with any
///                                reply) leaves it unchanged.
///   m.unknown_outcome(in, out)   The reply means "may have happened before the return, or not at
///                                all"; `step` must treat it as a null reply.
///   m.out_of_reach(s, in, out)   Neither in `s` nor in any state that operations can lead to from
///                                `s` is the reply `*out` legal or, when `out` is null, does the
///                                operation change the state.
///   m.stage(s), m.acts_at(in)    Both std::uint64_t. An operation without a reply leaves every
///                                state unchanged but those with stage(s) == acts_at(in). So the
///                                search finds the few that matter among many that never returned.
///   m.state_bytes(s)             Heap memory that `s` owns.
///
/// All members are const and do not throw.
template <class Model>
concept SequentialModel = requires(const Model& model, const typename Model::State& state,
                                   const typename Model::Input& input,
                                   const typename Model::Output* output) {
    { model.initial() } -> std::convertible_to<typename Model::State>;
    { model.step(state, input, output) } -> std::same_as<std::optional<typename Model::State>>;
    { model.hash(state) } -> std::convertible_to<std::size_t>;
    { state == state } -> std::convertible_to<bool>;
};

namespace detail {

// The model's optional members, with the answer that promises nothing where one is missing.

template <class Model>
bool read_only(const Model& model, const typename Model::Input& input,
               const typename Model::Output* output) {
    if constexpr (requires { model.read_only(input, output); }) {
        return model.read_only(input, output);
    } else {
        return false;
    }
}

template <class Model>
bool unknown_outcome(const Model& model, const typename Model::Input& input,
                     const typename Model::Output& output) {
    if constexpr (requires { model.unknown_outcome(input, output); }) {
        return model.unknown_outcome(input, output);
    } else {
        return false;
    }
}

template <class Model>
bool out_of_reach(const Model& model, const typename Model::State& state,
                  const typename Model::Input& input, const typename Model::Output* output) {
    if constexpr (requires { model.out_of_reach(state, input, output); }) {
        return model.out_of_reach(state, input, output);
    } else {
        return false;
    }
}

template <class Model>
std::uint64_t stage(const Model& model, const typename Model::State& state) {
    if constexpr (requires { model.stage(state); }) {
        return model.stage(state);
    } else {
        return 0;
    }
}

template <class Model>
std::uint64_t acts_at(const Model& model, const typename Model::Input& input) {
    if constexpr (requires { model.acts_at(input); }) {
        return model.acts_at(input);
    } else {
        return 0;
    }
}

template <class Model>
std::size_t state_bytes(const Model& model, const typename Model::State& state) {
    if constexpr (requires { model.state_bytes(state); }) {
        return model.state_bytes(state);
    } else {
        return 0;
    }
}

}  // namespace detail

}  // namespace rsm::check

#endif  // RSM_CHECK_SEQUENTIAL_MODEL_HPP
