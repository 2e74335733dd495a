// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log where something is refused before it could begin, for want of space, of
// descriptors or of memory: it waits and goes on by itself.
#include "support/fake_disk.hpp"
#include "support/inline_lane.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace wal_pressure_test {

using namespace raft::test;
using namespace rsm_test;
using std::chrono::milliseconds;

/// A log of small segments whose time passes when the test says so.
struct Bench {
    FakeFiles files;
    std::shared_ptr<Delayed> delayed = std::make_shared<Delayed>();
    StorageNode<FakeWal> node{FakeWal(small_segments(), files, [delayed = delayed] {
        return FakeWal::Lanes{InlineLane(delayed), InlineLane(delayed), InlineLane(delayed)};
    })};
    std::uint64_t last = 0;
    std::vector<std::uint64_t> done;
    std::vector<raft::Failure> failed;

    /// Does not wait.
    void append(std::size_t size) {
        const std::uint64_t index = ++last;
        node.storage().append(write_of({entry(index, 1, size)}), [this, index](auto result) {
            result ? done.push_back(index) : failed.push_back(result.error());
        });
        poll();
    }
    void poll() {
        node.io.restart();
        node.io.poll();
    }
    void pass(milliseconds time) {
        delayed->pass(time);
        poll();
    }
    /// Until a write waits for a segment.
    void fill() {
        const std::uint64_t most = last + 50;
        while (done.size() == last && failed.empty()) {
            append(1000);
            REQUIRE(last < most);
        }
    }
    bool has_temporary() const { return count(".tmp") != 0; }
    std::size_t segments() const { return count(".wal"); }

private:
    std::size_t count(const std::string& suffix) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            files.disk->names, [&](const auto& file) { return file.first.ends_with(suffix); }));
    }
};

TEST_CASE("One refused preparation of a segment does the log no harm") {
    Bench bench;
    bench.node.start();
    bench.files.disk->refuses = ENOSPC;
    while (bench.files.disk->refusals == 0) bench.append(1000);
    bench.files.disk->refuses = 0;
    bench.pass(milliseconds(10));
    for (int i = 0; i < 20; ++i) bench.append(1000);
    CHECK(bench.failed.empty());
    CHECK(bench.done.size() == bench.last);
}

TEST_CASE("Writes that need a refused segment wait in order, and go on by themselves") {
    Bench bench;
    bench.node.start();
    CHECK_FALSE(bench.node.storage().refuses().has_value());
    for (const int error : {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM}) {
        CAPTURE(error);
        bench.files.disk->refuses = error;
        bench.fill();
        for (int i = 0; i < 5; ++i) bench.append(100);
        CHECK(bench.done.size() == bench.last - 6);
        REQUIRE(bench.node.storage().refuses().has_value());
        CHECK(bench.node.storage().refuses()->code.value() == error);
        CHECK(bench.node.storage().refuses()->what.starts_with("open d/"));
        CHECK_FALSE(bench.has_temporary());
        for (std::int64_t pause = 10; pause < 5000; pause *= 2) {
            REQUIRE(bench.delayed->size() == 1);
            const milliseconds left(std::min<std::int64_t>(pause, 1000));
            CHECK(bench.delayed->left() == left);
            bench.pass(left);
        }
        CHECK(bench.done.size() == bench.last - 6);
        bench.files.disk->refuses = 0;
        bench.pass(milliseconds(1000));
        CHECK(bench.done.size() == bench.last);
        CHECK(std::ranges::is_sorted(bench.done));
        CHECK_FALSE(bench.node.storage().refuses().has_value());
        CHECK(bench.delayed->size() == 0);
    }
    CHECK(bench.failed.empty());
    bench.node.close();
    StorageNode<FakeWal> again(fake_wal(bench.files));
    CHECK(again.start().last == raft::Index{bench.last});
}

TEST_CASE("What is left of a segment takes votes while the next one is refused") {
    Bench bench;
    bench.node.start();
    bench.files.disk->refuses = ENOSPC;
    while (!bench.node.storage().refuses()) bench.append(1000);
    CHECK(bench.done.size() == bench.last);
    CHECK(bench.node.write(hard_state({{7}, {2}, {}})).has_value());
}

TEST_CASE("A write that is larger than a segment waits for one of its size") {
    Bench bench;
    bench.node.start();
    bench.files.disk->refuses = EMFILE;
    bench.append(20000);
    bench.append(10);
    CHECK(bench.done.empty());
    bench.files.disk->refuses = 0;
    bench.pass(milliseconds(1000));
    CHECK(bench.done == std::vector<std::uint64_t>{1, 2});
    CHECK(bench.failed.empty());
}

