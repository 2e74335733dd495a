// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Accepts the clients of the admin server, as many as there may be.
#ifndef RSM_ADMIN_HTTP_SERVER_HPP
#define RSM_ADMIN_HTTP_SERVER_HPP

#include <rsm/admin/http/connection.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Handlers own it together with the one who made it. Everything on the executor.
class HttpServer : public std::enable_shared_from_this<HttpServer> {
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;

public:
    HttpServer(const boost::asio::any_io_executor& executor, std::vector<Tcp::acceptor> acceptors,
               HttpLimits limits, std::size_t max_connections, HttpConnection::Answer answer)
        : executor_(executor),
          limits_(limits),
          max_connections_(max_connections),
          answer_(std::move(answer)) {
        for (Tcp::acceptor& acceptor : acceptors) {
            doors_.push_back(std::make_unique<Door>(std::move(acceptor), executor));
        }
    }

    void start() {
        for (const auto& door : doors_) accept(*door);
    }
    void stop() {
        if (std::exchange(stopped_, true)) return;
        for (const auto& door : doors_) {
            Error ignored;
            door->acceptor.close(ignored);
            door->pause.cancel();
        }
        for (const auto& connection : connections_) connection->close();
        connections_.clear();
        answer_ = nullptr;
    }
    std::size_t connections() const { return connections_.size(); }

private:
    using ConnectionPtr = std::shared_ptr<HttpConnection>;
    struct Door {
        Door(Tcp::acceptor listening, const boost::asio::any_io_executor& executor)
            : acceptor(std::move(listening)), pause(executor) {}
        Tcp::acceptor acceptor;
        boost::asio::steady_timer pause;
    };

    void accept(Door& door) {
        door.acceptor.async_accept(
            executor_, boost::asio::bind_executor(executor_, [self = shared_from_this(), &door](
                                                                 Error error, Tcp::socket socket) {
                if (self->stopped_) return;
                if (error) return self->accept_later(door);
                self->welcome(std::move(socket));
                self->accept(door);
            }));
    }
    /// No descriptor, say: to ask again at once would only burn time.
    void accept_later(Door& door) {
        door.pause.expires_after(std::chrono::milliseconds(100));
        door.pause.async_wait([self = shared_from_this(), &door](Error error) {
            if (!error && !self->stopped_) self->accept(door);
        });
    }

    void welcome(Tcp::socket socket) {
        if (connections_.size() >= max_connections_ && !make_room()) return;
        Error ignored;
        socket.set_option(Tcp::no_delay(true), ignored);
        auto connection = std::make_shared<HttpConnection>(std::move(socket), limits_, answer_);
        connections_.insert(connection);
        connection->start([weak = weak_from_this(), known = std::weak_ptr(connection)] {
            const auto self = weak.lock();
            if (self != nullptr) self->connections_.erase(known.lock());
        });
    }
    /// Of those that want nothing, or take long to say it or to take the answer, the one that has
    /// done so for the longest goes. So whoever asks is answered, at the latest when the others
    /// have had a second for what they were told.
    bool make_room() {
        const auto now = HttpConnection::Clock::now();
        ConnectionPtr oldest;
        for (const ConnectionPtr& each : connections_) {
            if (!each->is_waiting(now)) continue;
            if (oldest == nullptr || each->waiting_since() < oldest->waiting_since()) oldest = each;
        }
        if (oldest == nullptr) return false;
        oldest->close();
        connections_.erase(oldest);
        return true;
    }

    boost::asio::any_io_executor executor_;
    HttpLimits limits_;
    std::size_t max_connections_;
    HttpConnection::Answer answer_;
    std::vector<std::unique_ptr<Door>> doors_;
    std::unordered_set<ConnectionPtr> connections_;
    bool stopped_ = false;
};

}  // namespace rsm::detail

#endif
