// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a server's process does before it serves: addresses, descriptors, signals.
#include "server_support.hpp"

#include <kv/door.hpp>
#include <kv/listen.hpp>
#include <kv/process.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/read.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace process_test {

using namespace kv_test;

namespace {

/// What `body` returns in a process of its own; 1000 and more: the signal that ended it.
int in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string refusal(const std::function<void()>& body) {
    try {
        body();
    } catch (const std::exception& error) {
        return error.what();
    }
    return "";
}

std::string cluster_refusal(const std::vector<std::string>& items, std::uint64_t self = 1) {
    return refusal([&] { kv::parse_cluster(items, self); });
}

}  // namespace

TEST_CASE("process: a write beyond the limit for files is an error, not the end") {
    CHECK(in_child([] {
              kv::survive_failed_writes();
              const rlimit limit{1000, 1000};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              std::FILE* const file = std::tmpfile();
              if (file == nullptr) return 1;
              const std::vector<char> bytes(4096);
              const int descriptor = ::fileno(file);
              if (::pwrite(descriptor, bytes.data(), bytes.size(), 0) != 1000) return 2;
              return ::pwrite(descriptor, bytes.data(), bytes.size(), 1000) < 0 && errno == EFBIG
                         ? 0
                         : 3;
          }) == 0);
}

TEST_CASE("process: the limit for descriptors is raised as far as it goes") {
    CHECK(in_child([] {
              const rlimit before{20, 300};
              ::setrlimit(RLIMIT_NOFILE, &before);
              rlimit after{};
              if (kv::raise_descriptor_limit() != 300) return 1;
              ::getrlimit(RLIMIT_NOFILE, &after);
              return after.rlim_cur == 300 ? 0 : 2;
          }) == 0);
}

