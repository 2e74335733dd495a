// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The kv server: a replica of the Store, served to Redis clients.
#ifndef RSM_EXAMPLES_KV_SERVER_HPP
#define RSM_EXAMPLES_KV_SERVER_HPP

#include "client_connection.hpp"
#include "server_options.hpp"
#include "service.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace kv {

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
    /// @param acceptor  listening
    Server(Replica& replica, Tcp::acceptor acceptor, Directory directory,
           ServerOptions options = {})
        : state_(std::make_shared<State>(replica, std::move(acceptor), std::move(directory),
                                         std::move(options))) {
        State::accept(state_);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() { stop(); }

    /// Accepts no more and closes all connections. Final.
    void stop() { state_->stop(); }

    /// In host byte order.
    std::uint16_t port() const { return state_->port; }
    ServerCounters& counters() { return state_->service.counters(); }

private:
    using Client = ClientConnection<Service<Replica>>;

    // Held by the handlers as well: they may run when the server itself is gone.
    struct State {
        State(Replica& replica, Tcp::acceptor listening, Directory directory,
              ServerOptions options)
            : service(replica, std::move(directory), std::move(options)),
              executor(replica.get_executor()),
              acceptor(std::move(listening)),
              pause(executor),
              port(acceptor.local_endpoint().port()) {}

        static void accept(const std::shared_ptr<State>& self) {
            self->acceptor.async_accept(
                self->executor,
                boost::asio::bind_executor(self->executor, [self](Error error, auto socket) {
                    if (self->stopped) return;
                    if (error) return self->wait(self);
                    self->welcome(self, Tcp::socket(std::move(socket)));
                    accept(self);
                }));
        }

        // Most likely there are no file descriptors left. The client keeps waiting in the queue of
        // the system, and to ask at once again would only burn time.
        void wait(const std::shared_ptr<State>& self) {
            pause.expires_after(std::chrono::milliseconds(100));
            pause.async_wait([self](Error error) {
                if (!error && !self->stopped) accept(self);
            });
        }

        void welcome(const std::weak_ptr<State>& self, Tcp::socket socket) {
            const std::uint64_t id = ++last_id;
            const bool full = counters().clients >= service.options().max_clients;
            // Those that are told to go take a place of their own until they have.
            if (full && clients.size() >= counters().clients + refused_at_once) return;
            auto client = std::make_shared<Client>(
                std::move(socket), service, id, [self, id, full] {
                    if (const auto there = self.lock()) there->leave(id, full);
                });
            clients.emplace(id, client);
            if (full) {
                ++counters().refused;
                return client->refuse("BUSY max number of clients reached");
            }
            ++counters().accepted;
            ++counters().clients;
            client->start();
        }

        void leave(std::uint64_t id, bool was_refused) {
            clients.erase(id);
            if (!was_refused) --counters().clients;
        }

        void stop() {
            if (std::exchange(stopped, true)) return;
            Error ignored;
            acceptor.close(ignored);
            pause.cancel();
            for (const auto& [id, client] : clients) client->close();
            clients.clear();
        }

        ServerCounters& counters() { return service.counters(); }

        static constexpr std::size_t refused_at_once = 64;

        Service<Replica> service;
        typename Replica::executor_type executor;
        Tcp::acceptor acceptor;
        boost::asio::steady_timer pause;
        std::uint16_t port;
        std::unordered_map<std::uint64_t, std::shared_ptr<Client>> clients;
        std::uint64_t last_id = 0;
        bool stopped = false;
    };

    std::shared_ptr<State> state_;
};

}  // namespace kv

#endif
