// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What former libraries have written is read: the directories under tests/formats, each of which
// tests/formats/write_formats.cpp has made in the formats of its time.
#include "support/ledger.hpp"
#include "support/run_until.hpp"
#include "support/temporary_directory.hpp"

#include <rsm/rsm.hpp>
#include <rsm/transport/memory.hpp>

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace formats_test {

namespace {

using Replica = rsm::Replicated<ledger::Ledger, rsm::MemoryTransport, rsm::WalStorage>;
using boost::system::error_code;

std::vector<std::filesystem::path> kept() {
    std::vector<std::filesystem::path> directories;
    for (const auto& entry : std::filesystem::directory_iterator(RSM_FORMATS)) {
        if (entry.is_directory()) directories.push_back(entry.path());
    }
    return directories;
}

/// A node on a copy of a directory.
struct Opened {
    explicit Opened(const std::string& data)
        : node(io.get_executor(), ledger::Ledger{},
               rsm::MemoryTransport{std::make_shared<rsm::MemoryNetwork>(), {7}},
               rsm::WalStorage{data}, options()) {
        REQUIRE(
            rsm_test::run_until(io, [this] { return node.status().role == raft::Role::leader; }));
    }
    rsm::Options options() {
        rsm::Options options;
        options.birth = rsm::reopen();
        options.on_notice = [this](const std::string& text) { notices.push_back(text); };
        return options;
    }
    error_code submit(std::uint64_t number) {
        std::optional<error_code> ended;
        node.async_submit(ledger::operation(number),
                          [&](error_code error, auto&&) { ended = error; });
        REQUIRE(rsm_test::run_until(io, [&] { return ended.has_value(); }));
        return *ended;
    }
    void stop() {
        bool stopped = false;
        node.async_stop([&](auto) { stopped = true; });
        REQUIRE(rsm_test::run_until(io, [&] { return stopped; }));
    }

    boost::asio::io_context io{1};
    std::vector<std::string> notices;
    Replica node;
};

std::size_t count_of(const std::filesystem::path& directory, const char* ending) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().string().ends_with(ending)) ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("there are kept directories, with a log of several segments and a snapshot in each") {
    REQUIRE_FALSE(kept().empty());
    for (const std::filesystem::path& directory : kept()) {
        const std::string name = directory.filename().string();
        CAPTURE(name);
        CHECK(count_of(directory, ".wal") >= 2);
        CHECK(count_of(directory, ".snapshot") == 1);
        CHECK(std::filesystem::exists(directory / "identity"));
    }
}

TEST_CASE("a directory of former formats is opened, is what it was, and goes on") {
    for (const std::filesystem::path& directory : kept()) {
        const std::string name = directory.filename().string();
        CAPTURE(name);
        const rsm_test::TemporaryDirectory copy;
        std::filesystem::copy(directory, copy / "d", std::filesystem::copy_options::recursive);
        raft::Instance instance;
        {
            Opened opened(copy / "d");
            CHECK(opened.notices.empty());
            REQUIRE_FALSE(opened.submit(ledger::operations + 1));
            CHECK(opened.node.machine() == ledger::expected(ledger::operations + 1));
            const rsm::Status status = opened.node.status();
            CHECK(status.snapshot.value > 10);
            CHECK(status.snapshot.value < ledger::operations);
            CHECK(status.last.value > ledger::operations);
            CHECK(status.term.value >= 2);
            instance = status.instance;
            CHECK(instance);
            REQUIRE(status.members.size() == 1);
            CHECK(status.members[0].id == raft::NodeId{7});
            CHECK(status.members[0].contact == "seven.example:7000");
            CHECK(status.members[0].instance == instance);
            opened.stop();
        }
        Opened again(copy / "d");
        REQUIRE_FALSE(again.submit(ledger::operations + 2));
        CHECK(again.node.machine() == ledger::expected(ledger::operations + 2));
        CHECK(again.node.status().instance == instance);
    }
}

TEST_CASE("a directory of former formats is that of its node and cluster") {
    for (const std::filesystem::path& directory : kept()) {
        const auto identity = rsm::WalStorage{directory.string()}.identity();
        REQUIRE(identity.has_value());
        REQUIRE(identity->has_value());
        CHECK((*identity)->node == raft::NodeId{7});
        CHECK((*identity)->founder);
        CHECK((*identity)->founding.members == ledger::founders());
    }
}

}  // namespace formats_test
