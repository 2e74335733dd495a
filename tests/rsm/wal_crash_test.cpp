// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log when things go wrong or go on side by side: crashes at every file operation,
// failing and hanging disks, threads.
#include "storage_support.hpp"

#include <raft/codec.hpp>
#include <raft/stable.hpp>
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

using namespace storage_test;

/// What a storage should hold, and what it has promised to.
struct Model {
    struct State {
        raft::HardState hard_state;
        raft::LogPosition base;
        std::vector<raft::Entry> entries;
        raft::LogPosition snapshot;
        friend bool operator==(const State&, const State&) = default;
    };
    std::vector<State> states{State{}};  ///< after each step that was begun
    std::size_t acknowledged = 0;        ///< the last of them that was acknowledged

    void begin(const raft::Write& write) {
        State next = states.back();
        if (write.reset) {
            next.entries.clear();
            next.base = *write.reset;
        }
        for (const raft::Entry& one : write.entries) {
            std::erase_if(next.entries, [&](const auto& old) { return old.index >= one.index; });
            next.entries.push_back(one);
        }
        if (write.hard_state) next.hard_state = *write.hard_state;
        if (write.release) {
            next.base = *write.release;
            std::erase_if(next.entries,
                          [&](const auto& old) { return old.index <= next.base.index; });
        }
        states.push_back(next);
    }
    void begin_snapshot(raft::LogPosition last) {
        states.push_back(states.back());
        states.back().snapshot = last;
    }
    void acknowledge() { acknowledged = states.size() - 1; }
};

/// One life of a node that does everything once: false when its disk stopped.
bool run_script(const FakeFiles& files, Model& model) {
    Node<FakeWal> node(fake_wal(files));
    if (!node.recover()) return false;
    const auto write = [&](const raft::Write& one) {
        model.begin(one);
        if (!node.write(one)) return false;
        model.acknowledge();
        return true;
    };
    const auto save = [&](raft::LogPosition last) {
        model.begin_snapshot(last);
        if (!node.save(last, std::string(5000, 'z'))) return false;
        model.acknowledge();
        return true;
    };
    for (std::uint64_t i = 1; i <= 6; ++i) {
        raft::Write one = entries({entry(i, 1, 700), entry(i + 1, 1, 300)});
        one.hard_state = raft::HardState{{i}, {i % 3}, {}};
        if (!write(one)) return false;
    }
    if (!write(entries({entry(5, 7, 100), entry(6, 7, 1800), entry(7, 8, 10)}))) return false;
    if (!save(at(5, 7))) return false;
    if (!write(release(at(4, 1)))) return false;
    node.storage().drop_snapshots_before({5});
    for (std::uint64_t i = 8; i <= 12; ++i) {
        if (!write(entries({entry(i, 8, 900)}))) return false;
    }
    const std::string text(3000, 'q');
    const raft::SnapshotMeta meta{at(30, 9), three(), text.size(),
                                  rsm::detail::checksum(std::as_bytes(std::span(text)))};
    if (!node.receive(meta, 0, text.substr(0, 1000))) return false;
    model.begin_snapshot(meta.last);
    if (!node.receive(meta, 1000, text.substr(1000))) return false;
    model.acknowledge();
    raft::Write one = reset(meta.last);
    one.entries = {entry(31, 10, 50)};
    one.hard_state = raft::HardState{{10}, {}, {30}};
    if (!write(one)) return false;
    node.storage().drop_snapshots_before({30});
    if (!write(entries({entry(32, 10, 50)}))) return false;
    node.close();
    return true;
}

/// The state that a recovery has to show for a state of the model: a snapshot that the log does
/// not contain voids it.
Model::State expected_state(Model::State state) {
    const bool contained =
        state.snapshot == state.base ||
        std::ranges::any_of(state.entries, [&](const raft::Entry& one) {
            return one.position() == state.snapshot;
        });
    if (!contained && state.snapshot.index > state.base.index) {
        state.base = state.snapshot;
        state.entries.clear();
    }
    return state;
}

