// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a program that embeds a replica meets: types without a default, coroutines, codes that say
// more than their number, executors that have stopped, and exceptions of constructors.
#include "support/temporary_directory.hpp"
#include "support/virtual_cluster.hpp"

#include <rsm/node/job_list.hpp>
#include <rsm/storage/wal.hpp>
#include <rsm/to_string.hpp>
#include <rsm/transport/tcp.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace embedding_test {

using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using Error = boost::system::error_code;

// Neither what apply returns nor what reads give has a default.
struct Length {
    explicit Length(std::size_t size) : bytes(size) {}
    std::size_t bytes;
};

template <class Given>
struct Text {
    using Operation = Given;
    Length apply(const Operation& operation) {
        if constexpr (requires { operation.text; }) {
            text += operation.text;
        } else if constexpr (std::is_same_v<Operation, std::string>) {
            text += operation;
        } else {
            if (const auto* part = std::get_if<std::string>(&operation)) text += *part;
        }
        return Length(text.size());
    }
    void snapshot(rsm::SnapshotWriter& out) const { out << text; }
    void restore(rsm::SnapshotReader& in) { in >> text; }
    std::string text;
};

struct Append {
    std::string text;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        if (text == "unwritable") throw std::runtime_error("that cannot be written");
        archive& text;
    }
};

class AdvertisingTransport : public rsm_test::CutTransport {
public:
    using CutTransport::CutTransport;
    class Running : public rsm_test::RunningCutTransport {
    public:
        using RunningCutTransport::RunningCutTransport;
        static std::string peer_advertisement(raft::NodeId node) {
            return "10.0.0." + std::to_string(node.value) + ":80";
        }
    };
    Running open(const asio::any_io_executor& executor) const {
        return {executor, network(), self()};
    }
};

const std::string long_text = "longer than any string that needs no memory of its own";

std::uint64_t other(std::uint64_t id) { return id == 1 ? 2 : 1; }

}  // namespace

TEST_CASE("a result and a value without a default come in an optional") {
    rsm_test::VirtualCluster<Text<Append>> cluster(2);
    const std::uint64_t leader = cluster.elect();
    std::optional<std::size_t> written;
    cluster.node(leader).async_submit({.text = "four"}, [&](Error, std::optional<Length> length) {
        written = length.value().bytes;
    });
    CHECK(cluster.run_until([&] { return written == std::size_t{4}; }));
    const auto length = [](const Text<Append>& text) { return Length(text.text.size()); };
    std::optional<std::size_t> seen;
    cluster.node(leader).async_read(
        length, [&](Error, std::optional<Length> read) { seen = read.value().bytes; });
    CHECK(cluster.run_until([&] { return seen == std::size_t{4}; }));

    int refused = 0;
    const auto refuse = [&](Error error, const std::optional<Length>& nothing) {
        if (error == rsm::Errc::not_leader && !nothing) ++refused;
    };
    cluster.node(other(leader)).async_submit({.text = "x"}, refuse);
    cluster.node(other(leader)).async_read(length, refuse);
    CHECK(cluster.run_until([&] { return refused == 2; }));
}

TEST_CASE_TEMPLATE("a coroutine awaits operations of every kind", Operation, Append, std::string,
                   std::variant<std::string, Append>) {
    rsm_test::VirtualCluster<Text<Operation>> cluster(1);
    cluster.elect();
    std::string seen;
    const auto work = [&]() -> asio::awaitable<void> {
        auto& replica = cluster.node(1);
        const Operation operation{long_text};
        const auto length = co_await replica.async_submit(operation, asio::use_awaitable);
        CHECK(length->bytes == long_text.size());
        co_await replica.async_submit(operation, 10s, asio::use_awaitable);
        co_await replica.async_submit(operation, asio::deferred);
        if constexpr (!std::is_aggregate_v<Operation>) {
            co_await replica.async_submit(long_text, asio::use_awaitable);
            co_await replica.async_submit(std::string(long_text), asio::use_awaitable);
        }
        const auto query = [prefix = long_text](const Text<Operation>& machine) {
            return prefix + machine.text;
        };
        seen = co_await replica.async_read(query, asio::use_awaitable);
        seen += co_await replica.async_read([](const auto& machine) { return machine.text; },
                                            asio::use_awaitable);
    };
    asio::co_spawn(cluster.world().get_executor(), work(), asio::detached);
    const std::size_t times = std::is_aggregate_v<Operation> ? 3 : 5;
    CHECK(cluster.run_until([&] { return seen.size() == (2 * times + 1) * long_text.size(); }));
}

