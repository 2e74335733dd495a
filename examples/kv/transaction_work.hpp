// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How much a transaction, or another operation, would touch, found out before it is begun.
#ifndef RSM_EXAMPLES_KV_TRANSACTION_WORK_HPP
#define RSM_EXAMPLES_KV_TRANSACTION_WORK_HPP

#include "growing_values.hpp"
#include "keyspace.hpp"
#include "limits.hpp"
#include "operation.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <unordered_map>
#include <variant>

namespace kv {

namespace detail {

/// Follows the sizes of the values from action to action. A size may be too large, where a
/// condition decides, and never too small.
class TransactionWork {
public:
    /// @param growing  what is under way and not in the values yet; null: nothing is
    explicit TransactionWork(const Keyspace& keys, const GrowingValues* growing = nullptr)
        : keys_(keys), growing_(growing) {}

    std::size_t bytes() const { return bytes_; }
    std::size_t reply_bytes() const { return reply_bytes_; }

    void add(const Put& put) { writes(put.key, put.value.size()); }
    void add(const Set& set) { writes(set.key, set.value.size()); }
    void add(const Delete& deletion) {
        for (const auto& key : deletion.keys) touches(key);
    }
    void add(const Increment& increment) { writes(increment.key, integer_bytes); }
    void add(const SetMany& many) {
        for (const auto& [key, value] : many.entries) writes(key, value.size());
    }
    void add(const SetManyAbsent& wanted) { add(wanted.many); }
    void add(const Replace& replace) {
        if (replace.wants_old) reads(replace.set.key);
        add(replace.set);
    }
    void add(const Expire& expire) {
        touches(expire.key);
        if (expire.wants_value) reads(expire.key);
    }
    void add(const Append& append) { writes(append.key, size_of(append.key) + append.tail.size()); }
    void add(const Take& take) { reads(take.key); }
    void add(const Flush&) {}
    void add(const Tick&) {}
    void add(const Transaction& transaction) {
        for (const Action& action : transaction.actions) {
            std::visit([this](const auto& one) { add(one); }, action);
        }
    }
    void add(const Query& query) {
        const bool has_values = query.kind == Query::Kind::get ||
                                query.kind == Query::Kind::get_many ||
                                query.kind == Query::Kind::get_version;
        if (!has_values) return;
        for (const auto& key : query.keys) reads(key);
    }

private:
    static constexpr std::size_t integer_bytes = 20;

    std::size_t& size_of(std::string_view key) {
        const auto [place, is_new] = sizes_.try_emplace(key, 0);
        if (is_new) {
            if (const auto* entry = keys_.find(key)) place->second = entry->value.size();
            if (growing_ != nullptr) place->second += growing_->of(key);
        }
        return place->second;
    }
    void touches(std::string_view key) { bytes_ += size_of(key); }
    void reads(std::string_view key) {
        touches(key);
        reply_bytes_ += size_of(key);
    }
    // The one before is larger where it was not written over.
    void writes(std::string_view key, std::size_t size) {
        std::size_t& before = size_of(key);
        bytes_ += before + size;
        before = std::max(before, size);
    }

    const Keyspace& keys_;
    const GrowingValues* growing_;
    std::unordered_map<std::string_view, std::size_t> sizes_;
    std::size_t bytes_ = 0;
    std::size_t reply_bytes_ = 0;
};

}  // namespace detail

/// Whether a transaction stays within limits.hpp as to the values that it touches and answers.
inline bool work_fits(const Transaction& transaction, const Keyspace& keys) {
    detail::TransactionWork work(keys);
    work.add(transaction);
    return work.bytes() <= transaction_work_max && work.reply_bytes() <= reply_bytes_max_default;
}

/// Bytes of values that an operation may copy, compute with or answer although it is short itself;
/// and no more than a transaction is allowed to.
inline std::size_t work_beyond_request(const Operation& operation, const Keyspace& keys,
                                       const GrowingValues& growing) {
    // What these touch goes by the values that they bring, or that they are for.
    const bool is_plain = std::holds_alternative<Set>(operation.action) ||
                          std::holds_alternative<Increment>(operation.action) ||
                          std::holds_alternative<Put>(operation.action) ||
                          std::holds_alternative<SetMany>(operation.action);
    if (is_plain) return 0;
    detail::TransactionWork work(keys, &growing);
    std::visit([&work](const auto& action) { work.add(action); }, operation.action);
    return std::min(work.bytes(), transaction_work_max) +
           std::min(work.reply_bytes(), reply_bytes_max_default);
}

/// Whose values an operation may make larger.
inline GrowingValues::Place grown_place(const Operation& operation) {
    return std::visit(
        [](const auto& action) {
            if constexpr (requires { action.set.key; }) {
                return GrowingValues::place_of(action.set.key);
            } else if constexpr (requires { std::string_view(action.key); }) {
                return GrowingValues::place_of(action.key);
            } else {
                return GrowingValues::anywhere;
            }
        },
        operation.action);
}

}  // namespace kv

#endif
