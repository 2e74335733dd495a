// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A WalStorage at work on a real directory, by the order of its system calls.
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"
#include "system_calls.hpp"

#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace wal_calls_test {

using namespace raft::test;
using rsm_test::StorageNode;
using rsm_test::TemporaryDirectory;
using system_calls::Answer;
using system_calls::Call;
using system_calls::Made;
using system_calls::Watch;

bool is_segment(std::string_view path) { return path.ends_with(".wal"); }
bool is_temporary(std::string_view path) { return path.ends_with(".tmp"); }

/// What of a directory's files and names is not durable, call by call, and which calls come too
/// early for it.
class Order {
public:
    /// The storage's directory below the watched one.
    explicit Order(std::string directory) : directory_(std::move(directory)) {}

    void follow(const std::vector<Made>& made) {
        for (const Made& one : made) {
            if (one.call == Call::note || one.result >= 0) follow(one);
        }
    }
    /// What came too early, a sentence each.
    std::string mistakes() const {
        std::string text;
        for (const std::string& mistake : mistakes_) text += mistake + "; ";
        return text;
    }
    /// How often each thing was seen that the rules are about.
    std::map<std::string, int> seen;

private:
    void follow(const Made& made) {
        switch (made.call) {
            case Call::note: return answered(made.path);
            case Call::pwrite:
            case Call::pwritev: return wrote(made.path);
            case Call::fdatasync:
                unsynced_.erase(made.path);
                if (is_segment(made.path)) begun_.insert(made.path);
                return;
            case Call::fsync:
                unsynced_.erase(made.path);
                unsynced_directories_.erase(made.path);
                if (made.path == directory_) unsynced_names_.clear();
                return;
            case Call::mkdir: unsynced_directories_.insert(parent_of(made.path)); return;
            case Call::rename: return renamed(made.path, made.to);
            case Call::unlink:
                unsynced_.erase(made.path);
                if (is_segment(made.path)) gave_up();
                return;
            default: return;
        }
    }
    static std::string parent_of(const std::string& path) {
        const std::size_t slash = path.rfind('/');
        return slash == std::string::npos ? "" : path.substr(0, slash);
    }
    void wrote(const std::string& path) {
        if (is_segment(path)) {
            ++seen["write into a segment"];
            if (unsynced_names_.contains(path)) mistakes_.insert("write before the name is synced");
        }
        if (spares_.contains(path)) {
            ++seen["write over a spare"];
            if (unsynced_names_.contains(path)) mistakes_.insert("spare written under an old name");
        }
        unsynced_.insert(path);
    }
    void renamed(const std::string& from, const std::string& to) {
        if (is_segment(from)) {
            gave_up();
            return take_name(from, to);
        }
        if (from.ends_with(".spare.tmp")) {
            spares_.insert(to);
        } else if (unsynced_.contains(from)) {
            mistakes_.insert("named before it is synced");
        } else {
            ++seen["file that got its name"];
        }
        take_name(from, to);
    }
    void take_name(const std::string& from, const std::string& to) {
        unsynced_names_.insert(to);
        unsynced_names_.erase(from);
        if (unsynced_.erase(from) != 0) unsynced_.insert(to);
        if (!is_temporary(to)) spares_.erase(to);
    }
    /// A batch may be under way, but not the first one of a segment, which carries what is needed
    /// of those before it.
    void gave_up() {
        ++seen["segment given up"];
        for (const std::string& path : unsynced_) {
            if (is_segment(path) && !begun_.contains(path)) {
                mistakes_.insert("given up before the next one's first batch is synced");
            }
        }
    }
    void answered(const std::string& what) {
        ++seen[what];
        for (const std::string& path : unsynced_) {
            if (!is_temporary(path)) mistakes_.insert(what + " before a file is synced");
        }
        for (const std::string& path : unsynced_names_) {
            // The next segment may be on its way to its name.
            const bool waited_for = what == "append" ? written_to(path) : !is_segment(path);
            if (waited_for && !is_temporary(path)) mistakes_.insert(what + " before a name is");
        }
        if (!unsynced_directories_.empty()) mistakes_.insert(what + " before a directory is");
    }
    bool written_to(const std::string& path) const { return unsynced_.contains(path); }

    std::string directory_;
    std::set<std::string> unsynced_;              ///< files
    std::set<std::string> begun_;                 ///< segments with a synced batch
    std::set<std::string> unsynced_names_;        ///< in the storage's directory
    std::set<std::string> unsynced_directories_;  ///< in which others were made
    std::set<std::string> spares_;                ///< drafts that were other segments before
    std::set<std::string> mistakes_;
};

rsm::WalOptions options_in(const TemporaryDirectory& directory) {
    rsm::WalOptions options{.directory = directory / "data/1", .segment_bytes = 16384};
    options.pieces.first_segment_bytes = 4096;
    options.pieces.fill_bytes = 4096;
    options.pieces.snapshot_write_bytes = 1000;
    options.pieces.snapshot_sync_bytes = 3000;
    return options;
}
const raft::Identity identity{{1}, "c", voters(3), {7}, true};
using Node = StorageNode<rsm::WalStorage>;

