// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A replicated counter: the whole of what a user of the library writes.
//
//   counter                                   three replicas in this process, in memory
//   counter 1 data/1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003
//                                             replica 1 of three processes, durable; run 2 and 3
//                                             likewise, and watch them agree
#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
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

// ---- one replica at work ---------------------------------------------------------------------

/// Adds 1 whenever the last addition has ended: what an application does with a replica. Only the
/// leader takes operations in; the others say so, and are asked again a little later. It ends by
/// itself when its replica has stopped.
template <class Replica>
class Adder {
public:
    Adder(Replica& replica, std::int64_t limit, std::function<void(std::int64_t)> reached)
        : replica_(replica), timer_(replica.get_executor()), limit_(limit), reached_(reached) {}

    void add() {
        replica_.async_submit({.add = 1}, [this](auto error, std::int64_t value) {
            if (error) {
                if (rsm::error_class(error) != rsm::ErrorClass::fatal) try_again();
            } else if (value < limit_) {
                add();
            } else {
                read();
            }
        });
    }

private:
    void try_again() {
        timer_.expires_after(std::chrono::milliseconds(50));
        timer_.async_wait([this](auto error) {
            if (!error) add();
        });
    }

    void read() {
        replica_.async_read([](const Counter& counter) { return counter.value(); },
                            [this](auto error, std::int64_t value) {
                                if (error) return try_again();
                                reached_(value);
                            });
    }

    Replica& replica_;
    boost::asio::steady_timer timer_;
    std::int64_t limit_;
    std::function<void(std::int64_t)> reached_;
};

int in_one_process() {
    using Replica = rsm::Replicated<Counter, rsm::MemoryTransport, rsm::MemoryStorage>;
    constexpr std::int64_t limit = 10000;

    boost::asio::io_context io;
    const auto network = std::make_shared<rsm::MemoryNetwork>();
    const std::vector<raft::NodeId> members{{1}, {2}, {3}};
    std::vector<std::unique_ptr<Replica>> replicas;
    std::vector<std::unique_ptr<Adder<Replica>>> adders;
    // Not io.stop(): that would leave behind whoever still waits for an answer. When everything
    // that is under way has ended, run() returns.
    const auto stop_all = [&replicas] {
        for (const auto& replica : replicas) replica->async_stop([](auto) {});
    };
    for (const raft::NodeId id : members) {
        auto& replica = replicas.emplace_back(std::make_unique<Replica>(
            io.get_executor(), Counter{}, rsm::MemoryTransport{network, id, members},
            rsm::MemoryStorage{}, rsm::Options{.snapshot_threshold = rsm::kibibytes(64)}));
        const auto reached = [&stop_all, id](std::int64_t value) {
            std::cout << "replica " << id.value << " leads and reads " << value << '\n';
            stop_all();
        };
        adders.push_back(std::make_unique<Adder<Replica>>(*replica, limit, reached));
        adders.back()->add();
    }
    io.run();
    return 0;
}

int one_of_several(std::uint64_t self, const std::string& directory,
                   const std::vector<std::string>& addresses) {
    using Replica = rsm::Replicated<Counter, rsm::TcpTransport, rsm::WalStorage>;

    rsm::TcpOptions tcp;
    tcp.self = raft::NodeId{self};
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        tcp.peers.emplace(raft::NodeId{i + 1}, addresses[i]);
    }
    boost::asio::io_context io;
    Replica replica{io.get_executor(), Counter{}, rsm::TcpTransport{tcp},
                    rsm::WalStorage{directory}};
    Adder<Replica> adder{replica, INT64_MAX, {}};
    adder.add();

    boost::asio::steady_timer timer(replica.get_executor());
    const std::function<void(boost::system::error_code)> report = [&](auto error) {
        const rsm::Status status = replica.status();
        if (error || status.stopped) return;
        std::cout << rsm::to_string(status.role) << " in term " << status.term.value << ", value "
                  << replica.machine().value() << std::endl;
        timer.expires_after(std::chrono::seconds(1));
        timer.async_wait(report);
    };
    report({});

    boost::asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](auto, int) {
        timer.cancel();
        replica.async_stop([](auto) {});
    });
    io.run();  // until everything has ended: io.stop() would leave behind who still waits
    return 0;
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
