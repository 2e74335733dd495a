// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Clients that do what clients should not do to a server, all the time and all at once.
#ifndef RSM_TESTS_SYSTEM_ATTACKERS_HPP
#define RSM_TESTS_SYSTEM_ATTACKERS_HPP

#include <kv/reply.hpp>
#include <kv/resp.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace system_test {

/// What one kind of attacker does with its connection. It connects again whenever that ends.
struct Attack {
    std::string name;
    std::size_t connections = 0;
    std::string opening;      ///< sent once
    std::string again{};      ///< sent all the time after that, as fast as it is taken
    bool trickles = false;    ///< or one byte of it in a while
    bool reads = false;       ///< what the server sends
    bool reconnects = false;  ///< ends the connection as soon as there is an answer
};

inline std::string request_of(const std::vector<std::string_view>& words, std::size_t times = 1) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) kv::append_request(text, words);
    return text;
}

/// All that is known to hurt. The keys "large" (1 MB) and "k0" .. "k999" are to be there.
inline std::vector<Attack> all_attacks() {
    std::vector<std::string> names;
    for (int i = 0; i < 1000; ++i) names.push_back("k" + std::to_string(i));
    std::vector<std::string_view> many{"MGET"};
    many.insert(many.end(), names.begin(), names.end());
    const std::string half =
        "*3\r\n$3\r\nSET\r\n$1\r\nh\r\n$8000000\r\n" + std::string(2'000'000, 'h');
    const std::string megabytes(4'000'000, 'x');
    return {
        {"idle", 150, ""},
        {"half requests", 60, half, "h", true},
        {"deaf", 30, request_of({"GET", "large"}, 50), request_of({"GET", "large"}, 50)},
        {"floods of reads", 10, "", request_of({"GET", "k1"}, 1000), false, true},
        {"floods of writes", 10, "", request_of({"SET", "flood", "value"}, 1000), false, true},
        {"large answers", 4, "", request_of(many, 10), false, true},
        {"large values", 4, "", request_of({"SET", "huge", megabytes}), false, true},
        {"storm", 300, request_of({"PING"}), "", false, true, true},
    };
}

/// Runs on one thread.
class Attacker : public std::enable_shared_from_this<Attacker> {
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;

public:
    Attacker(boost::asio::io_context& io, Tcp::endpoint target,
             std::shared_ptr<const Attack> attack)
        : socket_(io), timer_(io), target_(std::move(target)), attack_(std::move(attack)) {}

    void begin() {
        socket_ = Tcp::socket(socket_.get_executor());
        const std::size_t round = ++round_;
        socket_.async_connect(target_, guarded(round, [this, round](std::size_t) {
                                  if (attack_->reads) read(round);
                                  write(round, attack_->opening);
                              }));
    }

private:
    template <class Next>
    struct Guarded {
        void operator()(Error error, std::size_t count = 0) const {
            if (round != self->round_) return;
            if (error) return self->later();
            next(count);
        }
        std::shared_ptr<Attacker> self;
        std::size_t round;
        Next next;
    };
    template <class Next>
    Guarded<Next> guarded(std::size_t round, Next next) {
        return {shared_from_this(), round, std::move(next)};
    }

    void write(std::size_t round, std::string_view bytes) {
        if (bytes.empty()) bytes = attack_->again;
        if (bytes.empty()) return;
        boost::asio::async_write(socket_, boost::asio::buffer(bytes),
                                 guarded(round, [this, round](std::size_t) { wrote(round); }));
    }
    void wrote(std::size_t round) {
        if (!attack_->trickles) return write(round, attack_->again);
        timer_.expires_after(std::chrono::milliseconds(500));
        timer_.async_wait(guarded(round, [this, round](std::size_t) { write(round, {}); }));
    }
    void read(std::size_t round) {
        socket_.async_read_some(boost::asio::buffer(room_), guarded(round, [this, round](auto) {
                                    if (!attack_->reconnects) return read(round);
                                    begin();
                                }));
    }
    void later() {
        const std::size_t round = ++round_;
        Error ignored;
        socket_.close(ignored);
        timer_.expires_after(std::chrono::milliseconds(100));
        timer_.async_wait(guarded(round, [this](std::size_t) { begin(); }));
    }

    Tcp::socket socket_;
    boost::asio::steady_timer timer_;
    Tcp::endpoint target_;
    std::shared_ptr<const Attack> attack_;
    std::array<char, 65536> room_{};
    std::size_t round_ = 0;  // of the connection; what belongs to a former one does nothing
};

/// Never returns; to be run in a process of its own.
[[noreturn]] inline void attack(const boost::asio::ip::tcp::endpoint& target,
                                const std::vector<Attack>& attacks) {
    boost::asio::io_context io;
    for (const Attack& one : attacks) {
        const auto shared = std::make_shared<const Attack>(one);
        for (std::size_t i = 0; i < one.connections; ++i) {
            std::make_shared<Attacker>(io, target, shared)->begin();
        }
    }
    while (true) {
        io.run();
        io.restart();
    }
}

}  // namespace system_test

#endif
