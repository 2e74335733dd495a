// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A replicated counter: the whole of what a user of the library writes.
//
//   counter                                   three replicas in this process, in memory
//   counter 1 data/1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003
//                                             replica 1 of three processes, durable; run 2 and 3
//                                             likewise, and watch them agree
#include <rsm/rsm.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

// ---- the state machine -----------------------------------------------------------------------

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

// ---- an application --------------------------------------------------------------------------

constexpr auto as_tuple = boost::asio::as_tuple(boost::asio::use_awaitable);

/// Adds 1 again and again until the limit is reached, and gives what the counter reads then;
/// nothing if its replica stops before.
///
/// Only the leader takes operations in; the others say so, and are asked again a little later.
/// Where the outcome of an operation is unknown it may be done twice, which this counter does not
/// mind.
template <class Replica>
boost::asio::awaitable<std::optional<std::int64_t>> add_up_to(Replica& replica,
                                                              std::int64_t limit) {
    boost::asio::steady_timer timer(replica.get_executor());
    while (true) {
        auto [error, value] = co_await replica.async_submit({.add = 1}, as_tuple);
        if (!error && value < limit) continue;
        if (!error) {
            const auto query = [](const Counter& counter) { return counter.value(); };
            std::tie(error, value) = co_await replica.async_read(query, as_tuple);
            if (!error) co_return value;
        }
        if (rsm::error_class(error) == rsm::ErrorClass::fatal) co_return std::nullopt;
        timer.expires_after(std::chrono::milliseconds(50));
        co_await timer.async_wait(as_tuple);
    }
}

// ---- three replicas in one process, in memory ------------------------------------------------

using InMemory = rsm::Replicated<Counter, rsm::MemoryTransport, rsm::MemoryStorage>;
using Replicas = std::vector<std::unique_ptr<InMemory>>;

boost::asio::awaitable<void> count_to(std::int64_t limit, InMemory& replica, Replicas& all) {
    const std::optional<std::int64_t> value = co_await add_up_to(replica, limit);
    if (!value) co_return;
    std::cout << "replica " << replica.status().self.value << " leads and reads " << *value << '\n';
    // Not io.stop(): that would leave behind whoever still waits for an answer. When everything
    // that is under way has ended, run() returns.
    for (const auto& each : all) each->async_stop(boost::asio::detached);
}

int in_one_process() {
    boost::asio::io_context io;
    const auto network = std::make_shared<rsm::MemoryNetwork>();
    const std::vector<raft::NodeId> members{{1}, {2}, {3}};
    Replicas replicas;
    for (const raft::NodeId id : members) {
        replicas.push_back(std::make_unique<InMemory>(
            io.get_executor(), Counter{}, rsm::MemoryTransport{network, id, members},
            rsm::MemoryStorage{}, rsm::Options{.snapshot_threshold = rsm::kibibytes(64)}));
    }
    for (const auto& replica : replicas) {
        boost::asio::co_spawn(replica->get_executor(), count_to(10'000, *replica, replicas),
                              boost::asio::detached);
    }
    io.run();
    return EXIT_SUCCESS;
}

// ---- one replica of several processes, durable -----------------------------------------------

using Durable = rsm::Replicated<Counter, rsm::TcpTransport, rsm::WalStorage>;

/// A line each second until the timer is cancelled or the replica has stopped.
boost::asio::awaitable<void> report(const Durable& replica, boost::asio::steady_timer& timer) {
    while (!replica.status().stopped) {
        const rsm::Status status = replica.status();
        std::cout << rsm::to_string(status.role) << " in term " << status.term.value << ", value "
                  << replica.machine().value() << std::endl;
        timer.expires_after(std::chrono::seconds(1));
        const auto [cancelled] = co_await timer.async_wait(as_tuple);
        if (cancelled) break;
    }
}

int one_of_several(std::uint64_t self, const std::string& directory,
                   const std::vector<std::string>& addresses) {
    rsm::TcpOptions tcp;
    tcp.self = raft::NodeId{self};
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        tcp.peers.emplace(raft::NodeId{i + 1}, addresses[i]);
    }
    boost::asio::io_context io;
    Durable replica{io.get_executor(), Counter{}, rsm::TcpTransport{tcp},
                    rsm::WalStorage{directory}};
    boost::asio::co_spawn(replica.get_executor(),
                          add_up_to(replica, std::numeric_limits<std::int64_t>::max()),
                          boost::asio::detached);
    boost::asio::steady_timer timer(replica.get_executor());
    boost::asio::co_spawn(replica.get_executor(), report(replica, timer), boost::asio::detached);

    boost::asio::signal_set signals(replica.get_executor(), SIGINT, SIGTERM);
    signals.async_wait([&](auto, int) {
        timer.cancel();
        replica.async_stop(boost::asio::detached);
    });
    io.run();  // until everything has ended: io.stop() would leave behind who still waits
    return EXIT_SUCCESS;
}

int main(int count, char** arguments) try {
    if (count == 1) return in_one_process();
    const std::vector<std::string> words(arguments + 1, arguments + count);
    if (words.size() < 3) {
        std::cerr << "usage: counter [ID DIRECTORY ADDRESS...]\n";
        return EXIT_FAILURE;
    }
    return one_of_several(std::stoull(words[0]), words[1], {words.begin() + 2, words.end()});
} catch (const std::exception& error) {
    std::cerr << "counter: " << error.what() << '\n';
    return EXIT_FAILURE;
}
