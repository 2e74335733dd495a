// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster of state machines that fail, what it is given, and what it says.
#ifndef RSM_TESTS_RSM_MACHINE_GROUP_HPP
#define RSM_TESTS_RSM_MACHINE_GROUP_HPP

#include "support/virtual_cluster.hpp"

#include <rsm/replicated.hpp>

#include <doctest/doctest.h>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace machine_group {

using Error = boost::system::error_code;

inline bool says(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

/// A machine whose operations are numbers. Logs are released as soon as a snapshot allows it.
template <class Machine, class Storage = rsm_test::OnHeldDisks>
struct MachineGroup {
    using Cluster = rsm_test::VirtualCluster<Machine, rsm_test::CutTransport, Storage>;

    explicit MachineGroup(std::uint64_t size, rsm::Options options = {},
                          typename Cluster::Make make = {})
        : cluster(size, with(std::move(options)), std::move(make)) {}
    MachineGroup(const MachineGroup&) = delete;
    MachineGroup& operator=(const MachineGroup&) = delete;

    /// How it ends, once it does.
    std::shared_ptr<std::vector<Error>> submit(std::int64_t operation) {
        const std::uint64_t leader = cluster.elect();
        REQUIRE(leader != 0);
        auto ended = std::make_shared<std::vector<Error>>();
        cluster.node(leader).async_submit(
            operation, [ended](Error error, std::int64_t) { ended->push_back(error); });
        return ended;
    }
    void submit_and_wait(std::int64_t operation) {
        const auto ended = submit(operation);
        REQUIRE(cluster.run_until([&] { return !ended->empty(); }));
        REQUIRE_FALSE(ended->front());
    }
    void restart(std::uint64_t id) {
        cluster.crash(id);
        cluster.start(id);
    }
    /// With which a start of the node is refused; empty if it is not.
    std::string refusal(std::uint64_t id) {
        cluster.crash(id);
        try {
            cluster.start(id);
            return {};
        } catch (const boost::system::system_error& error) {
            return error.what();
        }
    }
    bool stops(std::uint64_t id) {
        return cluster.run_until([&] { return cluster.node(id).status().stopped; });
    }
    std::uint64_t snapshot(std::uint64_t id) { return cluster.node(id).status().snapshot.value; }

    std::vector<std::string> failures;
    std::vector<std::string> notices;
    Cluster cluster;

private:
    rsm::Options with(rsm::Options options) {
        options.raft.retained_bytes = 0;
        options.raft.max_hold_bytes = 0;
        options.on_failure = [this](const raft::Failure& why) { failures.push_back(why.what); };
        options.on_notice = [this](const std::string& what) { notices.push_back(what); };
        return options;
    }
};

}  // namespace machine_group

#endif
