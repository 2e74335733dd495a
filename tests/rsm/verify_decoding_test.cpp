// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Options::verify_decoding: what `serialize` loses shows on the node that takes an operation in.
#include "support/virtual_cluster.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

namespace verify_decoding_test {

namespace {

using Error = boost::system::error_code;

template <class Op>
struct Sum {
    using Operation = Op;
    std::int64_t apply(const Operation& operation) {
        return value += operation.add * operation.times;
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& value;
    }
    std::int64_t value = 0;
};

struct Good {
    std::int64_t add = 0;
    std::int64_t times = 1;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& add& times;
    }
    friend bool operator==(const Good&, const Good&) = default;
};
struct Forgets {
    std::int64_t add = 0;
    std::int64_t times = 1;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& add;
    }
};
struct ForgetsAndCompares : Forgets {
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        Forgets::serialize(archive, version);
    }
    friend bool operator==(const ForgetsAndCompares& one, const ForgetsAndCompares& other) {
        return one.add == other.add && one.times == other.times;
    }
};
struct ReadsElse : Forgets {
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& add;
        if constexpr (Archive::is_loading::value) add += 1;
    }
};
struct ReadsMore : Forgets {
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& add;
        if constexpr (Archive::is_loading::value) archive& times;
    }
};

struct Answer {
    Error error;
    std::int64_t value = 0;
};
template <class Operation>
Answer submit(Operation operation, bool verify) {
    rsm::Options options;
    options.verify_decoding = verify;
    rsm_test::VirtualCluster<Sum<Operation>> cluster(1, options);
    REQUIRE(cluster.elect() == 1);
    std::optional<Answer> answer;
    cluster.node(1).async_submit(operation, [&](Error error, std::int64_t value) {
        answer = {error, value};
    });
    REQUIRE(cluster.run_until([&] { return answer.has_value(); }));
    CHECK(cluster.node(1).machine().value == answer->value);
    return *answer;
}
template <class Operation>
Operation threefold() {
    Operation operation;
    operation.add = 5;
    operation.times = 3;
    return operation;
}
template <class Operation>
void is_refused(const char* why) {
    const Answer answer = submit(threefold<Operation>(), true);
    CHECK(answer.error == rsm::Errc::user_exception);
    CHECK(rsm::outcome(answer.error) == rsm::Outcome::not_committed);
    CHECK(answer.error.message().find(why) != std::string::npos);
    CHECK_FALSE(submit(threefold<Operation>(), false).error);
}

}  // namespace

TEST_CASE("an operation that serialize carries whole is applied as it is") {
    const Answer answer = submit(threefold<Good>(), true);
    CHECK_FALSE(answer.error);
    CHECK(answer.value == 15);
}

TEST_CASE("a field that serialize forgets shows in the result, as it does on the other nodes") {
    CHECK(submit(threefold<Forgets>(), true).value == 5);
    CHECK(submit(threefold<Forgets>(), false).value == 15);
}

TEST_CASE("an operation that is another one once it was decoded is refused, with the reason") {
    is_refused<ForgetsAndCompares>("does it leave out a field?");
    is_refused<ReadsElse>("writes other bytes for the operation that it has read");
    is_refused<ReadsMore>("cannot read what it has written");
}

TEST_CASE("replicas of a machine whose serialize forgets a field find that out by themselves") {
    rsm_test::VirtualCluster<Sum<Forgets>> cluster(3);
    const std::uint64_t leader = cluster.elect();
    cluster.node(leader).async_submit(threefold<Forgets>(), [](Error, std::int64_t) {});
    // Those that decode agree with each other: the one that does not is the leader.
    CHECK(cluster.run_until([&] { return cluster.node(leader).status().stopped; }));
}

}  // namespace verify_decoding_test
