// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core and Message as keys: a digest of all that they consist of, so that states can be told apart
// without keeping them. Equal values have equal digests. Nodes may be renamed on the way, which
// makes states that differ only in who is who recognisable (symmetry reduction).
//
// Not part of raft.hpp: only explorers of states need it.
#ifndef RSM_RAFT_PROOF_STATE_DIGEST_HPP
#define RSM_RAFT_PROOF_STATE_DIGEST_HPP

#include <raft/base/digest.hpp>
#include <raft/base/fields.hpp>
#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/message.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <variant>
#include <vector>

namespace raft::inline v0 {

/// Every node keeps its name.
struct SameNames {
    NodeId operator()(NodeId node) const { return node; }
};

/// Adds values of the algorithm's types to one digest. What has an order counts in that order;
/// what stands for a set of nodes counts without one, whatever the nodes are called.
template <class Names>
class StateDigest {
public:
    explicit StateDigest(Names names) : names_(names) {}

    std::uint64_t value() const { return digest_.value(); }

    template <class T>
        requires std::integral<T> || std::is_enum_v<T>
    void add(T value) { digest_.add(static_cast<std::uint64_t>(value)); }
    void add(Term term) { digest_.add(term); }
    void add(Index index) { digest_.add(index); }
    void add(NodeId node) { digest_.add(names_(node)); }
    void add(Instance instance) { digest_.add(instance.value); }
    void add(const std::string& text) { digest_.add(bytes_of(text)); }
    void add(Time time) { digest_.add(time); }
    void add(Duration duration) { add(duration.count()); }
    void add(WriteId write) { digest_.add(write.value); }
    void add(const Bytes& bytes) { digest_.add(bytes.view()); }
    void add(const Random& random) { digest_.add(random.state()); }
    template <HasFields T>
    void add(const T& value) {
        for_each_field(value, [this](const auto& field) { this->add(field); });
    }
    template <class T>
    void add(const std::optional<T>& value) {
        add(value.has_value());
        if (value) add(*value);
    }
    template <class... T>
    void add(const std::variant<T...>& value) {
        add(value.index());
        std::visit([this](const auto& held) { this->add(held); }, value);
    }
    template <class T>
    void add(const std::vector<T>& values) {
        add(values.size());
        for (const T& value : values) add(value);
    }
    void add(const std::vector<NodeId>& nodes) { add_set(nodes); }
    void add(const std::vector<Progress>& followers) { add_set(followers); }
    void add(const std::vector<Member>& members) { add_set(members); }
    template <class T>
    void add(const Ring<T>& values) {
        add(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) add(values[i]);
    }
    template <class... T>
    void add_all(const T&... values) {
        (add(values), ...);
    }
    /// A sum has no order, and each element's digest is well mixed.
    template <class T>
    void add_set(const std::vector<T>& values) {
        std::uint64_t sum = 0;
        for (const T& value : values) {
            StateDigest element(names_);
            element.add(value);
            sum += element.value();
        }
        add(values.size());
        add(sum);
    }

private:
    Names names_;
    Digest digest_;
};

/// The way to the private parts of a Core, for an explorer that must replace what it consists of by
/// values of equal meaning.
struct Anatomy {
    static Random& random(Core& core) { return core.timer_.random; }
    static Time& now(Core& core) { return core.now_; }
    static Time& election_at(Core& core) { return core.timer_.expires; }
    static std::optional<Time>& leader_heard(Core& core) { return core.timer_.leader_heard; }
    static std::optional<Time>& votes_from(Core& core) { return core.timer_.votes_from; }
    /// Null: no snapshot comes in.
    static IncomingSnapshot* incoming(Core& core) {
        return core.snapshots_.incoming ? &*core.snapshots_.incoming : nullptr;
    }
    static Preference& preference(Core& core) { return core.office_.preference; }
    static std::vector<NodeId>* granted(Core& core) {
        Candidate* candidate = core.office_.candidate();
        return candidate == nullptr ? nullptr : &candidate->granted;
    }
    static Reign* reign(Core& core) { return core.office_.reign(); }
    static Configuration& configuration(Core& core) { return core.configuration_; }
    static std::uint64_t& appended(Reign& reign) { return reign.budget.appended_; }

    static WriteId persisted(const Core& core) { return core.journal_.durable; }
    /// Counts writes anew from the last one that the core knows to be durable.
    static void renumber_writes(Core& core, Time since) {
        const auto renumber = [base = core.journal_.durable.value](WriteId& id) {
            id.value = id.value > base ? id.value - base : 0;
        };
        for (std::size_t i = 0; i < core.log_.writes_.size(); ++i) {
            renumber(core.log_.writes_[i].id);
            core.log_.writes_[i].since = since;
        }
        renumber(core.journal_.begun);
        if (core.ballot_.writing) renumber(*core.ballot_.writing);
        core.journal_.durable = WriteId{};
    }
};

/// Equal values have equal digests; different ones have different digests but for chance.
template <class Value, class Names = SameNames>
std::uint64_t digest(const Value& value, Names names = {}) {
    StateDigest<Names> digest(names);
    digest.add(value);
    return digest.value();
}

}  // namespace raft

template <>
struct std::hash<raft::Core> {
    std::size_t operator()(const raft::Core& core) const {
        return static_cast<std::size_t>(raft::digest(core));
    }
};
template <>
struct std::hash<raft::Message> {
    std::size_t operator()(const raft::Message& message) const {
        return static_cast<std::size_t>(raft::digest(message));
    }
};

#endif
