// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Programs of two versions in one cluster: the members are replaced one after the other, and what
// is written is read by all of them at every moment.
#include "support/cut_network.hpp"
#include "support/held_disk.hpp"
#include "support/replicas.hpp"
#include "support/virtual_cluster.hpp"

#include <rsm/error.hpp>
#include <rsm/node/agreed_versions.hpp>
#include <rsm/rescue.hpp>

#include <doctest/doctest.h>
#include <boost/serialization/version.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rolling_upgrade_test {

namespace {

using Error = boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// The program before: there is nothing but a number.
struct OldOperation {
    std::int64_t add = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& add;
    }
};
struct OldResult {
    std::int64_t total = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& total;
    }
};
struct OldBook {
    using Operation = OldOperation;
    OldResult apply(const Operation& operation) { return {total += operation.add}; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& total;
    }
    std::int64_t total = 0;
};

/// The one after it: there is a note, too.
struct NewOperation {
    std::int64_t add = 0;
    std::string note;
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        archive& add;
        if (version >= 1) archive& note;
    }
    bool operator==(const NewOperation&) const = default;
};
struct NewResult {
    std::int64_t total = 0;
    std::size_t notes = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        archive& total;
        if (version >= 1) archive& notes;
    }
};
struct NewBook {
    static constexpr std::uint32_t format_version = 1;
    using Operation = NewOperation;
    NewResult apply(const Operation& operation) {
        ++applied;
        if (!operation.note.empty()) notes.push_back(operation.note);
        return {total += operation.add, notes.size() + 100 * heard.size()};
    }
    void version_agreed(std::uint32_t version) {
        if (version != 0) heard.emplace_back(version, total);
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        archive& total;
        if (version >= 1) archive& notes;
    }
    std::int64_t total = 0;
    std::vector<std::string> notes;
    std::size_t applied = 0;
    std::vector<std::pair<std::uint32_t, std::int64_t>> heard;  // at which total
};

}  // namespace
}  // namespace rolling_upgrade_test

BOOST_CLASS_VERSION(rolling_upgrade_test::NewOperation, 1)
BOOST_CLASS_VERSION(rolling_upgrade_test::NewResult, 1)
BOOST_CLASS_VERSION(rolling_upgrade_test::NewBook, 1)

namespace rolling_upgrade_test {
namespace {

/// Three nodes, each of which runs the one program or the other.
struct Upgrade {
    template <class Book>
    using Programs = rsm_test::Replicas<
        rsm::Replicated<Book, rsm_test::CutTransport, rsm_test::OnHeldDisks, rsm::sim::Clock>>;
    rsm::Options options;
    rsm::sim::World world;
    std::shared_ptr<rsm_test::CutNetwork> network = std::make_shared<rsm_test::CutNetwork>();
    std::vector<raft::NodeId> members{{1}, {2}, {3}};
    std::map<std::uint64_t, std::shared_ptr<rsm_test::HeldDisk>> disks;
    Programs<OldBook> before;
    Programs<NewBook> after;
    std::vector<std::string> failures;
    std::uint64_t starts = 0;

