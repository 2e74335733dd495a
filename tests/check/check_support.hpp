// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// What the tests of rsm/check share: histories of a correct service under random clients, ways to
// spoil them, and a checker that is too simple to be wrong.

#ifndef RSM_TESTS_CHECK_CHECK_SUPPORT_HPP
#define RSM_TESTS_CHECK_CHECK_SUPPORT_HPP

#include "kv/check/model.hpp"

#include <rsm/check/history.hpp>
#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::check::test {

using kv::check::KvError;
using kv::check::KvInput;
using kv::check::KvModel;
using kv::check::KvOp;
using kv::check::KvOperation;
using kv::check::KvOutput;

using Positions = std::vector<std::size_t>;

struct Interval {
    std::int64_t call = 0;
    std::int64_t ret = 0;
};

// A generator with a sequence of its own, so that a seed means the same everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    /// 0 .. bound - 1
    std::uint64_t below(std::uint64_t bound) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return (state_ >> 33U) % bound;
    }

    std::int64_t time_below(std::uint64_t bound) { return static_cast<std::int64_t>(below(bound)); }

    bool one_in(std::uint64_t count) { return below(count) == 0; }

private:
    std::uint64_t state_;
};

// The reference: tries every order of the operations, and every choice of those that need not have
// happened. It knows nothing of partitions, windows, memos or the model's promises.

template <class Op>
bool respects_time(const std::vector<Op>& history, const Positions& order, std::size_t used) {
    for (std::size_t i = 0; i < used; ++i) {
        for (std::size_t j = i + 1; j < used; ++j) {
            const Op& later = history[order[j]];
            if (later.ret && *later.ret < history[order[i]].call) {
                return false;
            }
        }
    }
    return true;
}

template <class Model, class Op>
bool optional_in(const Model& model, const Op& operation) {
    if (!operation.ret || !operation.output) {
        return true;
    }
    if constexpr (requires { model.unknown_outcome(operation.input, *operation.output); }) {
        return model.unknown_outcome(operation.input, *operation.output);
    } else {
        return false;
    }
}

/// Whether the model gives the replies of the operations of `order`, one after the other.
template <class Model, class Op>
bool replays(const Model& model, const std::vector<Op>& history, const Positions& order) {
    std::map<std::string, typename Model::State> states;
    for (const std::size_t position : order) {
        const Op& operation = history[position];
        std::string key;
        if constexpr (requires { model.partition_key(operation.input); }) {
            key = model.partition_key(operation.input);
        }
        const auto state = states.try_emplace(key, model.initial()).first;
        const bool known = !optional_in(model, operation);
        const auto after =
            model.step(state->second, operation.input, known ? &*operation.output : nullptr);
        if (!after) {
            return false;
        }
        state->second = *after;
    }
    return true;
}

template <class Model, class Op>
bool brute_force(const Model& model, const std::vector<Op>& history) {
    Positions required;
    Positions optional;
    for (std::size_t i = 0; i < history.size(); ++i) {
        (optional_in(model, history[i]) ? optional : required).push_back(i);
    }
    for (std::size_t choice = 0; choice < (std::size_t{1} << optional.size()); ++choice) {
        Positions order = required;
        for (std::size_t i = 0; i < optional.size(); ++i) {
            if (((choice >> i) & 1U) != 0) {
                order.push_back(optional[i]);
            }
        }
        std::sort(order.begin(), order.end());
        do {
            if (respects_time(history, order, order.size()) && replays(model, history, order)) {
                return true;
            }
        } while (std::next_permutation(order.begin(), order.end()));
    }
    return false;
}

template <class Op>
std::vector<Op> with_set_aside(std::vector<Op> history, const Positions& kept) {
    for (std::size_t i = 0; i < history.size(); ++i) {
        if (std::find(kept.begin(), kept.end(), i) == kept.end()) {
            history[i].output.reset();
            history[i].ret.reset();
        }
    }
    return history;
}