#if defined(__clang__) || __GNUC__ > 12
TEST_CASE("a coroutine awaits operations in braces where the compiler can do that") {
    rsm_test::VirtualCluster<Text<Append>> cluster(1);
    cluster.elect();
    std::string seen;
    const auto work = [&]() -> asio::awaitable<void> {
        auto& replica = cluster.node(1);
        co_await replica.async_submit({.text = long_text}, asio::use_awaitable);
        seen = co_await replica.async_read(
            [prefix = long_text](const auto& machine) { return prefix + machine.text; },
            asio::use_awaitable);
    };
    asio::co_spawn(cluster.world().get_executor(), work(), asio::detached);
    CHECK(cluster.run_until([&] { return seen == long_text + long_text; }));
}
#endif

TEST_CASE("a handler that is passed by its name is copied and stays as it is") {
    rsm_test::VirtualCluster<Text<Append>> cluster(1);
    cluster.elect();
    int calls = 0;
    std::function<void(Error)> count = [&calls](Error) { ++calls; };
    auto handler = [count](Error error, const auto&) { count(error); };
    auto stop_handler = [count](Error error) { count(error); };
    const Append operation{.text = long_text};
    auto query = [prefix = long_text](const auto& machine) { return prefix + machine.text; };
    for (int i = 0; i < 2; ++i) {
        cluster.node(1).async_submit(operation, handler);
        cluster.node(1).async_submit({.text = "x"}, handler);
        cluster.node(1).async_read(query, handler);
        cluster.node(1).async_status(handler);
    }
    REQUIRE(cluster.run_until([&] { return calls == 8; }));
    CHECK(query(cluster.node(1).machine()).size() > long_text.size());
    CHECK(operation.text == long_text);
    for (int i = 0; i < 2; ++i) cluster.node(1).async_stop(stop_handler);
    CHECK(cluster.run_until([&] { return calls == 10; }));
}

TEST_CASE("a node that does not lead names the leader and where it serves clients") {
    rsm_test::VirtualCluster<Text<Append>, AdvertisingTransport> cluster(3);
    const std::uint64_t leader = cluster.elect();
    auto& follower = cluster.node(other(leader));
    REQUIRE(cluster.run_until([&] { return follower.status().leader.value == leader; }));
    const rsm::Leader known{{leader}, AdvertisingTransport::Running::peer_advertisement({leader})};
    CHECK(follower.status().leader_address == known.address);

    std::vector<Error> errors;
    const auto note = [&](Error error, const auto&) { errors.push_back(error); };
    follower.async_submit({.text = "x"}, note);
    follower.async_read([](const auto& machine) { return machine.text; }, note);
    REQUIRE(cluster.run_until([&] { return errors.size() == 2; }));
    for (const Error& error : errors) {
        CHECK(error == rsm::Errc::not_leader);
        CHECK(error == make_error_code(rsm::Errc::not_leader));
        CHECK(rsm::error_class(error) == rsm::ErrorClass::retry_elsewhere);
        CHECK(rsm::leader_in(error) == known);
        CHECK(error.message() == "this node is not the leader: node " + std::to_string(leader) +
                                     " is, at " + known.address);
        CHECK(boost::system::system_error(error).code() == rsm::Errc::not_leader);
    }
    CHECK_FALSE(rsm::leader_in(rsm::Errc::not_leader));
    CHECK_FALSE(rsm::leader_in(rsm::Errc::stopped));
    CHECK_FALSE(rsm::leader_in({}));
}

TEST_CASE("what an operation's serialization throws stands in the code") {
    rsm_test::VirtualCluster<Text<Append>> cluster(1);
    cluster.elect();
    Error ended;
    cluster.node(1).async_submit({.text = "unwritable"},
                                 [&](Error error, const auto&) { ended = error; });
    CHECK(cluster.run_until([&] { return ended.failed(); }));
    CHECK(ended == rsm::Errc::user_exception);
    CHECK(ended.message() ==
          "the operation or the query threw an exception: that cannot be written");
}

