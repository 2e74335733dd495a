// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log when things go wrong or go on side by side: failing and hanging disks,
// threads.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/random.hpp>
#include <raft/base/result.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace wal_crash_test {

using namespace raft::test;
using namespace rsm_test;

TEST_CASE("A full or broken disk fails the operation and everything after it") {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    CHECK(node.write(write_of({entry(1, 1, 100)})).has_value());
    files.disk->stop_at = files.disk->operations + 2;
    const auto failed = node.write(write_of({entry(2, 1, 100)}));
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().what == "stopped d/" + first_segment);
    // The disk is well again, but what it holds is unknown.
    files.disk->stop_at = UINT64_MAX;
    const std::uint64_t operations = files.disk->operations;
    CHECK(node.write(write_of({entry(3, 1, 100)})).error() == failed.error());
    CHECK(files.disk->operations == operations);
}

// ---- threads and real files ------------------------------------------------------------------

/// A gate in front of every sync.
struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool closed = false;
    bool waiting = false;
    int syncs = 0;
    bool fail = false;
    int left = 0;  ///< syncs that have returned

    void close() {
        const std::lock_guard lock(mutex);
        closed = true;
    }
    void open() {
        const std::lock_guard lock(mutex);
        closed = false;
        changed.notify_all();
    }
    void wait_until_blocked() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return waiting; });
    }
};
/// Real files, with the gate before every sync of a segment that has its name.
struct GatedFiles : rsm::PosixFiles {
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();

    raft::Result<void> sync(const File& file) const {
        if (!file.path().ends_with("01.wal")) return PosixFiles::sync(file);
        std::unique_lock lock(gate->mutex);
        ++gate->syncs;
        gate->waiting = true;
        gate->changed.notify_all();
        gate->changed.wait(lock, [&] { return !gate->closed; });
        gate->waiting = false;
        ++gate->left;
        gate->changed.notify_all();
        if (gate->fail) {
            return raft::Failure{std::make_error_code(std::errc::io_error), "sync"};
        }
        lock.unlock();
        return PosixFiles::sync(file);
    }
};
using GatedWal = rsm::BasicWalStorage<GatedFiles, rsm::ThreadLane>;

/// The recovery of an existing log opens its first segment under its final name.
GatedWal gated_wal(const TemporaryDirectory& directory, const GatedFiles& files) {
    {
        StorageNode<rsm::WalStorage> node(rsm::WalStorage{directory.path()});
        node.start();
        node.close();
    }
    return GatedWal(rsm::WalOptions{.directory = directory.path()}, files);
}

TEST_CASE("What is submitted while a sync is under way is written with one more sync") {
    const TemporaryDirectory directory;
    const GatedFiles files;
    StorageNode<GatedWal> node(gated_wal(directory, files));
    node.start();
    files.gate->syncs = 0;
    files.gate->close();
    int completed = 0;
    const auto done = [&](raft::Result<void> result) {
        CHECK(result.has_value());
        ++completed;
    };
    node.storage().append(write_of({entry(1, 1, "a")}), done);
    files.gate->wait_until_blocked();
    for (std::uint64_t i = 2; i <= 500; ++i) {
        node.storage().append(write_of({entry(i, 1, "b")}), done);
    }
    files.gate->open();
    node.run();
    CHECK(completed == 500);
    CHECK(files.gate->syncs == 2);
    CHECK(node.read(1, 1 << 20)->size() == 500);
}