TEST_CASE("Closing does not wait for a segment that is refused") {
    Bench bench;
    bench.node.start();
    bench.files.disk->refuses = ENOSPC;
    bench.fill();
    bench.append(10);
    bool closed = false;
    SUBCASE("which was refused before") {}
    SUBCASE("which is refused again later") { bench.pass(milliseconds(9)); }
    bench.node.storage().close([&] { closed = true; });
    bench.poll();
    bench.pass(milliseconds(1000));
    CHECK(closed);
    CHECK(bench.failed.size() == 2);
    CHECK(bench.failed[0].code == std::errc::no_space_on_device);
    bench.files.disk->refuses = 0;
    StorageNode<FakeWal> again(fake_wal(bench.files));
    CHECK(again.start().last == raft::Index{bench.last - 2});
}

/// Whether the node is a founder, as its directory says.
bool is_founder(const FakeFiles& files, const raft::Identity& identity) {
    StorageNode<FakeWal> node(fake_wal(files), identity);
    node.start();
    const bool is_founder = node.storage().identity().founder;
    node.close();
    return is_founder;
}

TEST_CASE("A renunciation that is refused waits, and what is behind it") {
    const raft::Identity identity{{1}, "c", voters(3), {7}, true};
    Bench bench;
    bench.node.storage().claim(identity);
    bench.node.start();
    bench.append(10);
    std::vector<std::string> ends;
    const auto renounce = [&] {
        bench.node.storage().renounce([&](raft::Result<void> result) {
            ends.push_back(result ? "renounced after " + std::to_string(bench.done.size())
                                  : result.error().what);
        });
        bench.poll();
    };
    SUBCASE("and goes on by itself") {
        bench.files.disk->refuses = EMFILE;
        renounce();
        bench.append(10);
        for (std::int64_t pause = 10; pause < 5000; pause *= 2) {
            REQUIRE(bench.delayed->size() == 1);
            const milliseconds left(std::min<std::int64_t>(pause, 1000));
            CHECK(bench.delayed->left() == left);
            bench.pass(left);
        }
        CHECK(ends.empty());
        CHECK(bench.done.size() == 1);
        CHECK(bench.node.storage().identity().founder);
        bench.files.disk->refuses = 0;
        bench.pass(milliseconds(1000));
        REQUIRE(ends == std::vector<std::string>{"renounced after 1"});
        CHECK(bench.done.size() == 2);
        bench.files.disk->refuses = EMFILE;
        renounce();
        CHECK(bench.delayed->left() == milliseconds(10));
        bench.files.disk->refuses = 0;
        bench.pass(milliseconds(10));
        REQUIRE(ends.size() == 2);
        bench.node.close();
        CHECK_FALSE(is_founder(bench.files, identity));
    }
    SUBCASE("behind a write that waits for a segment") {
        bench.files.disk->refuses = ENOSPC;
        bench.fill();
        const std::uint64_t last = bench.last;
        bench.append(10);
        renounce();
        bench.append(10);
        CHECK(bench.done.size() == last - 1);
        bench.files.disk->refuses = 0;
        bench.pass(milliseconds(1000));
        REQUIRE(ends == std::vector<std::string>{"renounced after " + std::to_string(last + 1)});
        CHECK(bench.done.size() == last + 2);
        bench.node.close();
        CHECK_FALSE(is_founder(bench.files, identity));
    }
    SUBCASE("until the storage is closed") {
        bench.files.disk->refuses = ENOSPC;
        renounce();
        bench.append(10);
        bool closed = false;
        bench.node.storage().close([&] { closed = true; });
        bench.pass(milliseconds(1000));
        CHECK(closed);
        CHECK(ends == std::vector<std::string>{"open d/identity.tmp"});
        CHECK(bench.failed.size() == 1);
        bench.files.disk->refuses = 0;
        CHECK(is_founder(bench.files, identity));
    }
}

TEST_CASE("A broken disk is no refusal: what fails otherwise is final") {
    Bench bench;
    bench.node.start();
    bench.files.disk->refuses = EIO;
    bench.fill();
    CHECK_FALSE(bench.failed.empty());
    CHECK_FALSE(bench.node.storage().refuses().has_value());
    CHECK(bench.delayed->size() == 0);
}

TEST_CASE("Segments that are given up leave a full disk, even if it refuses them new names") {
    Bench bench;
    bench.node.start();
    for (int i = 0; i < 20; ++i) bench.append(1000);
    REQUIRE(bench.segments() > 4);
    for (const int error : {ENOSPC, EDQUOT}) {
        CAPTURE(error);
        bench.files.disk->refuses = error;
        CHECK(bench.node.write(release(position(bench.last, 1))).has_value());
        CHECK(bench.segments() <= 2);
        bench.files.disk->refuses = 0;
        for (int i = 0; i < 20; ++i) bench.append(1000);
    }
}

