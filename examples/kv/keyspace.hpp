// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The state of the kv service: keys with values, versions and deadlines, and the time.
#ifndef RSM_EXAMPLES_KV_KEYSPACE_HPP
#define RSM_EXAMPLES_KV_KEYSPACE_HPP

#include "deadlines.hpp"
#include "hash_order.hpp"
#include "leftovers.hpp"
#include "operation.hpp"
#include "table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// The keys, their values, versions and deadlines.
///
/// Versions. Every change of a key, of its deadline too, raises its version by one. The first write
/// of a key gives it version 1, as long as no key has been deleted. A key that is deleted and
/// created again must not get a version that it has had before: a Put that expects the old one,
/// from a client that has seen nothing of the deletion, would succeed. Remembering the version of
/// each deleted key would take memory for ever, so the store remembers one number: the highest
/// version that any deleted key had. Keys that are created later start above it. So the versions of
/// a key never fall back and never repeat, and 0 always means "absent".
///
/// Time. It is the latest that operations have told, so it never goes back and is the same on all
/// replicas. A key is there until the time has reached its deadline, and from then on it is absent,
/// deleted like any other. Its memory is freed by the operations that follow, some keys by each.
///
/// Deterministic: state and results follow from the sequence of operations alone.
/// Thread safety: const functions may run side by side; all others and freeze() run alone. An image
/// may be used on any thread.
class Keyspace {
public:
    struct Entry {
        std::string value;
        std::uint64_t version = 0;  // >= 1
        Time deadline = never;

        friend bool operator==(const Entry&, const Entry&) = default;
    };

    /// The key's value and version, or null if the key is absent. Valid until the next change.
    const Entry* find(std::string_view key) const {
        const Entry* entry = entries_.find(key);
        return entry == nullptr || entry->deadline <= time_ ? nullptr : entry;
    }

    /// With those that have expired and are not freed yet.
    std::size_t key_count() const noexcept { return entries_.size(); }
    /// How many of them have a deadline.
    std::size_t deadline_count() const noexcept { return deadlines_.size(); }

    /// The latest that operations have told; 0: none has.
    Time time() const noexcept { return time_; }
    /// Of all keys that are not freed; `never` if none has one.
    Time first_deadline() const noexcept { return deadlines_.first(); }
    /// Whether there is memory that further operations will free.
    bool has_leftovers() const noexcept { return !leftovers_.empty() || first_deadline() <= time_; }

    /// About how much memory the entries take: keys, values and a constant for each entry.
    std::uint64_t bytes() const noexcept {
        constexpr std::uint64_t entry_overhead_bytes = 120;
        return payload_bytes_ + entries_.size() * entry_overhead_bytes + deadlines_.bytes();
    }

    /// The highest version that a deleted key had; 0 if none was deleted.
    std::uint64_t deleted_floor() const noexcept { return deleted_floor_; }

    /// A fingerprint of the whole state, equal on every platform for equal states. It finds
    /// replicas that have diverged; it does not withstand somebody who looks for collisions. Kept
    /// up with every change, so that it costs nothing to ask for.
    std::uint64_t digest() const noexcept {
        return mix(mix(fingerprints_) + entries_.size()) ^ mix(deleted_floor_) ^
               mix(time_ * 0x9e3779b97f4a7c15U);
    }

    friend bool operator==(const Keyspace& left, const Keyspace& right) {
        return left.time_ == right.time_ && left.deleted_floor_ == right.deleted_floor_ &&
               left.payload_bytes_ == right.payload_bytes_ &&
               left.fingerprints_ == right.fingerprints_ && left.entries_ == right.entries_;
    }

    /// Calls visit(key, entry) for keys that are there, in an order that only depends on the keys,
    /// from a cursor on, which is 0 at the beginning, until it has looked at `count` of them or
    /// visit() has returned false; it may be a few more.
    /// @return where to go on; 0: there are no more
    template <class Visit>
    std::uint64_t scan(std::uint64_t cursor, std::size_t count, Visit visit) const {
        if (cursor >> HashOrder::position_bits != 0) return 0;
        const std::vector<std::uint64_t> hashes = order_.from(cursor, count + 1);
        bool goes_on = true;
        for (std::size_t i = 0; i < hashes.size(); ++i) {
            if (i != 0 && hashes[i] == hashes[i - 1]) continue;  // both are visited already
            const std::uint64_t position = HashOrder::position_of(hashes[i]);
            // A cursor cannot stand between keys of one position.
            const bool may_end = i != 0 && position != HashOrder::position_of(hashes[i - 1]);
            if (may_end && (i >= count || !goes_on)) return position;
            entries_.for_each_of_hash(hashes[i], [&](const std::string& key, const Entry& entry) {
                if (entry.deadline > time_ && !visit(key, entry)) goes_on = false;
            });
        }
        return hashes.size() <= count ? 0 : next_position(hashes.back());
    }