TEST_CASE("Entries that a write under way replaces are not read any more") {
    const TemporaryDirectory directory;
    const GatedFiles files;
    StorageNode<GatedWal> node(gated_wal(directory, files));
    node.start();
    const std::vector<raft::Entry> before{entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")};
    CHECK(node.write(write_of(before)).has_value());
    files.gate->close();
    bool written = false;
    node.storage().append(write_of({entry(2, 2, "longer than the one before")}),
                          [&](raft::Result<void> result) { written = result.has_value(); });
    int answers = 0;
    node.storage().read({1}, 1 << 20, [&](auto list) {
        CHECK(*list == std::vector{entry(1, 1, "a")});
        ++answers;
    });
    node.storage().read({2}, 1 << 20, [&](auto list) {
        CHECK(list.error().code == rsm::StorageErrc::invalid_read);
        ++answers;
    });
    node.io.restart();
    while (answers < 2 && node.io.run_one() != 0) {}
    CHECK(answers == 2);
    CHECK_FALSE(written);
    files.gate->open();
    node.run();
    CHECK(written);
    CHECK(node.read(1, 1 << 20)->size() == 2);
}

TEST_CASE("A failed sync is final: nothing is written or synced after it") {
    const TemporaryDirectory directory;
    const GatedFiles files;
    StorageNode<GatedWal> node(gated_wal(directory, files));
    node.start();
    CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
    files.gate->fail = true;
    files.gate->syncs = 0;
    const auto failed = node.write(write_of({entry(2, 1, "b")}));
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == std::errc::io_error);
    files.gate->fail = false;
    CHECK(node.write(write_of({entry(3, 1, "c")})).error() == failed.error());
    CHECK(node.write(hard_state({{9}, {}, {}})).error() == failed.error());
    CHECK(files.gate->syncs == 1);
}

TEST_CASE("A storage that is destroyed during a sync waits for nothing and calls nobody") {
    const TemporaryDirectory directory;
    const GatedFiles files;
    bool called = false;
    {
        StorageNode<GatedWal> node(gated_wal(directory, files));
        node.start();
        files.gate->close();
        const int left = files.gate->left;
        node.storage().append(write_of({entry(1, 1, "a")}),
                              [&](raft::Result<void>) { called = true; });
        files.gate->wait_until_blocked();
        node.destroy();
        CHECK(files.gate->left == left);
        // The directory stays locked for as long as the lane is busy in it.
        StorageNode<rsm::WalStorage> other(rsm::WalStorage{directory.path()});
        CHECK(other.recover().error().code == rsm::StorageErrc::locked);
        files.gate->open();
        std::unique_lock lock(files.gate->mutex);
        files.gate->changed.wait(lock, [&] { return files.gate->left == left + 1; });
        lock.unlock();
        node.run();
    }
    CHECK_FALSE(called);
}

TEST_CASE("Writes, reads and snapshots go on side by side over real segments") {
    const TemporaryDirectory directory;
    const rsm::WalOptions options{.directory = directory.path(), .segment_bytes = 1 << 16};
    constexpr std::uint64_t count = 600;
    {
        StorageNode<rsm::WalStorage> node(rsm::WalStorage{options});
        node.start();
        std::uint64_t written = 0;
        std::uint64_t read = 0;
        int saved = 0;
        std::function<void(std::uint64_t)> write = [&](std::uint64_t first) {
            raft::Write batch = write_of({});
            for (std::uint64_t i = first; i < first + 20; ++i) {
                batch.entries.push_back(entry(i, 1, i * 3));
            }
            node.storage().append(batch, [&, first](raft::Result<void> result) {
                REQUIRE(result.has_value());
                written = first + 19;
                node.storage().read({first}, 4000, [&, first](auto list) {
                    REQUIRE(list.has_value());
                    CHECK(list->front() == entry(first, 1, first * 3));
                    read += list->size();
                });
                if (first % 100 == 1) {
                    node.storage().save_snapshot(
                        position(first, 1), voters(3), produce(std::string(100000, 's')),
                        [&, first](raft::Result<raft::SnapshotMeta> meta) {
                            REQUIRE(meta.has_value());
                            node.storage().drop_snapshots_except({{first}});
                            ++saved;
                            // Half a segment stays readable under the reads that are under way.
                            if (first > 60) {
                                node.storage().append(
                                    release(position(first - 60, 1)),
                                    [](raft::Result<void> ok) { CHECK(ok.has_value()); });
                            }
                        });
                }
                if (written < count) write(written + 1);
            });
        };
        write(1);
        node.run();
        CHECK(written == count);
        CHECK(saved == 6);
        CHECK(read >= 30);
        node.close();
    }
    StorageNode<rsm::WalStorage> node(rsm::WalStorage{options});
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{count});
    CHECK(recovered.snapshot.last == position(501, 1));
    CHECK(recovered.base == position(441, 1));
    const auto list = node.read(442, 1 << 20);
    REQUIRE(list->size() == count - 441);
    CHECK(list->back() == entry(count, 1, count * 3));
    CHECK_FALSE(std::filesystem::exists(directory.path() + "/" + first_segment));
}

