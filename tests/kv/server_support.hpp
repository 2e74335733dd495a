// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the tests of the kv server share: replicas and their servers in this process, and a client
// made of bytes.
#ifndef RSM_TESTS_KV_SERVER_SUPPORT_HPP
#define RSM_TESTS_KV_SERVER_SUPPORT_HPP

#include "support/cut_network.hpp"
#include "support/real_time_cluster.hpp"

#include <kv/reply.hpp>
#include <kv/server.hpp>
#include <kv/store.hpp>

#include <raft/base/types.hpp>
#include <rsm/replicated.hpp>
#include <rsm/storage/memory.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv_test {

using boost::asio::ip::tcp;
using rsm_test::run_until;
using Replica = rsm::Replicated<kv::Store, rsm_test::CutTransport, rsm::MemoryStorage>;

inline tcp::endpoint any_port() { return {boost::asio::ip::address_v4::loopback(), 0}; }
inline std::string address_of(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

struct KvClusterOptions {
    std::size_t members = 3;
    std::size_t running = 3;
    rsm::Options replica;
    kv::ServerOptions server;
};

inline KvClusterOptions quick_options() {
    KvClusterOptions options;
    options.replica.raft.election_timeout = std::chrono::milliseconds(60);
    options.replica.raft.heartbeat_interval = std::chrono::milliseconds(15);
    kv::fit_commands(options.replica.raft);
    return options;
}

/// Replicas, each with its server.
class KvCluster : public rsm_test::RealTimeCluster<Replica> {
public:
    explicit KvCluster(const KvClusterOptions& options = quick_options()) {
        std::vector<raft::NodeId> members;
        for (std::uint64_t id = 1; id <= options.members; ++id) members.push_back({id});
        for (std::size_t i = 0; i < options.running; ++i) {
            rsm::Options replica = options.replica;
            replica.seed = i + 1;
            Replica& started = replicas.start(i + 1, io.get_executor(), kv::Store{},
                                              rsm_test::CutTransport{network, members[i], members},
                                              rsm::MemoryStorage{}, std::move(replica));
            std::vector<tcp::acceptor> acceptors;
            acceptors.emplace_back(io, any_port());
            servers.push_back(std::make_unique<kv::Server<Replica>>(
                started, std::move(acceptors), [this] { return directory(); }, options.server));
        }
    }

    std::vector<kv::Member> directory() const {
        std::vector<kv::Member> all;
        for (std::size_t i = 0; i < servers.size(); ++i) {
            if (servers[i]) all.push_back({i + 1, address(i), true});
        }
        return all;
    }
    std::string address(std::size_t node) const { return address_of(servers[node]->port()); }
    std::vector<std::string> addresses() const {
        std::vector<std::string> all;
        for (std::size_t i = 0; i < servers.size(); ++i) all.push_back(address(i));
        return all;
    }

    /// The position of a node that leads, once one does and all nodes know.
    std::size_t leader() {
        raft::NodeId leader;
        REQUIRE(run_until([&] {
            leader = replicas[1].status().leader;
            return leader && replicas.all([&](const Replica& replica) {
                return replica.status().leader == leader;
            });
        }));
        return leader.value - 1;
    }
    std::size_t follower() { return (leader() + 1) % servers.size(); }

    std::shared_ptr<rsm_test::CutNetwork> network = std::make_shared<rsm_test::CutNetwork>();
    std::vector<std::unique_ptr<kv::Server<Replica>>> servers;
};

/// A request as an array of bulk strings.
inline std::string request(const std::vector<std::string_view>& words) {
    std::string text;
    kv::append_request(text, words);
    return text;
}

/// Sends bytes and reads replies.
class TestClient {
public:
    TestClient(boost::asio::io_context& io, std::uint16_t port) : io_(io), socket_(io, tcp::v4()) {
        socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    }
    TestClient(KvCluster& cluster, std::size_t node)
        : TestClient(cluster.io, cluster.servers[node]->port()) {}

    void send(std::string bytes) {
        auto kept = std::make_shared<const std::string>(std::move(bytes));
        boost::asio::async_write(socket_, boost::asio::buffer(*kept),
                                 [kept](boost::system::error_code, std::size_t) {});
    }
    void finish_sending() { socket_.shutdown(tcp::socket::shutdown_send); }

    /// The next `count` replies; fewer if the connection ends before.
    std::vector<kv::Reply> receive(std::size_t count) {
        std::vector<kv::Reply> replies;
        while (replies.size() < count) {
            const kv::ParseStatus status = parser_.parse(input_);
            input_.erase(0, parser_.consumed());
            REQUIRE(status != kv::ParseStatus::failed);
            if (status == kv::ParseStatus::complete) {
                replies.push_back(parser_.take());
            } else if (!read_some()) {
                break;
            }
        }
        return replies;
    }
    kv::Reply ask(const std::vector<std::string_view>& words) {
        send(request(words));
        const std::vector<kv::Reply> replies = receive(1);
        REQUIRE(replies.size() == 1);
        return replies.front();
    }
    /// Whether the server closes the connection without sending anything more.
    bool is_closed() { return receive(1).empty(); }

private:
    bool read_some() {
        bool done = false;
        bool open = false;
        std::array<char, 65536> room;
        socket_.async_read_some(boost::asio::buffer(room),
                                [&](boost::system::error_code error, std::size_t count) {
                                    done = true;
                                    open = !error;
                                    input_.append(room.data(), count);
                                });
        REQUIRE(run_until(io_, [&done] { return done; }));
        return open;
    }

    boost::asio::io_context& io_;
    tcp::socket socket_;
    std::string input_;
    kv::ReplyParser parser_;
};

inline kv::Reply simple(std::string text) {
    return {kv::Reply::Type::simple, std::move(text), 0, {}};
}
inline kv::Reply bulk(std::string text) { return {kv::Reply::Type::bulk, std::move(text), 0, {}}; }
inline kv::Reply integer(std::int64_t value) { return {kv::Reply::Type::integer, {}, value, {}}; }
inline kv::Reply null() { return {}; }

}  // namespace kv_test

#endif
