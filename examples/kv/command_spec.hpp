// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a command is: the values that parsing gives, the table that describes the commands, and the
// errors that they share.
#ifndef RSM_EXAMPLES_KV_COMMAND_SPEC_HPP
#define RSM_EXAMPLES_KV_COMMAND_SPEC_HPP

#include "credentials.hpp"
#include "reply_writer.hpp"
#include "store.hpp"
#include "topology.hpp"

#include <raft/protocol/membership.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

struct Script;
struct Watch;

/// The reply is known already. It is empty for an empty request, which gets no answer.
struct Immediate {
    std::string reply;
    bool close = false;  ///< close the connection once the reply is sent
};

/// Submit the operation, then write_result().
struct Write {
    enum class Form : std::uint8_t {
        version,
        status,
        integer,
        boolean,  ///< whether there was nothing in the way
        value,    ///< the only one that was asked for
        transaction
    };

    Operation operation;
    Form form = Form::status;                ///< of the reply
    Protocol protocol = Protocol::resp2;     ///< as it was when the request came
    std::shared_ptr<const Script> script{};  ///< of a transaction
    std::shared_ptr<Watch> watch{};          ///< what a transaction depends on
};

/// How the commands of a transaction are answered.
struct Script {
    /// A string: the reply is known already.
    using Part = std::variant<Write::Form, Query::Kind, std::string>;
    std::vector<Part> parts;
    std::size_t bytes = 0;  ///< of memory, with those of the actions
};

/// The keys that WATCH has named, with the versions that they had when it was answered.
struct Watch {
    std::size_t wanted = 0;  ///< as many as all were answered
    std::size_t bytes = 0;
    std::vector<std::pair<std::string, std::uint64_t>> seen;
};

/// What SCAN and KEYS look for.
struct Scan {
    std::uint64_t cursor = 0;
    std::size_t count = 10;
    std::optional<std::string> pattern;
    bool is_for_strings = true;  ///< there is nothing else
};

/// Read the store, by answer() with the same Read.
struct Read : Query {
    Protocol protocol = Protocol::resp2;  ///< as it was when the request came
    std::shared_ptr<const Scan> scan{};   ///< of SCAN and KEYS
    std::shared_ptr<Watch> watch{};       ///< of WATCH
    std::uint64_t number = 0;             ///< of RANDOMKEY
};

/// What has been said since MULTI.
struct Queued {
    Transaction transaction;
    Script script;
    std::size_t argument_bytes = 0;
    std::size_t keys = 0;
    bool is_void = false;  ///< something was refused, so EXEC will be

    void give_up() {
        is_void = true;
        transaction = {};
        script = {};
    }
};

/// What one connection has said of itself and asked for.
struct Connection {
    std::uint64_t id = 0;
    std::string name;
    std::string library_name;
    std::string library_version;
    Protocol protocol = Protocol::resp2;
    /// It wants to read from replicas (READONLY), which was refused.
    bool wants_replica_reads = false;

    const Accounts* accounts = nullptr;  ///< null: nobody has to say who it is
    bool is_known = false;               ///< it has given a user and a password that are right
    std::size_t failed_logins = 0;
    bool may_log_in = true;  ///< the place that it comes from is not over its GuessLimit

    std::optional<Queued> queued{};  ///< since MULTI
    std::shared_ptr<Watch> watch{};  ///< since WATCH

    /// Nothing is done for it until it has said who it is.
    bool is_stranger() const { return accounts != nullptr && !is_known; }
};

/// INFO: the server alone knows what to say.
struct InfoQuery {
    std::vector<std::string> sections;  ///< in lower case; none: all of them
};

/// Who the members are, or were when the cluster was founded.
enum class MemberQuery : std::uint8_t { list, founding };

/// A change of the members, for the leader: see edited().
struct MemberEdit {
    enum class Kind : std::uint8_t {
        add,
        add_learner,
        remove,
        promote,
        demote,
        move,
        replace,
        prioritize
    };

