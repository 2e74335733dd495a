// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// LMDB's handles with owners, and its return codes as exceptions: as much of it as the store needs.
#ifndef RSM_EXAMPLES_LMDB_ENVIRONMENT_HPP
#define RSM_EXAMPLES_LMDB_ENVIRONMENT_HPP

#include <lmdb.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace lmdb_kv {

/// What LMDB says that it cannot do.
struct Error : std::runtime_error {
    Error(const char* what, int code)
        : std::runtime_error(std::string("lmdb: ") + what + ": " + mdb_strerror(code)) {}
};
inline void check(int code, const char* what) {
    if (code != MDB_SUCCESS) throw Error(what, code);
}

inline MDB_val as_value(std::string_view bytes) {
    return {bytes.size(), const_cast<char*>(bytes.data())};
}
inline std::string_view as_text(const MDB_val& value) {
    return {static_cast<const char*>(value.mv_data), value.mv_size};
}

/// A directory that LMDB works on: the user's items, and what the store notes about them.
class Environment {
public:
    /// @param map_bytes  the most that the database may take
    Environment(const std::string& directory, std::size_t map_bytes) {
        std::filesystem::create_directories(directory);
        MDB_env* made = nullptr;
        check(mdb_env_create(&made), "create an environment");
        env_.reset(made);
        check(mdb_env_set_mapsize(made, map_bytes), "set the map's size");
        check(mdb_env_set_maxdbs(made, 2), "set the number of databases");
        // MDB_NOTLS: an image is read, and ended, by another thread than the one that made it.
        check(mdb_env_open(made, directory.c_str(), MDB_NOTLS, 0644), directory.c_str());
        MDB_txn* txn = nullptr;
        check(mdb_txn_begin(made, nullptr, 0, &txn), "begin a transaction");
        std::unique_ptr<MDB_txn, Abort> guard(txn);
        check(mdb_dbi_open(txn, "items", MDB_CREATE, &items_), "open the items");
        check(mdb_dbi_open(txn, "notes", MDB_CREATE, &notes_), "open the notes");
        check(mdb_txn_commit(guard.release()), "make the databases");
    }

    MDB_env* get() const { return env_.get(); }
    MDB_dbi items() const { return items_; }
    MDB_dbi notes() const { return notes_; }

private:
    struct Close {
        void operator()(MDB_env* env) const { mdb_env_close(env); }
    };
    struct Abort {
        void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
    };

    std::unique_ptr<MDB_env, Close> env_;
    MDB_dbi items_ = 0;
    MDB_dbi notes_ = 0;
};

/// A transaction, given up unless it is committed. It keeps its environment open.
class Transaction {
public:
    enum class Kind { read, write };

    Transaction(std::shared_ptr<const Environment> environment, Kind kind)
        : environment_(std::move(environment)) {
        begin(nullptr, kind == Kind::read ? MDB_RDONLY : 0);
    }
    Transaction(Transaction&&) = default;
    Transaction& operator=(Transaction&& other) noexcept {
        txn_ = std::move(other.txn_);  // before the environment may go
        environment_ = std::move(other.environment_);
        return *this;
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction() = default;

    /// A part of this one, to be committed into it.
    Transaction part() { return {environment_, txn_.get()}; }

    void commit() { check(mdb_txn_commit(txn_.release()), "commit"); }

    /// Nothing where the key is absent. Valid until the next change, or the end of the transaction.
    std::optional<std::string_view> get(MDB_dbi database, std::string_view key) const {
        MDB_val name = as_value(key);
        MDB_val value{};
        const int code = mdb_get(txn_.get(), database, &name, &value);
        if (code == MDB_NOTFOUND) return std::nullopt;
        check(code, "get");
        return as_text(value);
    }
    void put(MDB_dbi database, std::string_view key, std::string_view value) {
        MDB_val name = as_value(key);
        MDB_val content = as_value(value);
        check(mdb_put(txn_.get(), database, &name, &content, 0), "put");
    }
    /// Whether the key was there.
    bool erase(MDB_dbi database, std::string_view key) {
        MDB_val name = as_value(key);
        const int code = mdb_del(txn_.get(), database, &name, nullptr);
        if (code == MDB_NOTFOUND) return false;
        check(code, "delete");
        return true;
    }
    void clear(MDB_dbi database) { check(mdb_drop(txn_.get(), database, 0), "clear"); }
    std::size_t count(MDB_dbi database) const {
        MDB_stat stat{};
        check(mdb_stat(txn_.get(), database, &stat), "count");
        return stat.ms_entries;
    }
    /// Calls f(key, value), the keys in ascending order.
    template <class F>
    void for_each(MDB_dbi database, F f) const {
        MDB_cursor* made = nullptr;
        check(mdb_cursor_open(txn_.get(), database, &made), "open a cursor");
        const std::unique_ptr<MDB_cursor, CloseCursor> cursor(made);
        MDB_val key{};
        MDB_val value{};
        int code = mdb_cursor_get(made, &key, &value, MDB_FIRST);
        for (; code == MDB_SUCCESS; code = mdb_cursor_get(made, &key, &value, MDB_NEXT)) {
            f(as_text(key), as_text(value));
        }
        if (code != MDB_NOTFOUND) check(code, "read on");
    }

    const Environment& environment() const { return *environment_; }

private:
    Transaction(std::shared_ptr<const Environment> environment, MDB_txn* parent)
        : environment_(std::move(environment)) {
        begin(parent, 0);
    }
    struct Abort {
        void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
    };
    struct CloseCursor {
        void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
    };
    void begin(MDB_txn* parent, unsigned flags) {
        MDB_txn* made = nullptr;
        check(mdb_txn_begin(environment_->get(), parent, flags, &made), "begin a transaction");
        txn_.reset(made);
    }

    std::shared_ptr<const Environment> environment_;  // goes last
    std::unique_ptr<MDB_txn, Abort> txn_;
};

}  // namespace lmdb_kv

#endif