    /// Calls f(key, entry) for all keys that are there, in no particular order.
    template <class F>
    void for_each(F f) const {
        entries_.for_each([&](const std::string& key, const Entry& entry) {
            if (entry.deadline > time_) f(key, entry);
        });
    }

    /// Writes the whole state, keys in ascending order: equal states give equal bytes. In format
    /// version 0 there are neither a time nor deadlines.
    template <class Writer>
    void snapshot(Writer& out) const {
        write_snapshot(out, *this, entries_);
    }

    /// The state as it was when freeze() was called.
    class Image {
    public:
        /// Writes what Keyspace::snapshot() would have written then.
        template <class Writer>
        void snapshot(Writer& out) const {
            write_snapshot(out, *this, entries_);
        }

    private:
        friend class Keyspace;
        explicit Image(const Keyspace& store)
            : entries_(store.entries_.freeze()),
              deleted_floor_(store.deleted_floor_),
              time_(store.time_) {}

        Table<Entry>::Image entries_;
        std::uint64_t deleted_floor_;
        Time time_;
    };
    Image freeze() const { return Image(*this); }

    /// Replaces the whole state. Throws std::runtime_error, or what the reader throws, if the bytes
    /// are not those of a snapshot; then the state is what it was before.
    template <class Reader>
    void restore(Reader& in) {
        std::uint8_t format = 0;
        std::uint64_t count = 0;
        Keyspace fresh;
        in >> format;
        if (format != first_snapshot_format && format != snapshot_format) {
            throw std::runtime_error("kv snapshot: unknown format");
        }
        in >> fresh.deleted_floor_;
        if (format != first_snapshot_format) in >> fresh.time_;
        in >> count;
        if (fresh.time_ > latest) throw std::runtime_error("kv snapshot: a time that never comes");
        fresh.highest_version_ = fresh.deleted_floor_;
        // The count is not to be believed further than there are bytes.
        std::vector<std::uint64_t> hashes;
        if constexpr (requires { in.remaining(); }) {
            const auto likely = static_cast<std::size_t>(
                std::min<std::uint64_t>(count, in.remaining() / reserve_bytes_per_entry));
            fresh.entries_.reserve(likely);
            hashes.reserve(likely);
        }
        std::string previous;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::string key;
            Entry entry;
            in >> key >> entry.value >> entry.version;
            if (format != first_snapshot_format) in >> entry.deadline;
            if (entry.version == 0 || (i != 0 && key <= previous)) {
                throw std::runtime_error("kv snapshot: entry out of order or without a version");
            }
            hashes.push_back(Table<Entry>::hash_of(key));
            fresh.insert(key, std::move(entry));
            previous = std::move(key);
        }
        fresh.order_ = HashOrder(std::move(hashes));
        *this = std::move(fresh);
    }

