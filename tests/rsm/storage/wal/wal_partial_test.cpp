// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that were being received when the node stopped: what the next life goes on from, and
// what it does not believe.
#include "support/fake_disk.hpp"
#include "support/storage_node.hpp"

#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace wal_partial_test {

using namespace rsm_test;
using raft::test::position;
using raft::test::voters;

namespace {

const std::string content_name = "d/incoming.tmp";
const std::string marks_name = "d/incoming-marks.tmp";

FakeWal plan(const FakeFiles& files) {
    rsm::WalOptions options = small_segments();
    options.pieces.snapshot_write_bytes = 64;
    options.pieces.snapshot_sync_bytes = 256;
    options.pieces.snapshot_read_bytes = 100;
    return FakeWal(options, files);
}

std::string text_of(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i * i % 23);
    return text;
}
raft::SnapshotMeta meta_of(const std::string& text, std::uint64_t index = 9) {
    return {position(index, 2), voters(3), text.size(),
            rsm::detail::checksum(std::as_bytes(std::span(text)))};
}

/// A disk on which a node has received so much of a snapshot of 2,000 bytes.
struct Receiver {
    FakeFiles files;
    std::string text = text_of(2000);
    raft::SnapshotMeta meta = meta_of(text);

    template <class Node>
    void receive(Node& node, std::size_t from, std::size_t to) {
        for (std::size_t at = from; at < to; at += 50) {
            const std::size_t count = std::min<std::size_t>(50, to - at);
            REQUIRE(*node.receive(meta, at, text.substr(at, count)) == raft::ChunkOutcome::stored);
        }
    }
    /// The process is killed: nothing more is written.
    void killed_at(std::size_t size) {
        StorageNode<FakeWal> node(plan(files));
        node.start();
        receive(node, 0, size);
        node.destroy();
        files.disk->locked = false;
    }
    void power_fails(std::uint64_t seed) { files.disk->crash(seed); }

    /// What the next life has of it; it goes on from there to the end, or begins anew.
    std::uint64_t finishes() {
        StorageNode<FakeWal> node(plan(files));
        const raft::Recovered recovered = node.start();
        if (recovered.partial) CHECK(*recovered.partial == meta);
        const std::uint64_t kept = recovered.partial_bytes;
        receive(node, kept, 1950);
        CHECK(*node.receive(meta, 1950, text.substr(1950)) == raft::ChunkOutcome::installed);
        CHECK(content(node.storage(), meta) == text);
        CHECK(files.disk->names.count(content_name) == 0);
        CHECK(files.disk->names.count(marks_name) == 0);
        node.close();
        StorageNode<FakeWal> again(plan(files));
        CHECK(again.start().snapshot == meta);
        return kept;
    }
};

}  // namespace

TEST_CASE("A transfer goes on after a restart from what was synced of it") {
    Receiver receiver;
    receiver.killed_at(1000);
    CHECK(receiver.finishes() == 768);
}

TEST_CASE("A node that stops in good order goes on from all that it has received") {
    Receiver receiver;
    StorageNode<FakeWal> node(plan(receiver.files));
    node.start();
    receiver.receive(node, 0, 1000);
    node.close();
    node.destroy();
    CHECK(receiver.finishes() == 1000);
}

TEST_CASE("A transfer goes on through several lives") {
    Receiver receiver;
    receiver.killed_at(600);
    for (const std::uint64_t expected : {512U, 768U, 1024U}) {
        StorageNode<FakeWal> node(plan(receiver.files));
        CHECK(node.start().partial_bytes == expected);
        receiver.receive(node, expected, expected + 300);
        node.destroy();
        receiver.files.disk->locked = false;
    }
    CHECK(receiver.finishes() >= 1280);
}

TEST_CASE("Whatever a power failure leaves of a transfer, it ends in the snapshot that was sent") {
    std::size_t resumed = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        Receiver receiver;
        receiver.killed_at(500 + 20 * seed);
        receiver.power_fails(seed);
        const std::uint64_t kept = receiver.finishes();
        // What was marked was synced before, and so were the names.
        CHECK(kept >= (500 + 20 * seed - 50) / 256 * 256 - 256);
        if (kept != 0) ++resumed;
    }
    CHECK(resumed == 60);
}