TEST_CASE("the details of codes are bounded in number and in size") {
    using rsm::detail::ErrorCategory;
    rsm::detail::ErrorDetailsRegistry<ErrorCategory> registry;
    const ErrorCategory* huge = registry.find({0, std::string(1'000'000, 'x')});
    REQUIRE(huge != nullptr);
    CHECK(huge->message(1).size() < 2000);
    CHECK(*huge == rsm::error_category());
    const auto find = [&](std::size_t number) {
        return registry.find({0, "text " + std::to_string(number)});
    };
    for (std::size_t i = 1; i < rsm::detail::error_details_max; ++i) CHECK(find(i) != nullptr);
    CHECK(find(0) == nullptr);
    CHECK(find(1) == find(1));
    CHECK(registry.find({0, std::string(1'000'000, 'x')}) == huge);
}

TEST_CASE("the status can be asked for from anywhere, and after the end") {
    rsm_test::VirtualCluster<Text<Append>> cluster(1);
    cluster.elect();
    // A future is set by a thread of Asio's own, which virtual time does not wait for.
    std::future<rsm::Status> status = cluster.node(1).async_status(asio::use_future);
    cluster.settle();
    CHECK(status.get().role == raft::Role::leader);

    cluster.node(1).async_stop([](Error) {});
    status = cluster.node(1).async_status(asio::use_future);
    cluster.settle();
    CHECK(status.get().stopped);

    auto later = cluster.node(1).async_status(asio::deferred);
    cluster.crash(1);
    Error error;
    std::move(later)([&](Error why, const rsm::Status&) { error = why; });
    CHECK(cluster.run_until([&] { return error.failed(); }));
    CHECK(error == rsm::Errc::stopped);
}

TEST_CASE("a node whose io_context has stopped takes its handlers with it") {
    using Machine = Text<Append>;
    using Replica = rsm::Replicated<Machine, rsm::MemoryTransport, rsm::MemoryStorage>;
    asio::io_context io;
    asio::any_io_executor executor = io.get_executor();
    SUBCASE("plain") {}
    SUBCASE("in a strand") { executor = asio::make_strand(io.get_executor()); }
    const auto owned = std::make_shared<int>();
    std::vector<std::future<std::optional<Length>>> futures;
    const auto handler = [owned](Error, const auto&) {};
    {
        // Two members, of which one is missing: nothing can be decided.
        const auto network = std::make_shared<rsm::MemoryNetwork>();
        Replica replica{executor, Machine{}, rsm::MemoryTransport{network, {1}, {{1}, {2}}},
                        rsm::MemoryStorage{}};
        const auto ask = [&] {
            futures.push_back(replica.async_submit({.text = "x"}, asio::use_future));
            replica.async_submit({.text = "x"}, handler);
            replica.async_read([](const Machine& machine) { return machine.text; }, handler);
            replica.async_status(handler);
            replica.async_submit({.text = "x"}, asio::bind_executor(io.get_executor(), handler));
        };
        SUBCASE("never run") { ask(); }
        SUBCASE("ready to be called") {
            asio::post(replica.get_executor(), ask);
            io.run_one();
        }
        SUBCASE("run a little") {
            ask();
            io.poll();
        }
        io.stop();
        ask();
    }
    for (auto& future : futures) {
        // What had been completed before is set by a thread of Asio's own.
        REQUIRE(future.wait_for(60s) == std::future_status::ready);
        CHECK_THROWS(future.get());
    }
}

