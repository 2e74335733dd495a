// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What strangers and peers send to a TCP transport, and what answers where it dials: greetings and
// frames, cut anywhere, damaged, or of another's making. It runs over simulated sockets on a
// virtual clock. What arrives is what was sent in good order by a peer; nothing else ends anything
// but its own connection.
#include "support/allocations.hpp"
#include "support/finding.hpp"
#include "support/input.hpp"

#include <raft/protocol/message.hpp>
#include <rsm/sim/world/network.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/stream_net.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/transport/tcp/running.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/cluster_id.hpp>
#include <rsm/transport/wire/frame.hpp>
#include <rsm/transport/wire/greeting.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz::frames_input {
namespace {

using namespace std::chrono_literals;
using raft::NodeId;
using rsm::sim::StreamSocket;
using Transport = rsm::BasicRunningTcpTransport<rsm::sim::StreamNet>;

constexpr std::size_t frame_max = 4096;

raft::Identity identity() {
    return {{1}, "fuzz", raft::Membership::of_voters({{1}, {2}, {3}}), {11}, true};
}

/// A connection of the fuzzer's, on either side. It sends what it is given and takes what comes.
struct Wire : std::enable_shared_from_this<Wire> {
    explicit Wire(StreamSocket given) : socket(std::move(given)) {}

    void send(std::string bytes) {
        unsent += bytes;
        go_on();
    }
    void go_on() {
        if (writing || unsent.empty()) return;
        writing = true;
        const std::string part = std::exchange(unsent, {});
        socket.async_write_some(
            boost::asio::buffer(part),
            [self = shared_from_this(), part](boost::system::error_code error, std::size_t count) {
                self->writing = false;
                if (error) return;
                self->unsent.insert(0, part.substr(count));
                self->go_on();
            });
    }
    void close() {
        boost::system::error_code ignored;
        socket.close(ignored);
    }
    void read() {
        socket.async_read_some(
            boost::asio::buffer(room),
            [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                if (!error) self->read();
            });
    }

    StreamSocket socket;
    std::string unsent;
    bool writing = false;
    std::array<char, 2048> room{};
};
using WirePtr = std::shared_ptr<Wire>;

/// Host 1 has the transport; host 2 is the fuzzer's.
struct Hosts {
    Hosts() {
        links.conditions.delay_min = 1ms;
        links.conditions.delay_max = 1ms + 1ns;
        streams.short_moves = 0;
        streams.power_on({1});
        streams.power_on({2});
        rsm::TcpOptions options;
        options.self = {1};
        options.cluster = "fuzz";
        options.max_frame_bytes = frame_max;
        options.max_strangers = 2;
        options.handshake_timeout = 300ms;
        for (std::uint64_t id = 1; id <= 3; ++id) {
            options.peers[NodeId{id}] = "10.0.0." + std::to_string(std::min<std::uint64_t>(id, 2)) +
                                        ":" + std::to_string(7000 + id);
        }
        transport = std::make_unique<Transport>(one.get_executor(), options,
                                                rsm::sim::StreamNet({&streams, {1}, &one}, 1));
        transport->identify(identity());
        acceptor.emplace(net.listen({}, {"10.0.0.2", 7002}));
        accept();
        transport->start([this](raft::Message message) { received.push_back(std::move(message)); });
    }
    ~Hosts() {
        for (const std::weak_ptr<Wire>& each : made) {
            if (const WirePtr wire = each.lock()) wire->close();
        }
        wires.clear();
        acceptor.reset();
        transport.reset();
        world.discard();
    }

    void accept() {
        acceptor->front().async_accept(
            [this](boost::system::error_code error, StreamSocket socket) {
                if (error) return;
                add(std::move(socket));
                accept();
            });
    }
    void add(StreamSocket socket) {
        wires.push_back(std::make_shared<Wire>(std::move(socket)));
        made.push_back(wires.back());
        wires.back()->read();
        if (wires.size() <= 12) return;
        wires.front()->close();
        wires.pop_front();
    }
    void dial() {
        auto dialling = std::make_shared<Wire>(net.socket({}));
        made.push_back(dialling);
        dialling->socket.async_connect({rsm::sim::StreamNetwork::address_of({1}), 7001},
                                       [this, dialling](boost::system::error_code error) {
                                           if (!error) add(std::move(dialling->socket));
                                       });
    }