/// Verifies by the reference every sentence of the Explanation's documentation. The history has one
/// partition.
template <class Model, class Op>
void verify_explanation(const Model& model, const std::vector<Op>& history,
                        const Explanation& explanation) {
    REQUIRE(explanation.minimal);
    const Positions& core = explanation.core;
    CHECK(!brute_force(model, with_set_aside(history, core)));
    CHECK(std::find(core.begin(), core.end(), explanation.culprit) != core.end());
    for (const std::size_t member : core) {
        Positions rest = core;
        rest.erase(std::find(rest.begin(), rest.end(), member));
        CHECK(brute_force(model, with_set_aside(history, rest)));
    }
    Positions earlier;
    for (std::size_t i = 0; i < history.size(); ++i) {
        const auto& ret = history[i].ret;
        const auto& last = history[explanation.culprit].ret;
        if (ret && (*ret < *last || (*ret == *last && i < explanation.culprit))) {
            earlier.push_back(i);
        }
    }
    const std::vector<Op> before = with_set_aside(history, earlier);
    CHECK(respects_time(before, explanation.prefix, explanation.prefix.size()));
    CHECK(replays(model, before, explanation.prefix));
    for (const std::size_t position : earlier) {
        if (!optional_in(model, history[position])) {
            const Positions& prefix = explanation.prefix;
            CHECK(std::find(prefix.begin(), prefix.end(), position) != prefix.end());
        }
    }
    earlier.push_back(explanation.culprit);
    CHECK(!brute_force(model, with_set_aside(history, earlier)));
}

// A correct service under random clients: each operation happens at one instant between its call
// and its return.

struct Load {
    std::size_t clients = 0;
    std::size_t keys = 1;
    std::size_t operations = 0;
    std::uint64_t unknown_in =
        0;  // one operation in so many never returns, and one put in so many returns "maybe"
    std::uint64_t pause = 40;  // between operations of one client; small means high concurrency
    std::uint64_t seed = 0;
};

struct Scheduled {
    KvOperation operation;
    std::int64_t instant = 0;
    bool never_happens = false;
};

inline Scheduled schedule(Random& random, const Load& load, std::size_t client,
                          std::int64_t& clock) {
    Scheduled scheduled;
    KvOperation& operation = scheduled.operation;
    operation.client = client;
    operation.call = clock + random.time_below(load.pause);
    scheduled.instant = operation.call + random.time_below(50);
    operation.ret = scheduled.instant + random.time_below(50);
    clock = *operation.ret + 1;
    operation.input.op = random.one_in(2) ? KvOp::put : KvOp::get;
    operation.input.key = "key" + std::to_string(random.below(load.keys));
    return scheduled;
}

inline void make_unknown(Random& random, const Load& load, Scheduled& scheduled) {
    KvOperation& operation = scheduled.operation;
    if (load.unknown_in == 0) {
        return;
    }
    if (random.one_in(load.unknown_in)) {
        operation.ret.reset();
        operation.output.reset();
    } else if (operation.input.op == KvOp::put && operation.output->error != KvError::no_key &&
               random.one_in(load.unknown_in)) {
        operation.output->error = KvError::maybe;
    }
}

inline void apply(KvModel::State& state, std::uint64_t& seen, Random& random, Scheduled& scheduled,
                  std::size_t number) {
    KvOperation& operation = scheduled.operation;
    KvOutput output;
    if (operation.input.op == KvOp::get) {
        output = state.version == 0 ? KvOutput{KvError::no_key, "", 0}
                                    : KvOutput{KvError::ok, state.value, state.version};
        seen = state.version;
    } else {
        operation.input.value = "v" + std::to_string(number);
        operation.input.version = random.one_in(2) ? state.version : seen;
        if (operation.input.version != state.version) {
            output.error = KvError::version;
        } else if (!scheduled.never_happens) {
            state = {operation.input.value, state.version + 1};
            seen = state.version;
        }
    }
    operation.output = output;
}