TEST_CASE("A read for which there is no memory is tried again, for a while") {
    Bench bench;
    bench.node.start();
    for (int i = 0; i < 3; ++i) bench.append(1000);
    std::optional<raft::Result<std::vector<raft::Entry>>> read;
    bench.files.disk->starved_reads = 2;
    const auto ask = [&] {
        bench.node.storage().read({1}, 5000, [&](auto result) { read = std::move(result); });
        bench.poll();
    };
    SUBCASE("and succeeds when there is some") {
        ask();
        CHECK_FALSE(read.has_value());
        bench.pass(milliseconds(10));
        CHECK_FALSE(read.has_value());
        bench.pass(milliseconds(20));
        REQUIRE(read.has_value());
        CHECK((*read)->size() == 3);
    }
    SUBCASE("and fails in the end") {
        bench.files.disk->starved_reads = 100;
        ask();
        for (int i = 0; i < 10 && !read; ++i) bench.pass(milliseconds(1000));
        REQUIRE(read.has_value());
        CHECK(read->error().code == std::errc::not_enough_memory);
        CHECK(bench.delayed->size() == 0);
    }
}

TEST_CASE("A read that waits for memory reads from a segment that was given up meanwhile") {
    Bench bench;
    bench.node.start();
    while (bench.segments() < 6) bench.append(1000);
    std::optional<raft::Result<std::vector<raft::Entry>>> read;
    bench.files.disk->starved_reads = 1;
    bench.node.storage().read({1}, 1 << 20, [&](auto result) { read = std::move(result); });
    const std::uint64_t last = bench.last;
    bench.append(10);
    bench.node.storage().append(release(position(bench.last, 1)), [](auto) {});
    bench.poll();
    const auto spares = [&] {
        return std::ranges::count_if(bench.files.disk->names, [](const auto& file) {
            return file.first.ends_with(".spare.tmp");
        });
    };
    const auto kept = spares();
    REQUIRE(kept > 0);
    for (int i = 0; i < 12; ++i) bench.append(1000);
    CHECK(spares() == kept);
    CHECK_FALSE(read.has_value());
    bench.pass(milliseconds(10));
    REQUIRE(read.has_value());
    REQUIRE(read->has_value());
    CHECK((*read)->size() == last);
    // Now they are used.
    for (int i = 0; i < 12; ++i) bench.append(1000);
    CHECK(spares() < kept);
}

/// A lane that gets no thread.
struct Threadless : InlineLane {
    raft::Result<void> start() {
        return raft::Failure{std::make_error_code(std::errc::resource_unavailable_try_again),
                             "start a thread"};
    }
};

TEST_CASE("A storage whose lanes get no thread does not start") {
    StorageNode<rsm::BasicWalStorage<FakeFiles, Threadless>> node(
        rsm::BasicWalStorage<FakeFiles, Threadless>(small_segments(), FakeFiles{}));
    const auto recovered = node.storage().recover();
    REQUIRE_FALSE(recovered.has_value());
    CHECK(recovered.error().code == std::errc::resource_unavailable_try_again);
}

TEST_CASE("A snapshot that is refused leaves no file behind, and can be made later") {
    Bench bench;
    StorageNode<FakeWal>& node = bench.node;
    node.start();
    REQUIRE(node.write(write_of({entry(1, 1, "a"), entry(2, 1, "b")})).has_value());
    const std::string text = "received";
    const raft::SnapshotMeta meta{position(2, 1), voters(3), text.size(),
                                  rsm::detail::checksum(std::as_bytes(std::span(text)))};
    bench.files.disk->refuses = ENOSPC;
    CHECK(node.save(position(1, 1), "saved").error().code == std::errc::no_space_on_device);
    CHECK(node.receive(meta, 0, "rece").error().code == std::errc::no_space_on_device);
    CHECK_FALSE(bench.has_temporary());
    bench.files.disk->refuses = 0;
    CHECK(*node.receive(meta, 4, "ived") == raft::ChunkOutcome::rejected);
    CHECK(node.save(position(1, 1), "saved").has_value());
    CHECK(*node.receive(meta, 0, "rece") == raft::ChunkOutcome::stored);
    CHECK(bench.has_temporary());
    SUBCASE("abandoned") {
        node.storage().abandon_transfer();
        CHECK_FALSE(bench.has_temporary());
        node.storage().abandon_transfer();
    }
    SUBCASE("completed") {
        CHECK(*node.receive(meta, 4, "ived") == raft::ChunkOutcome::installed);
        CHECK(content(node.storage(), meta) == text);
    }
    SUBCASE("closed, for a transfer that goes on later") {
        node.close();
        CHECK(bench.has_temporary());
        return;
    }
    CHECK_FALSE(bench.has_temporary());
}

}  // namespace wal_pressure_test
