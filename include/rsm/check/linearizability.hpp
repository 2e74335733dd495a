// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// Decides whether a history of concurrent operations is linearizable with respect to a sequential
// model: whether each operation can be given one instant between its call and its return so that
// the model, run in the order of the instants, gives exactly the replies that the clients saw.
//
// Two operations are ordered when one returned strictly before the other was called; equal times
// count as concurrent.

#ifndef RSM_CHECK_LINEARIZABILITY_HPP
#define RSM_CHECK_LINEARIZABILITY_HPP

#include <rsm/check/detail/search.hpp>
#include <rsm/check/history.hpp>
#include <rsm/check/sequential_model.hpp>
#include <rsm/check/verdict.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm::inline v0::check {

/// Why a history is not linearizable. All numbers are positions in the history, all of one
/// partition.
///
/// "Set aside" means here: the operation's reply and return are forgotten, so that it may have
/// happened at any time after its call, or not at all. Deleting a write instead would make each
/// read of its value illegal and blame the innocent; an operation set aside can still explain what
/// others saw. Setting aside only ever removes constraints, so replies that contradict each other
/// while all others are set aside contradict each other in the history as well.
struct Explanation {
    /// The first reply, by time of return, that cannot be explained: with it and all earlier
    /// replies of its partition the history is not linearizable, with the earlier ones alone it is.
    std::size_t culprit = 0;

    /// An order that explains every reply before the culprit's: the longest prefix that is
    /// linearizable. Operations that had not returned by then are in it when they must have taken
    /// effect.
    std::vector<std::size_t> prefix;

    /// Replies that contradict each other although all other operations of the partition are set
    /// aside; with the culprit, ordered by call. No reply can be left out: setting aside any one of
    /// them as well makes the rest linearizable.
    std::vector<std::size_t> core;

    /// False when a limit was reached on the way: then the culprit may not be the first, and the
    /// core not minimal; that the core is contradictory still holds.
    bool minimal = true;
};

struct Report {
    Verdict verdict = Verdict::undecided;
    UndecidedReason reason = UndecidedReason::none;

    /// Present when the verdict is not_linearizable and an explanation was asked for.
    std::optional<Explanation> explanation;

    /// When linearizable: per partition, in the order of the keys, positions in the history in a
    /// legal order. Left out are operations of unknown outcome that need not have happened.
    std::vector<std::vector<std::size_t>> linearizations;

    std::uint64_t steps = 0;          ///< calls of Model::step for the verdict
    std::uint64_t memo_entries = 0;   ///< over all partitions
    std::size_t memo_bytes_peak = 0;  ///< above Limits::memo_bytes by one state at most
    std::size_t partitions = 0;
};

namespace detail {

/// Finds the Explanation of a partition that is known not to be linearizable.
///
/// Whether replies contradict each other is monotonic: more replies never contradict less. So the
/// first culprit, and then each further member of a minimal core, is found by bisection.
template <class Model>
class Explainer {
public:
    using History = std::span<const Operation<typename Model::Input, typename Model::Output>>;

    Explainer(const Model& model, History history, std::span<const std::size_t> partition,
              const Limits& limits)
        : model_(model),
          history_(history),
          partition_(partition),
          limits_(limits),
          steps_left_(limits.explanation_steps),
          kept_(history.size()) {
        for (const std::size_t position : partition) {
            if (history[position].ret) {
                replies_.push_back(position);
            }
        }
        std::stable_sort(replies_.begin(), replies_.end(),
                         [history](std::size_t left, std::size_t right) {
                             return *history[left].ret < *history[right].ret;
                         });
    }

    Explanation run() {
        std::vector<std::size_t> core;
        // The core and the first `end` replies are contradictory throughout.
        std::size_t end = replies_.size();
        while ((end = smallest_contradictory(core, end)) != 0) {
            --end;
            core.push_back(replies_[end]);
            if (core.size() == 1) {
                explanation_.culprit = replies_[end];
                contradictory({}, end, &explanation_.prefix);
            }
        }
        std::sort(core.begin(), core.end(), [this](std::size_t left, std::size_t right) {
            return std::pair(history_[left].call, left) < std::pair(history_[right].call, right);
        });
        explanation_.core = std::move(core);
        return std::move(explanation_);
    }

private:
    /// The smallest k such that the core and the first k replies are contradictory, given that they
    /// are for `end`.
    std::size_t smallest_contradictory(const std::vector<std::size_t>& core, std::size_t end) {
        std::size_t begin = 0;
        while (begin < end) {
            const std::size_t middle = begin + (end - begin) / 2;
            if (contradictory(core, middle, nullptr)) {
                end = middle;
            } else {
                begin = middle + 1;
            }
        }
        return end;
    }