template <class NodeType>
Model::State state_of(NodeType& node, const raft::Recovered& recovered) {
    Model::State state{recovered.hard_state, recovered.base, {}, recovered.snapshot.last};
    if (recovered.last > recovered.base.index) {
        state.entries = *node.read(recovered.base.index.value + 1, 1 << 20);
    }
    CHECK(recovered.last == recovered.base.index + state.entries.size());
    return state;
}

TEST_CASE("After a crash at any file operation everything acknowledged is there") {
    std::uint64_t operations = 0;
    {
        FakeFiles files;
        Model model;
        REQUIRE(run_script(files, model));
        operations = files.disk->operations;
    }
    REQUIRE(operations > 60);
    for (std::uint64_t stop = 1; stop <= operations + 1; ++stop) {
        for (std::uint64_t seed = 0; seed < 12; ++seed) {
            CAPTURE(stop);
            CAPTURE(seed);
            FakeFiles files;
            Model model;
            files.disk->stop_at = stop;
            const bool finished = run_script(files, model);
            CHECK(finished == (stop > operations));
            files.disk->crash(seed);

            // The repair may be interrupted too; it changes nothing that counts.
            if (seed >= 6) {
                files.disk->operations = 0;
                files.disk->stop_at = 1 + (stop + seed) % 9;
                {
                    Node<FakeWal> node(fake_wal(files));
                    static_cast<void>(node.recover().has_value());
                }
                files.disk->crash(seed * 31 + stop);
            }
            Node<FakeWal> node(fake_wal(files));
            const raft::Recovered recovered = node.start();
            const Model::State state = state_of(node, recovered);
            bool found = false;
            for (std::size_t i = model.acknowledged; i < model.states.size(); ++i) {
                found = found || state == expected_state(model.states[i]);
            }
            REQUIRE(found);
            const std::uint64_t bytes = node.storage().persisted_bytes();
            const raft::HardState none;
            const std::uint64_t hard_state_bytes =
                state.hard_state == none ? 0 : raft::codec::persisted_hard_state_size;
            CHECK(bytes == bytes_of(state.entries) + hard_state_bytes);

            // The log goes on, and a second restart agrees.
            const auto next = entry(recovered.last.value + 1, 77, 600);
            CHECK(node.write(entries({next})).has_value());
            node.close();
            Node<FakeWal> again(fake_wal(files));
            const Model::State after = state_of(again, again.start());
            CHECK(after.base == state.base);
            REQUIRE(after.entries.size() == state.entries.size() + 1);
            CHECK(after.entries.back() == next);
        }
    }
}

TEST_CASE("A full or broken disk fails the operation and everything after it") {
    FakeFiles files;
    Node<FakeWal> node(fake_wal(files));
    node.start();
    CHECK(node.write(entries({entry(1, 1, 100)})).has_value());
    files.disk->stop_at = files.disk->operations + 2;
    const auto failed = node.write(entries({entry(2, 1, 100)}));
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().what == "stopped d/" + first_segment);
    // The disk is well again, but what it holds is unknown.
    files.disk->stop_at = UINT64_MAX;
    const std::uint64_t operations = files.disk->operations;
    CHECK(node.write(entries({entry(3, 1, 100)})).error() == failed.error());
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
using GatedWal = rsm::BasicWalStorage<GatedFiles, rsm::ThreadWorker>;

/// The recovery of an existing log opens its first segment under its final name.
GatedWal gated_wal(const TemporaryDirectory& directory, const GatedFiles& files) {
    {
        Node<rsm::WalStorage> node(rsm::WalStorage{directory.path()});
        node.start();
        node.close();
    }
    return GatedWal(rsm::WalOptions{.directory = directory.path()}, files);
}

