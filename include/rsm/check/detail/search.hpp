// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with
// Lowe's memoization ("Testing for linearizability", 2017): put down one operation after the other,
// go back when stuck, and never explore the same pair (operations put down, state) twice. A history
// is first split by the model's partition key, as in Horn and Kroening, "Faster linearizability
// checking via P-compositionality" (2015). What is added here:
//
//  * The set of operations put down is stored as a window. Operations are numbered by call time;
//    all before the window are in the set and none after it is, so a memo entry is as long as the
//    concurrency, not as the history.
//  * Operations of unknown outcome (never returned, or returned with "may have happened") need no
//    place. They are tried only where they change the state, and only after those that need a
//    place.
//  * A reply that changes no state is put down as soon as it fits, with no way back: wherever a
//    later place is possible, the early one is too. The model says which replies these are
//    (`read_only`).
//  * A branch is left as soon as some reply that needs a place can have none any more
//    (`out_of_reach`).

#ifndef RSM_CHECK_DETAIL_SEARCH_HPP
#define RSM_CHECK_DETAIL_SEARCH_HPP

#include <rsm/check/detail/memo.hpp>
#include <rsm/check/history.hpp>
#include <rsm/check/sequential_model.hpp>
#include <rsm/check/verdict.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace rsm::inline v0::check::detail {

/// What the search needs to know of one operation.
template <class Model>
struct Item {
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    const typename Model::Input* input = nullptr;
    const typename Model::Output* output = nullptr;  // null when unknown
    std::int64_t call = 0;
    std::int64_t ret = never;  // the instant by which it has happened, if at all
    std::size_t position = 0;  // in the history
    std::uint64_t stage = 0;   // the only one at which it acts, if optional
    bool read_only = false;
};

/// The operations of one partition: those that must be placed, and those that may.
template <class Model>
struct Problem {
    std::vector<Item<Model>> required;
    std::vector<Item<Model>> optional;

    /// Adds an operation; `set_aside` forgets its reply and return.
    void add(const Model& model,
             const Operation<typename Model::Input, typename Model::Output>& operation,
             std::size_t position, bool set_aside) {
        Item<Model> item;
        item.input = &operation.input;
        item.call = operation.call;
        item.position = position;
        if (!set_aside && operation.ret) {
            item.ret = *operation.ret;
            if (operation.output && !unknown_outcome(model, operation.input, *operation.output)) {
                item.output = &*operation.output;
            }
        }
        item.read_only = read_only(model, operation.input, item.output);
        if (item.output != nullptr) {
            required.push_back(item);
        } else if (!item.read_only) {
            // The others change nothing and have no reply, so they tell nothing.
            item.stage = acts_at(model, operation.input);
            optional.push_back(item);
        }
    }

    /// To be called once after the last `add`.
    void sort() {
        using Each = const Item<Model>&;
        std::stable_sort(required.begin(), required.end(),
                         [](Each left, Each right) { return left.call < right.call; });
        std::stable_sort(optional.begin(), optional.end(), [](Each left, Each right) {
            return std::pair(left.stage, left.call) < std::pair(right.stage, right.call);
        });
    }
};

/// The search for a linearization of one partition.
///
/// A configuration is what has been placed so far and the state reached. Its future depends on: the
/// required operations placed; the state; how many optional operations have expired, which means
/// that something called after their return has been placed; and which of the optional ones were
/// placed that are neither expired nor out of reach. These four are the memo's key.
template <class Model>
class Search {
public:
    Search(const Model& model, Problem<Model> problem, const Limits& limits)
        : model_(model),
          problem_(std::move(problem)),
          limits_(limits),
          states_(model),
          remaining_(problem_.required.size()),
          placed_(remaining_ / 32 + 1),
          taken_(problem_.optional.size()) {
        link_required();
        order_expiry();
    }

    /// To be called once. The reason for `undecided` is in reason().
    Verdict run() {
        Frame root;
        root.state = states_.number_of(model_.initial());
        state_ = root.state;
        frames_.push_back(root);
        arrive();
        while (remaining_ != 0) {
            if (over_limit()) {
                return Verdict::undecided;
            }
            if (advance()) {
                arrive();
            } else if (frames_.size() == 1) {
                return Verdict::not_linearizable;
            } else {
                retreat();
            }
        }
        return Verdict::linearizable;
    }

