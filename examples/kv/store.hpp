// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The state machine of the kv service: a map from keys to values with versions. It is an ordinary
// class; nothing in it knows that it is replicated.
#ifndef RSM_EXAMPLES_KV_STORE_HPP
#define RSM_EXAMPLES_KV_STORE_HPP

#include "integer.hpp"
#include "table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

/// Writes `value` if `version` is the key's (0: the key is absent).
struct Put {
    std::string key;
    std::string value;
    std::uint64_t version = 0;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& key& value& version;
    }
};

/// Writes `value` whatever the key's version is.
struct Set {
    enum class When : std::uint8_t { always, absent, present };

    std::string key;
    std::string value;
    When when = When::always;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& key& value& when;
    }
};

/// Deletes the keys that exist.
struct Delete {
    std::vector<std::string> keys;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& keys;
    }
};

/// Adds to the integer that the value spells; an absent key counts as 0.
struct Increment {
    std::string key;
    std::int64_t amount = 1;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& key& amount;
    }
};

/// Writes several keys at once, in order.
struct SetMany {
    std::vector<std::pair<std::string, std::string>> entries;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& entries;
    }
};

/// What the log carries. New kinds of actions go behind the others: their numbers are in the logs.
struct Operation {
    std::variant<Put, Set, Delete, Increment, SetMany> action;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& action;
    }
};

enum class Status : std::uint8_t {
    ok,
    no_key,        ///< the key is absent; nothing changed
    version,       ///< the key's version is not the expected one; nothing changed
    condition,     ///< the key is (or is not) there, as the Set did not want it; nothing changed
    not_integer,   ///< the value does not spell a 64-bit integer; nothing changed
    out_of_range,  ///< the sum does not fit 64 bits; nothing changed
};

/// What an operation did.
struct Result {
    Status status = Status::ok;
    /// Increment: the new value. Delete: how many keys it deleted.
    std::int64_t integer = 0;
    /// Of the key after the operation, as far as one key is concerned; 0: the key is absent.
    std::uint64_t version = 0;

    friend bool operator==(const Result&, const Result&) = default;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& status& integer& version;
    }
};

/// The keys, their values and their versions.
///
/// Versions. Every write of a key raises its version by one. The first write of a key gives it
/// version 1, as long as no key has been deleted. A key that is deleted and created again must not
/// get a version that it has had before: a Put that expects the old one, from a client that has
/// seen nothing of the deletion, would succeed. Remembering the version of each deleted key would
/// take memory for ever, so the store remembers one number: the highest version that any deleted
/// key had. Keys that are created later start above it. So the versions of a key never fall back
/// and never repeat, and 0 always means "absent".
///
/// Deterministic: state and results follow from the sequence of operations alone.
/// Thread safety: const functions may run side by side; apply(), restore() and freeze() run alone.
/// An image may be used on any thread.
class Store {
public:
    using Operation = kv::Operation;
    using Result = kv::Result;

    struct Entry {
        std::string value;
        std::uint64_t version = 0;  // >= 1

        friend bool operator==(const Entry&, const Entry&) = default;
    };

    Result apply(const Operation& operation) {
        return std::visit([this](const auto& action) { return carry_out(action); },
                          operation.action);
    }

    /// The key's value and version, or null if the key is absent. Valid until the next apply().
    const Entry* find(std::string_view key) const { return entries_.find(key); }

    std::size_t key_count() const noexcept { return entries_.size(); }

    /// About how much memory the entries take: keys, values and a constant for each entry.
    std::uint64_t bytes() const noexcept {
        constexpr std::uint64_t entry_overhead_bytes = 96;
        return payload_bytes_ + entries_.size() * entry_overhead_bytes;
    }

    /// The highest version that a deleted key had; 0 if none was deleted.
    std::uint64_t deleted_floor() const noexcept { return deleted_floor_; }

    /// A fingerprint of the whole state, equal on every platform for equal states. It finds
    /// replicas that have diverged; it does not withstand somebody who looks for collisions. Kept
    /// up with every change, so that it costs nothing to ask for.
    std::uint64_t digest() const noexcept {
        return mix(mix(fingerprints_) + entries_.size()) ^ mix(deleted_floor_);
    }

    friend bool operator==(const Store&, const Store&) = default;

    /// Writes the whole state, keys in ascending order: equal states give equal bytes.
    template <class Writer>
    void snapshot(Writer& out) const {
        write(out, deleted_floor_, entries_);
    }

    /// The state as it was when freeze() was called.
    class Image {
    public:
        /// Writes what Store::snapshot() would have written then.
        template <class Writer>
        void snapshot(Writer& out) const {
            write(out, deleted_floor_, entries_);
        }