TEST_CASE("jobs from many threads run once each, those of one thread in order") {
    struct Note final : rsm::detail::JobList<int>::Job {
        Note(std::vector<int>& where, int what) : target(where), value(what) {}
        void run(const int& sign) override { target.push_back(sign * value); }
        std::vector<int>& target;
        int value;
    };
    rsm::detail::JobList<int> jobs;
    constexpr int count = 2000;
    std::vector<std::vector<int>> seen(3);
    std::vector<std::thread> threads;
    for (std::vector<int>& mine : seen) {
        threads.emplace_back([&jobs, &mine] {
            for (int i = 0; i < count; ++i) jobs.push(std::make_unique<Note>(mine, i));
        });
    }
    const auto all = [&] { return seen[0].size() + seen[1].size() + seen[2].size(); };
    while (all() < 3 * count) jobs.run_next(-1);
    for (std::thread& thread : threads) thread.join();
    for (const std::vector<int>& mine : seen) {
        for (int i = 0; i < count; ++i) REQUIRE(mine[static_cast<std::size_t>(i)] == -i);
    }
    jobs.push(std::make_unique<Note>(seen[0], 1));
    jobs.clear();
    jobs.run_next(-1);
    CHECK(all() == 3 * count);
}

TEST_CASE("every constructor's failure is a system_error with a sentence") {
    using Machine = Text<Append>;
    using Replica = rsm::Replicated<Machine, rsm::TcpTransport, rsm::WalStorage>;
    asio::io_context io;
    const rsm_test::TemporaryDirectory directory;
    const auto refusal = [&](rsm::TcpOptions tcp, std::string data,
                             rsm::Options options = {}) -> std::string {
        try {
            Replica replica{io.get_executor(), Machine{}, rsm::TcpTransport{std::move(tcp)},
                            rsm::WalStorage{std::move(data)}, std::move(options)};
        } catch (const boost::system::system_error& error) {
            CHECK(error.code().failed());
            return error.what();
        }
        return {};
    };
    const auto says = [](const std::string& text, const char* part) {
        CAPTURE(text);
        return text.find(part) != std::string::npos;
    };
    rsm::TcpOptions sound;
    sound.self = {1};
    sound.peers = {{{1}, "127.0.0.1:0"}};
    const std::string data = directory.path() + "/node";
    CHECK(refusal(sound, data).empty());

    rsm::TcpOptions tcp = sound;
    tcp.peers[{2}] = "nowhere";
    CHECK(says(refusal(tcp, data), "the address of peer 2 is not host:port: \"nowhere\""));
    tcp.peers = {{{2}, "127.0.0.1:1"}};
    CHECK(says(refusal(tcp, data), "node 1 is not among the peers (2)"));
    tcp = sound;
    tcp.self = {};
    CHECK(says(refusal(tcp, data), "self must not be 0"));
    tcp = sound;
    tcp.peers[{1}] = "192.0.2.1:1";  // nobody's
    CHECK(says(refusal(tcp, data), "cannot listen on 192.0.2.1:1"));

    rsm::Options options;
    options.raft.heartbeat_interval = {};
    CHECK(says(refusal(sound, data, options), "heartbeat_interval"));
    options = {};
    options.raft.max_message_bytes = std::size_t{1} << 29;
    CHECK(says(refusal(sound, data, options), "max_message_bytes"));

    CHECK_FALSE(refusal(sound, "/dev/null/data").empty());
    CHECK_FALSE(refusal(sound, "").empty());
    // Another directory: those that were refused give theirs back when their lanes have ended.
    const std::string other = directory.path() + "/other";
    Replica replica{io.get_executor(), Machine{}, rsm::TcpTransport{sound}, rsm::WalStorage{other}};
    CHECK(says(refusal(sound, other), "in use"));
}

TEST_CASE("events, kinds and refusals have names") {
    CHECK(rsm::to_string(raft::EventKind::became_leader) == "became leader");
    CHECK(rsm::to_string(raft::Refusal::too_large) == "too large");
    CHECK(rsm::to_string(raft::ProgressState::probe) == "probe");
    CHECK(rsm::to_string(raft::EntryKind::barrier) == "barrier");
    CHECK(rsm::to_string(raft::Event{raft::EventKind::leader_known, {5}, {2}, {}}) ==
          "leader known: node 2, term 5");
    CHECK(rsm::to_string(raft::Event{raft::EventKind::log_truncated, {5}, {}, {17}}) ==
          "log truncated: index 17, term 5");
    for (int kind = 0; kind <= static_cast<int>(raft::EventKind::paused); ++kind) {
        CHECK(rsm::to_string(static_cast<raft::EventKind>(kind)) != "unknown");
    }
}

}  // namespace embedding_test
