// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The smallest use of the library: a cluster of one node, in memory. Succeeds when an operation
// has come back with the right result.
#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <vector>

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

private:
    std::int64_t value_ = 0;
};

using Replica = rsm::Replicated<Counter, rsm::MemoryTransport, rsm::MemoryStorage>;

std::int64_t number();

/// Submits one operation, and again as long as the node has not been elected yet.
class Adder {
public:
    explicit Adder(Replica& replica) : replica_(replica), timer_(replica.get_executor()) {}

    void add(std::int64_t amount) {
        replica_.async_submit(
            {.add = amount}, [this, amount](boost::system::error_code error, std::int64_t value) {
                if (error == rsm::Errc::not_leader) return add_later(amount);
                std::cout << "result " << value << ": " << error.message() << '\n';
                result = value;
                replica_.async_stop([](boost::system::error_code) {});
            });
    }

    std::int64_t result = 0;

private:
    void add_later(std::int64_t amount) {
        timer_.expires_after(std::chrono::milliseconds(5));
        timer_.async_wait([this, amount](boost::system::error_code) { add(amount); });
    }

    Replica& replica_;
    boost::asio::steady_timer timer_;
};

int main() {
    boost::asio::io_context io;
    const auto network = std::make_shared<rsm::MemoryNetwork>();
    const std::vector<raft::NodeId> members{{1}};
    Replica counter{io.get_executor(), Counter{}, rsm::MemoryTransport{network, {1}, members},
                    rsm::MemoryStorage{}, rsm::Options{}};
    Adder adder(counter);
    adder.add(number());
    io.run();
    return adder.result == 1024 ? 0 : 1;
}
