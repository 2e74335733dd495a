// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Replicas of a counter, and what a client does with them.
#ifndef RSM_TESTS_RSM_COUNTERS_HPP
#define RSM_TESTS_RSM_COUNTERS_HPP

#include "support/virtual_cluster.hpp"

#include <rsm/archive.hpp>
#include <rsm/replicated.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace counter_test {

using namespace std::chrono_literals;

struct Counter {
    struct Operation {
        std::int64_t add = 0;
        std::string note;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& add& note;
        }
    };
    std::int64_t apply(const Operation& operation) {
        if (operation.note == "poison") throw std::runtime_error("poisoned");
        ++applied_;
        return value_ += operation.add;
    }
    void snapshot(rsm::SnapshotWriter& out) const { out << value_ << applied_; }
    void restore(rsm::SnapshotReader& in) { in >> value_ >> applied_; }
    std::int64_t value() const { return value_; }
    std::int64_t applied() const { return applied_; }

private:
    std::int64_t value_ = 0;
    std::int64_t applied_ = 0;
};

using Error = boost::system::error_code;
using Counters = rsm_test::VirtualCluster<Counter>;

struct Answer {
    Error error;
    std::int64_t value = 0;
};

inline std::shared_ptr<std::optional<Answer>> submit(Counters& cluster, std::uint64_t id,
                                                     std::int64_t add, std::string note = {},
                                                     std::chrono::nanoseconds timeout = 30s) {
    auto answer = std::make_shared<std::optional<Answer>>();
    cluster.node(id).async_submit({add, std::move(note)}, timeout,
                                  [answer](Error error, std::int64_t value) {
                                      answer->emplace(Answer{error, value});
                                  });
    return answer;
}

inline std::shared_ptr<std::optional<Answer>> read(Counters& cluster, std::uint64_t id,
                                                   std::chrono::nanoseconds timeout = 30s) {
    auto answer = std::make_shared<std::optional<Answer>>();
    cluster.node(id).async_read([](const Counter& counter) { return counter.value(); }, timeout,
                                [answer](Error error, std::int64_t value) {
                                    answer->emplace(Answer{error, value});
                                });
    return answer;
}

/// Submits at whoever leads until it works: what a client does.
inline std::int64_t add(Counters& cluster, std::int64_t amount) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        const std::uint64_t leader = cluster.elect();
        REQUIRE(leader != 0);
        const auto answer = submit(cluster, leader, amount);
        cluster.run_until([&] { return answer->has_value(); });
        REQUIRE(answer->has_value());
        if (!(*answer)->error) return (*answer)->value;
        REQUIRE(rsm::outcome((*answer)->error) == rsm::Outcome::not_committed);
    }
    FAIL("no leader took the operation in");
    return 0;
}

inline bool all_hold(Counters& cluster, std::uint64_t size, std::int64_t value) {
    return cluster.run_until([&] {
        for (std::uint64_t id = 1; id <= size; ++id) {
            if (cluster.up(id) && cluster.node(id).machine().value() != value) return false;
        }
        return true;
    });
}

inline std::uint64_t other(std::uint64_t id) { return id == 1 ? 2 : 1; }

}  // namespace counter_test

#endif
