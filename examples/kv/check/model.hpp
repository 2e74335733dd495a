// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// The sequential model of a key/value service with versions: what a single, never failing server
// would answer.
//
// A key is absent (version 0) until its first put. Every put that takes effect raises the key's
// version by one, and takes effect only when the version that it expects is the key's. Versions of
// a key therefore only grow, and each is reached by exactly one put: this is what lets the checker
// dismiss most orders at once (`out_of_reach` below).

#ifndef RSM_EXAMPLES_KV_CHECK_MODEL_HPP
#define RSM_EXAMPLES_KV_CHECK_MODEL_HPP

#include <rsm/check/history.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace kv::check {

enum class KvOp : std::uint8_t { get, put };

/// The replies of the service and, last, of its client.
///
/// `maybe` is the answer of a client that sent a put again after a lost reply and was then told
/// that the version differs: the put may have taken effect or not. Can an early transmission, still
/// on its way through the network, take effect after the client has returned? No: it can take
/// effect only at the expected version, and the service has just answered that it is past that
/// version (a client learns the versions it expects from the service, so "differs" can only mean
/// "past"); versions never fall back. So the put took effect within the call or never, and the
/// checker takes the time of return as the deadline of its effect. A client that gives up without
/// such an answer, or that makes up versions which the service has not reached, must not report
/// `maybe`: it leaves the operation without a return, and then there is no deadline.
enum class KvError : std::uint8_t { ok, version, no_key, maybe };

struct KvInput {
    KvOp op = KvOp::get;
    std::string key;
    std::string value;          ///< of a put
    std::uint64_t version = 0;  ///< expected by a put; 0 asks for an absent key

    friend bool operator==(const KvInput&, const KvInput&) = default;
};

struct KvOutput {
    KvError error = KvError::ok;
    std::string value;          ///< of a get that returned ok
    std::uint64_t version = 0;  ///< of a get that returned ok

    friend bool operator==(const KvOutput&, const KvOutput&) = default;
};

using KvOperation = rsm::check::Operation<KvInput, KvOutput>;
using KvHistory = rsm::check::History<KvInput, KvOutput>;

/// The model, to be handed to check_linearizability. Keys are independent of each other, so the
/// state is that of one key.
///
/// What is legal:
///   get: ok        the key exists, and both value and version are the key's
///   get: no_key    the key is absent
///   put: ok        the expected version is the key's; the version becomes one more
///   put: version   the key exists and its version is not the expected one; nothing changes
///   put: no_key    the key is absent and the expected version is not 0; nothing changes
///   put: maybe     took effect as `ok`, or did not happen
///   get: version   never; get: maybe says nothing and is ignored
class KvModel {
public:
    using Input = KvInput;
    using Output = KvOutput;

    struct State {
        std::string value;
        std::uint64_t version = 0;  // 0 = absent

        friend bool operator==(const State&, const State&) = default;
    };

    [[nodiscard]] State initial() const { return {}; }

    [[nodiscard]] std::optional<State> step(const State& state, const Input& input,
                                            const Output* output) const {
        if (input.op == KvOp::get) {
            return get_is_legal(state, output) ? std::optional<State>(state) : std::nullopt;
        }
        const bool takes_effect = state.version == input.version;
        if (output == nullptr || output->error == KvError::maybe) {
            return takes_effect ? written(input) : state;
        }
        switch (output->error) {
            case KvError::ok:
                return takes_effect ? std::optional<State>(written(input)) : std::nullopt;
            case KvError::version:
                return state.version != 0 && !takes_effect ? std::optional<State>(state)
                                                           : std::nullopt;
            case KvError::no_key:
                return state.version == 0 && !takes_effect ? std::optional<State>(state)
                                                           : std::nullopt;
            case KvError::maybe: break;
        }
        return std::nullopt;
    }

    [[nodiscard]] std::size_t hash(const State& state) const {
        return std::hash<std::string>{}(state.value) ^
               static_cast<std::size_t>(state.version * 0x9e3779b97f4a7c15U);
    }

    /// Heap memory of a state, for the checker's memory bound.
    [[nodiscard]] std::size_t state_bytes(const State& state) const {
        return state.value.capacity();
    }

    [[nodiscard]] const std::string& partition_key(const Input& input) const { return input.key; }

    [[nodiscard]] bool read_only(const Input& input, const Output* output) const {
        return input.op == KvOp::get || (output != nullptr && (output->error == KvError::version ||
                                                               output->error == KvError::no_key));
    }

    [[nodiscard]] bool unknown_outcome(const Input&, const Output& output) const {
        return output.error == KvError::maybe;
    }

    [[nodiscard]] std::uint64_t stage(const State& state) const { return state.version; }
    [[nodiscard]] std::uint64_t acts_at(const Input& input) const { return input.version; }

    /// Follows from versions that only grow and belong to one put each.
    [[nodiscard]] bool out_of_reach(const State& state, const Input& input,
                                    const Output* output) const {
        if (input.op == KvOp::put) {
            if (output == nullptr || output->error == KvError::ok ||
                output->error == KvError::maybe) {
                return state.version > input.version;
            }
            // "Version differs" becomes legal with the next put, so it is never lost for good.
            return output->error == KvError::no_key && (state.version != 0 || input.version == 0);
        }
        if (output == nullptr) {
            return true;  // Without a reply a get changes nothing, and that is what counts here.
        }
        switch (output->error) {
            case KvError::ok:
                return state.version > output->version || output->version == 0 ||
                       (state.version == output->version && state.value != output->value);
            case KvError::no_key: return state.version != 0;
            case KvError::version:
            case KvError::maybe: break;
        }
        return true;
    }

private:
    [[nodiscard]] static State written(const Input& input) {
        return {input.value, input.version + 1};
    }

    [[nodiscard]] static bool get_is_legal(const State& state, const Output* output) {
        if (output == nullptr || output->error == KvError::maybe) {
            return true;
        }
        if (output->error == KvError::ok) {
            return state.version != 0 && state.version == output->version &&
                   state.value == output->value;
        }
        return output->error == KvError::no_key && state.version == 0;
    }
};

}  // namespace kv::check

#endif  // RSM_EXAMPLES_KV_CHECK_MODEL_HPP
