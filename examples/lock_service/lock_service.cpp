// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A lock service with fencing tokens, on three replicas in this process:
//
//   lock_service
//
// First a story: a holder pauses, another one gets the lock, the first comes back and is refused.
// Then a thousand steps of clients that contend for the lock, pause and come back by chance, while
// leaders die. Exits with 1 if two of them ever held it at once.
#include "lock_service.hpp"

#include "../cluster.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lock_service {

using Replica = rsm::Replicated<LockService, rsm::MemoryTransport, rsm::MemoryStorage>;
using Service = examples::Cluster<Replica>;
template <class Value>
using Awaitable = examples::Awaitable<Value>;

constexpr Time lease = 10;

/// What the lock protects, somewhere else: a file on a server, say.
class File {
public:
    /// False: the writer's time is over, whatever it believes.
    bool write(Token token, const std::string& text) {
        if (token < newest_) return false;
        newest_ = token;
        text_ = text;
        return true;
    }
    const std::string& text() const { return text_; }

private:
    Token newest_ = 0;
    std::string text_;
};

/// Has seen every answer, and knows from when until when each token was held.
class Witness {
public:
    void saw(const Result& result) {
        if (result.status != Status::held) return;
        Holding& holding =
            holdings_.try_emplace(result.token, result.owner, result.at).first->second;
        if (holding.owner != result.owner) throw std::logic_error("one token for two owners");
        holding.until = result.until;
    }
    void released(Token token, Time at) {
        Time& until = holdings_.at(token).until;
        until = std::min(until, at);
    }

    /// Tokens and times grow together, and no two holdings overlap.
    void check() const {
        const Holding* before = nullptr;
        for (const auto& [token, holding] : holdings_) {
            if (before != nullptr && holding.from < before->until) {
                throw std::logic_error("two held the lock at once: " + before->owner + " and " +
                                       holding.owner + ", who got token " + std::to_string(token));
            }
            before = &holding;
        }
    }
    std::size_t count() const { return holdings_.size(); }

private:
    struct Holding {
        Holding(std::string by, Time at) : owner(std::move(by)), from(at) {}
        std::string owner;
        Time from;
        Time until = 0;
    };
    std::map<Token, Holding> holdings_;
};

/// Time is a number here, so that the story takes no longer than it must. A server would take
/// std::chrono::system_clock.
struct World {
    Service& service;
    Time now = 0;
    Witness witness{};

    Awaitable<Result> acquire(std::string owner) {
        return ask(Acquire{"report", std::move(owner), lease});
    }
    Awaitable<Result> renew(Token token) { return ask(Renew{"report", token, lease}); }
    Awaitable<void> release(Token token) {
        const Release release{"report", token};  // a name, not braces in co_await: README, GCC 12
        const Result result = co_await ask(release);
        witness.released(token, result.at);
    }

private:
    template <class Action>
    Awaitable<Result> ask(Action action) {
        const Operation operation{now, std::move(action)};
        Result result = co_await service.submit(operation);
        witness.saw(result);
        co_return result;
    }
};

void expect(bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("it is not so that ") + what);
}

Awaitable<void> pause_and_come_back(World& world) {
    File file;
    const Result alice = co_await world.acquire("alice");
    std::cout << "alice holds the lock until " << alice.until << " s, token " << alice.token
              << '\n';
    const Result refused = co_await world.acquire("bob");
    expect(refused.status == Status::taken, "bob is refused");
    std::cout << "bob is told that " << refused.owner << " holds it\n";

    std::cout << "alice pauses; the leader dies; 12 s pass\n";
    const raft::NodeId leader = co_await world.service.leader();
    world.service.kill(leader);
    world.now += 12;
    const Result bob = co_await world.acquire("bob");
    expect(bob.token > alice.token, "tokens grow");
    std::cout << "bob holds the lock until " << bob.until << " s, token " << bob.token << '\n';
    expect(file.write(bob.token, "bob's report"), "the file takes what bob writes");

    // She does not know that time has passed, so she does not ask before she writes.
    const bool overwritten = file.write(alice.token, "alice's report");
    expect(!overwritten && file.text() == "bob's report", "the file refuses an older token");
    std::cout << "alice wakes and writes with token " << alice.token << ": the file refuses\n";
    const Result late = co_await world.renew(alice.token);
    expect(late.status == Status::lost, "alice has lost the lock");
    std::cout << "alice asks, and is told that she has lost the lock\n";
    co_await world.release(bob.token);
    world.service.start(leader);
}

Awaitable<void> contend(World& world) {
    std::mt19937 chance(1);
    std::array<Token, 4> tokens{};  // of each client: the one that it believes in
    File file;
    Token newest = 0;
    int refused = 0;
    for (int step = 0; step < 1000; ++step) {
        const std::size_t client = chance() % tokens.size();
        Token& token = tokens[client];
        if (token == 0) {
            const Result result = co_await world.acquire("client " + std::to_string(client));
            if (result.status == Status::held) token = result.token;
        } else if (chance() % 8 == 0) {
            co_await world.release(std::exchange(token, 0));
        } else if (chance() % 4 == 0) {
            const Result result = co_await world.renew(token);
            if (result.status == Status::lost) token = 0;
        } else if (file.write(token, std::to_string(client))) {
            expect(token >= newest, "the file refuses whoever has paused for too long");
            newest = token;
        } else {
            ++refused;
            token = 0;
        }
        world.now += chance() % 4;
        if (step % 250 == 100) {
            const raft::NodeId leader = co_await world.service.leader();
            world.service.kill(leader);
            world.service.start(leader);
        }
    }
    world.witness.check();
    std::cout << world.witness.count() << " holdings of the lock, " << refused
              << " writes refused for an old token, no two holders at once\n";
}

Awaitable<void> story(Service& service) {
    World world{service};
    co_await pause_and_come_back(world);
    co_await contend(world);
    co_await service.stop_all();
}

}  // namespace lock_service

int main() try {
    using namespace lock_service;
    boost::asio::io_context io;
    const std::vector<raft::NodeId> members{{1}, {2}, {3}};
    const auto network = std::make_shared<rsm::MemoryNetwork>();
    std::map<raft::NodeId, std::shared_ptr<rsm::MemoryDisk>> disks;
    for (const raft::NodeId id : members) disks[id] = std::make_shared<rsm::MemoryDisk>();

    Service service([&](raft::NodeId id) {
        return std::make_unique<Replica>(io.get_executor(), LockService{},
                                         rsm::MemoryTransport{network, id, members},
                                         rsm::MemoryStorage{disks[id]});
    });
    for (const raft::NodeId id : members) service.start(id);
    examples::run(io, story(service));
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << "lock_service: " << error.what() << '\n';
    return EXIT_FAILURE;
}
