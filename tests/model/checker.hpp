// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Breadth-first exploration: every state at distance n from the start before any at n + 1, so that
// the first violation found is one with the shortest history.
#ifndef RSM_TESTS_MODEL_CHECKER_HPP
#define RSM_TESTS_MODEL_CHECKER_HPP

#include "world.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace model {

enum class End : std::uint8_t { complete, states, minutes, depth, memory, violation };

struct Report {
    End end = End::complete;
    std::uint64_t states = 0;    // different ones, up to renaming
    std::uint64_t steps = 0;     // transitions followed
    std::uint64_t frontier = 0;  // states whose successors are not explored yet
    std::uint32_t depth = 0;     // all states up to here were found, and their steps checked
    /// Where each Corner was come by first, by the depth of the state behind it; 0: nowhere.
    std::array<std::uint32_t, 32> corners{};
    std::uint64_t bytes = 0;
    double seconds = 0;
    std::string property;       // that does not hold
    std::vector<Action> trace;  // the shortest way there
};

class Checker {
public:
    using OnProgress = std::function<void(const Report&)>;

    explicit Checker(const Setup& setup) : setup_(setup), world_(setup) {}

    World& world() { return world_; }

    Report run(const OnProgress& on_progress = {}) {
        const auto began = std::chrono::steady_clock::now();
        const auto elapsed = [began] {
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        };
        add(world_.initial(), 0, Action{});
        std::uint64_t level_end = seen_.size();
        report_.frontier = 1;
        for (next_ = 0; next_ < parents_.size(); ++next_) {
            if (next_ == level_end) {
                ++report_.depth;
                level_end = parents_.size();
                if (report_.depth == setup_.depth) return stop(End::depth, elapsed());
            }
            if (next_ % 16384 == 0) {
                measure(elapsed());
                if (on_progress) on_progress(report_);
                if (setup_.minutes > 0 && report_.seconds > setup_.minutes * 60) {
                    return stop(End::minutes, elapsed());
                }
            }
            if (setup_.states != 0 && parents_.size() >= setup_.states) {
                return stop(End::states, elapsed());
            }
            if (bytes() + seen_.bytes_to_grow() + reserve > setup_.memory_bytes) {
                return stop(End::memory, elapsed());
            }
            queue_.pop(words_);
            state_.unpack(setup_.nodes, words_);
            if (!expand()) return stop(End::violation, elapsed());
        }
        return stop(End::complete, elapsed());
    }

private:
    // More than the successors of one state can need.
    static constexpr std::uint64_t reserve = 3U << 20;

    /// Where one action leads. All of a state's are collected before the set of keys is asked, so
    /// that its memory has time to arrive.
    struct Successor {
        State state;
        Action action;
        std::uint64_t key = 0;
        std::string violation;
    };

    /// Follows everything that may happen in `state_`. Returns whether all is well.
    bool expand() {
        std::size_t count = 0;
        world_.for_each_action(state_, [&](Action action) {
            if (count == successors_.size()) successors_.emplace_back();
            Successor& successor = successors_[count];
            successor.violation.clear();
            if (!world_.follow(state_, action, successor.state, successor.violation)) return;
            successor.action = action;
            successor.key = world_.key(successor.state);
            seen_.prefetch(successor.key);
            ++count;
        });
        report_.steps += count;
        note_corners();
        for (Successor& successor : std::span(successors_).first(count)) {
            const State& state = successor.state;
            const bool fresh = seen_.insert(successor.key);
            if (fresh) record(state, next_, successor.action);
            if (fresh && successor.violation.empty()) {
                successor.violation = world_.disagreement(state, successor.action);
            }
            if (successor.violation.empty()) continue;
            report_.property = successor.violation;
            report_.trace = way_to(next_);
            report_.trace.push_back(successor.action);
            return false;
        }
        return true;
    }

    void note_corners() {
        const std::uint32_t corners = world_.corners();
        for (unsigned corner = 0; corner < 32; ++corner) {
            const bool news = (corners >> corner & 1U) != 0 && report_.corners[corner] == 0;
            if (news) report_.corners[corner] = report_.depth + 1;
        }
    }

    void add(const State& state, std::uint64_t parent, Action action) {
        if (seen_.insert(world_.key(state))) record(state, parent, action);
    }
    void record(const State& state, std::uint64_t parent, Action action) {
        parents_.push_back((parent << 32U) | action.code());
        state.pack(setup_.nodes, words_);
        queue_.push(words_);
    }

    std::vector<Action> way_to(std::uint64_t number) const {
        std::vector<Action> way;
        while (number != 0) {
            way.push_back(Action::of(static_cast<std::uint32_t>(parents_[number])));
            number = parents_[number] >> 32U;
        }
        std::ranges::reverse(way);
        return way;
    }

    std::uint64_t bytes() const {
        return seen_.bytes() + queue_.bytes() + parents_.bytes() + world_tables_bytes();
    }
    std::uint64_t world_tables_bytes() const { return world_.tables().bytes(); }
    void measure(double seconds) {
        report_.states = parents_.size();
        report_.frontier = parents_.size() - next_;
        report_.bytes = bytes();
        report_.seconds = seconds;
    }
    Report stop(End end, double seconds) {
        report_.end = end;
        measure(seconds);
        return report_;
    }

    Setup setup_;
    World world_;
    KeySet seen_;
    RecordQueue queue_;
    BlockVector parents_;  // how each state was first reached: from which, by what
    std::uint64_t next_ = 0;
    State state_;
    std::vector<Successor> successors_;  // kept for their memory
    std::vector<std::uint32_t> words_;
    Report report_;
};

}  // namespace model

#endif
