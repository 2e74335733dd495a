// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes, messages and steps by number. A state of the world is then a handful of numbers, and a
// step of a Core that has been made once is never made again: there are far fewer states of one
// node than of all of them together.
#ifndef RSM_TESTS_MODEL_TABLES_HPP
#define RSM_TESTS_MODEL_TABLES_HPP

#include "flat.hpp"
#include "node_model.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <numeric>
#include <string>
#include <unordered_map>
#include <vector>

namespace model {

/// Who is called what in one permutation of the nodes.
struct Renaming {
    std::array<std::uint8_t, 7> to{};  // by node
    NodeId operator()(NodeId node) const {
        return node.value < to.size() ? NodeId{to[node.value]} : node;
    }
};

/// All that keep each node's part.
inline std::vector<Renaming> renamings(const Setup& setup) {
    Renaming names;
    std::iota(names.to.begin(), names.to.end(), std::uint8_t{0});
    std::vector<Renaming> found;
    const auto first = names.to.begin() + 1;
    do {
        bool same_parts = true;
        for (std::uint32_t node = 1; node <= setup.nodes; ++node) {
            same_parts = same_parts && setup.part_of(node) == setup.part_of(names.to[node]);
        }
        if (same_parts) found.push_back(names);
    } while (setup.symmetry && std::next_permutation(first, first + setup.nodes));
    return found;
}

/// Something that may happen, in 32 bits.
struct Action {
    Act act{};
    std::uint32_t node = 0;    // from 0
    std::uint32_t number = 0;  // of a message, an operation, a read, an answer or a target

    std::uint32_t code() const {
        return (static_cast<std::uint32_t>(act) << 27U) | (node << 24U) | number;
    }
    static Action of(std::uint32_t code) {
        return {static_cast<Act>(code >> 27U), (code >> 24U) & 7U, code & ((1U << 24U) - 1)};
    }
};

/// What is needed of a node at every turn.
struct NodeRow {
    std::uint64_t committed = 0;
    std::uint32_t face = 0;  // all that the invariants look at
    std::uint8_t term = 0;
    std::uint8_t durable_term = 0;
    bool leads = false;
    std::vector<Action> actions;  // that depend on nothing but the node
};

struct MessageRow {
    std::uint32_t from = 0;  // both from 0
    std::uint32_t to = 0;
    std::uint32_t dead_from = 0;  // the receiver's durable term that makes it void; 0: never
};

struct Outcome {
    std::uint32_t next = 0;
    std::uint32_t first_sent = 0;  // in Tables::sent
    std::uint16_t count_sent = 0;
    std::uint8_t leads = 0;  // of this term
    std::uint8_t lost_reads = 0;
    std::uint32_t first_answered = 0;  // in Tables::answered
    std::uint16_t count_answered = 0;
    std::uint16_t count_claims = 0;
    std::uint32_t first_claim = 0;  // in Tables::claims
    std::uint16_t violation = 0;    // in Tables::violations; 0: none
    std::uint32_t corners = 0;      // one bit for each Corner
};

/// A message that tells its receiver nothing any more, whatever happens, may be forgotten: an
/// answer of an earlier term than the one in which the receiver is for good. Where stale requests
/// are lost, they are as dead: nothing but a refusal could come of them.
inline std::uint32_t dead_from(const Message& message, bool lose_stale) {
    if (const auto* vote = std::get_if<VoteReply>(&message.body)) {
        if (vote->without.index.value != 0) return 0;  // tells that the receiver is no member
        const std::uint64_t election =
            vote->granted && !vote->pre_vote ? vote->election.value + 1 : vote->election.value;
        const std::uint64_t told = vote->term.value;
        return static_cast<std::uint32_t>(vote->granted ? std::max(election, told) : told);
    }
    const bool answer = std::holds_alternative<AppendReply>(message.body) ||
                        std::holds_alternative<SnapshotReply>(message.body);
    const bool mortal = answer || lose_stale;
    return mortal ? static_cast<std::uint32_t>(term_of(message).value + 1) : 0;
}

class Tables {
public:
    explicit Tables(const Setup& setup)
        : model_(setup), renamings_(renamings(setup)), violations_(1) {}