protected:
    // Versions, time and indexes are kept up by these; what they are for is Store's.

    /// The time is not earlier than that, and up to `count` keys that have expired are freed.
    void advance(Time time, std::size_t count) {
        time_ = std::max(time_, std::min(time, latest));
        for (; count != 0 && deadlines_.first() <= time_; --count) {
            erase(std::string(deadlines_.first_key()));
        }
        leftovers_.free_some(count);
    }

    /// Writes the value, whether or not the key exists; returns the new version.
    /// @param deadline  of the key from now on; later than the time
    std::uint64_t write(const std::string& key, std::string_view value, Time deadline = never) {
        const auto [entry, created] = entries_.change(key);
        if (created) {
            payload_bytes_ += key.size();
            entry.version = deleted_floor_;
            order_.insert(Table<Entry>::hash_of(key));
        } else {
            fingerprints_ -= fingerprint(key, entry);
        }
        if (entry.deadline != deadline) change_deadline(key, entry, deadline);
        payload_bytes_ += value.size();
        payload_bytes_ -= entry.value.size();
        entry.value = value;
        highest_version_ = std::max(highest_version_, ++entry.version);
        fingerprints_ += fingerprint(key, entry);
        return entry.version;
    }

    /// Another deadline for a key that is there; returns the new version.
    /// @param deadline  later than the time
    std::uint64_t set_deadline(const std::string& key, Time deadline) {
        Entry& entry = entries_.change(key).first;
        fingerprints_ -= fingerprint(key, entry);
        if (entry.deadline != deadline) change_deadline(key, entry, deadline);
        highest_version_ = std::max(highest_version_, ++entry.version);
        fingerprints_ += fingerprint(key, entry);
        return entry.version;
    }

    /// Deletes a key that is there, or has expired.
    void erase(const std::string& key) {
        const Entry& entry = *entries_.find(key);
        deleted_floor_ = std::max(deleted_floor_, entry.version);
        payload_bytes_ -= key.size() + entry.value.size();
        fingerprints_ -= fingerprint(key, entry);
        if (entry.deadline != never) deadlines_.erase(entry.deadline, key);
        order_.erase(Table<Entry>::hash_of(key));
        entries_.erase(key);
    }

    /// Deletes all keys, in next to no time.
    void clear() {
        deleted_floor_ = highest_version_;
        payload_bytes_ = 0;
        fingerprints_ = 0;
        leftovers_.add(entries_.take_all(), std::exchange(order_, {}),
                       std::exchange(deadlines_, {}));
    }

private:
    // So that no time comes to what is never to expire.
    static constexpr Time latest = never - 1;
    static constexpr std::uint8_t first_snapshot_format = 1;
    static constexpr std::uint8_t snapshot_format = 2;
    // What a place in the table may take, half of them free, so that no more is reserved than there
    // are bytes left.
    static constexpr std::uint64_t reserve_bytes_per_entry = 176;

    template <class Writer, class State, class Entries>
    static void write_snapshot(Writer& out, const State& state, const Entries& entries) {
        const bool is_first = out.version() == 0;
        out << (is_first ? first_snapshot_format : snapshot_format) << state.deleted_floor_;
        if (!is_first) out << state.time_;
        out << std::uint64_t{entries.size()};
        entries.for_each_sorted([&out, is_first](const std::string& key, const Entry& entry) {
            out << key << entry.value << entry.version;
            if (!is_first) out << entry.deadline;
        });
    }

    // A bijection that spreads every bit (the finalizer of SplitMix64).
    static std::uint64_t mix(std::uint64_t x) noexcept {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
        return x ^ (x >> 31);
    }

    // One without a deadline has that of a program that knows of none.
    static std::uint64_t fingerprint(const std::string& key, const Entry& entry) {
        return hash(entry.value, hash(key, entry.version)) ^ mix(~entry.deadline);
    }

    static std::uint64_t next_position(std::uint64_t hash) {
        const std::uint64_t next = HashOrder::position_of(hash) + 1;
        return next >> HashOrder::position_bits != 0 ? 0 : next;
    }

    // Without what order_ holds of it.
    void insert(const std::string& key, Entry entry) {
        payload_bytes_ += key.size() + entry.value.size();
        fingerprints_ += fingerprint(key, entry);
        highest_version_ = std::max(highest_version_, entry.version);
        if (entry.deadline != never) deadlines_.insert(entry.deadline, key);
        entries_.change(key).first = std::move(entry);
    }

    // One that has expired has been deleted, so what comes now is a new one.
    void change_deadline(const std::string& key, Entry& entry, Time deadline) {
        if (entry.deadline <= time_) {
            entry.version = deleted_floor_ = std::max(deleted_floor_, entry.version);
        }
        if (entry.deadline != never) deadlines_.erase(entry.deadline, key);
        if (deadline != never) deadlines_.insert(deadline, key);
        entry.deadline = deadline;
    }

    Table<Entry> entries_;
    Deadlines deadlines_;  // of the entries that have one
    HashOrder order_;      // of all entries
    Leftovers<Table<Entry>::Remains> leftovers_;
    std::uint64_t payload_bytes_ = 0;  // of all keys and values
    std::uint64_t fingerprints_ = 0;   // of all entries, added up: their order does not matter
    std::uint64_t deleted_floor_ = 0;
    std::uint64_t highest_version_ = 0;  // that any key has had
    Time time_ = 0;
};

}  // namespace kv

#endif
