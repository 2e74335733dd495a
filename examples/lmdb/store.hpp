// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A key/value state machine whose state is an LMDB database: it may be larger than the memory, and
// a start restores nothing. The store keeps its position in the log beside the items, in the same
// transaction, so each operation gets into the database once.
#ifndef RSM_EXAMPLES_LMDB_STORE_HPP
#define RSM_EXAMPLES_LMDB_STORE_HPP

#include "environment.hpp"

#include <rsm/archive.hpp>
#include <rsm/state_machine.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace lmdb_kv {

struct Operation {
    enum class Kind : std::uint8_t { put, erase, add };
    Kind kind = Kind::put;
    std::string key;
    std::string value;        ///< put: the new one
    std::int64_t amount = 0;  ///< add: to the integer that the value spells; an absent one is 0

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& kind& key& value& amount;
    }
};

struct Result {
    enum class Status : std::uint8_t { ok, bad_key, not_integer, out_of_range };
    Status status = Status::ok;
    /// add: the new value. erase: how many keys went. put: 1.
    std::int64_t integer = 0;
};

/// A position in the log as the database holds it.
inline std::string encode(raft::LogPosition position) {
    return std::to_string(position.index.value) + " " + std::to_string(position.term.value);
}
inline raft::LogPosition decode_position(std::string_view text) {
    raft::LogPosition position;
    const char* const end = text.data() + text.size();
    const auto index = std::from_chars(text.data(), end, position.index.value);
    const bool separated = index.ec == std::errc() && index.ptr != end && *index.ptr == ' ';
    const auto term = std::from_chars(separated ? index.ptr + 1 : end, end, position.term.value);
    if (!separated || term.ec != std::errc() || term.ptr != end) {
        throw std::runtime_error("lmdb store: the database's position in the log is damaged");
    }
    return position;
}

/// Models rsm::Persistent. Several operations share one transaction of the database, and so one
/// sync; those of the last one are lost in a crash, and come again from the log.
///
/// Not thread-safe, and LMDB's writing transactions belong to the thread that began them: the
/// executor of its Replicated must have one thread. An image may be used on any thread.
class Store {
public:
    using Operation = lmdb_kv::Operation;
    using Result = lmdb_kv::Result;

    /// @param group  how many operations share a transaction, at least 1
    Store(const std::string& directory, std::size_t map_bytes, std::size_t group = 256)
        : environment_(std::make_shared<const Environment>(directory, map_bytes)), group_(group) {
        applied_ = position_in(reading());
    }

    Result apply(const Operation& operation, raft::LogPosition position) {
        if (!writing_) writing_.emplace(environment_, Transaction::Kind::write);
        Transaction step =
            writing_->part();  // if anything fails, nothing of the operation has happened
        const Result result = carry_out(step, operation);
        step.put(environment_->notes(), position_key, encode(position));
        step.commit();
        applied_ = position;
        if (++waiting_ >= group_) commit();
        return result;
    }
    raft::LogPosition applied() const { return applied_; }

    std::optional<std::string> get(std::string_view key) const {
        if (!is_key(key)) return std::nullopt;
        std::optional<std::string> value;
        look([&](const Transaction& txn) {
            if (const auto found = txn.get(environment_->items(), key)) value.emplace(*found);
        });
        return value;
    }
    std::size_t count() const {
        std::size_t keys = 0;
        look([&](const Transaction& txn) { keys = txn.count(environment_->items()); });
        return keys;
    }
    /// Calls f(key, value), the keys in ascending order.
    template <class F>
    void for_each(F f) const {
        look([&](const Transaction& txn) { txn.for_each(environment_->items(), f); });
    }

    void snapshot(rsm::SnapshotWriter& out) const {
        look([&](const Transaction& txn) { write(out, txn); });
    }
    /// A reading transaction: what is durable at the moment at which it is made. LMDB keeps its
    /// pages until it ends; nothing is copied.
    class Image {
    public:
        raft::LogPosition applied() const { return applied_; }
        void snapshot(rsm::SnapshotWriter& out) const { write(out, txn_); }

    private:
        friend class Store;
        explicit Image(Transaction txn) : txn_(std::move(txn)), applied_(position_in(txn_)) {}

        Transaction txn_;
        raft::LogPosition applied_;
    };
    Image freeze() const { return Image(reading()); }

    /// In one transaction: after a crash in the midst of it, the state is the one before.
    void restore(rsm::SnapshotReader& in, raft::LogPosition last) {
        writing_.reset();
        waiting_ = 0;
        Transaction txn(environment_, Transaction::Kind::write);
        txn.clear(environment_->items());
        std::uint64_t count = 0;
        for (in >> count; count != 0; --count) {
            std::string key;
            std::string value;
            in >> key >> value;
            txn.put(environment_->items(), key, value);
        }
        txn.put(environment_->notes(), position_key, encode(last));
        txn.commit();
        applied_ = last;
    }

private:
    static constexpr std::string_view position_key = "applied";

    bool is_key(std::string_view key) const {
        const auto most = static_cast<std::size_t>(mdb_env_get_maxkeysize(environment_->get()));
        return !key.empty() && key.size() <= most;
    }
    static std::optional<std::int64_t> integer(std::string_view text) {
        std::int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [stopped, error] = std::from_chars(text.data(), end, value);
        if (error != std::errc() || stopped != end) return std::nullopt;
        return value;
    }

    Result carry_out(Transaction& txn, const Operation& operation) {
        const MDB_dbi items = environment_->items();
        if (!is_key(operation.key)) return {Result::Status::bad_key, 0};
        if (operation.kind == Operation::Kind::erase) {
            return {Result::Status::ok, txn.erase(items, operation.key) ? 1 : 0};
        }
        if (operation.kind == Operation::Kind::put) {
            txn.put(items, operation.key, operation.value);
            return {Result::Status::ok, 1};
        }
        const auto held = txn.get(items, operation.key);
        const auto before = held ? integer(*held) : 0;
        if (!before) return {Result::Status::not_integer, 0};
        std::int64_t sum = 0;
        if (__builtin_add_overflow(*before, operation.amount, &sum)) {
            return {Result::Status::out_of_range, *before};
        }
        txn.put(items, operation.key, std::to_string(sum));
        return {Result::Status::ok, sum};
    }
    void commit() {
        waiting_ = 0;
        Transaction done = std::move(*writing_);
        writing_.reset();
        done.commit();
    }

    Transaction reading() const { return {environment_, Transaction::Kind::read}; }
    /// Operations that are not durable yet are there to be read.
    template <class F>
    void look(F f) const {
        if (writing_) return f(*writing_);
        f(reading());
    }
    static raft::LogPosition position_in(const Transaction& txn) {
        const auto text = txn.get(txn.environment().notes(), position_key);
        return text ? decode_position(*text) : raft::LogPosition{};
    }
    static void write(rsm::SnapshotWriter& out, const Transaction& txn) {
        const MDB_dbi items = txn.environment().items();
        out << std::uint64_t{txn.count(items)};
        txn.for_each(items, [&](std::string_view key, std::string_view value) {
            out << std::string(key) << std::string(value);
        });
    }

    std::shared_ptr<const Environment> environment_;
    std::size_t group_;
    std::optional<Transaction> writing_;
    std::size_t waiting_ = 0;  // operations in it
    raft::LogPosition applied_;
};

static_assert(rsm::StateMachine<Store> && rsm::Persistent<Store> && rsm::Freezes<Store>);

}  // namespace lmdb_kv

#endif
