// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What every lab scenario stands on: a world, a network, coroutines in virtual time, a seed.
#ifndef RSM_TESTS_LAB_LAB_HPP
#define RSM_TESTS_LAB_LAB_HPP

#include "network.hpp"
#include "support/held_disk.hpp"

#include <rsm/sim/world/world.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lab {

using namespace std::chrono_literals;

template <class T = void>
using Task = boost::asio::awaitable<T>;

/// A scenario did not hold.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// The servers keep each other busy without end. It takes long to find out.
struct Endless : Failure {
    using Failure::Failure;
};
inline void require(bool holds, const std::string& what) {
    if (!holds) throw Failure(what);
}

/// "Election timeout" of both labs' testers.
inline constexpr raft::Duration election_timeout = 1s;

class Lab {
public:
    Lab(std::size_t servers, std::uint64_t seed, bool reliable)
        : random_(seed), network_(world_, servers, random_.next()), connected_(servers, false) {
        network_.reliable = reliable;
        for (ServerId i = 0; i < servers; ++i)
            disks_.push_back(std::make_shared<rsm_test::HeldDisk>());
    }
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    std::size_t size() const { return connected_.size(); }
    rsm::sim::World& world() { return world_; }
    Network& network() { return network_; }
    const std::shared_ptr<rsm_test::HeldDisk>& disk(ServerId i) const { return disks_[i]; }
    raft::Time now() const { return world_.now(); }

    std::uint64_t random() { return random_.next(); }
    std::uint64_t random_below(std::uint64_t bound) { return random_.below(bound); }
    raft::Duration random_milliseconds(std::uint64_t bound) {
        return std::chrono::milliseconds(static_cast<std::int64_t>(random_.below(bound)));
    }

    // ---- faults (section 1.2 of the scenarios); clients' ends are not touched ----

    bool connected(ServerId i) const { return connected_[i]; }
    std::size_t connected_count() const {
        return static_cast<std::size_t>(std::ranges::count(connected_, true));
    }
    void disconnect(ServerId i) {
        connected_[i] = false;
        network().connect(i, false);
    }
    void connect(ServerId i) {
        connected_[i] = true;
        for (ServerId j = 0; j < size(); ++j) {
            if (!connected_[j]) continue;
            network().link(i, j, true);
            network().link(j, i, true);
        }
    }
    void connect_all() {
        for (ServerId i = 0; i < size(); ++i) connect(i);
    }
    /// Links the servers of either side with each other and with none of the other side.
    void partition(const std::vector<ServerId>& left, const std::vector<ServerId>& right) {
        const auto set = [this](const auto& from, const auto& to, bool enabled) {
            for (const ServerId i : from) {
                for (const ServerId j : to) {
                    network().link(i, j, enabled);
                    network().link(j, i, enabled);
                }
            }
        };
        set(left, right, false);
        set(left, left, true);
        set(right, right, true);
        connected_.assign(size(), true);
    }

    Task<> sleep(raft::Duration duration) {
        return world_.async_sleep(duration, boost::asio::use_awaitable);
    }

    /// From now on whatever a disk does takes effect up to so many milliseconds later, in order.
    /// What has not taken effect is lost in a crash. The disks of the labs take no time.
    void slow_disks(std::uint64_t longest_milliseconds) {
        for (const auto& disk : disks_) {
            disk->hold();
            boost::asio::co_spawn(world_.get_executor(), work(disk, longest_milliseconds),
                                  boost::asio::detached);
        }
    }

    /// A scenario may have so many events: a great many more than it needs, so that only servers
    /// which keep each other busy without end, in no time at all, reach it.
    void limit_events(std::uint64_t most) { events_max_ = most; }

    /// Runs a scenario to its end. Each has 120 s of (virtual) time.
    void run(Task<> scenario) {
        bool ended = false;
        std::exception_ptr error;
        boost::asio::co_spawn(world_.get_executor(), std::move(scenario),
                              [&](std::exception_ptr thrown) {
                                  ended = true;
                                  error = thrown;
                              });
        const auto over = [&] { return ended || world_.events() >= events_max_; };
        world_.run_until(over, world_.now() + 120s);
        if (error) std::rethrow_exception(error);
        if (world_.events() >= events_max_) {
            throw Endless("the servers are busy without end: " + std::to_string(events_max_) +
                          " events at " + std::to_string(now().time_since_epoch() / 1ms) + " ms");
        }
        require(ended, "the scenario took more than 120 s");
    }

private:
    Task<> work(std::shared_ptr<rsm_test::HeldDisk> disk, std::uint64_t longest_milliseconds) {
        for (;;) {
            co_await sleep(random_milliseconds(longest_milliseconds + 1));
            for (std::size_t left = disk->held(); left > 0; --left) disk->release_one();
        }
    }

    std::uint64_t events_max_ = 4'000'000;
    raft::Random random_;
    rsm::sim::World world_;
    Network network_;
    std::vector<bool> connected_;
    std::vector<std::shared_ptr<rsm_test::HeldDisk>> disks_;
};

/// Coroutines that run beside each other and are awaited together.
class Group {
public:
    explicit Group(Lab& lab) : lab_(lab) {}
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    void spawn(Task<> task) {
        ++running_;
        boost::asio::co_spawn(lab_.world().get_executor(), std::move(task),
                              [this](std::exception_ptr thrown) {
                                  --running_;
                                  if (thrown && !error_) error_ = thrown;
                              });
    }
    std::size_t running() const { return running_; }

    /// Until all have ended; the first failure is thrown on.
    Task<> wait() {
        while (running_ != 0) co_await lab_.sleep(1ms);
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }
    /// Until all have ended or the time is over; whether all have.
    Task<bool> wait_for(raft::Duration limit) {
        const raft::Time end = lab_.now() + limit;
        while (running_ != 0 && lab_.now() < end) co_await lab_.sleep(1ms);
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        co_return running_ == 0;
    }

private:
    Lab& lab_;
    std::size_t running_ = 0;
    std::exception_ptr error_;
};

}  // namespace lab

#endif