    const NodeModel& model() const { return model_; }
    const std::vector<Renaming>& names() const { return renamings_; }

    std::uint32_t number_of(const NodeState& node) {
        const std::uint64_t key = digest_of(node, SameNames{});
        for (auto [at, end] = node_numbers_.equal_range(key); at != end; ++at) {
            if (nodes_[at->second] == node) return at->second;
        }
        const auto number = static_cast<std::uint32_t>(nodes_.size());
        node_numbers_.emplace(key, number);
        nodes_.push_back(node);
        rows_.push_back(row_of(node));
        for (const Renaming& names : renamings_) node_digests_.push_back(digest_of(node, names));
        return number;
    }
    std::uint32_t number_of(const Message& message) {
        const std::uint64_t key = digest(message);
        for (auto [at, end] = message_numbers_.equal_range(key); at != end; ++at) {
            if (messages_[at->second] == message) return at->second;
        }
        const auto number = static_cast<std::uint32_t>(messages_.size());
        message_numbers_.emplace(key, number);
        messages_.push_back(message);
        message_rows_.push_back({static_cast<std::uint32_t>(message.from.value - 1),
                                 static_cast<std::uint32_t>(message.to.value - 1),
                                 dead_from(message, model_.setup().lose_stale)});
        for (const Renaming& names : renamings_) {
            message_digests_.push_back(digest(message, names));
        }
        return number;
    }

    const NodeState& node(std::uint32_t number) const { return nodes_[number]; }
    const NodeRow& row(std::uint32_t number) const { return rows_[number]; }
    const Message& message(std::uint32_t number) const { return messages_[number]; }
    const MessageRow& message_row(std::uint32_t number) const { return message_rows_[number]; }
    /// One digest for each renaming.
    const std::uint64_t* node_digests(std::uint32_t number) const {
        return &node_digests_[number * renamings_.size()];
    }
    const std::uint64_t* message_digests(std::uint32_t number) const {
        return &message_digests_[number * renamings_.size()];
    }

    /// What comes of this, at a node in this state. Valid until the next call.
    const Outcome& outcome(std::uint32_t state, Action action) {
        const std::uint64_t key = (static_cast<std::uint64_t>(state) << 32U) | action.code();
        if (const std::uint32_t known = steps_[key]; known != KeyMap::none) {
            return outcomes_[known];
        }
        const Outcome made = make(state, action);
        steps_[key] = static_cast<std::uint32_t>(outcomes_.size());
        outcomes_.push_back(made);
        return outcomes_.back();
    }
    std::span<const std::uint32_t> sent(const Outcome& outcome) const {
        return std::span(sent_).subspan(outcome.first_sent, outcome.count_sent);
    }
    std::span<const Answered> answered(const Outcome& outcome) const {
        return std::span(answered_).subspan(outcome.first_answered, outcome.count_answered);
    }
    std::span<const Claim> claims(const Outcome& outcome) const {
        return std::span(claims_).subspan(outcome.first_claim, outcome.count_claims);
    }
    const std::string& violation(std::uint32_t number) const { return violations_[number]; }

    /// Whether the safety properties hold between nodes in these states.
    bool agree(std::uint32_t left, std::uint32_t right) {
        const std::uint32_t low = std::min(rows_[left].face, rows_[right].face);
        const std::uint32_t high = std::max(rows_[left].face, rows_[right].face);
        const std::uint64_t key = (static_cast<std::uint64_t>(high) << 32U) | low;
        std::uint32_t& known = pairs_[key];
        if (known == KeyMap::none) {
            const std::array<const Core*, 2> cores{&nodes_[left].core, &nodes_[right].core};
            known = invariants::check(cores).has_value() ? 0 : 1;
        }
        return known == 1;
    }

