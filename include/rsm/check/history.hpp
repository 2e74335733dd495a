// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// What concurrent clients did: each operation with the time of its call and of its return.
//
// A history is the input of the linearizability checker (rsm/check/linearizability.hpp). It says
// nothing about what the service did inside; it holds only what clients saw, which is all that
// linearizability speaks of.

#ifndef RSM_CHECK_HISTORY_HPP
#define RSM_CHECK_HISTORY_HPP

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace rsm::inline v0::check {

/// One operation of one client.
///
/// Times are nanoseconds on any clock that all clients of the history share; only their order
/// matters. An operation that never returned has neither `ret` nor `output`: it may have happened
/// at any time after its call, or not at all. An operation with `ret` and without `output` returned
/// without telling its outcome: it happened between call and return, or not at all. Invariant
/// expected by the checker: `!ret || call <= *ret`.
template <class Input, class Output>
struct Operation {
    std::uint64_t client = 0;
    Input input{};
    std::optional<Output> output;
    std::int64_t call = 0;
    std::optional<std::int64_t> ret;

    friend bool operator==(const Operation&, const Operation&) = default;
};

/// Records operations in the order of their `begin`.
///
/// Thread safety: one thread, or a lock outside; SharedHistory brings the lock.
template <class Input, class Output>
class History {
public:
    using operation_type = Operation<Input, Output>;

    /// Names a begun operation of this history; valid until clear().
    using Token = std::size_t;

    /// @param operations_max  largest number of operations that this history accepts
    explicit History(std::size_t operations_max = std::size_t{1} << 24)
        : operations_max_(operations_max) {}

    /// Records a call. The operation counts as never returned until `end` is called with the token.
    ///
    /// Errors: throws std::length_error when the history is full, and records nothing. A checker
    /// that missed a write would blame the service for it, so dropping the operation silently is no
    /// choice.
    Token begin(std::uint64_t client, Input input, std::int64_t call) {
        if (operations_.size() >= operations_max_) {
            throw std::length_error("rsm::check::History: more operations than operations_max");
        }
        operations_.push_back({client, std::move(input), std::nullopt, call, std::nullopt});
        return operations_.size() - 1;
    }

    /// Records the reply to a begun operation.
    ///
    /// @return false, and the history unchanged, when the token is unknown, the operation has ended
    /// before, or `ret`
    ///         lies before the call
    [[nodiscard]] bool end(Token token, Output output, std::int64_t ret) {
        if (token >= operations_.size()) {
            return false;
        }
        operation_type& operation = operations_[token];
        if (operation.ret || ret < operation.call) {
            return false;
        }
        operation.output = std::move(output);
        operation.ret = ret;
        return true;
    }

    /// All operations, in the order of `begin`; a token is a position in it.
    [[nodiscard]] const std::vector<operation_type>& operations() const { return operations_; }

    [[nodiscard]] std::size_t size() const { return operations_.size(); }

    void clear() { operations_.clear(); }

private:
    std::size_t operations_max_;
    std::vector<operation_type> operations_;
};

/// A History behind a mutex, for clients on several threads. Every member may be called from any
/// thread.
///
/// The times must be read by the caller: the call's before `begin`, the reply's as soon as the
/// reply is there and before `end`. An interval that is wider than the truth can hide an error but
/// never accuses a correct service; one that is narrower can.
template <class Input, class Output>
class SharedHistory {
public:
    using operation_type = Operation<Input, Output>;
    using Token = typename History<Input, Output>::Token;

    explicit SharedHistory(std::size_t operations_max = std::size_t{1} << 24)
        : history_(operations_max) {}

    /// As History::begin.
    Token begin(std::uint64_t client, Input input, std::int64_t call) {
        const std::lock_guard lock(mutex_);
        return history_.begin(client, std::move(input), call);
    }

    /// As History::end.
    [[nodiscard]] bool end(Token token, Output output, std::int64_t ret) {
        const std::lock_guard lock(mutex_);
        return history_.end(token, std::move(output), ret);
    }

    /// A copy of the operations so far; those that have not ended yet are in it as never returned.
    [[nodiscard]] std::vector<operation_type> operations() const {
        const std::lock_guard lock(mutex_);
        return history_.operations();
    }

private:
    mutable std::mutex mutex_;
    History<Input, Output> history_;
};

}  // namespace rsm::check

#endif  // RSM_CHECK_HISTORY_HPP