TEST_CASE("Wherever the machine stops in a transfer, the next life makes a snapshot of it") {
    std::uint64_t operations = 0;
    {
        Receiver receiver;
        const std::uint64_t before = receiver.files.disk->operations;
        receiver.killed_at(1950);
        operations = receiver.files.disk->operations - before;
    }
    REQUIRE(operations > 20);
    for (std::uint64_t stop = 1; stop <= operations; ++stop) {
        CAPTURE(stop);
        Receiver receiver;
        {
            StorageNode<FakeWal> node(plan(receiver.files));
            if (node.recover()) {
                receiver.files.disk->stop_at = receiver.files.disk->operations + stop;
                for (std::size_t at = 0; at < 1950; at += 50) {
                    const auto text = receiver.text.substr(at, 50);
                    if (!node.receive(receiver.meta, at, text)) break;
                }
            }
            node.destroy();
        }
        receiver.power_fails(stop);
        receiver.finishes();
    }
}

TEST_CASE("What is damaged of a part, or of its marks, is not believed") {
    Receiver receiver;
    receiver.killed_at(1000);
    auto& disk = *receiver.files.disk;
    const auto flip = [&](const std::string& name, std::size_t back) {
        std::string& bytes = disk.names.at(name)->now;
        bytes[bytes.size() - back] = static_cast<char>(bytes[bytes.size() - back] ^ 1);
    };
    SUBCASE("the content before the last mark") {
        flip(content_name, disk.names.at(content_name)->now.size() -
                               (disk.names.at(content_name)->now.size() - 960) - 600);
        CHECK(receiver.finishes() <= 512);
    }
    SUBCASE("the content behind it") {
        flip(content_name, 1);
        CHECK(receiver.finishes() == 768);
    }
    SUBCASE("the last mark") {
        flip(marks_name, 3);
        CHECK(receiver.finishes() == 512);
    }
    SUBCASE("the head of the marks") {
        flip(marks_name, disk.names.at(marks_name)->now.size() - 20);
        CHECK(receiver.finishes() == 0);
    }
    SUBCASE("the marks are gone") {
        disk.names.erase(marks_name);
        CHECK(receiver.finishes() == 0);
    }
    SUBCASE("the content is gone") {
        disk.names.erase(content_name);
        CHECK(receiver.finishes() == 0);
    }
    SUBCASE("the content is shorter than its marks say") {
        disk.names.at(content_name)->now.resize(700);
        CHECK(receiver.finishes() == 512);
    }
}

TEST_CASE("A part of a snapshot goes when it is of no use") {
    Receiver receiver;
    receiver.killed_at(1000);
    const auto& names = receiver.files.disk->names;
    SUBCASE("because the node has a newer one") {
        StorageNode<FakeWal> node(plan(receiver.files));
        CHECK(node.start().partial_bytes == 768);
        CHECK(node.save(position(9, 2), "own").has_value());
        node.close();
        node.destroy();
        StorageNode<FakeWal> again(plan(receiver.files));
        CHECK(!again.start().partial);
        CHECK(names.count(content_name) + names.count(marks_name) == 0);
    }
    SUBCASE("because it is abandoned") {
        StorageNode<FakeWal> node(plan(receiver.files));
        node.start();
        node.storage().abandon_transfer();
        node.run();
        CHECK(names.count(content_name) + names.count(marks_name) == 0);
    }
    SUBCASE("because another one is received") {
        StorageNode<FakeWal> node(plan(receiver.files));
        node.start();
        const raft::SnapshotMeta other = meta_of("another", 12);
        CHECK(*node.receive(other, 0, "anot") == raft::ChunkOutcome::stored);
        CHECK(names.count(marks_name) == 0);
        CHECK(*node.receive(other, 4, "her") == raft::ChunkOutcome::installed);
        CHECK(names.count(content_name) == 0);
    }
    SUBCASE("a piece that does not continue it is rejected") {
        StorageNode<FakeWal> node(plan(receiver.files));
        node.start();
        CHECK(*node.receive(receiver.meta, 700, "x") == raft::ChunkOutcome::rejected);
        CHECK(names.count(content_name) + names.count(marks_name) == 0);
    }
}

TEST_CASE("Marks that cannot be written do not harm the transfer") {
    Receiver receiver;
    StorageNode<FakeWal> node(plan(receiver.files));
    node.start();
    receiver.receive(node, 0, 200);
    receiver.files.disk->refuses = EMFILE;
    receiver.receive(node, 200, 1950);
    receiver.files.disk->refuses = 0;
    CHECK(*node.receive(receiver.meta, 1950, receiver.text.substr(1950)) ==
          raft::ChunkOutcome::installed);
    CHECK(content(node.storage(), receiver.meta) == receiver.text);
}

}  // namespace wal_partial_test
