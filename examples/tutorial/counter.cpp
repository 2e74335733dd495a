// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A counter that survives the loss of hosts: the program of docs/tutorial.md, as a whole.
#include <rsm/rsm.hpp>
#include <rsm/transport/tls.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;

struct Counter {
    struct Operation {
        std::int64_t add = 0;
        template <class Archive>
        void serialize(Archive& archive, unsigned /*version*/) {
            archive& add;
        }
    };

    std::int64_t apply(const Operation& operation) { return value_ += operation.add; }
    void snapshot(rsm::SnapshotWriter& out) const { out << value_; }
    void restore(rsm::SnapshotReader& in) { in >> value_; }
    std::int64_t value() const { return value_; }

private:
    std::int64_t value_ = 0;
};

using Replica = rsm::Replicated<Counter, rsm::TlsTransport, rsm::WalStorage>;

std::string describe(const rsm::Status& status) {
    std::ostringstream text;
    text << "node " << status.self.value << " is " << rsm::to_string(status.role) << " in term "
         << status.term.value << ", has applied " << status.applied.value << " of "
         << status.commit.value << ", " << status.members.size() << " members:";
    for (const rsm::Member& member : status.members) {
        text << ' ' << member.id.value << '=' << rsm::to_string(member.standing);
    }
    for (const rsm::PeerStatus& peer : status.peers) {
        if (!peer.connected)
            text << "\n  no connection to " << peer.node.value << ": " << peer.reason;
    }
    return text.str();
}

asio::awaitable<std::string> carry_out(Replica& counter, std::string line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "add") {
        Counter::Operation operation;
        words >> operation.add;
        const auto value = co_await counter.async_submit(operation, asio::use_awaitable);
        co_return std::to_string(value);
    }
    if (command == "get") {
        const auto read = [](const Counter& machine) { return machine.value(); };
        const auto value = co_await counter.async_read(read, asio::use_awaitable);
        co_return std::to_string(value);
    }
    const rsm::Status status = co_await counter.async_status(asio::use_awaitable);
    if (command == "grow") {
        std::uint64_t node = 0;
        std::string address;
        words >> node >> address;
        rsm::Members members = status.members;
        members.push_back(rsm::voter(node, address));
        co_await counter.async_change_members(members, asio::use_awaitable);
        co_return "node " + std::to_string(node) + " has caught up, and votes";
    }
    co_return describe(status);
}

asio::awaitable<std::string> answer(Replica& counter, std::string line) {
    try {
        co_return co_await carry_out(counter, std::move(line));
    } catch (const boost::system::system_error& error) {
        const auto outcome = rsm::outcome(error.code());
        const std::string what = error.code().message();
        if (outcome == rsm::Outcome::unknown) co_return "it may have happened: " + what;
        co_return "nothing has happened: " + what;
    }
}

asio::awaitable<void> serve_one(Replica& counter, tcp::socket client) {
    std::string line;
    co_await asio::async_read_until(client, asio::dynamic_buffer(line, 1024), '\n',
                                    asio::use_awaitable);
    const std::string reply = co_await answer(counter, line) + '\n';
    co_await asio::async_write(client, asio::buffer(reply), asio::use_awaitable);
}

asio::awaitable<void> serve(Replica& counter, tcp::endpoint endpoint) {
    tcp::acceptor acceptor(co_await asio::this_coro::executor, endpoint);
    for (;;) {
        tcp::socket client = co_await acceptor.async_accept(asio::use_awaitable);
        // A client that breaks off ends its own coroutine, and nothing else.
        asio::co_spawn(acceptor.get_executor(), serve_one(counter, std::move(client)),
                       asio::detached);
    }
}

/// Where clients are served: 1000 ports above where the nodes talk to each other.
tcp::endpoint client_endpoint(const std::string& peer) {
    const auto colon = peer.rfind(':');
    const int port = std::stoi(peer.substr(colon + 1)) + 1000;
    return {asio::ip::make_address(peer.substr(0, colon)), static_cast<std::uint16_t>(port)};
}

