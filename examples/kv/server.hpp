// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The kv server: a replica of the Store, served to Redis clients.
#ifndef RSM_EXAMPLES_KV_SERVER_HPP
#define RSM_EXAMPLES_KV_SERVER_HPP

#include "client_connection.hpp"
#include "door.hpp"
#include "log_level.hpp"
#include "server_options.hpp"
#include "service.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kv {

/// Tells the operator when clients begin to be refused for want of places, and when there are
/// places again: once for each change.
class Crowd {
public:
    /// One was.
    void refused(const ServerOptions& options) {
        if (refused_++ != 0) return;
        options.log("CLIENTS REFUSED: there are " + std::to_string(options.max_clients) +
                    ", and no place for more (--max-clients, ulimit -n)");
    }
    /// To be called now and then.
    void look(const ServerCounters& counters, const ServerOptions& options) {
        if (refused_ == 0 || counters.clients >= options.max_clients) return;
        options.log("clients: there are places again, " + std::to_string(refused_) +
                    " were refused");
        refused_ = 0;
    }

private:
    std::uint64_t refused_ = 0;  // since there was a place last
};

/// Serves a replica to clients. `Replica` is an rsm::Replicated<Store, ...>.
///
/// Thread safety: everything on the replica's executor, or while nobody runs it. The replica must
/// outlive the server. Destruction closes all connections and waits for nothing.
template <class Replica>
class Server {
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;

public:
    /// Serves at once.
    /// @param acceptors  listening; at least one
    Server(Replica& replica, std::vector<Tcp::acceptor> acceptors, Directory directory,
           ServerOptions options = {})
        : port_(acceptors.front().local_endpoint().port()),
          state_(std::make_shared<State>(replica, std::move(directory), std::move(options))) {
        state_->open(state_, std::move(acceptors));
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() { stop(); }

    /// Accepts no more and closes all connections. Final.
    void stop() { state_->stop(); }

    /// Of the first acceptor, in host byte order.
    std::uint16_t port() const { return port_; }
    ServerCounters& counters() { return state_->counters(); }
    const ClientMemory& memory() { return state_->service.memory(); }

private:
    using Client = ClientConnection<Service<Replica>>;

    // Held by the handlers as well: they may run when the server itself is gone.
    struct State {
        State(Replica& replica, Directory directory, ServerOptions options)
            : service(replica, std::move(directory), std::move(options)),
              round_timer(replica.get_executor()) {}

        void open(const std::weak_ptr<State>& self, std::vector<Tcp::acceptor> acceptors) {
            door = std::make_unique<Door>(
                service.replica().get_executor(), std::move(acceptors),
                [self](Tcp::socket socket) {
                    if (const auto there = self.lock()) there->welcome(self, std::move(socket));
                },
                [self] {
                    if (const auto there = self.lock()) there->count_refused();
                });
            door->open();
            go_round(self);
        }

        void welcome(const std::weak_ptr<State>& self, Tcp::socket socket) {
            const std::uint64_t id = ++last_id;
            if (counters().clients >= service.options().max_clients) make_room();
            const bool full = counters().clients >= service.options().max_clients;
            if (full) count_refused();
            // Those that are told to go take a place of their own until they have.
            if (full && clients.size() >= counters().clients + refused_at_once) {
                return turn_away(std::move(socket), Door::full_text);
            }
            auto client =
                std::make_shared<Client>(std::move(socket), service, id, [self, id, full] {
                    if (const auto there = self.lock()) there->leave(id, full);
                });
            clients.emplace(id, client);
            if (is_logged(LogLevel::debug)) service.log("client " + std::to_string(id) + " came");
            if (full) return client->refuse(Door::full_text);
            ++counters().accepted;
            ++counters().clients;
            client->start();
        }

        /// A customer does not stay outside for those who only hold places: of them the one that
        /// has done so for the longest goes.
        void make_room() {
            std::shared_ptr<Client> oldest;
            std::uint64_t first = last_id;
            for (const auto& [id, client] : clients) {
                if (id >= first || !client->is_stranger()) continue;
                first = id;
                oldest = client;
            }
            if (oldest != nullptr) oldest->make_way();
        }

        void count_refused() {
            ++counters().refused;
            crowd.refused(service.options());
        }

        void leave(std::uint64_t id, bool was_refused) {
            clients.erase(id);
            if (is_logged(LogLevel::debug)) service.log("client " + std::to_string(id) + " went");
            if (!was_refused) --counters().clients;
        }

        // Looks for clients that have let a time limit pass.
        void go_round(const std::weak_ptr<State>& self) {
            round_timer.expires_after(round_interval());
            round_timer.async_wait([self](Error error) {
                const auto there = self.lock();
                if (error || there == nullptr || there->stopped) return;
                there->end_overdue();
                there->crowd.look(there->counters(), there->service.options());
                there->go_round(self);
            });
        }
        void end_overdue() {
            const auto now = Client::Clock::now();
            for (const auto& [id, client] : clients) client->free_unused(now);
            // To end one takes it out of `clients`.
            std::vector<std::pair<std::shared_ptr<Client>, Lapse>> overdue;
            for (const auto& [id, client] : clients) {
                const Lapse lapse = client->lapse(now);
                if (lapse != Lapse::none) overdue.emplace_back(client, lapse);
            }
            for (const auto& [client, lapse] : overdue) client->end_for(lapse);
        }
        std::chrono::milliseconds round_interval() const {
            using std::chrono::milliseconds;
            milliseconds interval(1000);
            for (const milliseconds limit :
                 {service.options().request_timeout, service.options().reply_timeout,
                  milliseconds(service.options().idle_timeout),
                  service.options().backup_idle_timeout}) {
                if (limit.count() != 0) interval = std::min(interval, limit / 4);
            }
            return std::max(interval, milliseconds(1));
        }

        void stop() {
            if (std::exchange(stopped, true)) return;
            door->close();
            round_timer.cancel();
            service.queue().clear();
            for (const auto& [id, client] : clients) client->close();
            clients.clear();
        }

        ServerCounters& counters() { return service.counters(); }

        static constexpr std::size_t refused_at_once = 64;

        Service<Replica> service;
        boost::asio::steady_timer round_timer;
        std::unique_ptr<Door> door;
        Crowd crowd;
        std::unordered_map<std::uint64_t, std::shared_ptr<Client>> clients;
        std::uint64_t last_id = 0;
        bool stopped = false;
    };

    std::uint16_t port_;
    std::shared_ptr<State> state_;
};

}  // namespace kv

#endif