TEST_CASE("What is submitted while a sync is under way is written with one more sync") {
    const TemporaryDirectory directory;
    const GatedFiles files;
    Node<GatedWal> node(gated_wal(directory, files));
    node.start();
    files.gate->syncs = 0;
    files.gate->close();
    int completed = 0;
    const auto done = [&](raft::Result<void> result) {
        CHECK(result.has_value());
        ++completed;
    };
    node.storage().append(entries({entry(1, 1, "a")}), done);
    files.gate->wait_until_blocked();
    for (std::uint64_t i = 2; i <= 500; ++i) {
        node.storage().append(entries({entry(i, 1, "b")}), done);
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
    Node<GatedWal> node(gated_wal(directory, files));
    node.start();
    const std::vector<raft::Entry> before{entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")};
    CHECK(node.write(entries(before)).has_value());
    files.gate->close();
    bool written = false;
    node.storage().append(entries({entry(2, 2, "longer than the one before")}),
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
    while (answers < 2 && node.io.run_one() != 0) {
    }
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
    Node<GatedWal> node(gated_wal(directory, files));
    node.start();
    CHECK(node.write(entries({entry(1, 1, "a")})).has_value());
    files.gate->fail = true;
    files.gate->syncs = 0;
    const auto failed = node.write(entries({entry(2, 1, "b")}));
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == std::errc::io_error);
    files.gate->fail = false;
    CHECK(node.write(entries({entry(3, 1, "c")})).error() == failed.error());
    CHECK(node.write(hard_state({{9}, {}, {}})).error() == failed.error());
    CHECK(files.gate->syncs == 1);
}

TEST_CASE("A storage that is destroyed during a sync waits for nothing and calls nobody") {
    const TemporaryDirectory directory;
    const GatedFiles files;
    bool called = false;
    {
        Node<GatedWal> node(gated_wal(directory, files));
        node.start();
        files.gate->close();
        const int left = files.gate->left;
        node.storage().append(entries({entry(1, 1, "a")}),
                              [&](raft::Result<void>) { called = true; });
        files.gate->wait_until_blocked();
        node.destroy();
        CHECK(files.gate->left == left);
        // The directory stays locked for as long as the worker is busy in it.
        Node<rsm::WalStorage> other(rsm::WalStorage{directory.path()});
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
        Node<rsm::WalStorage> node(rsm::WalStorage{options});
        node.start();
        std::uint64_t written = 0;
        std::uint64_t read = 0;
        int saved = 0;
        std::function<void(std::uint64_t)> write = [&](std::uint64_t first) {
            raft::Write batch = entries({});
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
                        at(first, 1), three(), produce(std::string(100000, 's')),
                        [&, first](raft::Result<raft::SnapshotMeta> meta) {
                            REQUIRE(meta.has_value());
                            node.storage().drop_snapshots_before({first});
                            ++saved;
                            // Half a segment stays readable under the reads that are under way.
                            if (first > 60) {
                                node.storage().append(release(at(first - 60, 1)),
                                                      [](raft::Result<void> ok) {
                                                          CHECK(ok.has_value());
                                                      });
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
    Node<rsm::WalStorage> node(rsm::WalStorage{options});
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{count});
    CHECK(recovered.snapshot.last == at(501, 1));
    CHECK(recovered.base == at(441, 1));
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
    Node<rsm::WalStorage> node(rsm::WalStorage{directory.path()});
    node.start();
    CHECK_FALSE(std::filesystem::exists(directory.path() + "/incoming.tmp"));
    CHECK(read_file(directory.path() + "/notes.txt") == "mine");
    node.close();
}

TEST_CASE("Errors of the operating system name the call and the path") {
    const TemporaryDirectory directory;
    write_file(directory.path() + "/file", "in the way");
    Node<rsm::WalStorage> node(rsm::WalStorage{directory.path() + "/file"});
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

TEST_CASE("Options out of range are refused") {
    const TemporaryDirectory directory;
    rsm::WalOptions options{.directory = directory.path()};
    SUBCASE("segments too small") { options.segment_bytes = 4095; }
    SUBCASE("segments too large") { options.segment_bytes = (1ULL << 30) + 1; }
    SUBCASE("empty batches") { options.batch_bytes = 0; }
    Node<rsm::WalStorage> node(rsm::WalStorage{options});
    CHECK(node.recover().error().code == std::errc::invalid_argument);
}

}  // namespace wal_crash_test
