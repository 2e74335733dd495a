// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// From what an operation has done, or a read finds, to the reply.
#ifndef RSM_EXAMPLES_KV_ANSWERS_HPP
#define RSM_EXAMPLES_KV_ANSWERS_HPP

#include "command_spec.hpp"
#include "glob.hpp"
#include "limits.hpp"
#include "reply_writer.hpp"
#include "store.hpp"

#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

namespace detail {

inline constexpr std::string_view not_agreed_text =
    "TRYAGAIN not all members of the cluster have said that they know this command (format version "
    "1 of the log), nothing happened";

/// The reply to what would fail again, an error of the class misuse.
inline std::string misuse_text(const boost::system::error_code& why) {
    if (why == rsm::Errc::too_large) return "ERR the request is too large, nothing happened";
    if (why == rsm::Errc::skipped) {
        // Sent again, it would be at another index, which nobody has been told to skip.
        return "ERR the operation makes every server stop and was left out (--skip-operation), "
               "nothing happened, do not send it again";
    }
    return "ERR " + why.message() + ", nothing happened";
}

inline void write_value(const std::optional<std::string>& value, ReplyWriter& reply) {
    if (value) {
        reply.bulk(*value);
    } else {
        reply.null();
    }
}

/// @return whether it was an error
inline bool write_failure(const Result& result, ReplyWriter& reply) {
    switch (result.status) {
        case Status::ok:
        case Status::condition:
        case Status::changed: return false;
        case Status::no_key: reply.error("NOKEY no such key"); break;
        case Status::version:
            reply.error("VERSION the version of the key is " + std::to_string(result.version));
            break;
        case Status::not_integer: reply.error(not_integer_text); break;
        case Status::out_of_range: reply.error("ERR increment or decrement would overflow"); break;
        case Status::too_long:
            reply.error("ERR key and value would have more than " +
                        std::to_string(command_bytes_max) + " bytes, nothing happened");
            break;
        case Status::too_much:
            reply.error("EXECABORT Transaction discarded: it would touch more than " +
                        std::to_string(transaction_work_max) + " bytes of values, or answer more " +
                        "than " + std::to_string(reply_bytes_max_default));
            break;
        case Status::not_agreed: reply.error(not_agreed_text); break;
    }
    return true;
}

/// What a read among the writes of a transaction has found.
inline void write_query(Query::Kind kind, const Result& result, ReplyWriter& reply) {
    const auto single = [&result] {
        return result.values.empty() ? std::nullopt : result.values.front();
    };
    switch (kind) {
        case Query::Kind::get: return write_value(single(), reply);
        case Query::Kind::get_many:
            reply.array(result.values.size());
            for (const auto& value : result.values) write_value(value, reply);
            return;
        case Query::Kind::get_version:
            if (!single()) return reply.error("NOKEY no such key");
            reply.array(2);
            write_value(single(), reply);
            return reply.integer(static_cast<std::int64_t>(result.version));
        case Query::Kind::type: return reply.simple(result.integer == 0 ? "none" : "string");
        default: return reply.integer(result.integer);
    }
}

inline void write_outcome(Write::Form form, const Result& result, ReplyWriter& reply) {
    if (write_failure(result, reply)) return;
    const bool refused = result.status != Status::ok;
    switch (form) {
        case Write::Form::version: return reply.integer(static_cast<std::int64_t>(result.version));
        case Write::Form::status: return refused ? reply.null() : reply.simple("OK");
        case Write::Form::integer: return reply.integer(result.integer);
        case Write::Form::boolean: return reply.integer(refused ? 0 : 1);
        case Write::Form::value:
            return write_value(result.values.empty() ? std::nullopt : result.values.front(), reply);
        case Write::Form::transaction: return reply.null_array();
    }
}

inline void write_transaction(const Script& script, const Result& result, std::string& out,
                              Protocol protocol) {
    ReplyWriter reply(out, protocol);
    reply.array(script.parts.size());
    auto next = result.parts.begin();
    for (const Script::Part& part : script.parts) {
        if (const auto* known = std::get_if<std::string>(&part)) {
            out += *known;
        } else if (const auto* kind = std::get_if<Query::Kind>(&part)) {
            write_query(*kind, *next++, reply);
        } else {
            write_outcome(std::get<Write::Form>(part), *next++, reply);
        }
    }
}

}  // namespace detail

