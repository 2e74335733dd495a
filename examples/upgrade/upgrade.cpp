// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Two releases of a state machine in one cluster: the program is replaced node by node while it
// serves, nothing is written that the older release does not read, and what is new begins on all
// nodes with the same operation.
//
//   upgrade
//
// Exits with 1 if a node does not keep up, nodes differ, or what is new begins too early.
#include "../cluster.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/serialization/version.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// Of one program these are two commits. Compare them: this is all that an upgrade takes.

namespace release_1 {

struct Operation {
    std::string item;
    std::int64_t change = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& item& change;
    }
};

/// A stock of goods. It has no objection to selling what is not there.
struct Stock {
    using Operation = release_1::Operation;
    std::int64_t apply(const Operation& operation) {
        return left[operation.item] += operation.change;
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& left;
    }
    std::map<std::string, std::int64_t> left;
};

}  // namespace release_1

namespace release_2 {

struct Operation {
    std::string item;
    std::int64_t change = 0;
    std::string reason;  // new
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        archive& item& change;
        if (version >= 1) archive& reason;
    }
};

/// Keeps the last reason for each item, and does not sell what is not there.
struct Stock {
    /// The highest version that this release reads and writes; release 1 did not say: 0.
    static constexpr std::uint32_t format_version = 1;
    using Operation = release_2::Operation;
    std::int64_t apply(const Operation& operation) {
        std::int64_t& count = left[operation.item];
        // The other nodes do so only once they know of it. So a new rule begins when all do: that
        // they read it is not enough, they must begin with the same operation.
        if (agreed >= 1 && count + operation.change < 0) return count;
        // Before that a reason is empty here, whatever the client said: others did not get it.
        if (!operation.reason.empty()) reasons[operation.item] = operation.reason;
        return count += operation.change;
    }
    /// Called between the same two operations on every node, and after a restore.
    void version_agreed(std::uint32_t version) { agreed = version; }
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        archive& left;
        if (version >= 1) archive& reasons;
    }
    std::map<std::string, std::int64_t> left;
    std::map<std::string, std::string> reasons;
    std::uint32_t agreed = 0;
};

}  // namespace release_2

// What changed gets the machine's new version. An archive that writes for older readers calls
// serialize with theirs.
BOOST_CLASS_VERSION(release_2::Operation, 1)
BOOST_CLASS_VERSION(release_2::Stock, 1)

namespace upgrade {

template <class Stock>
using Replica = rsm::Replicated<Stock, rsm::MemoryTransport, rsm::MemoryStorage>;
template <class Value>
using Awaitable = examples::Awaitable<Value>;

/// A node with the one program or the other. Elsewhere they are two processes.
class Node {
public:
    using Operation = release_2::Operation;
    using Result = std::int64_t;
    using Old = std::unique_ptr<Replica<release_1::Stock>>;
    using New = std::unique_ptr<Replica<release_2::Stock>>;

    explicit Node(Old replica) : replica_(std::move(replica)) {}
    explicit Node(New replica) : replica_(std::move(replica)) {}

    template <class Token>
    auto async_submit(const Operation& operation, Token token) {
        if (const New* replica = std::get_if<New>(&replica_)) {
            return (*replica)->async_submit(operation, token);
        }
        const release_1::Operation without_reason{operation.item, operation.change};
        return std::get<Old>(replica_)->async_submit(without_reason, token);
    }
    template <class Token>
    auto async_stop(Token token) {
        return std::visit([&](auto& replica) { return replica->async_stop(token); }, replica_);
    }
    rsm::Status status() const {
        return std::visit([](const auto& replica) { return replica->status(); }, replica_);
    }
    /// Nothing where release 1 runs, or none was given.
    std::string reason(const std::string& item) const {
        const New* replica = std::get_if<New>(&replica_);
        if (replica == nullptr) return {};
        const auto& reasons = (*replica)->machine().reasons;
        const auto found = reasons.find(item);
        return found == reasons.end() ? std::string() : found->second;
    }

private:
    std::variant<Old, New> replica_;
};
using Cluster = examples::Cluster<Node>;

void expect(bool holds, const std::string& what) {
    if (!holds) throw std::logic_error("it is not so that " + what);
}

struct World {
    boost::asio::io_context io{};
    std::vector<raft::NodeId> members{{1}, {2}, {3}};
    std::shared_ptr<rsm::MemoryNetwork> network = std::make_shared<rsm::MemoryNetwork>();
    std::map<raft::NodeId, std::shared_ptr<rsm::MemoryDisk>> disks{};
    std::map<raft::NodeId, int> release{};  ///< that is installed
    std::string failure{};
    Cluster cluster{[this](raft::NodeId id) {
        return release[id] == 2 ? std::make_unique<Node>(make<release_2::Stock>(id))
                                : std::make_unique<Node>(make<release_1::Stock>(id));
    }};

