// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backups: their bytes, what they contain, and clusters that begin with one.
#include "counters.hpp"
#include "support/cut_network.hpp"
#include "support/real_time_cluster.hpp"
#include "support/temporary_directory.hpp"
#include "support/virtual_cluster.hpp"

#include <raft/protocol/codec.hpp>
#include <rsm/backup.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/members.hpp>
#include <rsm/replicated.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/storage/wal.hpp>
#include <rsm/transport/wire/cluster_id.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace backup_test {

using namespace std::chrono_literals;
using counter_test::Counter;
using counter_test::Counters;
using counter_test::Error;
using rsm::StorageErrc;
using rsm::voter;
using rsm_test::read_file;
using rsm_test::TemporaryDirectory;
using rsm_test::write_file;

rsm::CapturedState state_of(std::string text, raft::LogPosition last = {{7}, {3}}) {
    rsm::CapturedState state;
    state.last = last;
    state.membership.members = {voter(1, "a:1"), voter(2, "b:2")};
    state.identity = {{2}, "shop", state.membership, {5}, true};
    state.produce = [text = std::move(text)](raft::ByteSink& sink) {
        sink.write(std::as_bytes(std::span(text)));
    };
    return state;
}
std::string content(const rsm::Backup& backup) {
    const auto source = backup.source();
    std::string text;
    std::byte piece[5];
    while (const std::size_t count = source->read(piece)) {
        text.append(reinterpret_cast<const char*>(piece), count);
    }
    return text;
}
/// What is wrong with a file; empty: nothing.
std::string problem(const std::string& path) {
    const auto backup = rsm::Backup::open(path);
    if (!backup) return backup.error().message();
    const auto whole = backup->verify();
    return whole ? std::string() : whole.error().message();
}

TEST_CASE("a backup says what it is of, and holds its state") {
    const TemporaryDirectory directory;
    const std::string path = directory / "b";
    const auto saved = rsm::Backup::save(state_of("the state"), path);
    REQUIRE(saved.has_value());
    const auto backup = rsm::Backup::open(path);
    REQUIRE(backup.has_value());
    CHECK(backup->verify().has_value());
    CHECK(backup->id() == saved->id());
    CHECK(backup->id() != 0);
    CHECK(backup->meta().last == raft::LogPosition{{7}, {3}});
    CHECK(backup->meta().size == 9);
    CHECK(backup->meta().membership.members.size() == 2);
    CHECK(backup->cluster() == "shop");
    CHECK(backup->founding() == state_of({}).membership);
    CHECK(backup->origin() == 0);
    CHECK(content(*backup) == "the state");
    CHECK_FALSE(std::filesystem::exists(path + ".tmp"));
    SUBCASE("another one of the same state is another one") {
        const auto again = rsm::Backup::save(state_of("the state"), path);
        REQUIRE(again.has_value());
        CHECK(again->id() != backup->id());
    }
    SUBCASE("an empty state is one as well") {
        REQUIRE(rsm::Backup::save(state_of(""), path).has_value());
        CHECK(problem(path).empty());
    }
    SUBCASE("a state larger than what is written at a time") {
        const std::string large(1'000'003, 'x');
        const auto long_one = rsm::Backup::save(state_of(large), path);
        REQUIRE(long_one.has_value());
        CHECK(long_one->verify().has_value());
        CHECK(content(*long_one) == large);
    }
}

TEST_CASE("a backup of which any byte has changed is refused, and so is one that was cut or grew") {
    const TemporaryDirectory directory;
    const std::string path = directory / "b";
    REQUIRE(rsm::Backup::save(state_of("the state"), path).has_value());
    const std::string whole = read_file(path);
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string bytes = whole;
        bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
        write_file(path, bytes);
        CAPTURE(i);
        CHECK_FALSE(problem(path).empty());
        write_file(path, whole.substr(0, i));
        CHECK_FALSE(problem(path).empty());
    }
    write_file(path, whole + "x");
    CHECK_FALSE(problem(path).empty());
    write_file(path, whole);
    CHECK(problem(path).empty());
}

TEST_CASE("what is no backup, or one of another version, is called that") {
    const TemporaryDirectory directory;
    const std::string path = directory / "b";
    write_file(path, "this is a text, and longer than the beginning of a backup");
    CHECK(problem(path).find("is no backup") != std::string::npos);
    CHECK(problem(directory / "nothing").find("nothing") != std::string::npos);
    REQUIRE(rsm::Backup::save(state_of("the state"), path).has_value());
    std::string bytes = read_file(path);
    bytes[8] = 9;
    const std::size_t covered = bytes.size() - 9 - 8;
    const std::uint64_t sum = rsm::detail::checksum(std::as_bytes(std::span(bytes)).first(covered));
    raft::codec::store_little(reinterpret_cast<std::byte*>(bytes.data()) + covered, sum);
    write_file(path, bytes);
    CHECK(problem(path).find("version 9 of the backup format") != std::string::npos);
}