TEST_CASE("Files that were never finished are removed, others in the directory are left alone") {
    const TemporaryDirectory directory;
    write_file(directory.path() + "/incoming.tmp", "half");
    write_file(directory.path() + "/" + first_segment + ".tmp", "half");
    write_file(directory.path() + "/notes.txt", "mine");
    StorageNode<rsm::WalStorage> node(rsm::WalStorage{directory.path()});
    node.start();
    CHECK_FALSE(std::filesystem::exists(directory.path() + "/incoming.tmp"));
    CHECK(read_file(directory.path() + "/notes.txt") == "mine");
    node.close();
}

TEST_CASE("Errors of the operating system name the call and the path") {
    const TemporaryDirectory directory;
    write_file(directory.path() + "/file", "in the way");
    StorageNode<rsm::WalStorage> node(rsm::WalStorage{directory.path() + "/file"});
    const auto recovered = node.recover();
    REQUIRE_FALSE(recovered.has_value());
    CHECK(recovered.error().code == std::errc::not_a_directory);
    CHECK(recovered.error().what == "open " + directory.path() + "/file/lock");
}

TEST_CASE("A vectored write of very many parts arrives whole") {
    const TemporaryDirectory directory;
    const rsm::PosixFiles files;
    auto file = files.open(directory.path() + "/parts", rsm::OpenMode::create);
    REQUIRE(file.has_value());
    std::string text;
    for (int i = 0; i < 5000; ++i) text += std::to_string(i) + (i % 7 == 0 ? "" : ".");
    std::vector<std::span<const std::byte>> parts;
    const auto all = std::as_bytes(std::span(text));
    for (std::size_t begin = 0; begin < all.size();) {
        const std::size_t count = std::min(all.size() - begin, begin % 5);
        parts.push_back(all.subspan(begin, count));
        const std::size_t one = std::min<std::size_t>(1, all.size() - begin - count);
        parts.push_back(all.subspan(begin + count, one));
        begin += count + one;
    }
    REQUIRE(parts.size() > 4096);
    REQUIRE(files.write_at(*file, 3, parts).has_value());
    CHECK(read_file(directory.path() + "/parts") == std::string(3, '\0') + text);
}

/// What a file holds after many writes of many sizes through one Writer, each behind the last one.
void check_writer(const std::string& path, std::size_t unit, const std::function<void()>& before) {
    const rsm::PosixFiles files;
    auto file = files.open(path, rsm::OpenMode::create);
    REQUIRE(file.has_value());
    std::string expected = std::string(777, 'a');
    const auto head = std::as_bytes(std::span(expected));
    REQUIRE(files.write_at(*file, 0, std::span(&head, 1)).has_value());
    before();
    rsm::PosixFiles::Writer writer(files, *file, unit);
    raft::Random random(7);
    const auto append = [&](std::size_t count, std::size_t longest) {
        std::string bytes;
        for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>('b' + random.below(20));
        std::vector<std::span<const std::byte>> parts;
        for (auto rest = std::as_bytes(std::span(bytes)); !rest.empty();) {
            const auto size = std::min<std::size_t>(rest.size(), random.below(longest));
            parts.push_back(rest.first(size));
            rest = rest.subspan(size);
        }
        REQUIRE(writer.write(*file, expected.size(), parts).has_value());
        expected += bytes;
    };
    append(600'000, 600'000);  // more than the writer can hold
    for (int i = 0; i < 300; ++i) {
        const std::size_t longest = random.below(20) == 0 ? 600'000 : 3000;
        append(random.below(longest), longest);
        // Up to the end of a unit now and then, where nothing has to be written again.
        if (random.below(4) == 0) append(unit - expected.size() % unit, 512);
        if (random.below(40) != 0) continue;
        // Somebody else cuts the end off: the next write finds what lies before it in the file.
        expected.resize(expected.size() - random.below(700));
        const std::string zeros(700, '\0');
        const auto part = std::as_bytes(std::span(zeros));
        REQUIRE(files.write_at(*file, expected.size(), std::span(&part, 1)).has_value());
    }
    REQUIRE(files.sync(*file).has_value());
    const bool renamed = std::filesystem::exists(path + ".kept");
    const std::string found = read_file(renamed ? path + ".kept" : path);
    REQUIRE(found.size() >= expected.size());
    CHECK(found.substr(0, expected.size()) == expected);
    CHECK(found.find_first_not_of('\0', expected.size()) == std::string::npos);
}