    std::size_t node_count() const { return nodes_.size(); }
    std::size_t message_count() const { return messages_.size(); }
    std::size_t step_count() const { return outcomes_.size(); }
    /// About; what a node's containers hold on the heap was measured, not counted.
    std::size_t bytes() const {
        constexpr std::size_t node_bytes = 4096;
        constexpr std::size_t message_bytes = 400;
        return nodes_.size() * (node_bytes + renamings_.size() * 8) +
               messages_.size() * (message_bytes + renamings_.size() * 8) + steps_.bytes() +
               outcomes_.size() * (sizeof(Outcome) + 8) + pairs_.bytes();
    }

private:
    NodeRow row_of(const NodeState& node) {
        NodeRow row;
        row.committed = model_.committed(node).packed();
        row.face = face_of(node.core);
        row.term = static_cast<std::uint8_t>(node.core.term().value);
        row.durable_term = static_cast<std::uint8_t>(node.durable.hard.term.value);
        row.leads = node.core.role() == Role::leader;
        const auto self = static_cast<std::uint32_t>(node.id().value - 1);
        for (const Act act :
             {Act::complete, Act::notice, Act::time_out, Act::heartbeat, Act::silence, Act::forget,
              Act::crash, Act::snapshot, Act::give_up, Act::lose_touch, Act::gain_touch}) {
            if (model_.possible(node, act)) row.actions.push_back({act, self, 0});
        }
        for (std::uint32_t target = 0; target < Members::target_count; ++target) {
            const bool asked = model_.possible(node, Act::change) && model_.is_new(node, target);
            if (asked) row.actions.push_back({Act::change, self, target});
        }
        for (std::uint32_t i = 0; i < node.answers.size(); ++i) {
            row.actions.push_back({Act::answer, self, i});
        }
        return row;
    }
    std::uint32_t face_of(const Core& core) {
        const Log& log = core.log();
        StateDigest<SameNames> digest({});
        digest.add_all(core.role() == Role::leader, core.term(), log.commit(), log.base(),
                       log.last_index(), log.cache_first());
        for (Index index = log.base().index; index <= log.last_index(); ++index) {
            digest.add(*log.term_at(index));
            if (log.cached(index)) digest.add(log[index]);
        }
        const auto fresh = static_cast<std::uint32_t>(faces_.size());
        return faces_.emplace(digest.value(), fresh).first->second;
    }

    Outcome make(std::uint32_t state, Action action) {
        const bool arrives = action.act == Act::deliver || action.act == Act::deliver_copy;
        const Message* message = arrives ? &messages_[action.number] : nullptr;
        Effect effect;
        const NodeState next =
            model_.after(nodes_[state], action.act, action.number, message, effect);
        Outcome outcome;
        outcome.next = number_of(next);
        outcome.first_sent = static_cast<std::uint32_t>(sent_.size());
        outcome.count_sent = static_cast<std::uint16_t>(effect.sent.size());
        for (const Message& left : effect.sent) sent_.push_back(number_of(left));
        outcome.first_answered = static_cast<std::uint32_t>(answered_.size());
        outcome.count_answered = static_cast<std::uint16_t>(effect.answered.size());
        answered_.insert(answered_.end(), effect.answered.begin(), effect.answered.end());
        outcome.first_claim = static_cast<std::uint32_t>(claims_.size());
        outcome.count_claims = static_cast<std::uint16_t>(effect.claims.size());
        claims_.insert(claims_.end(), effect.claims.begin(), effect.claims.end());
        outcome.leads = static_cast<std::uint8_t>(effect.leads.value);
        outcome.lost_reads = effect.lost_reads;
        outcome.corners = effect.corners;
        if (!effect.violation.empty()) {
            outcome.violation = static_cast<std::uint16_t>(violations_.size());
            violations_.push_back(effect.violation);
        }
        return outcome;
    }

    NodeModel model_;
    std::vector<Renaming> renamings_;

    std::deque<NodeState> nodes_;
    std::vector<NodeRow> rows_;
    std::unordered_multimap<std::uint64_t, std::uint32_t> node_numbers_;
    std::vector<std::uint64_t> node_digests_;

    std::deque<Message> messages_;
    std::vector<MessageRow> message_rows_;
    std::unordered_multimap<std::uint64_t, std::uint32_t> message_numbers_;
    std::vector<std::uint64_t> message_digests_;

    KeyMap steps_;
    std::vector<Outcome> outcomes_;
    std::vector<std::uint32_t> sent_;
    std::vector<Answered> answered_;
    std::vector<Claim> claims_;
    std::vector<std::string> violations_;

    std::unordered_map<std::uint64_t, std::uint32_t> faces_;
    KeyMap pairs_;
};

}  // namespace model

#endif