inline std::vector<KvOperation> simulate(const Load& load) {
    Random random(load.seed);
    std::vector<Scheduled> plan;
    for (std::size_t client = 0; client < load.clients; ++client) {
        std::int64_t clock = random.time_below(load.pause);
        const std::size_t share =
            load.operations / load.clients + (client < load.operations % load.clients ? 1 : 0);
        for (std::size_t i = 0; i < share; ++i) {
            plan.push_back(schedule(random, load, client, clock));
        }
    }
    std::stable_sort(plan.begin(), plan.end(), [](const Scheduled& left, const Scheduled& right) {
        return left.instant < right.instant;
    });
    std::map<std::string, KvModel::State> states;
    std::map<std::pair<std::uint64_t, std::string>, std::uint64_t> seen;  // by client and key
    std::vector<KvOperation> history;
    for (Scheduled& scheduled : plan) {
        const std::string& key = scheduled.operation.input.key;
        scheduled.never_happens = load.unknown_in != 0 &&
                                  scheduled.operation.input.op == KvOp::put &&
                                  random.one_in(load.unknown_in);
        apply(states[key], seen[{scheduled.operation.client, key}], random, scheduled,
              history.size());
        if (scheduled.never_happens && scheduled.operation.output->error == KvError::ok) {
            // A put that was lost has either no reply or, after the client sent it again, a
            // doubtful one.
            if (random.one_in(2)) {
                scheduled.operation.output.reset();
                scheduled.operation.ret.reset();
            } else {
                scheduled.operation.output->error = KvError::maybe;
            }
        } else {
            make_unknown(random, load, scheduled);
        }
        history.push_back(std::move(scheduled.operation));
    }
    return history;
}

/// The version that a reply proves its key to have had, or 0.
inline std::uint64_t proven_version(const KvOperation& operation) {
    if (!operation.ret || operation.output->error != KvError::ok) {
        return 0;
    }
    return operation.input.op == KvOp::get ? operation.output->version
                                           : operation.input.version + 1;
}

/// Makes one get return a version below one that was proven before its call. False when there is no
/// such get.
inline bool lower_a_version(std::vector<KvOperation>& history, Random& random) {
    const std::size_t start = random.below(history.size());
    for (std::size_t i = 0; i < history.size(); ++i) {
        KvOperation& victim = history[(start + i) % history.size()];
        if (victim.input.op != KvOp::get || proven_version(victim) == 0) {
            continue;
        }
        for (const KvOperation& earlier : history) {
            const std::uint64_t version = proven_version(earlier);
            if (version > 1 && earlier.input.key == victim.input.key &&
                *earlier.ret < victim.call) {
                victim.output->version = version - 1;
                for (const KvOperation& writer : history) {
                    // The right value of that version, so that only the order of versions is wrong.
                    if (writer.input.op == KvOp::put && writer.input.key == victim.input.key &&
                        proven_version(writer) == version - 1) {
                        victim.output->value = writer.input.value;
                    }
                }
                return true;
            }
        }
    }
    return false;
}

/// Lets a put succeed on a version on which another has succeeded.
inline bool lose_an_update(std::vector<KvOperation>& history, Random& random) {
    const std::size_t start = random.below(history.size());
    for (std::size_t i = 0; i < history.size(); ++i) {
        KvOperation& victim = history[(start + i) % history.size()];
        if (victim.input.op != KvOp::put || !victim.ret ||
            victim.output->error != KvError::version) {
            continue;
        }
        for (const KvOperation& other : history) {
            if (other.input.op == KvOp::put && other.input.key == victim.input.key &&
                proven_version(other) == victim.input.version + 1) {
                victim.output->error = KvError::ok;
                return true;
            }
        }
    }
    return false;
}

/// Makes one get return something that no put can have left behind: a version too high, or a value
/// never written.
inline bool invent_a_reply(std::vector<KvOperation>& history, Random& random) {
    const std::size_t start = random.below(history.size());
    for (std::size_t i = 0; i < history.size(); ++i) {
        KvOperation& victim = history[(start + i) % history.size()];
        if (victim.input.op == KvOp::get && proven_version(victim) != 0) {
            if (random.one_in(2)) {
                victim.output->version += 1'000'000;
            } else {
                victim.output->value = "from nowhere";
            }
            return true;
        }
    }
    return false;
}

}  // namespace rsm::check::test

#endif  // RSM_TESTS_CHECK_CHECK_SUPPORT_HPP
