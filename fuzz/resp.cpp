// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What clients send to a kv server, in RESP 2 and 3, requests and anything else, from its bytes to
// the replies: over a pair of sockets, on a replica that answers at once. All that comes back are
// replies, and as many as requests were complete.
#include "support/finding.hpp"
#include "support/input.hpp"
#include "support/kv_replica.hpp"

#include <kv/client_connection.hpp>
#include <kv/reply.hpp>
#include <kv/resp.hpp>
#include <kv/service.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz::resp_input {
namespace {

using Service = kv::Service<KvReplica>;
using Client = kv::ClientConnection<Service>;

constexpr kv::RequestLimits limits{40, 3000, 8000, 500};

/// Reads RESP 3 as well: the whole of what one reply is, as far as it has come.
class ReplyCheck {
public:
    explicit ReplyCheck(std::string_view bytes) : left_(bytes) {}
    /// The number of replies; fails where the bytes are none.
    std::size_t count() {
        std::size_t replies = 0;
        for (; !left_.empty(); ++replies) take(0);
        return replies;
    }

private:
    void take(int depth) {
        require(depth < 10, "replies are nested deeply");
        require(!left_.empty(), "a reply is not complete");
        const char type = left_.front();
        const std::size_t end = left_.find("\r\n");
        require(end != std::string_view::npos, "a reply's line has no end");
        const std::string_view line = left_.substr(1, end - 1);
        left_.remove_prefix(end + 2);
        switch (type) {
            case '+':
            case '-':
            case ':':
            case ',':
            case '#':
            case '_': return require(line.find('\n') == std::string_view::npos, "a torn line");
            case '$':
            case '=': return take_bulk(line);
            case '*':
            case '~':
            case '>': return take_all(line, 1, depth);
            case '%': return take_all(line, 2, depth);
            default: report("a reply of unknown type: " + std::string(1, type));
        }
    }
    static std::int64_t number(std::string_view line) {
        const auto parsed = kv::parse_integer(line);
        require(parsed.has_value() && *parsed >= -1, "a reply has no length");
        return *parsed;
    }
    void take_bulk(std::string_view line) {
        const std::int64_t size = number(line);
        if (size < 0) return;
        const auto count = static_cast<std::size_t>(size);
        require(left_.size() >= count + 2 && left_.substr(count, 2) == "\r\n", "a bulk is torn");
        left_.remove_prefix(count + 2);
    }
    void take_all(std::string_view line, std::int64_t each, int depth) {
        for (std::int64_t left = each * number(line); left > 0; --left) take(depth + 1);
    }