int run(std::uint64_t self, const std::string& own, const std::vector<std::string>& founders) {
    rsm::Members members;
    rsm::TcpOptions tcp_options;
    tcp_options.self = {self};
    tcp_options.cluster = "counter";
    tcp_options.peers[{self}] = own;
    for (const std::string& address : founders) {
        const std::uint64_t node = members.size() + 1;
        members.push_back(rsm::voter(node, address));
        tcp_options.peers[{node}] = address;
    }
    std::ostringstream advertised;
    advertised << client_endpoint(own);
    tcp_options.advertise = advertised.str();

    std::optional<rsm::TlsOptions> tls;
    if (const char* directory = std::getenv("CERTIFICATES")) {
        const std::string path = std::string(directory) + "/";
        const std::string name = path + "node-" + std::to_string(self);
        tls = rsm::TlsOptions{{name + ".crt", name + ".key", path + "ca.crt"}, {}};
    }

    rsm::Options options;
    const bool founds = self <= founders.size();
    options.birth = founds ? rsm::found(members) : rsm::join(members);
    options.on_event = [](const raft::Event& event) {
        std::cout << rsm::to_string(event) << std::endl;
    };
    options.on_notice = [](const std::string& notice) { std::cout << notice << std::endl; };

    asio::io_context io;
    Replica counter{io.get_executor(), Counter{}, rsm::TlsTransport{tcp_options, tls},
                    rsm::WalStorage{"data/" + std::to_string(self)}, options};
    asio::co_spawn(io, serve(counter, client_endpoint(own)), [](std::exception_ptr failed) {
        if (failed) std::rethrow_exception(failed);
    });
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](auto, int) { counter.async_stop([&](auto) { io.stop(); }); });
    io.run();
    return 0;
}

/// What a node answers; nothing if it cannot be reached.
std::string ask_one(const std::string& node, const std::string& line) {
    const auto colon = node.rfind(':');
    tcp::iostream server(node.substr(0, colon), node.substr(colon + 1));
    server << line << std::endl;
    std::ostringstream reply;
    if (server) reply << server.rdbuf();
    return reply.str();
}

/// Asks one node after the other: what has not happened may be asked for again. Only the leader
/// takes operations in, and for a moment there may be none.
int ask(const std::vector<std::string>& nodes, const std::string& line) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    std::string reply = "nobody answers\n";
    while (std::chrono::steady_clock::now() < deadline) {
        for (const std::string& node : nodes) {
            const std::string heard = ask_one(node, line);
            if (heard.empty()) continue;
            reply = heard;
            if (reply.starts_with("nothing has happened")) continue;
            std::cout << reply;
            return 0;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::cout << reply;
    return 1;
}

int ask_all(const std::vector<std::string>& nodes, const std::string& line) {
    for (const std::string& node : nodes) {
        const std::string reply = ask_one(node, line);
        std::cout << (reply.empty() ? node + " does not answer\n" : reply);
    }
    return 0;
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    std::istringstream text(list);
    for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
    return parts;
}

int main(int count, char** arguments) try {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    if (words.size() >= 3 && words[0] == "ask") {
        std::string line;
        for (std::size_t i = 2; i < words.size(); ++i) line += words[i] + ' ';
        return words[2] == "status" ? ask_all(split(words[1]), line) : ask(split(words[1]), line);
    }
    if (words.size() == 3) return run(std::stoull(words[0]), words[1], split(words[2]));
    std::cerr << "usage: counter ID ADDRESS FOUNDER,FOUNDER,...\n"
                 "       counter ask NODE,NODE,... add N | get | status | grow ID ADDRESS\n";
    return EXIT_FAILURE;
} catch (const std::exception& error) {
    std::cerr << "counter: " << error.what() << '\n';
    return EXIT_FAILURE;
}
