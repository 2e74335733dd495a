// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the tests of the transports share: messages, a node that collects, a peer made of bytes.
#ifndef RSM_TESTS_TRANSPORT_SUPPORT_HPP
#define RSM_TESTS_TRANSPORT_SUPPORT_HPP

#include "support/run_until.hpp"

#include <raft/protocol/message.hpp>
#include <rsm/plan.hpp>
#include <rsm/transport/tcp.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
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

namespace transport_test {

using boost::asio::ip::tcp;
using rsm_test::run_until;
inline const raft::NodeId one{1};
inline const raft::NodeId two{2};
inline const raft::NodeId three{3};

inline raft::Message heartbeat(raft::NodeId from, raft::NodeId to, std::uint64_t round) {
    raft::AppendRequest body;
    body.term = raft::Term{1};
    body.round = round;
    return {from, to, body};
}

inline raft::Message append(raft::NodeId from, raft::NodeId to, std::uint64_t round,
                            std::size_t size) {
    raft::Message message = heartbeat(from, to, round);
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * (round + 1) % 251);
    std::get<raft::AppendRequest>(message.body)
        .entries.push_back({raft::Index{1}, raft::Term{1}, raft::EntryKind::operation,
                            raft::Bytes::copy_of(text)});
    return message;
}

inline raft::Message chunk(raft::NodeId from, raft::NodeId to, std::uint64_t offset,
                           std::size_t size) {
    raft::SnapshotChunk body;
    body.term = raft::Term{1};
    body.meta.size = offset + size;
    body.offset = offset;
    body.data = raft::Bytes::copy_of(std::string(size, 's'));
    return {from, to, body};
}

inline std::uint64_t round_of(const raft::Message& message) {
    return std::get<raft::AppendRequest>(message.body).round;
}

/// Listens on a port of the system's choice and fails fast.
inline rsm::TcpOptions options(raft::NodeId self) {
    rsm::TcpOptions options;
    options.self = self;
    options.listen = "127.0.0.1:0";
    options.reconnect_min = std::chrono::milliseconds(1);
    options.reconnect_max = std::chrono::milliseconds(5);
    return options;
}

/// A transport that keeps what it receives.
struct Node {
    Node(boost::asio::io_context& io, rsm::TcpOptions options)
        : self(options.self), transport(io.get_executor(), std::move(options)) {}
    void start() {
        transport.start([this](raft::Message message) { received.push_back(std::move(message)); });
    }
    void knows(raft::NodeId peer, std::uint16_t port) {
        transport.set_peer(peer, "127.0.0.1", port);
    }
    void knows(const Node& peer) { knows(peer.self, peer.transport.local_port()); }

    raft::NodeId self;
    rsm::RunningTcpTransport transport;
    std::vector<raft::Message> received;
};

/// Two started nodes that know each other and are connected both ways.
struct Pair {
    explicit Pair(boost::asio::io_context& io)
        : Pair(io, transport_test::options(one), transport_test::options(two)) {}
    Pair(boost::asio::io_context& io, rsm::TcpOptions first, rsm::TcpOptions second)
        : a(io, std::move(first)), b(io, std::move(second)) {
        a.knows(b);
        b.knows(a);
        a.start();
        b.start();
        connected = run_until(
            io, [this] { return a.transport.connected(two) && b.transport.connected(one); });
    }
    Node a;
    Node b;
    bool connected = false;
};

/// Whether a message from one to two still arrives.
inline bool works(boost::asio::io_context& io, Pair& pair) {
    const std::size_t before = pair.b.received.size();
    pair.a.transport.send(heartbeat(one, two, 77));
    return run_until(io, [&] { return pair.b.received.size() > before; });
}

/// A node on a network in memory, with any kind of transport over it, that keeps what it receives.
template <class Plan, class Network>
struct MemoryNode {
    MemoryNode(const std::shared_ptr<Network>& network, boost::asio::io_context& io,
               raft::NodeId self)
        : transport(Plan(network, self, {self}).open(io.get_executor())) {
        transport.start([this](raft::Message message) { received.push_back(std::move(message)); });
    }
    rsm::Running<Plan> transport;
    std::vector<raft::Message> received;
};

/// Two of them.
template <class Plan, class Network>
struct MemoryPair {
    using Node = MemoryNode<Plan, Network>;

    explicit MemoryPair(std::size_t queue_bytes = 1 << 20)
        : network(std::make_shared<Network>(queue_bytes)) {}
    void run() {
        io.restart();
        io.run();
    }

    boost::asio::io_context io;
    std::shared_ptr<Network> network;
    Node a{network, io, one};
    Node b{network, io, two};
};