/// Founds a log, fills segments and gives them up, saves and receives snapshots, and renounces.
void work(Node& node, Watch& watch) {
    node.start();
    watch.note("start");
    for (std::uint64_t i = 1; i <= 60; ++i) {
        REQUIRE(node.write(write_of({entry(i, 1, 2000)})).has_value());
        watch.note("append");
        if (i % 10 != 0) continue;
        REQUIRE(node.save(position(i, 1), std::string(5000, 's')).has_value());
        watch.note("save");
        REQUIRE(node.write(release(position(i, 1))).has_value());
        watch.note("append");
        node.storage().drop_snapshots_except({{i}});
    }
    const std::string text(3000, 'q');
    const raft::SnapshotMeta meta{position(70, 2), voters(3), text.size(),
                                  rsm::detail::checksum(std::as_bytes(std::span(text)))};
    REQUIRE(node.receive(meta, 0, text.substr(0, 1500)).has_value());
    REQUIRE(node.receive(meta, 1500, text.substr(1500)).has_value());
    watch.note("install");
    raft::Write write = reset(meta.last);
    write.entries = {entry(71, 2, 50)};
    REQUIRE(node.write(write).has_value());
    watch.note("append");
    REQUIRE(node.renounce().has_value());
    watch.note("renounce");
    node.close();
}

TEST_CASE("A log at work does nothing before what it stands on is durable") {
    const TemporaryDirectory directory;
    Watch watch(directory.path());
    Order order("data/1");
    {
        Node node(rsm::WalStorage{options_in(directory)}, identity);
        work(node, watch);
    }
    order.follow(watch.take());
    CHECK(order.mistakes() == "");
    for (const char* const what :
         {"start", "append", "save", "install", "renounce", "write into a segment",
          "file that got its name", "segment given up", "write over a spare"}) {
        CAPTURE(what);
        CHECK(order.seen[what] > 0);
    }
}

TEST_CASE("A start makes durable what it finds before it says that it has it") {
    const TemporaryDirectory directory;
    {
        Watch watch(directory.path());
        Node node(rsm::WalStorage{options_in(directory)}, identity);
        work(node, watch);
    }
    Watch watch(directory.path());
    Node node(rsm::WalStorage{options_in(directory)}, identity);
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{71});
    std::set<std::string> written;
    std::set<std::string> synced;
    for (const Made& made : watch.take()) {
        if (made.writes() && is_segment(made.path)) {
            written.insert(made.path);
            synced.erase(made.path);
        }
        const bool syncs = made.call == Call::fdatasync || made.call == Call::fsync;
        if (syncs) synced.insert(made.path);
    }
    REQUIRE(written.size() == 1);
    CHECK(synced.contains(*written.begin()));
    CHECK(synced.contains("data/1"));
    CHECK(synced.contains("data"));
    CHECK(synced.contains(""));
    node.close();
}

TEST_CASE("Short and interrupted transfers change nothing of what is kept") {
    for (const std::size_t most : {512U, 4096U, 12'288U}) {
        CAPTURE(most);
        const TemporaryDirectory directory;
        Watch watch(directory.path());
        watch.meddle([most, count = 0](const Made& made) mutable {
            const bool names =
                made.call == Call::rename || made.call == Call::mkdir || made.call == Call::unlink;
            const bool interrupts = !names && ++count % 5 == 0;
            return Answer{.error = interrupts ? EINTR : 0, .most = most};
        });
        {
            Node node(rsm::WalStorage{options_in(directory)}, identity);
            work(node, watch);
        }
        Node node(rsm::WalStorage{options_in(directory)}, identity);
        const raft::Recovered recovered = node.start();
        CHECK(recovered.last == raft::Index{71});
        CHECK(*node.read(71, 1 << 20) == std::vector<raft::Entry>{entry(71, 2, 50)});
        CHECK(rsm_test::content(node.storage(), recovered.snapshot) == std::string(3000, 'q'));
        node.close();
    }
}

TEST_CASE("A failed write or sync of the log is its last, and none of it is done again") {
    for (const Call call : {Call::fdatasync, Call::pwrite, Call::pwritev}) {
        for (const int error : {EIO, ENOSPC}) {
            const TemporaryDirectory directory;
            Watch watch(directory.path());
            Node node(rsm::WalStorage{options_in(directory)}, identity);
            node.start();
            REQUIRE(node.write(write_of({entry(1, 1, 100)})).has_value());
            watch.take();
            const auto hits = [call](const Made& made) {
                const bool wanted = call == Call::fdatasync ? made.call == call : made.writes();
                return wanted && is_segment(made.path);
            };
            watch.meddle([=, left = 1](const Made& made) mutable {
                return Answer{.error = hits(made) && left-- > 0 ? error : 0};
            });
            const auto failed = node.write(write_of({entry(2, 1, 100)}));
            REQUIRE_FALSE(failed.has_value());
            CHECK(failed.error().code.value() == error);
            CHECK_FALSE(node.write(write_of({entry(3, 1, 100)})).has_value());
            std::size_t made = 0;
            for (const Made& one : watch.take()) made += hits(one) ? 1U : 0U;
            CHECK(made == 1);
            node.close();
        }
    }
}

TEST_CASE("A directory in use is locked, and is free when it is closed") {
    const TemporaryDirectory directory;
    Node node(rsm::WalStorage{options_in(directory)}, identity);
    node.start();
    Node other(rsm::WalStorage{options_in(directory)}, identity);
    CHECK(other.recover().error().code == rsm::StorageErrc::locked);
    node.close();
    CHECK(other.recover().has_value());
    other.close();
}

}  // namespace wal_calls_test