    /// The operations placed, as positions in the history; after `linearizable` this is a
    /// linearization.
    [[nodiscard]] std::vector<std::size_t> placed() const {
        std::vector<std::size_t> positions;
        positions.reserve(frames_.size());
        for (std::size_t i = 1; i < frames_.size(); ++i) {
            const Frame& frame = frames_[i];
            positions.push_back(
                (frame.optional ? problem_.optional : problem_.required)[frame.item].position);
        }
        return positions;
    }

    [[nodiscard]] UndecidedReason reason() const { return reason_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    [[nodiscard]] std::size_t memo_entries() const { return memo_.size(); }
    [[nodiscard]] std::size_t memo_bytes_peak() const { return bytes_peak_; }

private:
    using State = typename Model::State;

    enum class Phase : std::uint8_t { required, optional, exhausted };

    /// A placement, all that is needed to take it back, and how far the alternatives after it have
    /// been tried.
    struct Frame {
        std::uint32_t item = 0;
        bool optional = false;
        Phase phase = Phase::exhausted;
        // The next alternative: an entry of the list or, in the second phase, of the optional ones.
        std::uint32_t cursor = 0;
        // Values before the placement:
        std::uint32_t state = 0;
        std::uint32_t placed_end = 0;
        std::uint32_t expired = 0;
        std::uint32_t optional_begin = 0;
        std::size_t forgotten = 0;
        std::uint64_t hash = 0;
    };

    // The list holds, in order of time, entry 2i for the call and 2i + 1 for the return of each
    // required operation i that is not placed. The operations that may come next are those whose
    // call stands before the first return.

    static bool is_call(std::uint32_t entry) { return entry % 2 == 0; }

    void link_required() {
        const auto count = static_cast<std::uint32_t>(problem_.required.size());
        head_ = 2 * count;
        std::vector<std::uint32_t> returns(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            returns[i] = i;
        }
        std::stable_sort(returns.begin(), returns.end(),
                         [this](std::uint32_t left, std::uint32_t right) {
                             return problem_.required[left].ret < problem_.required[right].ret;
                         });
        next_.resize(head_ + 1);
        previous_.resize(head_ + 1);
        std::uint32_t last = head_;
        const auto append = [this, &last](std::uint32_t entry) {
            next_[last] = entry;
            previous_[entry] = last;
            last = entry;
        };
        std::uint32_t call = 0;
        for (const std::uint32_t item : returns) {
            // A call at the very time of a return stands before it: equal times are concurrent.
            while (call < count && problem_.required[call].call <= problem_.required[item].ret) {
                append(2 * call++);
            }
            append(2 * item + 1);
        }
        next_[last] = head_;
        previous_[head_] = last;
    }

    void order_expiry() {
        const std::size_t count = problem_.optional.size();
        by_expiry_.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            by_expiry_[i] = static_cast<std::uint32_t>(i);
        }
        std::stable_sort(by_expiry_.begin(), by_expiry_.end(),
                         [this](std::uint32_t left, std::uint32_t right) {
                             return problem_.optional[left].ret < problem_.optional[right].ret;
                         });
        expiry_rank_.resize(count);
        for (std::size_t rank = 0; rank < count; ++rank) {
            expiry_rank_[by_expiry_[rank]] = static_cast<std::uint32_t>(rank);
        }
    }

    void unlink(std::uint32_t entry) {
        next_[previous_[entry]] = next_[entry];
        previous_[next_[entry]] = previous_[entry];
    }

    void relink(std::uint32_t entry) {
        next_[previous_[entry]] = entry;
        previous_[next_[entry]] = entry;
    }

    /// The earliest return among required operations that are not placed; there must be one.
    [[nodiscard]] std::int64_t first_return() const {
        std::uint32_t entry = next_[head_];
        while (is_call(entry)) {
            entry = next_[entry];
        }
        return problem_.required[entry / 2].ret;
    }

    [[nodiscard]] bool over_limit() {
        const std::size_t bytes = states_.bytes() + memo_.bytes();
        bytes_peak_ = std::max(bytes_peak_, bytes);
        if (reason_ == UndecidedReason::none && bytes > limits_.memo_bytes) {
            reason_ = UndecidedReason::memory;
        }
        if (reason_ == UndecidedReason::none && steps_ > limits_.steps) {
            reason_ = UndecidedReason::steps;
        }
        return reason_ != UndecidedReason::none;
    }

    std::optional<State> step(const Item<Model>& item) {
        ++steps_;
        return model_.step(states_[state_], *item.input, item.output);
    }