    Upgrade() {
        for (const raft::NodeId id : members)
            disks[id.value] = std::make_shared<rsm_test::HeldDisk>();
        options.on_failure = [this](const raft::Failure& why) { failures.push_back(why.what); };
    }
    template <class Book>
    void run(Programs<Book>& programs, std::uint64_t id) {
        before.crash(id);
        after.crash(id);
        rsm::Options own = options;
        own.seed = id + 17 * ++starts;
        programs.start(id, world.get_executor(), Book{},
                       rsm_test::CutTransport{network, raft::NodeId{id}, members},
                       rsm_test::OnHeldDisks{disks[id]}, own, rsm::sim::Clock{world});
    }
    void start_old(std::uint64_t id) { run(before, id); }
    void start_new(std::uint64_t id) { run(after, id); }
    template <class Visit>
    auto with(std::uint64_t id, Visit visit) {
        return before.up(id) ? visit(before[id]) : visit(after[id]);
    }
    rsm::Status status(std::uint64_t id) {
        return with(id, [](auto& node) { return node.status(); });
    }
    std::int64_t total(std::uint64_t id) {
        return with(id, [](auto& node) { return node.machine().total; });
    }
    template <class Condition>
    bool until(Condition holds) {
        return world.run_until(holds, world.now() + seconds(30));
    }
    std::uint64_t leader() {
        std::uint64_t best = 0;
        raft::Term term;
        for (const raft::NodeId id : members) {
            if (!before.up(id.value) && !after.up(id.value)) continue;
            const rsm::Status now = status(id.value);
            if (now.role != raft::Role::leader || now.term <= term) continue;
            best = id.value;
            term = now.term;
        }
        return best;
    }
    /// Lets a node lead, if it can.
    void lead(std::uint64_t id) {
        REQUIRE(until([&] { return leader() != 0; }));
        for (int i = 0; i < 20 && leader() != id; ++i) {
            if (leader() != 0) {
                with(leader(), [&](auto& node) {
                    node.async_transfer_leadership(raft::NodeId{id}, seconds(1), [](Error) {});
                    return 0;
                });
            }
            world.run_for(milliseconds(500));
        }
        REQUIRE(leader() == id);
    }
    /// What became of an operation that this node was given.
    Error submit(std::uint64_t id, std::int64_t add, const std::string& note = {}) {
        std::optional<Error> ended;
        if (before.up(id)) {
            before[id].async_submit({add}, [&](Error error, auto&&) { ended = error; });
        } else {
            after[id].async_submit({add, note}, [&](Error error, auto&&) { ended = error; });
        }
        REQUIRE(until([&] { return ended.has_value(); }));
        return *ended;
    }
    bool equal(std::int64_t wanted) {
        return until([&] {
            for (const raft::NodeId id : members) {
                if (total(id.value) != wanted) return false;
            }
            return true;
        });
    }
    /// Two of the nodes run the newer program, and the third, which leads, does not.
    void replace_two() {
        for (const raft::NodeId id : members) start_old(id.value);
        lead(3);
        CHECK_FALSE(submit(3, 1));
        start_new(1);
        REQUIRE(equal(1));
        start_new(2);
        REQUIRE(equal(1));
    }
    void replace_all() {
        replace_two();
        start_new(3);
        REQUIRE(until([&] {
            return status(1).format_version == 1 && status(2).format_version == 1 &&
                   status(3).format_version == 1;
        }));
    }
};

}  // namespace

TEST_CASE("until the last member is replaced nobody writes what an older program does not read") {
    Upgrade cluster;
    cluster.replace_two();
    cluster.lead(1);
    CHECK_FALSE(cluster.submit(1, 2, "too early"));
    CHECK_FALSE(cluster.submit(1, 3, "still"));
    REQUIRE(cluster.equal(6));
    cluster.world.run_for(seconds(5));  // replicas are compared meanwhile
    CHECK(cluster.failures.empty());
    CHECK(cluster.status(1).format_version == 0);
    CHECK(cluster.status(1).readable_version == 1);
    // Not even the node that took it in has what the others cannot have.
    for (std::uint64_t id = 1; id <= 2; ++id) CHECK(cluster.after[id].machine().notes.empty());
    CHECK(cluster.status(1).state_digest == cluster.status(3).state_digest);
}

TEST_CASE("once all are replaced, all write the newer version, from one operation on") {
    Upgrade cluster;
    cluster.replace_all();
    REQUIRE(cluster.until([&] { return cluster.leader() != 0; }));
    CHECK_FALSE(cluster.submit(cluster.leader(), 4, "at last"));
    REQUIRE(cluster.equal(5));
    cluster.world.run_for(seconds(5));
    CHECK(cluster.failures.empty());
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(cluster.after[id].machine().notes == std::vector<std::string>{"at last"});
        CHECK(cluster.after[id].machine().heard ==
              std::vector<std::pair<std::uint32_t, std::int64_t>>{{1, 1}});
    }
    CHECK(cluster.status(1).state_digest == cluster.status(3).state_digest);
}

TEST_CASE("a snapshot is written in the version that all read") {
    Upgrade cluster;
    cluster.options.snapshot_threshold = 2000;
    cluster.replace_two();
    cluster.lead(1);
    cluster.before.crash(3);
    cluster.world.run_for(seconds(3));  // the log is kept no more for one that is not heard
    const raft::Index last = cluster.status(1).last;
    while (cluster.status(1).snapshot <= last + 100) {  // the log ends behind what it lacks
        REQUIRE_FALSE(cluster.submit(1, 1, std::string(100, 'x')));
    }
    const std::int64_t total = cluster.total(1);
    cluster.start_old(3);
    REQUIRE(cluster.equal(total));
    CHECK(cluster.status(3).snapshot > last);
    CHECK(cluster.failures.empty());
}

TEST_CASE("an older program that comes to a newer version stops, and says why") {
    Upgrade cluster;
    cluster.replace_all();
    cluster.lead(1);
    cluster.start_old(3);
    REQUIRE(cluster.until([&] { return cluster.status(3).stopped; }));
    REQUIRE(cluster.failures.size() == 1);
    CHECK(cluster.failures[0].find("version 1") != std::string::npos);
    CHECK(cluster.failures[0].find("knows 0 at most: start a newer program") != std::string::npos);
    CHECK_FALSE(cluster.submit(1, 2, "without it"));
    cluster.start_new(3);
    REQUIRE(cluster.equal(3));
}

