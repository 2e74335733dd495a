// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The vocabulary of the algorithm: terms, indexes, node ids, time, failures and digests.
// Each is a type of its own, so that a term can never be passed where an index is meant.
#ifndef RSM_RAFT_TYPES_HPP
#define RSM_RAFT_TYPES_HPP

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <variant>

namespace raft {

/// A term of leadership (Raft paper, section 5.1). 0 is before the first election.
struct Term {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const Term&, const Term&) = default;
};

/// A position in the log, counted from 1. 0 is "before the first entry".
struct Index {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const Index&, const Index&) = default;

    constexpr Index& operator++() {
        ++value;
        return *this;
    }
    friend constexpr Index operator+(Index index, std::uint64_t count) {
        return {index.value + count};
    }
    /// @pre count <= index.value
    friend constexpr Index operator-(Index index, std::uint64_t count) {
        return {index.value - count};
    }
    /// How many positions lie in [first, last). @pre first <= last
    friend constexpr std::uint64_t operator-(Index last, Index first) {
        return last.value - first.value;
    }
};

/// A member of the cluster. 0 names nobody.
struct NodeId {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const NodeId&, const NodeId&) = default;
    constexpr explicit operator bool() const { return value != 0; }
};

/// The place of an entry in history: two logs that agree on a position agree on all before it
/// (log matching, Raft paper, section 5.3).
struct LogPosition {
    Index index;
    Term term;
    static constexpr auto fields() { return std::tuple(&LogPosition::index, &LogPosition::term); }
    friend constexpr auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

/// No cluster comes to a term or an index beyond these, however long it runs; what does is damaged
/// or forged. They are far enough from the end of the type for sums of two to fit.
inline constexpr Term max_term{std::uint64_t{1} << 62};
inline constexpr Index max_index{std::uint64_t{1} << 62};
/// Nor does a node fall behind by so many terms: an election each millisecond for seven weeks.
inline constexpr std::uint64_t max_term_step = std::uint64_t{1} << 32;

/// Time as the algorithm sees it: a value that the caller passes in. There is no now().
struct LogicalClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<LogicalClock, duration>;
    static constexpr bool is_steady = true;
};
using Duration = LogicalClock::duration;
using Time = LogicalClock::time_point;

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

/// A 64-bit digest of a sequence of values, the same on every platform. Not cryptographic: it
/// serves to compare and to index states, never to detect damage.
class Digest {
public:
    void add(std::uint64_t value) {
        // The finalizer of SplitMix64 spreads every input bit over the state.
        state_ += 0x9e3779b97f4a7c15ULL + value;
        state_ = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9ULL;
        state_ = (state_ ^ (state_ >> 27)) * 0x94d049bb133111ebULL;
        state_ ^= state_ >> 31;
    }
    void add(Term term) { add(term.value); }
    void add(Index index) { add(index.value); }
    void add(NodeId node) { add(node.value); }
    void add(LogPosition position) {
        add(position.index);
        add(position.term);
    }
    void add(Time time) { add(static_cast<std::uint64_t>(time.time_since_epoch().count())); }
    void add(std::span<const std::byte> bytes) {
        add(bytes.size());
        std::uint64_t word = 0;
        unsigned filled = 0;
        for (const std::byte byte : bytes) {
            word |= std::to_integer<std::uint64_t>(byte) << (8 * filled);
            if (++filled == 8) {
                add(word);
                word = 0;
                filled = 0;
            }
        }
        if (filled != 0) add(word);
    }
    std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0;
};

/// The algorithm's source of randomness: SplitMix64 with its own mapping to a range, so that one
/// seed gives one history on every compiler (the standard distributions promise no such thing).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
        return mixed ^ (mixed >> 31);
    }
    /// A value in [0, bound); 0 for bound 0. The bias of the remainder is below bound / 2^64.
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
    /// A duration in [0, bound).
    Duration below(Duration bound) {
        return Duration(static_cast<Duration::rep>(
            below(static_cast<std::uint64_t>(bound.count() < 0 ? 0 : bound.count()))));
    }
    std::uint64_t state() const { return state_; }
    friend bool operator==(const Random&, const Random&) = default;

private:
    std::uint64_t state_;
};

}  // namespace raft

#endif
