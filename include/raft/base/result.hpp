// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A value, or why there is none.
#ifndef RSM_RAFT_BASE_RESULT_HPP
#define RSM_RAFT_BASE_RESULT_HPP

#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

namespace raft::inline v0 {

/// Why something did not work: a code to act on and a sentence (what, where) for people.
struct Failure {
    std::error_code code;
    std::string what;

    std::string message() const { return what + ": " + code.message(); }
    friend bool operator==(const Failure&, const Failure&) = default;
};

/// A value or the failure that took its place. `Result<void>` carries no value.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    /// @pre has_value()
    T& operator*() & { return *checked(std::get_if<0>(&state_)); }
    const T& operator*() const& { return *checked(std::get_if<0>(&state_)); }
    T&& operator*() && { return std::move(*checked(std::get_if<0>(&state_))); }
    T* operator->() { return checked(std::get_if<0>(&state_)); }
    const T* operator->() const { return checked(std::get_if<0>(&state_)); }

    /// @pre !has_value()
    const Failure& error() const { return *checked(std::get_if<1>(&state_)); }

private:
    // Breaking a precondition ends the program, rather than going on with nonsense.
    template <class Pointer>
    static Pointer checked(Pointer pointer) {
        if (pointer == nullptr) std::abort();
        return pointer;
    }

    std::variant<T, Failure> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Failure failure) : failure_(std::move(failure)), failed_(true) {}

    bool has_value() const { return !failed_; }
    explicit operator bool() const { return !failed_; }
    /// @pre !has_value()
    const Failure& error() const { return failure_; }

private:
    Failure failure_;
    bool failed_ = false;
};

}  // namespace raft

#endif