    [[nodiscard]] bool lost(const Item<Model>& item) const {
        return out_of_reach(model_, states_[state_], *item.input, item.output);
    }

    [[nodiscard]] bool expired(std::uint32_t item) const { return expiry_rank_[item] < expired_; }

    /// Whether an optional operation has no part in any future of the present configuration.
    [[nodiscard]] bool inert(std::uint32_t item) const {
        return expired(item) || lost(problem_.optional[item]);
    }

    /// The first optional operation, in their order by stage and call, that may act now.
    [[nodiscard]] std::uint32_t first_optional() const {
        const auto begin = problem_.optional.begin();
        const auto found =
            std::partition_point(begin + optional_begin_, problem_.optional.end(),
                                 [now = stage(model_, states_[state_])](const Item<Model>& item) {
                                     return item.stage < now;
                                 });
        return static_cast<std::uint32_t>(found - begin);
    }

    /// Whether nothing is given away when this read-only operation comes next: no optional
    /// operation expires by it that might still be needed before it. Otherwise putting it down is
    /// one alternative among others.
    [[nodiscard]] bool costs_nothing(const Item<Model>& item) const {
        for (std::size_t rank = expired_; rank < by_expiry_.size(); ++rank) {
            const std::uint32_t other = by_expiry_[rank];
            if (problem_.optional[other].ret >= item.call) {
                break;
            }
            if (taken_[other] == 0 && !lost(problem_.optional[other])) {
                return false;
            }
        }
        return true;
    }

    /// At a new configuration: puts down what costs nothing, then prepares its alternatives unless
    /// it is known or hopeless.
    void arrive() {
        while (remaining_ != 0 && !over_limit()) {
            std::uint32_t free = head_;
            for (std::uint32_t entry = next_[head_]; is_call(entry); entry = next_[entry]) {
                const Item<Model>& item = problem_.required[entry / 2];
                if (lost(item)) {
                    return;
                }
                if (free == head_ && item.read_only && costs_nothing(item) && step(item)) {
                    free = entry;
                }
            }
            if (free == head_) {
                if (remember()) {
                    frames_.back().phase = Phase::required;
                    frames_.back().cursor = next_[head_];
                }
                return;
            }
            place(free / 2, false, state_);
        }
    }

    /// Puts down the next alternative of the present configuration, if there is one.
    bool advance() {
        Frame& frame = frames_.back();
        if (frame.phase == Phase::required) {
            while (is_call(frame.cursor)) {
                const std::uint32_t entry = std::exchange(frame.cursor, next_[frame.cursor]);
                const Item<Model>& item = problem_.required[entry / 2];
                if (std::optional<State> after = step(item)) {
                    place(entry / 2, false,
                          item.read_only ? state_ : states_.number_of(std::move(*after)));
                    return true;
                }
            }
            frame.phase = Phase::optional;
            frame.cursor = first_optional();
        }
        if (frame.phase == Phase::optional) {
            const std::int64_t horizon = first_return();
            const std::uint64_t now = stage(model_, states_[state_]);
            while (frame.cursor < taken_.size() && problem_.optional[frame.cursor].stage == now &&
                   problem_.optional[frame.cursor].call <= horizon) {
                const std::uint32_t item = frame.cursor++;
                if (taken_[item] != 0 || inert(item)) {
                    continue;
                }
                std::optional<State> after = step(problem_.optional[item]);
                if (after && !(*after == states_[state_])) {
                    place(item, true, states_.number_of(std::move(*after)));
                    return true;
                }
            }
            frame.phase = Phase::exhausted;
        }
        return false;
    }

    void place(std::uint32_t index, bool optional, std::uint32_t state) {
        Frame frame;
        frame.item = index;
        frame.optional = optional;
        frame.state = state_;
        frame.placed_end = placed_end_;
        frame.expired = expired_;
        frame.optional_begin = optional_begin_;
        frame.forgotten = forgotten_.size();
        frame.hash = hash_;
        frames_.push_back(frame);

        state_ = state;
        if (optional) {
            taken_[index] = 1;
            live_.insert(std::lower_bound(live_.begin(), live_.end(), index), index);
            hash_ ^= hash_of_optional(index);
        } else {
            unlink(2 * index);
            unlink(2 * index + 1);
            placed_[index / 32] |= std::uint32_t{1} << (index % 32);
            placed_end_ = std::max(placed_end_, index + 1);
            hash_ ^= spread(index);
            --remaining_;
        }
        expire_before((optional ? problem_.optional : problem_.required)[index].call);
    }