/// Appends the reply to a write that was carried out with `result`.
/// @param script  of a transaction
inline void write_result(Write::Form form, const Result& result, std::string& out,
                         Protocol protocol = Protocol::resp2, const Script* script = nullptr) {
    if (script != nullptr && result.status == Status::ok) {
        return detail::write_transaction(*script, result, out, protocol);
    }
    ReplyWriter reply(out, protocol);
    detail::write_outcome(form, result, reply);
}

namespace detail {

/// The keys that SCAN or KEYS is about, as far as the limits go.
struct FoundKeys {
    std::vector<std::string_view> keys;
    std::size_t bytes = 0;     ///< of their reply
    std::uint64_t cursor = 0;  ///< where SCAN goes on
    std::string refusal;       ///< not empty: there is no answer, and this is why
};

inline constexpr std::size_t framing_bytes = 32;
// A SCAN ends early behind as many bytes of keys.
inline constexpr std::size_t scan_bytes_enough = std::size_t{1} << 20;

/// Whether a key is wanted, within a number of steps.
class KeyFilter {
public:
    explicit KeyFilter(const Scan& scan)
        : glob_(scan.pattern ? std::string_view(*scan.pattern) : "*"),
          is_open_(scan.is_for_strings) {}
    bool wants(std::string_view key) { return is_open_ && glob_.matches(key, steps_); }
    bool is_exhausted() const { return steps_ == 0; }

private:
    Glob glob_;
    bool is_open_;
    std::size_t steps_ = match_steps_max;
};

inline constexpr std::string_view pattern_refusal =
    "ERR to compare the pattern with the keys takes too long";

inline FoundKeys find_keys(const Scan& scan, const Store& store) {
    FoundKeys found;
    if (store.key_count() > keys_looked_at_max) {
        found.refusal = "ERR KEYS looks at " + std::to_string(keys_looked_at_max) +
                        " keys at most, and there are " + std::to_string(store.key_count()) +
                        ": use SCAN";
        return found;
    }
    KeyFilter filter(scan);
    store.for_each([&](const std::string& key, const Store::Entry&) {
        if (filter.is_exhausted() || !filter.wants(key)) return;
        found.keys.push_back(key);
        found.bytes += key.size() + framing_bytes;
    });
    if (filter.is_exhausted()) found.refusal = pattern_refusal;
    return found;
}

inline FoundKeys scan_keys(const Scan& scan, const Store& store) {
    FoundKeys found;
    KeyFilter filter(scan);
    std::size_t seen = 0;
    const auto visit = [&](const std::string& key, const Store::Entry&) {
        const bool wanted = filter.wants(key);
        // What it could not look at as a whole is for the next one, unless that would be the same.
        if (filter.is_exhausted()) {
            found.refusal = pattern_refusal;
            return false;
        }
        ++seen;
        if (!wanted) return true;
        found.keys.push_back(key);
        found.bytes += key.size() + framing_bytes;
        return found.bytes < scan_bytes_enough;
    };
    found.cursor = store.scan(scan.cursor, scan.count, visit);
    return found;
}

/// A key at or behind a place that chance has chosen; the first one if there is none behind it.
/// None at all: there is no key, or there are thousands that have expired and are not freed yet.
inline std::string_view random_key(std::uint64_t number, const Store& store) {
    std::string_view key;
    const auto take = [&key](const std::string& found, const Store::Entry&) {
        key = found;
        return false;
    };
    std::uint64_t cursor = store.scan(HashOrder::position_of(number), scan_count_max, take);
    for (int round = 0; round < 4 && key.data() == nullptr; ++round) {
        cursor = store.scan(cursor, scan_count_max, take);
    }
    return key;
}

inline FoundKeys look_for_keys(const Read& read, const Store& store) {
    return read.kind == Query::Kind::scan ? scan_keys(*read.scan, store)
                                          : find_keys(*read.scan, store);
}

inline void write_keys(const Read& read, const Store& store, ReplyWriter& reply) {
    const FoundKeys found = look_for_keys(read, store);
    if (!found.refusal.empty()) return reply.error(found.refusal);
    if (read.kind == Query::Kind::scan) {
        reply.array(2);
        reply.bulk(std::to_string(found.cursor));
    }
    reply.array(found.keys.size());
    for (const std::string_view key : found.keys) reply.bulk(key);
}

inline void write_entry(const Store::Entry* entry, ReplyWriter& reply) {
    if (entry == nullptr) {
        reply.null();
    } else {
        reply.bulk(entry->value);
    }
}

inline void get_version(const Store::Entry* entry, ReplyWriter& reply) {
    if (entry == nullptr) {
        return reply.error("NOKEY no such key");
    }
    reply.array(2);
    reply.bulk(entry->value);
    reply.integer(static_cast<std::int64_t>(entry->version));
}

inline void note_versions(const Read& read, const Store& store) {
    for (const std::string& key : read.keys) {
        const Store::Entry* entry = store.find(key);
        read.watch->seen.emplace_back(key, entry == nullptr ? 0 : entry->version);
    }
}

}  // namespace detail

