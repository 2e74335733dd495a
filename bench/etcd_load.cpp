// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Load for an etcd server: its JSON interface over HTTP/1.1, connections that are kept, one request
// outstanding on each. One thread and no library, so that it takes a small part of the machine; the
// result says how small.
//
//   etcd_load --port PORT [--clients N] [--payload BYTES] [--read] [--keys N] [--seconds S]
//             [--warm-up S]
#include "arguments.hpp"
#include "measure.hpp"
#include "process.hpp"
#include "socket.hpp"

#include <sys/epoll.h>
#include <raft/base/random.hpp>
#include <raft/base/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace bench;

std::string base64(std::string_view text) {
    static constexpr char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t bits = 0;
        const std::size_t count = std::min<std::size_t>(3, text.size() - i);
        for (std::size_t k = 0; k < count; ++k) {
            const auto byte = static_cast<unsigned char>(text[i + k]);
            bits |= std::uint32_t{byte} << (16 - 8 * k);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            out += k <= count ? digits[(bits >> (18 - 6 * k)) & 63] : '=';
        }
    }
    return out;
}

/// One connection with one request on its way.
struct Client {
    Descriptor socket;
    std::string request;
    std::string reply;
    std::uint64_t began = 0;
};

class Load {
public:
    Load(std::uint16_t port, std::size_t clients, bool read, std::size_t payload,
         std::uint64_t keys, Recorder& recorder)
        : keys_(keys), recorder_(recorder), clients_(clients), poll_(epoll_create1(0)) {
        // Every key is 12 bytes, so it has 16 digits, always in the same place.
        const std::string body = read ? "{\"key\":\"" + base64(key(0)) + "\"}"
                                      : "{\"key\":\"" + base64(key(0)) + "\",\"value\":\"" +
                                            base64(std::string(payload, 'x')) + "\"}";
        const std::string head = std::string("POST /v3/kv/") + (read ? "range" : "put") +
                                 " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                                 "application/json\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n";
        key_at_ = head.size() + 8;
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            clients_[i].socket = connect_to(port);
            clients_[i].request = head + body;
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            if (epoll_ctl(poll_.get(), EPOLL_CTL_ADD, clients_[i].socket.get(), &event) != 0) {
                throw system_failure("epoll_ctl");
            }
        }
    }

    void run() {
        for (Client& client : clients_) ask(client);
        std::array<epoll_event, 64> events{};
        for (;;) {
            const int count = epoll_wait(poll_.get(), events.data(), events.size(), 5000);
            if (count == 0) throw std::runtime_error("no answer for 5 seconds");
            if (count < 0 && errno != EINTR) throw system_failure("epoll_wait");
            for (int i = 0; i < count; ++i) {
                Client& client = clients_[events[static_cast<std::size_t>(i)].data.u64];
                if (!take_reply(client)) continue;
                if (!recorder_.completed(client.began, now_ns())) return;
                ask(client);
            }
        }
    }

private:
    std::string key(std::uint64_t number) const {
        std::string digits = std::to_string(number);
        return std::string(12 - digits.size(), '0') + digits;
    }
    void ask(Client& client) {
        const std::string text = base64(key(random_.below(keys_)));
        client.request.replace(key_at_, text.size(), text);
        client.reply.clear();
        client.began = now_ns();
        write_all(client.socket.get(), std::as_bytes(std::span(client.request)));
    }
    /// True when the reply is complete.
    bool take_reply(Client& client) {
        std::array<std::byte, 16384> space{};
        const std::size_t count = read_some(client.socket.get(), space);
        if (count == 0) throw std::runtime_error("the server has closed a connection");
        client.reply.append(reinterpret_cast<const char*>(space.data()), count);
        const std::size_t head = client.reply.find("\r\n\r\n");
        if (head == std::string::npos) return false;
        if (!client.reply.starts_with("HTTP/1.1 200")) throw std::runtime_error(client.reply);
        const std::size_t field = client.reply.find("Content-Length: ");
        if (field > head) throw std::runtime_error("a reply without a length: " + client.reply);
        const std::size_t length = std::stoull(client.reply.substr(field + 16));
        return client.reply.size() >= head + 4 + length;
    }

    std::uint64_t keys_;
    Recorder& recorder_;
    std::vector<Client> clients_;
    Descriptor poll_;
    std::size_t key_at_ = 0;
    raft::Random random_{1};
};

}  // namespace

int main(int count, char** words) try {
    Arguments arguments(count, words);
    const std::uint64_t port = arguments.count("port", 2379);
    const std::size_t clients = arguments.count("clients", 1);
    const std::size_t payload = arguments.count("payload", 256);
    const std::uint64_t keys = arguments.count("keys", 100000);
    const bool read = arguments.flag("read");
    const double seconds = arguments.number("seconds", 5);
    const double warm_up = arguments.number("warm-up", 1);
    arguments.finish();
    if (port == 0 || port > 65535 || clients == 0) throw std::invalid_argument("port or clients");

    Recorder recorder(warm_up, seconds, {}, "");
    Load(static_cast<std::uint16_t>(port), clients, read, payload, keys, recorder).run();
    Line line("etcd");
    line.text("operation", read ? "read" : "write");
    line.count("clients", clients).count("pipeline", 1).count("payload", payload);
    line.load(recorder.latencies(), recorder.seconds(), recorder.used());
    line.number("generator_cores", recorder.own_cpu() / recorder.seconds());
    line.print();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "etcd_load: %s\n", error.what());
    return EXIT_FAILURE;
}
