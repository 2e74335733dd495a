// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the log of the kv service carries, and what becomes of it: operations and results.
#ifndef RSM_EXAMPLES_KV_OPERATION_HPP
#define RSM_EXAMPLES_KV_OPERATION_HPP

#include <boost/serialization/version.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

/// Milliseconds since the epoch, by the clocks of those who led; see Operation::time.
using Time = std::uint64_t;
/// The deadline of a key that has none.
inline constexpr Time never = std::numeric_limits<Time>::max();

/// When a key is to expire, as a client says it.
struct Expiry {
    enum class Kind : std::uint8_t {
        none,      ///< it does not
        kept,      ///< when it did before
        relative,  ///< so long after the operation's time
        absolute,  ///< at that time
    };
    /// In milliseconds, relative or absolute. Beyond it nothing has a sense, nor overflows before.
    static constexpr std::int64_t most = std::int64_t{1} << 61;

    Kind kind = Kind::none;
    std::int64_t milliseconds = 0;  ///< -most to most

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& kind& milliseconds;
    }
};

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

// What follows is of format version 1.

/// Nothing but the time: expired keys are freed.
struct Tick {
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};

/// A Set with all that goes with it. The result has the value before, if that was asked for.
struct Replace {
    Set set;
    Expiry expiry;
    bool wants_old = false;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& set& expiry& wants_old;
    }
};

/// Gives a key that exists another deadline, or takes it away. The result says whether it did.
struct Expire {
    enum class When : std::uint8_t { always, without, with, later, sooner, sooner_with };

    std::string key;
    Expiry expiry;
    When when = When::always;  ///< what deadline the key must have now, compared with the new one
    bool wants_value = false;  ///< the result has the value, whether or not there was a change

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& key& expiry& when& wants_value;
    }
};

/// Writes behind the value; an absent key counts as empty.
struct Append {
    std::string key;
    std::string tail;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& key& tail;
    }
};

/// Deletes a key; the result has the value that it had.
struct Take {
    std::string key;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& key;
    }
};

/// Writes several keys at once if none of them exists.
struct SetManyAbsent {
    SetMany many;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& many;
    }
};

/// Deletes all keys.
struct Flush {
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};

/// A read among the writes of a transaction.
struct Query {
    /// Those behind `type` look at what no transaction can look at, and are never in the log.
    enum class Kind : std::uint8_t {
        get,
        get_many,
        exists,
        size,
        get_version,
        length,
        seconds_left,
        milliseconds_left,
        deadline_seconds,
        deadline_milliseconds,
        type,
        scan,
        keys,
        random,
        watch
    };
    Kind kind = Kind::get;
    std::vector<std::string> keys;

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& kind& keys;
    }
};

/// What one command of a transaction may be.
using Action = std::variant<Put, Set, Delete, Increment, SetMany, Replace, Expire, Append, Take,
                            SetManyAbsent, Flush, Query>;

/// All of it at once, or nothing of it if one of the keys has another version than expected.
struct Transaction {
    std::vector<Action> actions;
    std::vector<std::pair<std::string, std::uint64_t>> watched;  ///< 0: the key is absent

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& actions& watched;
    }
};

/// What the log carries. New kinds of actions go behind the others: their numbers are in the logs.
struct Operation {
    std::variant<Put, Set, Delete, Increment, SetMany, Tick, Replace, Expire, Append, Take,
                 SetManyAbsent, Flush, Transaction>
        action;
    /// What the leader's clock said when it took the operation in; 0: it does not tell.
    Time time = 0;

    /// Whether format version 0 has it.
    bool is_of_first_format() const { return action.index() < 5; }

    template <class Archive>
    void serialize(Archive& ar, unsigned version) {
        ar& action;
        if (version >= 1) ar& time;
    }
};

enum class Status : std::uint8_t {
    ok,
    no_key,        ///< the key is absent; nothing changed
    version,       ///< the key's version is not the expected one; nothing changed
    condition,     ///< the key is (or is not) there, as the Set did not want it; nothing changed
    not_integer,   ///< the value does not spell a 64-bit integer; nothing changed
    out_of_range,  ///< the sum does not fit 64 bits; nothing changed
    too_long,      ///< key and value would have more than command_bytes_max; nothing changed
    changed,       ///< a watched key has another version; nothing changed
    too_much,      ///< the transaction would touch more than work_bytes_max; nothing changed
    not_agreed,    ///< not all members know such an operation; nothing changed
};

/// What an operation did.
struct Result {
    Status status = Status::ok;
    /// Increment: the new value. Append, Query: what it asks for. Else how many keys it has
    /// deleted, written or given a deadline.
    std::int64_t integer = 0;
    /// Of the key after the operation, as far as one key is concerned; 0: the key is absent.
    std::uint64_t version = 0;
    /// What was asked for; nothing: the key was absent.
    std::vector<std::optional<std::string>> values{};
    /// Of a transaction's actions.
    std::vector<Result> parts{};

    friend bool operator==(const Result&, const Result&) = default;

    template <class Archive>
    void serialize(Archive& ar, unsigned of_version) {
        ar& status& integer& version;
        if (of_version >= 1) ar& values& parts;
    }
};

}  // namespace kv

BOOST_CLASS_VERSION(kv::Operation, 1)
BOOST_CLASS_VERSION(kv::Result, 1)

#endif
