// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// StreamNet: simulated sockets, timers and lookups, over which the production TCP transport runs.
#ifndef RSM_SIM_WORLD_STREAM_NET_HPP
#define RSM_SIM_WORLD_STREAM_NET_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/transport/tcp_address.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What the sockets of one process need to know.
struct StreamHost {
    StreamNetwork* network = nullptr;
    raft::NodeId node;
    Process* process = nullptr;
};

/// Does what boost::asio::ip::tcp::socket does, as far as the TCP transport uses it.
class StreamSocket {
public:
    using Error = boost::system::error_code;

    explicit StreamSocket(const StreamHost& host, StreamEndPtr end = nullptr)
        : host_(host), end_(std::move(end)) {}
    StreamSocket(StreamSocket&& other) noexcept
        : host_(other.host_),
          end_(std::exchange(other.end_, nullptr)),
          attempt_(std::exchange(other.attempt_, nullptr)),
          non_blocking_(other.non_blocking_) {}
    StreamSocket& operator=(StreamSocket&&) = delete;
    ~StreamSocket() {
        Error ignored;
        close(ignored);
    }

    template <class Done>
    void async_connect(const StreamNetwork::Endpoint& to, Done done) {
        attempt_ = std::make_shared<std::function<void(Error)>>(std::move(done));
        host_.network->connect(
            host_.node, *host_.process, to,
            [attempt = std::weak_ptr(attempt_)] { return !attempt.expired(); },
            [this, attempt = std::weak_ptr(attempt_)](Error error, StreamEndPtr end) {
                const auto wanted = attempt.lock();
                if (wanted == nullptr) return;
                attempt_ = nullptr;
                end_ = std::move(end);
                (*wanted)(error);
            });
    }
    template <class Done>
    void async_read_some(const boost::asio::mutable_buffer& target, Done done) {
        if (!ready(done)) return;
        host_.network->async_read(end_, {static_cast<std::byte*>(target.data()), target.size()},
                                  std::move(done));
    }
    template <class Buffers, class Done>
    void async_write_some(const Buffers& buffers, Done done) {
        if (!ready(done)) return;
        host_.network->async_write(end_, joined(buffers), std::move(done));
    }
    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, Error& error) {
        error = {};
        if (end_ == nullptr || end_->broken) {
            error = end_ == nullptr ? Error(boost::asio::error::bad_descriptor) : end_->broken;
            return 0;
        }
        const std::size_t count = host_.network->write(end_, joined(buffers));
        if (count == 0) error = boost::asio::error::would_block;
        return count;
    }

    bool non_blocking() const { return non_blocking_; }
    void non_blocking(bool on, Error& error) {
        non_blocking_ = on;
        error = {};
    }
    StreamNetwork::Endpoint remote_endpoint(Error& error) const {
        error = {};
        if (end_ != nullptr) return {StreamNetwork::address_of(end_->other_host), 50'000};
        error = boost::asio::error::not_connected;
        return {};
    }
    void shutdown(boost::asio::socket_base::shutdown_type, Error& error) {
        error = {};
        if (end_ != nullptr) host_.network->shut(end_);
    }
    void cancel(Error& error) {
        error = {};
        if (end_ != nullptr) host_.network->cancel(end_);
        give_up_connecting();
    }
    void close(Error& error) {
        error = {};
        give_up_connecting();
        if (end_ != nullptr) host_.network->close(std::exchange(end_, nullptr));
    }

    void set_user_timeout(raft::Duration limit) {
        if (end_ != nullptr) end_->user_timeout = limit;
    }
    std::size_t unacknowledged() const { return end_ == nullptr ? 0 : end_->flight_bytes; }
    bool awaits_repetition() const {
        return end_ != nullptr && !end_->flight.empty() && end_->flight.front().repeats != 0;
    }

private:
    template <class Buffers>
    static std::string joined(const Buffers& buffers) {
        std::string bytes;
        for (auto at = boost::asio::buffer_sequence_begin(buffers);
             at != boost::asio::buffer_sequence_end(buffers); ++at) {
            const boost::asio::const_buffer part(*at);
            bytes.append(static_cast<const char*>(part.data()), part.size());
        }
        return bytes;
    }
    /// A closed socket ends each operation with an error.
    template <class Done>
    bool ready(Done& done) {
        if (end_ != nullptr) return true;
        host_.process->post([done = std::move(done)]() mutable {
            done(Error(boost::asio::error::bad_descriptor), std::size_t{0});
        });
        return false;
    }
    void give_up_connecting() {
        const auto attempt = std::exchange(attempt_, nullptr);
        if (attempt == nullptr) return;
        host_.process->post([attempt] { (*attempt)(boost::asio::error::operation_aborted); });
    }

    StreamHost host_;
    StreamEndPtr end_;
    std::shared_ptr<std::function<void(Error)>> attempt_;  // null: none to connect is under way
    bool non_blocking_ = false;
};

/// Does what boost::asio::ip::tcp::acceptor does, as far as the TCP transport uses it.
class StreamAcceptor {
public:
    using Error = boost::system::error_code;

    StreamAcceptor(const StreamHost& host, const StreamNetwork::Endpoint& at,
                   StreamNetwork::PortPtr port)
        : host_(host), endpoint_(at), port_(std::move(port)) {}
    StreamAcceptor(StreamAcceptor&& other) noexcept
        : host_(other.host_),
          endpoint_(other.endpoint_),
          port_(std::exchange(other.port_, nullptr)) {}
    StreamAcceptor& operator=(StreamAcceptor&&) = delete;
    ~StreamAcceptor() {
        Error ignored;
        close(ignored);
    }