/// Bytes of the reply to a read, or a little more. A request can name a large value many times,
/// so a reply may be far larger than any write.
inline std::size_t reply_bytes(const Read& read, const Store& store) {
    using detail::framing_bytes;
    std::size_t bytes = framing_bytes;
    switch (read.kind) {
        case Query::Kind::get:
        case Query::Kind::get_many:
        case Query::Kind::get_version: break;
        case Query::Kind::scan:
        case Query::Kind::keys:
            return 4 * framing_bytes + detail::look_for_keys(read, store).bytes +
                   detail::pattern_refusal.size();
        case Query::Kind::random:
            return framing_bytes + detail::random_key(read.number, store).size();
        default: return bytes;
    }
    for (const std::string& key : read.keys) {
        const Store::Entry* entry = store.find(key);
        bytes += framing_bytes + (entry == nullptr ? 0 : entry->value.size());
    }
    return bytes;
}

/// Whether the answer depends on what time it is.
inline bool asks_for_time(const Read& read) {
    return read.kind == Query::Kind::seconds_left || read.kind == Query::Kind::milliseconds_left;
}

/// Whether the answer may take a while although it is short.
inline bool is_long_work(const Read& read) {
    return read.kind == Query::Kind::scan || read.kind == Query::Kind::keys;
}

/// Appends the reply to a read, of reply_bytes() at most.
/// @param now  what the remaining time of a key is counted from
inline void answer(const Read& read, const Store& store, Time now, std::string& out) {
    ReplyWriter reply(out, read.protocol);
    switch (read.kind) {
        case Query::Kind::get: return detail::write_entry(store.find(read.keys[0]), reply);
        case Query::Kind::get_version: return detail::get_version(store.find(read.keys[0]), reply);
        case Query::Kind::get_many:
            reply.array(read.keys.size());
            for (const std::string& key : read.keys) detail::write_entry(store.find(key), reply);
            return;
        case Query::Kind::scan:
        case Query::Kind::keys: return detail::write_keys(read, store, reply);
        case Query::Kind::random: {
            const std::string_view key = detail::random_key(read.number, store);
            return key.data() == nullptr ? reply.null() : reply.bulk(key);
        }
        case Query::Kind::watch: return detail::note_versions(read, store), reply.simple("OK");
        default: return detail::write_query(read.kind, store.answer(read, now), reply);
    }
}

}  // namespace kv

#endif
