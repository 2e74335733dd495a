// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The state machine of the kv service: what each operation does to the keys. It is an ordinary
// class; nothing in it knows that it is replicated.
#ifndef RSM_EXAMPLES_KV_STORE_HPP
#define RSM_EXAMPLES_KV_STORE_HPP

#include "integer.hpp"
#include "keyspace.hpp"
#include "limits.hpp"
#include "operation.hpp"
#include "transaction_work.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kv {

/// A Keyspace, and what the log's operations do to it.
///
/// Format version 1 has the time, deadlines, transactions and all that is read in a write. As long
/// as members know version 0 only, no operation tells the time, and those that are new do nothing.
class Store : public Keyspace {
public:
    using Operation = kv::Operation;
    using Result = kv::Result;
    static constexpr std::uint32_t format_version = 1;

    Result apply(const Operation& operation) {
        if (version_ == 0 && !operation.is_of_first_format()) return {Status::not_agreed, 0, 0};
        const bool is_tick = std::holds_alternative<Tick>(operation.action);
        advance(operation.time, is_tick ? freed_by_tick : freed_by_write);
        return std::visit([this](const auto& action) { return carry_out(action); },
                          operation.action);
    }

    /// Which version of operations and snapshots all members know.
    void version_agreed(std::uint32_t version) { version_ = version; }
    std::uint32_t version() const noexcept { return version_; }

    /// What a read asks for. @pre the kind is none of those behind `type`
    /// @param now  what the remaining time is counted from
    Result answer(const Query& query, Time now) const {
        const Entry* first = query.keys.empty() ? nullptr : find(query.keys.front());
        Result result;
        result.version = first == nullptr ? 0 : first->version;
        switch (query.kind) {
            case Query::Kind::get:
            case Query::Kind::get_many:
            case Query::Kind::get_version:
                for (const std::string& key : query.keys) result.values.push_back(value_of(key));
                break;
            case Query::Kind::exists:
                result.integer = std::count_if(query.keys.begin(), query.keys.end(),
                                               [&](auto& key) { return find(key) != nullptr; });
                break;
            case Query::Kind::size: result.integer = static_cast<std::int64_t>(key_count()); break;
            case Query::Kind::length:
                if (first != nullptr)
                    result.integer = static_cast<std::int64_t>(first->value.size());
                break;
            case Query::Kind::type: result.integer = first == nullptr ? 0 : 1; break;
            default: result.integer = deadline_of(first, query.kind, now); break;
        }
        return result;
    }

    friend bool operator==(const Store& left, const Store& right) {
        return static_cast<const Keyspace&>(left) == right;
    }

private:
    std::optional<std::string> value_of(std::string_view key) const {
        const Entry* entry = find(key);
        return entry == nullptr ? std::nullopt : std::optional<std::string>(entry->value);
    }

    static std::int64_t deadline_of(const Entry* entry, Query::Kind kind, Time now) {
        if (entry == nullptr) return -2;
        if (entry->deadline == never) return -1;
        const bool is_left =
            kind == Query::Kind::seconds_left || kind == Query::Kind::milliseconds_left;
        const bool in_seconds =
            kind == Query::Kind::seconds_left || kind == Query::Kind::deadline_seconds;
        const Time time =
            is_left ? entry->deadline - std::min(entry->deadline, now) : entry->deadline;
        return static_cast<std::int64_t>(in_seconds ? (time + 500) / 1000 : time);
    }

    // `before` is the key's deadline. Nothing: a time that has been already.
    std::optional<Time> deadline(const Expiry& expiry, const Entry* entry) const {
        const std::int64_t bounded = std::clamp(expiry.milliseconds, -Expiry::most, Expiry::most);
        const auto milliseconds = static_cast<Time>(std::max<std::int64_t>(bounded, 0));
        switch (expiry.kind) {
            case Expiry::Kind::none: return never;
            case Expiry::Kind::kept: return entry == nullptr ? never : entry->deadline;
            case Expiry::Kind::relative:
                if (milliseconds == 0) return std::nullopt;
                return time() > Time{Expiry::most} ? never : time() + milliseconds;
            case Expiry::Kind::absolute: break;
        }
        return milliseconds > time() ? std::optional<Time>(milliseconds) : std::nullopt;
    }

    // Writes a value that expires then; at once, if the time has passed.
    std::uint64_t write_until(const std::string& key, std::string_view value,
                              std::optional<Time> deadline) {
        const std::uint64_t version = write(key, value, deadline.value_or(never));
        if (deadline) return version;
        erase(key);
        return 0;
    }

    Result carry_out(const Put& put) {
        const Entry* entry = find(put.key);
        const std::uint64_t current = entry == nullptr ? 0 : entry->version;
        if (current != put.version) {
            return {entry == nullptr ? Status::no_key : Status::version, 0, current};
        }
        return {Status::ok, 0, write(put.key, put.value)};
    }