    std::string_view left_;
};

/// What a parser finds that gets all at once.
std::size_t requests_in(std::string_view bytes, bool& failed) {
    kv::RequestParser parser(limits);
    std::size_t requests = 0;
    for (;;) {
        const kv::ParseStatus status = parser.parse(bytes);
        failed = status == kv::ParseStatus::failed;
        if (status != kv::ParseStatus::complete) return requests;
        if (!parser.arguments().empty()) ++requests;
        bytes.remove_prefix(parser.consumed());
    }
}

std::string words(Input& input) {
    static constexpr std::string_view names[] = {
        "GET",         "SET",          "DEL",         "EXISTS",       "INCR",
        "INCRBY",      "DECR",         "MGET",        "MSET",         "APPEND",
        "PING",        "ECHO",         "HELLO",       "SELECT",       "CLIENT",
        "COMMAND",     "CLUSTER",      "INFO",        "CONFIG",       "AUTH",
        "SCAN",        "KEYS",         "DBSIZE",      "STRLEN",       "TYPE",
        "TTL",         "RAFT.STATUS",  "RAFT.DIGEST", "RAFT.MEMBERS", "RAFT.TRANSFER",
        "RAFT.BACKUP", "RAFT.BARRIER", "READONLY",    "READWRITE",    "QUIT",
        "RESET",       "SETNX",        "GETSET",      "CAS",          "VPUT",
        "VGET",        "FLUSHALL",     "MULTI",       "EXEC",         "SUBSCRIBE",
        "LOLWUT",      "TIME",         "WAIT"};
    static constexpr std::string_view others[] = {
        "3",      "2",       "k",     "key",     "0",     "-1",     "NX",
        "XX",     "SETNAME", "SLOTS", "NODES",   "GET",   "SHARDS", "INFO",
        "COUNT",  "DOCS",    "AUTH",  "default", "MATCH", "*",      "9223372036854775807",
        "ADD",    "REMOVE",  "BEGIN", "READ",    "END",   "1",      "127.0.0.1:7003",
        "server", "KEYSLOT", "EX"};
    std::vector<std::string> parts{std::string(names[input.below(std::size(names))])};
    for (std::size_t left = input.below(7); left != 0; --left) {
        parts.emplace_back(input.flag() ? others[input.below(std::size(others))]
                                        : input.text(input.below(30)));
    }
    std::string text = "*" + std::to_string(parts.size()) + "\r\n";
    for (const std::string& part : parts) {
        text += "$" + std::to_string(part.size()) + "\r\n" + part + "\r\n";
    }
    return text;
}

/// What the client sends, piece by piece.
std::vector<std::string> pieces_of(Input& input) {
    std::vector<std::string> pieces;
    for (std::size_t left = 1 + input.below(12); left != 0 && !input.empty(); --left) {
        std::string piece =
            input.below(3) == 0 ? std::string(input.text(input.below(400))) : words(input);
        if (!piece.empty() && input.below(8) == 0) piece.resize(input.below(piece.size()));
        if (!piece.empty() && input.below(8) == 0) {
            piece[input.below(piece.size())] = static_cast<char>(input.byte());
        }
        pieces.push_back(std::move(piece));
    }
    return pieces;
}

struct Sockets {
    Sockets() { require(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "no pair of sockets"); }
    ~Sockets() { ::close(ends[1]); }
    int ends[2] = {-1, -1};
};

std::string received(int socket) {
    std::string bytes;
    std::array<char, 65536> room;
    for (;;) {
        const ssize_t count = ::recv(socket, room.data(), room.size(), MSG_DONTWAIT);
        if (count <= 0) return bytes;
        bytes.append(room.data(), static_cast<std::size_t>(count));
    }
}

boost::system::error_code error_of(Input& input) {
    const std::size_t number = input.below(20);
    if (number == 0 || number > 12) return {};
    return rsm::make_error_code(static_cast<rsm::Errc>(number));
}

void run(Input input) {
    boost::asio::io_context io{1};
    KvReplica replica(io);
    replica.fail_with(error_of(input));
    kv::ServerOptions options;
    options.request = limits;
    options.max_requests = 1 + input.below(8);
    options.max_reply_bytes = 4000;
    options.linger = std::chrono::milliseconds(0);
    Service service(
        replica,
        [] {
            return std::vector<kv::Member>{{1, "127.0.0.1:7001", true}};
        },
        options);
    const std::vector<std::string> pieces = pieces_of(input);

    Sockets sockets;
    bool ended = false;
    auto client = std::make_shared<Client>(
        boost::asio::ip::tcp::socket(io, boost::asio::ip::tcp::v4(), sockets.ends[0]), service, 1,
        [&ended] { ended = true; });
    client->start();
    std::string sent;
    std::string replies;
    for (const std::string& piece : pieces) {
        if (::send(sockets.ends[1], piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            break;
        }
        sent += piece;
        io.restart();
        io.poll();
        replies += received(sockets.ends[1]);
    }
    ::shutdown(sockets.ends[1], SHUT_WR);
    for (int turns = 0; turns < 50 && !ended; ++turns) {
        io.restart();
        io.poll();
        replies += received(sockets.ends[1]);
    }
    client->close();
    service.queue().clear();
    io.restart();
    io.poll();

    bool failed = false;
    const std::size_t requests = requests_in(sent, failed);
    const std::size_t answered = ReplyCheck(replies).count();
    require(answered <= requests + (failed ? 1 : 0), "there are more replies than requests");
    const bool was_left =
        replies.find("+OK\r\n") != std::string::npos && sent.find("UIT") != std::string::npos;
    require(answered >= requests || was_left || replies.find("CLUSTERDOWN") != std::string::npos,
            "a request has no reply");
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::resp_input