    StreamNetwork::Endpoint local_endpoint() const { return endpoint_; }

    template <class Done>
    void async_accept(Done done) {
        port_->accept_done = [host = host_, done = std::move(done)](Error error, StreamEndPtr end) {
            done(error, StreamSocket(host, std::move(end)));
        };
        StreamNetwork::go_on_accepting(port_);
    }
    void close(Error& error) {
        error = {};
        const StreamNetwork::PortPtr port = std::exchange(port_, nullptr);
        if (port == nullptr) return;
        host_.network->unlisten(endpoint_, port);
        if (!port->accept_done) return;
        host_.process->post([done = std::exchange(port->accept_done, nullptr)] {
            done(boost::asio::error::operation_aborted, nullptr);
        });
    }

private:
    StreamHost host_;
    StreamNetwork::Endpoint endpoint_;
    StreamNetwork::PortPtr port_;
};

/// Does what boost::asio::steady_timer does, by the clock of the process. A wait whose time has
/// come is not taken back any more by what follows before its handler runs.
class StreamTimer {
public:
    using Error = boost::system::error_code;

    explicit StreamTimer(Process& process) : process_(&process) {}
    StreamTimer(StreamTimer&& other) noexcept
        : process_(other.process_), wait_(std::exchange(other.wait_, nullptr)) {}
    StreamTimer& operator=(StreamTimer&&) = delete;
    ~StreamTimer() { cancel(); }

    void expires_after(raft::Duration delay) {
        cancel();
        deadline_ = process_->now() + delay;
    }
    template <class Done>
    void async_wait(Done done) {
        wait_ = std::make_shared<Wait>(Wait{deadline_, std::move(done), {}});
        arm(*process_, wait_);
    }
    void cancel() {
        const std::shared_ptr<Wait> wait = std::exchange(wait_, nullptr);
        if (wait == nullptr || !wait->done) return;
        process_->world().cancel(wait->timer);
        process_->post([done = std::exchange(wait->done, nullptr)] {
            done(boost::asio::error::operation_aborted);
        });
    }

private:
    struct Wait {
        raft::Time deadline{};
        std::function<void(Error)> done;  // null: its time has come
        World::TimerId timer;
    };

    static void arm(Process& process, const std::shared_ptr<Wait>& wait) {
        wait->timer = process.world().call_at(process.world_time(wait->deadline), [&process, wait] {
            if (!wait->done) return;
            if (process.now() < wait->deadline) return arm(process, wait);
            process.post([done = std::exchange(wait->done, nullptr)] { done({}); });
        });
    }

    Process* process_;
    raft::Time deadline_{};
    std::shared_ptr<Wait> wait_;
};

/// Knows the names node1, node2 and so on.
class StreamResolver {
public:
    struct Found {
        StreamNetwork::Endpoint at;
        StreamNetwork::Endpoint endpoint() const { return at; }
    };
    using Results = std::vector<Found>;

    explicit StreamResolver(const StreamHost& host) : host_(host) {}

    template <class Done>
    void async_resolve(const std::string& name, const std::string& port, Done done) {
        Results results;
        const bool known = name.starts_with("node") && name.size() > 4;
        if (known) {
            const raft::NodeId node{std::stoull(name.substr(4))};
            results.push_back(
                {{StreamNetwork::address_of(node), static_cast<std::uint16_t>(std::stoul(port))}});
        }
        const boost::system::error_code error =
            known ? boost::system::error_code() : boost::asio::error::host_not_found;
        host_.process->post([done = std::move(done), error,
                             results = std::move(results)]() mutable { done(error, results); });
    }
    void cancel() {}

private:
    StreamHost host_;
};

/// Models what detail::SystemNet does.
class StreamNet {
public:
    using Socket = StreamSocket;
    using Acceptor = StreamAcceptor;
    using Resolver = StreamResolver;
    using Timer = StreamTimer;
    using Executor = boost::asio::any_io_executor;

    StreamNet() = default;
    /// @param seed  of what the transport draws
    StreamNet(const StreamHost& host, std::uint64_t seed) : host_(host), random_(seed) {}

    Socket socket(const Executor&) const { return Socket(host_); }
    Resolver resolver(const Executor&) const { return Resolver(host_); }
    Timer timer(const Executor&) const { return Timer(*host_.process); }
    std::vector<Acceptor> listen(const Executor&, const TcpAddress& address) const {
        const StreamNetwork::Endpoint at(StreamNetwork::address_of(host_.node), address.port);
        auto port = host_.network->listen(at, *host_.process);
        if (port == nullptr) {
            throw boost::system::system_error(
                boost::system::error_code(boost::asio::error::address_in_use), address.text());
        }
        std::vector<Acceptor> acceptors;
        acceptors.emplace_back(host_, at, std::move(port));
        return acceptors;
    }
    std::chrono::steady_clock::time_point now() const {
        return std::chrono::steady_clock::time_point(host_.process->now().time_since_epoch());
    }
    std::uint64_t random() { return random_.next(); }

    static void tune(Socket& socket, std::chrono::milliseconds user_timeout) {
        socket.set_user_timeout(user_timeout);
    }
    static std::optional<std::size_t> unacknowledged(Socket& socket) {
        return socket.unacknowledged();
    }
    static bool awaits_repetition(Socket& socket) { return socket.awaits_repetition(); }

private:
    StreamHost host_;
    raft::Random random_{0};
};

}  // namespace rsm::sim

#endif