    /// Optional operations that returned before `call` can no longer happen; drops what has thereby
    /// lost its influence.
    void expire_before(std::int64_t call) {
        while (expired_ < by_expiry_.size() && problem_.optional[by_expiry_[expired_]].ret < call) {
            ++expired_;
        }
        const auto kept = std::remove_if(live_.begin(), live_.end(), [this](std::uint32_t item) {
            if (!inert(item)) {
                return false;
            }
            hash_ ^= hash_of_optional(item);
            forgotten_.push_back(item);
            return true;
        });
        live_.erase(kept, live_.end());
        while (optional_begin_ < taken_.size() &&
               (taken_[optional_begin_] != 0 || inert(optional_begin_))) {
            ++optional_begin_;
        }
    }

    /// Takes the last placement back.
    void retreat() {
        const Frame frame = frames_.back();
        frames_.pop_back();
        while (forgotten_.size() > frame.forgotten) {
            const std::uint32_t item = forgotten_.back();
            forgotten_.pop_back();
            live_.insert(std::lower_bound(live_.begin(), live_.end(), item), item);
        }
        if (frame.optional) {
            taken_[frame.item] = 0;
            live_.erase(std::lower_bound(live_.begin(), live_.end(), frame.item));
        } else {
            relink(2 * frame.item + 1);
            relink(2 * frame.item);
            placed_[frame.item / 32] &= ~(std::uint32_t{1} << (frame.item % 32));
            ++remaining_;
        }
        state_ = frame.state;
        placed_end_ = frame.placed_end;
        expired_ = frame.expired;
        optional_begin_ = frame.optional_begin;
        hash_ = frame.hash;
    }

    [[nodiscard]] static std::uint64_t hash_of_optional(std::uint32_t item) {
        return spread(item + (std::uint64_t{1} << 32U));
    }

    /// Enters the present configuration into the memo; false when it is known already or the memory
    /// is used up.
    [[nodiscard]] bool remember() {
        // All required operations of the words before this one are placed.
        const std::uint32_t window = next_[head_] / 2 / 32;
        key_.assign({state_, expired_, window, static_cast<std::uint32_t>(live_.size())});
        for (std::uint32_t word = window; word * 32 < placed_end_; ++word) {
            key_.push_back(placed_[word]);
        }
        key_.insert(key_.end(), live_.begin(), live_.end());
        const std::uint64_t hash = spread(hash_ ^ spread(std::uint64_t{state_} << 32U | expired_));
        const std::size_t states = std::min(states_.bytes(), limits_.memo_bytes);
        const Memo::Insertion insertion = memo_.insert(hash, key_, limits_.memo_bytes - states);
        bytes_peak_ = std::max(bytes_peak_, states_.bytes() + memo_.bytes_peak());
        if (insertion == Memo::Insertion::full) {
            reason_ = UndecidedReason::memory;
        }
        return insertion == Memo::Insertion::added;
    }

    const Model& model_;
    const Problem<Model> problem_;
    const Limits limits_;
    StateTable<Model> states_;
    Memo memo_;
    UndecidedReason reason_ = UndecidedReason::none;
    std::uint64_t steps_ = 0;
    std::size_t bytes_peak_ = 0;

    std::uint32_t head_ = 0;
    std::vector<std::uint32_t> next_;
    std::vector<std::uint32_t> previous_;
    std::vector<std::uint32_t> by_expiry_;    // optional operations by time of return
    std::vector<std::uint32_t> expiry_rank_;  // the inverse

    std::uint32_t state_ = 0;
    std::size_t remaining_;                 // required operations not placed
    std::vector<std::uint32_t> placed_;     // bit per required operation
    std::uint32_t placed_end_ = 0;          // one past the last bit set
    std::vector<std::uint8_t> taken_;       // optional operations placed
    std::uint32_t optional_begin_ = 0;      // all optional operations before it are taken or inert
    std::uint32_t expired_ = 0;             // the first so many of by_expiry_ can no longer happen
    std::vector<std::uint32_t> live_;       // sorted: taken and not inert
    std::vector<std::uint32_t> forgotten_;  // removed from live_ as inert, for retreat()
    std::uint64_t hash_ = 0;                // of placed_ and live_
    std::vector<Frame> frames_;
    std::vector<std::uint32_t> key_;
};

}  // namespace rsm::check::detail

#endif  // RSM_CHECK_DETAIL_SEARCH_HPP