    /// Whether the core and the first `count` replies were shown to be contradictory, all others
    /// being set aside. If not, `order` receives the linearization.
    bool contradictory(const std::vector<std::size_t>& core, std::size_t count,
                       std::vector<std::size_t>* order) {
        if (core.empty() && count == 0) {
            return false;
        }
        if (steps_left_ == 0) {
            explanation_.minimal = false;
            return false;
        }
        std::fill(kept_.begin(), kept_.end(), std::uint8_t{0});
        for (std::size_t i = 0; i < count; ++i) {
            kept_[replies_[i]] = 1;
        }
        for (const std::size_t position : core) {
            kept_[position] = 1;
        }
        Problem<Model> problem;
        for (const std::size_t position : partition_) {
            problem.add(model_, history_[position], position, kept_[position] == 0);
        }
        problem.sort();
        Limits limits = limits_;
        limits.steps = steps_left_;
        Search<Model> search(model_, std::move(problem), limits);
        const Verdict verdict = search.run();
        // A search costs at least the building of its problem, whether or not it takes steps.
        steps_left_ -= std::min<std::uint64_t>(steps_left_, search.steps() + partition_.size());
        if (verdict == Verdict::undecided) {
            explanation_.minimal = false;
        }
        if (verdict == Verdict::linearizable && order != nullptr) {
            *order = search.placed();
        }
        return verdict == Verdict::not_linearizable;
    }

    const Model& model_;
    History history_;
    std::span<const std::size_t> partition_;
    Limits limits_;
    std::uint64_t steps_left_;
    std::vector<std::uint8_t> kept_;    // by position: the reply counts
    std::vector<std::size_t> replies_;  // positions in order of return
    Explanation explanation_;
};

/// Positions of the history by partition, in the order of the partitions' keys.
template <class Model>
std::vector<std::vector<std::size_t>> partitions_of(
    const Model& model,
    std::span<const Operation<typename Model::Input, typename Model::Output>> history) {
    std::vector<std::vector<std::size_t>> partitions;
    if constexpr (requires { model.partition_key(history[0].input); }) {
        using Key = std::remove_cvref_t<decltype(model.partition_key(history[0].input))>;
        std::map<Key, std::vector<std::size_t>> by_key;
        for (std::size_t i = 0; i < history.size(); ++i) {
            by_key[model.partition_key(history[i].input)].push_back(i);
        }
        for (auto& [key, positions] : by_key) {
            partitions.push_back(std::move(positions));
        }
    } else if (!history.empty()) {
        partitions.emplace_back(history.size());
        for (std::size_t i = 0; i < history.size(); ++i) {
            partitions.back()[i] = i;
        }
    }
    return partitions;
}

template <class Input, class Output>
bool well_formed(std::span<const Operation<Input, Output>> history) {
    return history.size() < (std::size_t{1} << 30U) &&
           std::all_of(history.begin(), history.end(),
                       [](const Operation<Input, Output>& operation) {
                           return !operation.ret || operation.call <= *operation.ret;
                       });
}

}  // namespace detail

/// Decides whether `history` is linearizable with respect to `model`. The operations may be in any
/// order.
///
/// A verdict other than `undecided` is exact. Partitions are decided one after the other, each with
/// the whole memo; one that reaches a limit makes the history undecided unless another is not
/// linearizable.
///
/// Complexity: the question is NP-complete. With `read_only` and `out_of_reach` given, as in
/// KvModel, the time is near linear in the history times its concurrency. Thread safety: none of
/// the arguments is changed; calls may run at the same time if the model's const members may.
template <SequentialModel Model>
Report check_linearizability(
    const Model& model,
    std::span<const Operation<typename Model::Input, typename Model::Output>> history,
    const Limits& limits = {}) {
    Report report;
    if (!detail::well_formed(history)) {
        report.reason = UndecidedReason::malformed;
        return report;
    }
    Limits left = limits;
    const std::vector<std::vector<std::size_t>> partitions = detail::partitions_of(model, history);
    report.partitions = partitions.size();
    for (const std::vector<std::size_t>& partition : partitions) {
        detail::Problem<Model> problem;
        for (const std::size_t position : partition) {
            problem.add(model, history[position], position, false);
        }
        problem.sort();
        left.steps = limits.steps - std::min(limits.steps, report.steps);
        detail::Search<Model> search(model, std::move(problem), left);
        const Verdict verdict = search.run();
        report.steps += search.steps();
        report.memo_entries += search.memo_entries();
        report.memo_bytes_peak = std::max(report.memo_bytes_peak, search.memo_bytes_peak());
        if (verdict == Verdict::undecided) {
            report.reason = search.reason();
        } else if (verdict == Verdict::linearizable) {
            report.linearizations.push_back(search.placed());
        } else {
            report.verdict = Verdict::not_linearizable;
            report.reason = UndecidedReason::none;
            report.linearizations.clear();
            if (limits.explanation_steps != 0) {
                report.explanation =
                    detail::Explainer<Model>(model, history, partition, limits).run();
            }
            return report;
        }
    }
    if (report.reason == UndecidedReason::none) {
        report.verdict = Verdict::linearizable;
    } else {
        report.linearizations.clear();
    }
    return report;
}

}  // namespace rsm::check

#endif  // RSM_CHECK_LINEARIZABILITY_HPP