TEST_CASE("an older program does not start on a newer snapshot") {
    Upgrade cluster;
    cluster.options.snapshot_threshold = 2000;
    cluster.replace_all();
    cluster.lead(1);
    const raft::Index last = cluster.status(3).last;
    const auto passed = [&](std::uint64_t id) { return cluster.status(id).snapshot > last; };
    while (!passed(1) || !passed(3)) {
        REQUIRE_FALSE(cluster.submit(1, 1, std::string(100, 'x')));
        cluster.world.run_for(milliseconds(20));
    }
    std::string why;
    try {
        cluster.start_old(3);
    } catch (const boost::system::system_error& refused) {
        why = refused.what();
    }
    CHECK(why.find("version 1") != std::string::npos);
    CHECK(why.find("start a newer program") != std::string::npos);
    cluster.start_new(3);  // what is behind the snapshot says nothing of versions
    cluster.lead(3);
    CHECK(cluster.status(3).format_version == 1);
    CHECK(cluster.after[3].machine().heard.size() == 1);
    CHECK_FALSE(cluster.submit(3, 1, "the newest"));
    CHECK(cluster.until([&] { return cluster.after[1].machine().notes.back() == "the newest"; }));
}

TEST_CASE("who holds the version back keeps the way back to the older program open") {
    Upgrade cluster;
    cluster.options.max_format_version = 0;
    cluster.replace_two();
    cluster.start_new(3);
    cluster.lead(2);
    CHECK_FALSE(cluster.submit(2, 2, "held back"));
    cluster.world.run_for(seconds(5));
    CHECK(cluster.status(2).format_version == 0);
    cluster.start_old(3);
    REQUIRE(cluster.equal(3));
    cluster.start_new(3);
    cluster.options.max_format_version = 7;
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(cluster.status(id).format_version == 0);
        cluster.start_new(id);
        REQUIRE(cluster.until([&] { return cluster.leader() != 0; }));
    }
    CHECK(cluster.until([&] { return cluster.status(1).format_version == 1; }));
    CHECK(cluster.failures.empty());
}

TEST_CASE("what is lost by intent is no field that serialize forgets") {
    Upgrade cluster;
    cluster.options.verify_decoding = true;
    cluster.replace_two();
    cluster.lead(1);
    CHECK_FALSE(cluster.submit(1, 2, "an older program reads it"));
    cluster.start_new(3);
    REQUIRE(cluster.until([&] { return cluster.status(1).format_version == 1; }));
    REQUIRE(cluster.until([&] { return cluster.leader() != 0; }));
    CHECK_FALSE(cluster.submit(cluster.leader(), 2, "now there is a note"));
    CHECK(cluster.equal(5));
}

namespace {

/// Keeps its state itself.
struct Kept {
    struct Disk {
        std::int64_t total = 0;
        raft::LogPosition position;
    };
    static constexpr std::uint32_t format_version = 2;
    using Operation = OldOperation;
    std::int64_t apply(const Operation& operation, raft::LogPosition position) {
        disk->position = position;
        return disk->total += operation.add;
    }
    raft::LogPosition applied() const { return disk->position; }
    void snapshot(rsm::SnapshotWriter& out) const { out << disk->total; }
    void restore(rsm::SnapshotReader& in, raft::LogPosition last) {
        in >> disk->total;
        disk->position = last;
    }
    void version_agreed(std::uint32_t version) { heard.push_back(version); }
    std::shared_ptr<Disk> disk;
    std::vector<std::uint32_t> heard;
};

}  // namespace

TEST_CASE("a machine that keeps its state itself hears at each start which version is in force") {
    const auto disk = std::make_shared<Kept::Disk>();
    rsm_test::VirtualCluster<Kept> cluster(1, {}, [&](std::uint64_t) { return Kept{disk, {}}; });
    REQUIRE(cluster.run_until([&] { return cluster.node(1).status().format_version == 2; }));
    REQUIRE(cluster.node(1).machine().heard.back() == 2);
    std::optional<Error> ended;
    cluster.node(1).async_submit({5}, [&](Error error, std::int64_t) { ended = error; });
    REQUIRE(cluster.run_until([&] { return ended.has_value(); }));
    cluster.crash(1);
    cluster.start(1);
    CHECK(cluster.node(1).machine().heard == std::vector<std::uint32_t>{2});
    CHECK(cluster.node(1).status().format_version == 2);
    CHECK(cluster.node(1).machine().disk->total == 5);
}

// ---- archives --------------------------------------------------------------------------------