TEST_CASE("a backup that cannot be written leaves what was there") {
    const TemporaryDirectory directory;
    const std::string path = directory / "b";
    write_file(path, "precious");
    rsm::CapturedState state = state_of({});
    SUBCASE("the state throws") {
        state.produce = [](raft::ByteSink&) { throw std::runtime_error("no"); };
    }
    SUBCASE("there is nothing in it") { state.last = {}; }
    CHECK_FALSE(rsm::Backup::save(state, path).has_value());
    CHECK(read_file(path) == "precious");
    CHECK_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST_CASE("a cluster is another one with another backup, or with none") {
    raft::Identity one = state_of({}).identity;
    raft::Identity other = one;
    other.origin = 1;
    CHECK_FALSE(rsm::detail::cluster_id(one) == rsm::detail::cluster_id(other));
    one.origin = 2;
    CHECK_FALSE(rsm::detail::cluster_id(one) == rsm::detail::cluster_id(other));
    one.origin = 1;
    one.instance = {99};
    CHECK(rsm::detail::cluster_id(one) == rsm::detail::cluster_id(other));
}

// ---- what is captured ----

using Captured = std::optional<std::pair<Error, rsm::CapturedState>>;

std::int64_t value_in(const rsm::CapturedState& state) {
    rsm::detail::PieceSink sink;
    state.produce(sink);
    const auto pieces = sink.take();
    std::uint64_t size = 0;
    for (const raft::Bytes& piece : pieces) size += piece.size();
    rsm::detail::PieceSource source(pieces);
    Counter counter;
    rsm::detail::read_state(source, size, counter);
    return counter.value();
}

TEST_CASE("the leader gives a state with all that was acknowledged; another one sends elsewhere") {
    Counters cluster(3);
    counter_test::add(cluster, 5);
    const std::uint64_t leader = cluster.leader();
    Captured captured;
    Captured refused;
    const auto keep = [](Captured& where) {
        return [&where](Error error, rsm::CapturedState state) {
            where.emplace(error, std::move(state));
        };
    };
    cluster.node(leader).async_capture(10s, keep(captured));
    cluster.node(counter_test::other(leader)).async_capture(10s, keep(refused));
    CHECK_FALSE(captured);  // never from inside
    cluster.run_until([&] { return captured && refused; });
    REQUIRE(captured);
    REQUIRE_FALSE(captured->first);
    CHECK(value_in(captured->second) == 5);
    CHECK(captured->second.last.term == cluster.node(leader).status().term);
    CHECK(captured->second.membership.members.size() == 3);
    CHECK(refused->first == rsm::Errc::not_leader);
    // It is of its moment.
    counter_test::add(cluster, 1);
    CHECK(value_in(captured->second) == 5);
}

TEST_CASE("any node gives a state when it has come as far as it is asked to") {
    Counters cluster(3);
    counter_test::add(cluster, 5);
    const std::uint64_t leader = cluster.leader();
    const std::uint64_t follower = counter_test::other(leader);
    const raft::Index next = cluster.node(leader).status().applied + 1;
    Captured captured;
    Captured too_far;
    cluster.node(follower).async_capture(next, 10s, [&](Error error, rsm::CapturedState state) {
        captured.emplace(error, std::move(state));
    });
    cluster.node(follower).async_capture(
        next + 1000, 3s,
        [&](Error error, rsm::CapturedState state) { too_far.emplace(error, std::move(state)); });
    cluster.run_for(1s);
    CHECK_FALSE(captured);
    counter_test::add(cluster, 2);
    cluster.run_until([&] { return captured.has_value(); });
    REQUIRE(captured);
    CHECK_FALSE(captured->first);
    CHECK(captured->second.last.index >= next);
    CHECK(value_in(captured->second) == 7);
    CHECK_FALSE(too_far);
    cluster.run_until([&] { return too_far.has_value(); });
    REQUIRE(too_far);
    CHECK(too_far->first == rsm::Errc::timed_out);
}

// ---- a cluster that begins with one ----

using Replica = rsm::Replicated<Counter, rsm_test::CutTransport, rsm::WalStorage>;

struct Restored : rsm_test::RealTimeCluster<Replica> {
    explicit Restored(std::size_t size) {
        for (std::uint64_t id = 1; id <= size; ++id) {
            nodes.push_back({id});
            members.push_back(voter(id));
        }
    }
    Replica& start(std::uint64_t id, rsm::Birth birth) {
        rsm::Options options;
        options.birth = std::move(birth);
        options.on_notice = [this](const std::string& what) { notices += what + "\n"; };
        options.raft.election_timeout = 100ms;
        options.raft.heartbeat_interval = 20ms;
        return replicas.start(id, io.get_executor(), Counter{},
                              rsm_test::CutTransport{network, {id}, nodes},
                              rsm::WalStorage{path(id)}, std::move(options));
    }
    std::string path(std::uint64_t id) const { return directory / std::to_string(id); }
    std::string why_not(std::uint64_t id, rsm::Birth birth) {
        try {
            start(id, std::move(birth));
        } catch (const boost::system::system_error& error) {
            return error.what();
        }
        return {};
    }
    std::int64_t add(std::int64_t amount) {
        std::optional<std::int64_t> result;
        REQUIRE(run_until([&] { return replicas.leader() != 0; }));
        leader().async_submit({amount, {}}, [&](Error error, std::int64_t value) {
            CHECK_FALSE(error);
            result = value;
        });
        REQUIRE(run_until([&] { return result.has_value(); }));
        return *result;
    }
    rsm::Backup backup(const std::string& name = "backup") {
        std::optional<rsm::CapturedState> captured;
        leader().async_capture(10s, [&](Error error, rsm::CapturedState state) {
            CHECK_FALSE(error);
            captured = std::move(state);
        });
        REQUIRE(run_until([&] { return captured.has_value(); }));
        auto saved = rsm::Backup::save(*captured, directory / name);
        REQUIRE(saved.has_value());
        return *saved;
    }

    TemporaryDirectory directory;
    std::shared_ptr<rsm_test::CutNetwork> network = std::make_shared<rsm_test::CutNetwork>();
    std::vector<raft::NodeId> nodes;
    rsm::Members members;
    std::string notices;
};

/// Another machine than the one that the clusters here have.
struct Words {
    struct Operation {
        template <class Archive>
        void serialize(Archive&, unsigned) {}
    };
    void apply(const Operation&) {}
    void snapshot(rsm::SnapshotWriter& out) const { out << text; }
    void restore(rsm::SnapshotReader& in) { in >> text; }
    std::string text;
};

/// A backup of a counter that is at `value`.
rsm::Backup backup_of(const TemporaryDirectory& directory, std::int64_t value,
                      const std::string& name) {
    Counter counter;
    counter.apply({value, {}});
    rsm::CapturedState state = state_of({});
    state.produce = rsm::detail::capture_state(counter);
    auto saved = rsm::Backup::save(state, directory / name);
    REQUIRE(saved.has_value());
    return *saved;
}

TEST_CASE("three nodes begin with the state of a backup, go on from there, and come back") {
    Restored cluster(3);
    const rsm::Backup backup = backup_of(cluster.directory, 40, "backup");
    for (std::uint64_t id = 1; id <= 3; ++id) {
        Replica& replica = cluster.start(id, rsm::restore(cluster.members, backup));
        CHECK(replica.machine().value() == 40);
        CHECK(replica.status().last.value == 7);
        CHECK(replica.storage().identity().origin == backup.id());
    }
    CHECK(cluster.notices.empty());
    CHECK(cluster.add(2) == 42);
    CHECK(cluster.leader().status().term.value > 3);
    CHECK(cluster.leader().status().members.size() == 3);
    // All know which instances they are before anything else can happen to them.
    CHECK(cluster.run_until([&] {
        return cluster.replicas.all([](const Replica& replica) {
            for (const rsm::Member& member : replica.status().members) {
                if (!member.instance) return false;
            }
            return replica.machine().value() == 42;
        });
    }));
    const rsm::Backup second = cluster.backup("second");
    CHECK(second.origin() == backup.id());
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.stop(id);
    std::filesystem::remove(cluster.directory / "backup");
    cluster.start(1, rsm::reopen());
    cluster.start(2, rsm::found(cluster.members));
    CHECK(cluster.add(1) == 43);
    // With another backup than the one that it has begun with.
    const std::string why = cluster.why_not(3, rsm::restore(cluster.members, second));
    CHECK(why.find("and this is a start of") != std::string::npos);
    CHECK(why.find("from backup " + rsm::detail::hexadecimal(second.id())) != std::string::npos);
}

TEST_CASE("a backup that is damaged, or of another machine, is refused before anything is made") {
    Restored cluster(1);
    const std::string path = cluster.directory / "backup";
    std::string reason;
    SUBCASE("damaged") {
        backup_of(cluster.directory, 40, "backup");
        std::string bytes = read_file(path);
        bytes.back() = static_cast<char>(bytes.back() ^ 1);
        write_file(path, bytes);
        reason = "the backup is damaged";
    }
    SUBCASE("of another machine") {
        Words words;
        words.text = "forty words";
        rsm::CapturedState state = state_of({});
        state.produce = rsm::detail::capture_state(words);
        REQUIRE(rsm::Backup::save(state, path).has_value());
        reason = "cannot be restored into the state machine";
    }
    auto backup = rsm::Backup::open(path);
    REQUIRE(backup.has_value());
    const std::string why = cluster.why_not(1, rsm::restore(cluster.members, *backup));
    CHECK(why.find(reason) != std::string::npos);
    CHECK(why.find(path) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(cluster.path(1)));
}

TEST_CASE("a storage that cannot begin with a state says so") {
    const TemporaryDirectory directory;
    boost::asio::io_context io;
    rsm::Options options;
    options.birth = rsm::restore({voter(1)}, backup_of(directory, 1, "b"));
    using Forgetful = rsm::Replicated<Counter, rsm_test::CutTransport, rsm::MemoryStorage>;
    CHECK_THROWS_WITH(
        Forgetful(io.get_executor(), Counter{},
                  rsm_test::CutTransport{std::make_shared<rsm_test::CutNetwork>(), {1}, {{1}}},
                  rsm::MemoryStorage{}, std::move(options)),
        doctest::Contains("needs a storage that can begin with a state"));
}

}  // namespace backup_test