/// One end of a connection that says what a test wants it to say and reads what there is.
class RawPeer {
public:
    explicit RawPeer(boost::asio::io_context& io) : state_(std::make_shared<State>(io)) {}
    RawPeer(boost::asio::io_context& io, std::uint16_t port) : RawPeer(io) {
        state_->socket.connect({boost::asio::ip::address_v4::loopback(), port});
        state_->socket.set_option(tcp::no_delay(true));
        listen();
    }
    RawPeer(RawPeer&&) = default;
    ~RawPeer() {
        if (state_ != nullptr) state_->socket.close();
    }

    tcp::socket& socket() { return state_->socket; }
    /// Everything read so far.
    const std::string& got() const { return state_->got; }
    bool closed() const { return state_->closed; }

    void say(std::span<const std::byte> bytes) {
        boost::asio::write(state_->socket, boost::asio::buffer(bytes.data(), bytes.size()));
    }
    void say(std::string_view bytes) { say(std::as_bytes(std::span(bytes))); }
    /// Begins to read, and reads on until the end.
    void listen() { read(state_); }

private:
    struct State {
        explicit State(boost::asio::io_context& io) : socket(io) {}
        tcp::socket socket;
        std::array<char, 65536> space{};
        std::string got;
        bool closed = false;
    };
    static void read(const std::shared_ptr<State>& state) {
        state->socket.async_read_some(boost::asio::buffer(state->space),
                                      [state](boost::system::error_code error, std::size_t count) {
                                          state->got.append(state->space.data(), count);
                                          if (error) {
                                              state->closed = true;
                                          } else {
                                              read(state);
                                          }
                                      });
    }
    std::shared_ptr<State> state_;
};

/// A listening socket that a test answers for.
struct RawListener {
    explicit RawListener(boost::asio::io_context& io)
        : context(io), acceptor(io, {boost::asio::ip::address_v4::loopback(), 0}) {
        // Small, so that a peer that does not read soon holds up the other side on every system.
        acceptor.set_option(boost::asio::socket_base::receive_buffer_size(64 << 10));
    }
    std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    /// The next connection, on which nothing was read yet.
    RawPeer accept() {
        RawPeer peer(context);
        bool accepted = false;
        acceptor.async_accept(peer.socket(),
                              [&accepted](boost::system::error_code) { accepted = true; });
        run_until(context, [&accepted] { return accepted; });
        return peer;
    }
    /// The next connection, welcomed in the name of `self`.
    RawPeer welcome(raft::NodeId self, std::string advertise = {}, std::uint64_t instance = 1) {
        RawPeer peer = accept();
        peer.say(encode(rsm::detail::Answer{rsm::detail::AnswerCode::welcome, self, instance,
                                            std::move(advertise)}));
        return peer;
    }

    boost::asio::io_context& context;
    tcp::acceptor acceptor;
};

/// The code in an answer, once it is complete.
inline std::optional<rsm::detail::AnswerCode> answer_code_in(std::string_view bytes) {
    const auto answer = rsm::detail::decode_answer(std::as_bytes(std::span(bytes)));
    if (!answer) return std::nullopt;
    return answer->code;
}
inline std::optional<rsm::detail::AnswerCode> answer_code(const RawPeer& peer) {
    return answer_code_in(peer.got());
}

inline std::string flat(const raft::codec::Gather& out) {
    std::string bytes;
    out.for_each_part([&bytes](std::span<const std::byte> part) {
        bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
    });
    return bytes;
}
inline std::string frame(const raft::Message& message) {
    raft::codec::Gather out;
    rsm::detail::put_frame(out, message);
    return flat(out);
}

inline std::vector<std::byte> hello(raft::NodeId from, raft::NodeId to,
                                    std::string cluster = "default", std::uint64_t instance = 1) {
    return encode(rsm::detail::Hello{from, to, instance, {}, {}, std::move(cluster), {}});
}

/// A node that is connected to a raw peer, its second node.
struct Dialling {
    explicit Dialling(boost::asio::io_context& context, rsm::TcpOptions with = options(one))
        : io(context), node(context, std::move(with)) {
        node.knows(two, listener.port());
        node.start();
        peer.emplace(listener.welcome(two));
        REQUIRE(run_until(io, [this] { return node.transport.connected(two); }));
    }
    /// Greets the node as its peer.
    RawPeer greet(std::uint64_t instance) {
        RawPeer dialled(io, node.transport.local_port());
        dialled.say(hello(two, one, "default", instance));
        REQUIRE(run_until(
            io, [&] { return answer_code(dialled) == rsm::detail::AnswerCode::welcome; }));
        return dialled;
    }

    boost::asio::io_context& io;
    RawListener listener{io};
    Node node;
    std::optional<RawPeer> peer;
};

inline bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

inline const rsm::PeerStatus& only(const std::vector<rsm::PeerStatus>& peers) {
    REQUIRE(peers.size() == 1);
    return peers.front();
}

}  // namespace transport_test

#endif