TEST_CASE("A writer keeps what it has written, in whole sectors or through the page cache") {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    SUBCASE("as the file system lets it") {
        check_writer(path, rsm::PosixFiles::Writer::whole_pages, [] {});
    }
    SUBCASE("in units that may be sectors") {
        check_writer(path, 512, [] {});
    }
    SUBCASE("in units that no disk takes") {
        check_writer(path, 1, [] {});
    }
    SUBCASE("where it cannot be opened for direct transfers") {
        check_writer(path, rsm::PosixFiles::Writer::whole_pages, [&] {
            std::filesystem::rename(path, path + ".kept");
            std::filesystem::create_directory(path);
        });
    }
    SUBCASE("where another file has taken its name") {
        check_writer(path, rsm::PosixFiles::Writer::whole_pages, [&] {
            std::filesystem::rename(path, path + ".kept");
            write_file(path, "another");
        });
        CHECK(read_file(path) == "another");
    }
}

TEST_CASE("A writer that fails names the file") {
    const TemporaryDirectory directory;
    const rsm::PosixFiles files;
    const std::string path = directory.path() + "/file";
    REQUIRE(files.open(path, rsm::OpenMode::create).has_value());
    const auto file = files.open(path, rsm::OpenMode::read_write);
    REQUIRE(file.has_value());
    rsm::PosixFiles::Writer writer(files, *file);
    const std::byte byte{1};
    const std::span<const std::byte> part(&byte, 1);
    // Beyond the largest offset that a file can have.
    const auto result = writer.write(*file, std::uint64_t{1} << 62, std::span(&part, 1));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == std::errc::file_too_large);
    CHECK(result.error().what == "write " + path);
}

TEST_CASE("Options out of range are refused") {
    const TemporaryDirectory directory;
    rsm::WalOptions options{.directory = directory.path()};
    SUBCASE("segments too small") { options.segment_bytes = 4095; }
    SUBCASE("segments too large") { options.segment_bytes = (1ULL << 30) + 1; }
    SUBCASE("empty batches") { options.batch_bytes = 0; }
    SUBCASE("a first segment too small") { options.pieces.first_segment_bytes = 4095; }
    SUBCASE("a segment filled in steps too small") { options.pieces.fill_bytes = 511; }
    SUBCASE("every payload referred to") { options.pieces.referenced_payload_bytes = 0; }
    SUBCASE("snapshots written in no pieces") { options.pieces.snapshot_write_bytes = 0; }
    SUBCASE("snapshots synced without end") { options.pieces.snapshot_sync_bytes = 0; }
    SUBCASE("snapshots read in no pieces") { options.pieces.snapshot_read_bytes = 0; }
    StorageNode<rsm::WalStorage> node(rsm::WalStorage{options});
    CHECK(node.recover().error().code == std::errc::invalid_argument);
    CHECK_FALSE(options.validate().has_value());
}

}  // namespace wal_crash_test