TEST_CASE("an archive writes a class in the version that it was given, if it is one of those") {
    const NewOperation operation{5, "note"};
    const auto bytes = [&operation](rsm::FormatVersions versions) {
        rsm::BufferWriter out;
        out.use_versions(versions);
        out << operation;
        return out.take();
    };
    CHECK(bytes({0, 1}) == rsm::encode(OldOperation{5}));
    CHECK(bytes({1, 1}) == rsm::encode(operation));
    CHECK(bytes({4, 4}) == rsm::encode(operation));
    CHECK(bytes({0, 0}) == rsm::encode(operation));  // its version is none of the machine's
    CHECK(rsm::decode<NewOperation>(bytes({0, 1})) == NewOperation{5, ""});
    // A program that knows version 3 reads a class of its own version 1 that says 3: such a class
    // has not changed in between.
    rsm::BufferWriter later;
    later.write_varint(3);
    later << std::int64_t{5} << std::string("note");
    CHECK(rsm::decode<NewOperation>(later.view(), {3, 3}) == operation);
    CHECK_THROWS_AS(rsm::decode<NewOperation>(later.view(), {2, 2}), rsm::ArchiveError);
    CHECK_THROWS_AS(rsm::decode<NewOperation>(later.view()), rsm::ArchiveError);
}

namespace {

struct ByHand {
    static constexpr std::uint32_t format_version = 3;
    using Operation = OldOperation;
    std::int64_t apply(const Operation& operation) { return total += operation.add; }
    void snapshot(rsm::SnapshotWriter& out) const { out << total << std::uint64_t{out.version()}; }
    void restore(rsm::SnapshotReader& in) {
        in >> total >> said;
        read_as = in.version();
    }
    std::int64_t total = 0;
    std::uint64_t said = 0;
    std::uint32_t read_as = 0;
};

}  // namespace

TEST_CASE("those who write and read a snapshot by hand are told the version") {
    ByHand machine;
    machine.total = 7;
    rsm::detail::PieceSink sink;
    rsm::detail::write_state(sink, machine, {}, {64, {2, 3}});
    const std::vector<raft::Bytes> pieces = sink.take();
    rsm::detail::PieceSource source(pieces);
    raft::SnapshotMeta meta;
    meta.last = {raft::Index{9}, raft::Term{1}};
    for (const raft::Bytes& piece : pieces) meta.size += piece.size();
    meta.membership.version = 2;
    ByHand read;
    REQUIRE(rsm::detail::restore_state(source, meta, read, 64));
    CHECK(read.total == 7);
    CHECK(read.said == 2);
    CHECK(read.read_as == 2);
    meta.membership.version = 4;
    const auto refused = rsm::detail::restore_state(source, meta, read, 64);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == std::make_error_code(std::errc::not_supported));
}

// ---- along the log ---------------------------------------------------------------------------

namespace {

raft::Entry raise(std::uint64_t index, std::uint32_t version) {
    raft::Membership membership = raft::Membership::of_voters({raft::NodeId{1}});
    membership.version = version;
    return {raft::Index{index}, raft::Term{1}, raft::EntryKind::membership,
            raft::codec::encode(membership)};
}

}  // namespace

TEST_CASE("a state is written in the version that was in force at its index") {
    using rsm::detail::AgreedVersions;
    NewBook book;
    const auto change = [&book]() -> NewBook& { return book; };
    AgreedVersions<NewBook> versions;
    CHECK(versions.now() == rsm::FormatVersions{0, 1});
    versions.pass(raise(5, 0), change);
    versions.pass(raise(8, 1), change);
    versions.pass(raise(9, 1), change);
    CHECK(versions.at(raft::Index{7}) == rsm::FormatVersions{0, 1});
    CHECK(versions.at(raft::Index{8}) == rsm::FormatVersions{1, 1});
    CHECK(versions.now() == rsm::FormatVersions{1, 1});
    CHECK(book.heard.size() == 1);
    CHECK_THROWS_AS(versions.pass(raise(10, 2), change), rsm::detail::NewerVersion);
    versions.restart(raft::Index{20}, 1, book);
    CHECK(versions.at(raft::Index{20}) == rsm::FormatVersions{1, 1});
    CHECK(book.heard.size() == 2);
}

TEST_CASE("a machine that keeps its state itself starts with the version as of its index") {
    raft::Recovered log;
    log.snapshot.membership.version = 1;
    log.memberships = {raise(5, 2), raise(9, 3)};
    CHECK(rsm::detail::version_at(log, raft::Index{4}) == 1);
    CHECK(rsm::detail::version_at(log, raft::Index{5}) == 2);
    CHECK(rsm::detail::version_at(log, raft::Index{8}) == 2);
    CHECK(rsm::detail::version_at(log, raft::Index{30}) == 3);
}

}  // namespace rolling_upgrade_test