    rsm::sim::World world;
    rsm::sim::Process one{world, [] {}};
    rsm::sim::Process two{world, [] {}};
    rsm::sim::Network links{world, 2, 1};
    rsm::sim::StreamNetwork streams{world, links, 1};
    rsm::sim::StreamNet net{{&streams, {2}, &two}, 2};
    std::unique_ptr<Transport> transport;
    std::optional<std::vector<rsm::sim::StreamAcceptor>> acceptor;
    std::deque<WirePtr> wires;
    std::vector<std::weak_ptr<Wire>> made;  ///< what waits on one keeps it alive until it is closed
    std::vector<raft::Message> received;
};

std::string text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
rsm::WireVersions versions(Input& input) {
    if (input.below(4) != 0) return {};
    const std::uint8_t lowest = input.byte();
    return {lowest, input.byte()};
}
std::string hello(Input& input) {
    rsm::detail::Hello said{{2},  {1},    input.byte(),   rsm::detail::cluster_id(identity()),
                            {22}, "fuzz", "10.0.0.2:7002"};
    switch (input.below(8)) {
        case 0: said.from = {input.below(6)}; break;
        case 1: said.to = {input.below(6)}; break;
        case 2: said.cluster = input.text(input.below(70)); break;
        case 3: said.contact = input.text(input.below(1100)); break;
        case 4: said.cluster_id.low ^= input.byte(); break;
        default: break;
    }
    said.versions = versions(input);
    return text_of(rsm::detail::encode(said));
}
std::string answer(Input& input) {
    rsm::detail::Answer said{{}, {2 + input.below(3)}, input.byte(), {}, versions(input)};
    if (input.flag()) said.code = static_cast<rsm::detail::AnswerCode>(input.byte());
    if (input.flag()) said.advertise = input.text(input.below(300));
    return text_of(rsm::detail::encode(said));
}
std::string frame(Input& input) {
    raft::Message message{{2}, {1}, raft::VoteReply{{input.word()}, {}, true, false, {}}};
    if (input.flag()) message.body = raft::TimeoutNow{{input.byte()}};
    if (input.flag()) {
        raft::AppendRequest request;
        for (std::size_t left = input.below(4); left != 0; --left) {
            request.entries.push_back({{},
                                       {1},
                                       raft::EntryKind::operation,
                                       raft::Bytes::copy_of(input.text(input.below(3000)))});
        }
        message.body = std::move(request);
    }
    if (input.below(8) == 0) message.from = {input.below(5)};
    if (input.below(8) == 0) message.to = {input.below(5)};
    raft::codec::Gather out(std::size_t{1} << 30);
    const std::uint8_t version = input.below(6) == 0 ? input.byte() : raft::codec::format_version;
    rsm::detail::put_frame(out, message, version);
    return {reinterpret_cast<const char*>(out.copied().data()), out.size()};
}
/// A frame whose checksum is right, whatever it holds.
std::string sealed(Input& input) {
    const std::string body(input.text(input.below(200)));
    std::string bytes(rsm::detail::frame_header_bytes, '\0');
    const std::uint64_t word = body.size() | std::uint64_t{raft::codec::format_version} << 32 |
                               std::uint64_t{rsm::detail::frame_kind_message} << 40;
    auto* const head = reinterpret_cast<std::byte*>(bytes.data());
    raft::codec::store_little(head, word);
    raft::codec::store_little(head + 8, rsm::detail::checksum(raft::bytes_of(body), word));
    return bytes + body;
}
std::string damaged(Input& input, std::string bytes) {
    if (bytes.empty()) return bytes;
    switch (input.below(4)) {
        case 0: bytes.resize(input.below(bytes.size())); break;
        case 1: bytes[input.below(bytes.size())] ^= static_cast<char>(1 + input.below(255)); break;
        case 2: bytes.insert(input.below(bytes.size()), input.text(input.below(20))); break;
        default: break;
    }
    return bytes;
}
std::string something(Input& input) {
    switch (input.below(8)) {
        case 0: return damaged(input, hello(input));
        case 1: return damaged(input, answer(input));
        case 2: return damaged(input, frame(input));
        case 3: return hello(input);
        case 4: return answer(input);
        case 5: return sealed(input);
        case 6: return std::string(input.text(input.below(600)));
        default: return frame(input);
    }
}

void check(Hosts& hosts) {
    for (const raft::Message& message : hosts.received) {
        require(message.to == NodeId{1}, "a message for another node is delivered");
        require(message.from == NodeId{2} || message.from == NodeId{3} || message.from.value > 3,
                "a message in this node's own name is delivered");
    }
    for (const rsm::PeerStatus& status : hosts.transport->peers()) {
        const bool is_shown = std::ranges::all_of(status.reason, [](char c) {
            return static_cast<unsigned char>(c) >= ' ' && c != '\x7f';
        });
        require(is_shown, "a peer's status has control characters");
    }
}

void run(Input input) {
    const LargestAllocation largest;
    Hosts hosts;
    hosts.streams.short_moves = static_cast<unsigned>(input.flag() ? 900 : 0);
    for (int acts = 0; acts < 40 && !input.empty(); ++acts) {
        const std::size_t act = input.below(8);
        if (act == 0) {
            hosts.dial();
        } else if (act == 1) {
            hosts.transport->send({{1}, {2 + input.below(2)}, raft::TimeoutNow{{1}}});
        } else if (act == 2) {
            hosts.world.run_for(std::chrono::milliseconds(10 * input.byte()));
        } else if (hosts.wires.empty()) {
            hosts.dial();
            hosts.world.run_for(10ms);
        } else {
            const WirePtr wire = hosts.wires[input.below(hosts.wires.size())];
            if (act == 3) {
                wire->close();
            } else {
                wire->send(something(input));
                hosts.world.run_for(5ms);
            }
        }
    }
    hosts.world.run_for(2s);
    check(hosts);
    require(largest.bytes() <= std::size_t{1} << 18, "what was received takes too much memory");
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::frames_input