TEST_CASE("process: a node keeps descriptors for its log, and more for a longer one") {
    constexpr std::uint64_t mebibyte = 1U << 20;
    const std::size_t usual = kv::own_descriptors(3, 64 * mebibyte, 0);
    CHECK(usual > 100);
    CHECK(usual < 300);
    CHECK(kv::own_descriptors(3, 1024 * mebibyte, 0) >= usual + 2 * (1024 - 64) / 16);
    CHECK(kv::own_descriptors(7, 64 * mebibyte, 0) > usual);
    CHECK(kv::own_descriptors(3, 64 * mebibyte, 0, 8 * mebibyte) >= usual + 2 * 64 / 16);
    CHECK(kv::own_descriptors(3, UINT64_MAX / 2, 0) < 10'000);
    // A limit of the log is one of its files, too.
    CHECK(kv::own_descriptors(3, 64 * mebibyte, 2048 * mebibyte) >= usual + 128 - 72);
    CHECK(kv::own_descriptors(3, 64 * mebibyte, 256 * mebibyte) < usual);
}

TEST_CASE("addresses: a cluster that cannot be meant is refused in a sentence") {
    CHECK(kv::parse_cluster({"1=a:1", "2=[::1]:2"}, 2).size() == 2);
    CHECK(cluster_refusal({"1=a:1", "2"}) == "--cluster: not ID=HOST:PORT: \"2\"");
    CHECK(cluster_refusal({"1=a:1", "x=b:1"}) == "--cluster: not ID=HOST:PORT: \"x=b:1\"");
    CHECK(cluster_refusal({"1=a:1", "0=b:1"}) == "--cluster: not ID=HOST:PORT: \"0=b:1\"");
    CHECK(cluster_refusal({"1=a:1", "2=b"}) == "--cluster: not HOST:PORT: \"b\"");
    CHECK(cluster_refusal({"1=a:1", "1=b:1"}) == "--cluster: node 1 is there twice");
    CHECK(cluster_refusal({"1=a:1", "2=b:1", "3=A:1"}) ==
          "--cluster: nodes 1 and 3 have the same address a:1");
    CHECK(cluster_refusal({"1=[::1]:1", "2=[0:0::1]:1"}) ==
          "--cluster: nodes 1 and 2 have the same address [::1]:1");
    CHECK(cluster_refusal({"1=a:1", "2=b:0"}) ==
          "--cluster: nobody can connect to port 0: \"b:0\"");
    CHECK(cluster_refusal({"1=0.0.0.0:1"}) ==
          "--cluster: nobody can connect to all addresses of a host: \"0.0.0.0:1\"");
    CHECK(cluster_refusal({"1=a:1", "2=b:1"}, 3) == "--id: node 3 is not in --cluster");
    CHECK(refusal([] { kv::parse_destination("--announce", "a:0"); }) ==
          "--announce: nobody can connect to port 0: \"a:0\"");
}

TEST_CASE("addresses: a name with several addresses is listened on at each, at one port") {
    boost::asio::io_context io;
    const tcp::endpoint v6(boost::asio::ip::address_v6::loopback(), 0);
    std::vector<std::string> left_out;
    const auto note = [&](const std::string& text) { left_out.push_back(text); };
    std::vector<tcp::acceptor> acceptors = kv::bind_all(io, {any_port(), v6}, note);
    REQUIRE(acceptors.size() + left_out.size() == 2);  // a machine may have no IPv6
    const auto port = acceptors.front().local_endpoint().port();
    CHECK(port != 0);
    for (tcp::acceptor& acceptor : acceptors) {
        boost::system::error_code error;
        tcp::socket early(io);
        CHECK(early.connect(acceptor.local_endpoint(), error) ==
              boost::asio::error::connection_refused);
    }
    kv::listen(acceptors);
    for (tcp::acceptor& acceptor : acceptors) {
        CHECK(acceptor.local_endpoint().port() == port);
        tcp::socket client(io);
        client.connect(acceptor.local_endpoint());
        CHECK_NOTHROW(acceptor.accept());
    }
    const tcp::endpoint taken = acceptors.front().local_endpoint();
    CHECK(refusal([&] { kv::bind_all(io, {taken}, note); }) ==
          "cannot listen on " + address_of(taken.port()) + ": Address already in use");
    const tcp::endpoint nowhere(boost::asio::ip::make_address("192.0.2.1"), 0);
    CHECK(refusal([&] { kv::bind_all(io, {nowhere}, note); }).starts_with("cannot listen"));
    left_out.clear();
    CHECK(kv::bind_all(io, {nowhere, any_port()}, note).size() == 1);
    CHECK(left_out.size() == 1);
    CHECK_FALSE(kv::own_endpoints(io, {"localhost", 1}).empty());
}

TEST_CASE("door: a client for which there is no descriptor is told so, and later ones come in") {
    CHECK(in_child([] {
              boost::asio::io_context io;
              std::vector<tcp::acceptor> acceptors;
              acceptors.emplace_back(io, any_port());
              const tcp::endpoint where = acceptors.front().local_endpoint();
              int welcomed = 0;
              int turned_away = 0;
              kv::Door door(
                  io.get_executor(), std::move(acceptors), [&](tcp::socket) { ++welcomed; },
                  [&] { ++turned_away; });
              door.open();
              tcp::socket client(io, tcp::v4());
              std::vector<int> all;
              for (int taken = ::dup(0); taken >= 0; taken = ::dup(0)) all.push_back(taken);
              client.connect(where);
              if (!run_until(io, [&] { return turned_away == 1; })) return 1;
              std::string reply(100, ' ');
              boost::system::error_code ended;
              reply.resize(boost::asio::read(client, boost::asio::buffer(reply), ended));
              if (reply != "-ERR max number of clients reached\r\n") return 2;
              for (const int taken : all) ::close(taken);
              tcp::socket next(io, tcp::v4());
              next.connect(where);
              if (!run_until(io, [&] { return welcomed == 1; })) return 3;
              return turned_away == 1 ? 0 : 4;
          }) == 0);
}

}  // namespace process_test