    Kind kind = Kind::add;
    std::uint64_t node = 0;
    std::uint64_t successor = 0;  ///< replace: the id of the new node
    std::string address;          ///< at which members talk to each other
    std::uint32_t priority = raft::ordinary_priority;
};

/// The leader is to hand over.
struct Transfer {
    std::uint64_t target = 0;  ///< 0: whoever is best prepared
};

/// A backup for this connection: made, read piece by piece, and let go of.
struct BackupRequest {
    enum class Kind : std::uint8_t { barrier, begin, read, end };
    Kind kind = Kind::barrier;
    /// begin: what it must contain, an index, which any node may have come to; 0: all that has
    /// been acknowledged, which only the leader knows. read: the offset.
    std::uint64_t number = 0;
};

/// The server is to take a snapshot now.
struct SnapshotRequest {};

using Command = std::variant<Immediate, Write, Read, ClusterQuery, InfoQuery, MemberQuery,
                             MemberEdit, Transfer>;

using Arguments = std::span<const std::string_view>;

namespace detail {

inline char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// `lower` is in lower case.
inline bool same_word(std::string_view word, std::string_view lower) noexcept {
    return std::equal(word.begin(), word.end(), lower.begin(), lower.end(),
                      [](char a, char b) { return to_lower(a) == b; });
}

inline std::string to_lower(std::string_view word) {
    std::string lower(word);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return to_lower(c); });
    return lower;
}

inline Immediate error(std::string_view text) {
    Immediate immediate;
    ReplyWriter(immediate.reply).error(text);
    return immediate;
}

inline Immediate ok() { return {"+OK\r\n"}; }

inline Immediate bulk(std::string_view bytes) {
    Immediate immediate;
    ReplyWriter(immediate.reply).bulk(bytes);
    return immediate;
}

inline Immediate integer(std::int64_t value) {
    Immediate immediate;
    ReplyWriter(immediate.reply).integer(value);
    return immediate;
}

inline Immediate null(const Connection& connection) {
    Immediate immediate;
    ReplyWriter(immediate.reply, connection.protocol).null();
    return immediate;
}

inline Immediate wrong_arity(std::string_view name) {
    return error("ERR wrong number of arguments for '" + std::string(name) + "' command");
}

inline constexpr std::string_view not_integer_text = "ERR value is not an integer or out of range";

// The error shows at most so many bytes of a request that makes no sense.
inline constexpr std::size_t quoted_bytes_max = 128;

inline Immediate unknown_command(Arguments arguments) {
    std::string shown;
    for (const std::string_view argument : arguments.subspan(1)) {
        if (shown.size() >= quoted_bytes_max) {
            break;
        }
        shown += '\'';
        shown += argument.substr(0, quoted_bytes_max - shown.size());
        shown += "' ";
    }
    return error("ERR unknown command '" + std::string(arguments[0].substr(0, quoted_bytes_max)) +
                 "', with args beginning with: " + shown);
}

inline Immediate unknown_subcommand(Arguments arguments) {
    return error("ERR unknown subcommand '" +
                 std::string(arguments[1].substr(0, quoted_bytes_max)) + "' of '" +
                 to_lower(arguments[0]) + "'");
}

inline std::vector<std::string> keys_of(Arguments arguments) {
    return {arguments.begin() + 1, arguments.end()};
}

}  // namespace detail

/// A command's name, arity and handler, and where its keys are: clients that know clusters ask for
/// this (COMMAND) before they send a key.
struct CommandSpec {
    std::string_view name;  ///< in lower case
    int arity = 0;          ///< arguments with the name; negative: at least so many
    bool writes = false;
    int first_key = 0;  ///< 0: no keys
    int last_key = 0;   ///< negative: counted from the end
    int key_step = 0;
    /// Called with as many arguments as `arity` wants.
    Command (*parse)(Arguments, Connection&) = nullptr;
};

}  // namespace kv

#endif