    private:
        friend class Store;
        explicit Image(const Store& store)
            : entries_(store.entries_.freeze()), deleted_floor_(store.deleted_floor_) {}

        Table<Entry>::Image entries_;
        std::uint64_t deleted_floor_;
    };
    Image freeze() const { return Image(*this); }

    /// Replaces the whole state. Throws std::runtime_error, or what the reader throws, if the bytes
    /// are not those of a snapshot; then the state is what it was before.
    template <class Reader>
    void restore(Reader& in) {
        std::uint8_t format = 0;
        std::uint64_t count = 0;
        Store fresh;
        in >> format;
        if (format != snapshot_format) {
            throw std::runtime_error("kv snapshot: unknown format");
        }
        in >> fresh.deleted_floor_ >> count;
        // The count is not to be believed further than there are bytes.
        if constexpr (requires { in.remaining(); }) {
            fresh.entries_.reserve(static_cast<std::size_t>(
                std::min<std::uint64_t>(count, in.remaining() / reserve_bytes_per_entry)));
        }
        std::string previous;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::string key;
            Entry entry;
            in >> key >> entry.value >> entry.version;
            if (entry.version == 0 || (i != 0 && key <= previous)) {
                throw std::runtime_error("kv snapshot: entry out of order or without a version");
            }
            fresh.payload_bytes_ += key.size() + entry.value.size();
            fresh.fingerprints_ += fingerprint(key, entry);
            fresh.entries_.change(key).first = std::move(entry);
            previous = std::move(key);
        }
        *this = std::move(fresh);
    }

private:
    static constexpr std::uint8_t snapshot_format = 1;
    // What a place in the table may take, half of them free, so that no more is reserved than there
    // are bytes left.
    static constexpr std::uint64_t reserve_bytes_per_entry = 160;

    template <class Writer, class Entries>
    static void write(Writer& out, std::uint64_t deleted_floor, const Entries& entries) {
        out << snapshot_format << deleted_floor << std::uint64_t{entries.size()};
        entries.for_each_sorted([&out](const std::string& key, const Entry& entry) {
            out << key << entry.value << entry.version;
        });
    }

    // A bijection that spreads every bit (the finalizer of SplitMix64).
    static std::uint64_t mix(std::uint64_t x) noexcept {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
        return x ^ (x >> 31);
    }

    static std::uint64_t fingerprint(const std::string& key, const Entry& entry) {
        return hash(entry.value, hash(key, entry.version));
    }

    // Writes the value, whether or not the key exists; returns the new version.
    std::uint64_t write(const std::string& key, std::string_view value) {
        const auto [entry, created] = entries_.change(key);
        if (created) {
            payload_bytes_ += key.size();
            entry.version = deleted_floor_;
        } else {
            fingerprints_ -= fingerprint(key, entry);
        }
        payload_bytes_ += value.size();
        payload_bytes_ -= entry.value.size();
        entry.value = value;
        ++entry.version;
        fingerprints_ += fingerprint(key, entry);
        return entry.version;
    }

    Result carry_out(const Put& put) {
        const Entry* entry = find(put.key);
        const std::uint64_t current = entry == nullptr ? 0 : entry->version;
        if (current != put.version) {
            return {entry == nullptr ? Status::no_key : Status::version, 0, current};
        }
        return {Status::ok, 0, write(put.key, put.value)};
    }

    Result carry_out(const Set& set) {
        if (set.when != Set::When::always) {
            const Entry* entry = find(set.key);
            if ((entry == nullptr) != (set.when == Set::When::absent)) {
                return {Status::condition, 0, entry == nullptr ? 0 : entry->version};
            }
        }
        return {Status::ok, 0, write(set.key, set.value)};
    }

    Result carry_out(const Delete& deletion) {
        Result result;
        for (const std::string& key : deletion.keys) {
            if (const Entry* entry = find(key)) {
                deleted_floor_ = std::max(deleted_floor_, entry->version);
                payload_bytes_ -= key.size() + entry->value.size();
                fingerprints_ -= fingerprint(key, *entry);
                entries_.erase(key);
                ++result.integer;
            }
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
        return {Status::ok, value, write(increment.key, text)};
    }

    Result carry_out(const SetMany& many) {
        for (const auto& [key, value] : many.entries) {
            write(key, value);
        }
        return {};
    }

    Table<Entry> entries_;
    std::uint64_t payload_bytes_ = 0;  // of all keys and values
    std::uint64_t fingerprints_ = 0;   // of all entries, added up: their order does not matter
    std::uint64_t deleted_floor_ = 0;
};

}  // namespace kv

#endif
