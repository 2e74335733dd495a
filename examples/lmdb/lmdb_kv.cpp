// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A replicated key/value store on LMDB, one node of it, which takes commands on its standard input:
//
//     lmdb-kv ID DIRECTORY ADDRESS...
//
// ADDRESS... are those of all nodes, in the order of their ids from 1 on. A command is a line: a
// word of the caller's that the answer begins with, what to do, and its arguments.
//
//     a put KEY VALUE     b add KEY AMOUNT     c del KEY     d get KEY     e count     f digest
//
// Answers: "ok NUMBER", "value TEXT", "none", "digest NUMBER of KEYS up to INDEX" (of this node's
// own database, as it is), "leader ID" (ask there), "no WHY" (it has not taken place) and
// "unknown WHY" (it may have). At the end of the input the node stops.
#include "store.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using boost::system::error_code;
using lmdb_kv::Operation;
using lmdb_kv::Store;
using Replica = rsm::Replicated<Store, rsm::TcpTransport, rsm::WalStorage>;

constexpr std::size_t map_bytes = std::size_t{1} << 30;
constexpr std::size_t longest_line = std::size_t{1} << 20;

/// FNV-1a over all items.
std::string digest_of(const Store& store) {
    std::uint64_t digest = 14695981039346656037U;
    const auto add = [&digest](std::string_view text) {
        for (const char byte : text) {
            digest = (digest ^ static_cast<unsigned char>(byte)) * 1099511628211U;
        }
        digest = (digest ^ 256U) * 1099511628211U;
    };
    store.for_each([&](std::string_view key, std::string_view value) {
        add(key);
        add(value);
    });
    return "digest " + std::to_string(digest) + " of " + std::to_string(store.count()) + " up to " +
           std::to_string(store.applied().index.value);
}

void answer(const std::string& tag, const std::string& text) {
    std::cout << tag + " " + text + "\n" << std::flush;
}
void answer(const std::string& tag, error_code error) {
    if (const std::optional<rsm::Leader> leader = rsm::leader_in(error)) {
        return answer(tag, "leader " + std::to_string(leader->node.value));
    }
    const bool unknown = rsm::outcome(error) == rsm::Outcome::unknown;
    answer(tag, (unknown ? "unknown " : "no ") + error.message());
}

class Commands {
public:
    Commands(boost::asio::io_context& io, Replica& replica)
        : replica_(replica), input_(io, ::dup(STDIN_FILENO)) {}

    void read() {
        boost::asio::async_read_until(input_, boost::asio::dynamic_buffer(text_, longest_line),
                                      '\n', [this](error_code error, std::size_t count) {
                                          if (error) return replica_.async_stop([](error_code) {});
                                          const std::string line = text_.substr(0, count - 1);
                                          text_.erase(0, count);
                                          carry_out(line);
                                          read();
                                      });
    }

private:
    void carry_out(const std::string& line) {
        std::istringstream words(line);
        std::string tag;
        std::string verb;
        Operation operation;
        words >> tag >> verb >> operation.key;
        if (verb == "put") {
            words >> operation.value;
        } else if (verb == "add") {
            operation.kind = Operation::Kind::add;
            words >> operation.amount;
        } else if (verb == "del") {
            operation.kind = Operation::Kind::erase;
        } else {
            return look(tag, verb, operation.key);
        }
        replica_.async_submit(std::move(operation), [tag](error_code error, lmdb_kv::Result done) {
            if (error) return answer(tag, error);
            if (done.status == lmdb_kv::Result::Status::ok) {
                return answer(tag, "ok " + std::to_string(done.integer));
            }
            answer(tag, "no such key or value");
        });
    }
    void look(const std::string& tag, const std::string& verb, const std::string& key) {
        if (verb == "digest") {
            // On the strand, where the machine may be looked at.
            return replica_.async_status([this, tag](error_code, const rsm::Status&) {
                answer(tag, digest_of(replica_.machine()));
            });
        }
        if (verb != "get" && verb != "count") return answer(tag, "no such command");
        const auto query = [verb, key](const Store& store) {
            if (verb == "count") return "ok " + std::to_string(store.count());
            const std::optional<std::string> value = store.get(key);
            return value ? "value " + *value : std::string("none");
        };
        replica_.async_read(query, [tag](error_code error, const std::string& found) {
            if (error) return answer(tag, error);
            answer(tag, found);
        });
    }

    Replica& replica_;
    boost::asio::posix::stream_descriptor input_;
    std::string text_;
};

}  // namespace

int main(int count, char** arguments) try {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    if (words.size() < 3) {
        std::cerr << "usage: lmdb-kv ID DIRECTORY ADDRESS...\n";
        return EXIT_FAILURE;
    }
    rsm::TcpOptions tcp;
    tcp.self = raft::NodeId{std::stoull(words[0])};
    for (std::size_t i = 2; i < words.size(); ++i) tcp.peers.emplace(raft::NodeId{i - 1}, words[i]);
    rsm::Options options;
    options.snapshot_threshold = rsm::mebibytes(1);
    options.on_failure = [](const raft::Failure& why) {
        std::cerr << "lmdb-kv: " << why.message() << std::endl;
        std::_Exit(2);
    };
    boost::asio::io_context io{1};
    Replica replica{io.get_executor(), Store{words[1] + "/database", map_bytes},
                    rsm::TcpTransport{tcp}, rsm::WalStorage{words[1] + "/log"}, std::move(options)};
    Commands commands(io, replica);
    commands.read();
    io.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << "lmdb-kv: " << error.what() << '\n';
    return EXIT_FAILURE;
}