    World() {
        for (const raft::NodeId id : members) {
            disks[id] = std::make_shared<rsm::MemoryDisk>();
            cluster.start(id);
        }
    }

    /// Another release on the same disk.
    Awaitable<void> install(raft::NodeId id, int number) {
        co_await cluster.stop(id);
        release[id] = number;
        cluster.start(id);
    }
    Awaitable<std::int64_t> change(std::string item, std::int64_t by, std::string reason) {
        const release_2::Operation operation{std::move(item), by, std::move(reason)};
        return cluster.submit(operation);
    }
    /// Waits until all have what the leader has. Before that it is too early to stop another one.
    Awaitable<void> caught_up() {
        const raft::NodeId leader = co_await cluster.leader();
        const rsm::Status ahead = cluster[leader].status();
        co_await all([&](const rsm::Status& own) { return own.applied >= ahead.applied; });
        co_await all([&](const rsm::Status& own) {
            return own.state_digest == cluster[leader].status().state_digest;
        });
    }
    template <class Condition>
    Awaitable<void> all(Condition holds) {
        co_await examples::until([&] {
            return std::all_of(members.begin(), members.end(),
                               [&](raft::NodeId id) { return holds(cluster[id].status()); });
        });
    }

private:
    template <class Stock>
    std::unique_ptr<Replica<Stock>> make(raft::NodeId id) {
        rsm::Options options;
        options.on_failure = [this](const raft::Failure& why) { failure = why.what; };
        return std::make_unique<Replica<Stock>>(io.get_executor(), Stock{},
                                                rsm::MemoryTransport{network, id, members},
                                                rsm::MemoryStorage{disks[id]}, options);
    }
};

Awaitable<void> roll(World& world) {
    expect(co_await world.change("tea", 1, "delivered") == 1, "there is one packet of tea");
    for (const raft::NodeId id : {raft::NodeId{1}, raft::NodeId{2}}) {
        co_await world.install(id, 2);
        co_await world.caught_up();
        expect(world.cluster[id].status().format_version == 0, "version 0 is in force");
    }
    const std::int64_t left = co_await world.change("tea", -3, "sold");
    expect(left == -2, "nobody follows the new rule before all can");
    co_await world.caught_up();
    expect(world.cluster[{1}].reason("tea").empty(), "nobody has a reason before all can");
    std::cout << "two of three run release 2, version 0 is in force: 3 of 1 packets are sold\n";

    co_await world.install({3}, 2);
    co_await world.all([](const rsm::Status& own) { return own.format_version == 1; });
    std::cout << "all run release 2: version 1 is in force\n";
}

Awaitable<void> use_what_is_new(World& world) {
    expect(co_await world.change("tea", 5, "delivered") == 3, "there are three packets of tea");
    expect(co_await world.change("tea", -4, "sold") == 3, "more than there is is not sold");
    co_await world.caught_up();
    for (const raft::NodeId id : world.members) {
        expect(world.cluster[id].reason("tea") == "delivered", "all have the reason");
    }
    std::cout << "4 of 3 packets are not sold, and the last reason is \"delivered\" on all nodes\n";
}

Awaitable<void> go_back(World& world) {
    co_await world.install({3}, 1);
    co_await examples::until([&] { return world.cluster[{3}].status().stopped; });
    expect(!world.failure.empty(), "release 1 says why it stops");
    std::cout << "release 1 on node 3 stops: " << world.failure << '\n';
    expect(co_await world.change("tea", -3, "sold") == 0, "the others go on");
    co_await world.install({3}, 2);
    co_await world.caught_up();
    std::cout << "release 2 on node 3 goes on where it was\n";
}

Awaitable<void> story(World& world) {
    co_await roll(world);
    co_await use_what_is_new(world);
    co_await go_back(world);
    co_await world.cluster.stop_all();
}

}  // namespace upgrade

int main() try {
    upgrade::World world;
    examples::run(world.io, upgrade::story(world));
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << "upgrade: " << error.what() << '\n';
    return EXIT_FAILURE;
}