    // Whether the key is there, or not, as it is wanted.
    std::optional<Result> refusal(const Set& set) const {
        if (set.when == Set::When::always) return std::nullopt;
        const Entry* entry = find(set.key);
        if ((entry == nullptr) == (set.when == Set::When::absent)) return std::nullopt;
        return Result{Status::condition, 0, entry == nullptr ? 0 : entry->version};
    }

    Result carry_out(const Set& set) {
        if (auto refused = refusal(set)) return *std::move(refused);
        return {Status::ok, 0, write(set.key, set.value)};
    }

    Result carry_out(const Replace& replace) {
        const Set& set = replace.set;
        Result result;
        if (auto refused = refusal(set)) result = *std::move(refused);
        if (replace.wants_old) result.values.push_back(value_of(set.key));
        if (result.status != Status::ok) return result;
        result.integer = 1;
        result.version = write_until(set.key, set.value, deadline(replace.expiry, find(set.key)));
        return result;
    }

    Result carry_out(const Delete& deletion) {
        Result result;
        for (const std::string& key : deletion.keys) {
            if (find(key) == nullptr) continue;
            erase(key);
            ++result.integer;
        }
        return result;
    }

    Result carry_out(const Increment& increment) {
        std::int64_t value = 0;
        const Entry* entry = find(increment.key);
        if (entry != nullptr) {
            const auto parsed = parse_integer(entry->value);
            if (!parsed) {
                return {Status::not_integer, 0, entry->version};
            }
            value = *parsed;
        }
        using Limits = std::numeric_limits<std::int64_t>;
        if (increment.amount > 0 ? value > Limits::max() - increment.amount
                                 : value < Limits::min() - increment.amount) {
            return {Status::out_of_range, 0, entry == nullptr ? 0 : entry->version};
        }
        value += increment.amount;
        std::string text;
        append_integer(text, value);
        const Time kept = entry == nullptr ? never : entry->deadline;
        return {Status::ok, value, write(increment.key, text, kept)};
    }

    Result carry_out(const Append& append) {
        const Entry* entry = find(append.key);
        const std::size_t before = entry == nullptr ? 0 : entry->value.size();
        if (append.key.size() + before + append.tail.size() > command_bytes_max) {
            return {Status::too_long, 0, entry == nullptr ? 0 : entry->version};
        }
        std::string value;
        value.reserve(before + append.tail.size());
        if (entry != nullptr) value = entry->value;
        value += append.tail;
        const Time kept = entry == nullptr ? never : entry->deadline;
        return {Status::ok, static_cast<std::int64_t>(value.size()),
                write(append.key, value, kept)};
    }

    Result carry_out(const SetMany& many) {
        for (const auto& [key, value] : many.entries) {
            write(key, value);
        }
        return {};
    }

    Result carry_out(const SetManyAbsent& wanted) {
        const auto& entries = wanted.many.entries;
        const bool any = std::any_of(entries.begin(), entries.end(),
                                     [&](const auto& entry) { return find(entry.first); });
        if (any) return {Status::condition, 0, 0};
        carry_out(wanted.many);
        return {Status::ok, 1, 0};
    }

    Result carry_out(const Take& take) {
        Result result;
        result.values.push_back(value_of(take.key));
        if (!result.values.front()) return result;
        erase(take.key);
        result.integer = 1;
        return result;
    }

    static bool allows(Expire::When when, Time before, Time after) {
        switch (when) {
            case Expire::When::always: break;
            case Expire::When::without: return before == never;
            case Expire::When::with: return before != never;
            case Expire::When::later: return after > before;
            case Expire::When::sooner: return after < before;
            case Expire::When::sooner_with: return before != never && after < before;
        }
        return true;
    }

    Result carry_out(const Expire& expire) {
        Result result;
        const Entry* entry = find(expire.key);
        if (expire.wants_value) result.values.push_back(value_of(expire.key));
        if (entry == nullptr) return result;
        result.version = entry->version;
        const std::optional<Time> wanted = deadline(expire.expiry, entry);
        if (!allows(expire.when, entry->deadline, wanted.value_or(time()))) return result;
        // What takes away a deadline that is not there changes nothing.
        if (wanted == never && entry->deadline == never) return result;
        result.integer = 1;
        if (wanted) {
            result.version = set_deadline(expire.key, *wanted);
        } else {
            erase(expire.key);
            result.version = 0;
        }
        return result;
    }

    Result carry_out(const Flush&) {
        clear();
        return {};
    }
    Result carry_out(const Tick&) { return {}; }
    Result carry_out(const Query& query) { return answer(query, time()); }

    Result carry_out(const Transaction& transaction) {
        for (const auto& [key, version] : transaction.watched) {
            const Entry* entry = find(key);
            if ((entry == nullptr ? 0 : entry->version) != version) {
                return {Status::changed, 0, 0};
            }
        }
        if (!work_fits(transaction, *this)) return {Status::too_much, 0, 0};
        Result result;
        result.parts.reserve(transaction.actions.size());
        for (const Action& action : transaction.actions) {
            result.parts.push_back(
                std::visit([this](const auto& one) { return carry_out(one); }, action));
        }
        return result;
    }

    std::uint32_t version_ = 0;
};

}  // namespace kv

#endif
