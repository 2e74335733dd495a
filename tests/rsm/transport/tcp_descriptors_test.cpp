// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A TcpTransport in a process that has no descriptor left.
#include "transport_support.hpp"

#include <rsm/transport/tcp.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/write.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tcp_descriptors_test {

using namespace transport_test;
using namespace std::chrono_literals;

namespace {

/// All descriptors that the process may have; at most a few hundred meanwhile.
class AllDescriptors {
public:
    AllDescriptors() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit few = before_;
        few.rlim_cur = 300;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
        for (int one = 0; (one = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) {
            taken_.push_back(one);
        }
    }
    AllDescriptors(const AllDescriptors&) = delete;
    AllDescriptors& operator=(const AllDescriptors&) = delete;
    ~AllDescriptors() { give(); }
    void give() {
        for (const int one : taken_) ::close(one);
        taken_.clear();
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }

private:
    rlimit before_{};
    std::vector<int> taken_;
};

std::uint64_t not_accepted(const rsm::RunningTcpTransport& transport) {
    return transport.counters().refusals[rsm::TcpRefusal::not_accepted];
}

}  // namespace

TEST_CASE("tcp: without a descriptor a node neither stops to listen nor asks all the time") {
    boost::asio::io_context io;
    Node node(io, options(one));
    node.start();
    tcp::socket knocking(io);
    knocking.open(tcp::v4());
    const auto begin = std::chrono::steady_clock::now();
    AllDescriptors all;
    // The system itself takes the connection in; the node cannot.
    knocking.connect({boost::asio::ip::address_v4::loopback(), node.transport.local_port()});
    CHECK(run_until(io, [&] { return not_accepted(node.transport) >= 3; }));
    boost::asio::write(knocking, boost::asio::buffer(std::string(100, 'x')));
    const auto passed = std::chrono::steady_clock::now() - begin;
    CHECK(not_accepted(node.transport) <= static_cast<std::uint64_t>(passed / 100ms) + 1);
    CHECK(node.transport.counters().handshakes_refused == 0);
    all.give();
    CHECK(run_until(io, [&] { return node.transport.counters().handshakes_refused == 1; }));
}

TEST_CASE("tcp: a node that had no descriptor to dial with dials when there is one") {
    boost::asio::io_context io;
    Node a(io, options(one));
    Node b(io, options(two));
    a.start();
    b.start();
    AllDescriptors all;
    a.knows(b);
    b.knows(a);
    CHECK(run_until(io, [&] { return a.transport.counters().connect_failures >= 3; }));
    CHECK_FALSE(a.transport.connected(two));
    all.give();
    CHECK(run_until(io, [&] { return a.transport.connected(two) && b.transport.connected(one); }));
}

}  // namespace tcp_descriptors_test
