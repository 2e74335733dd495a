// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What only a PlainStorage does. What every storage does it is asked in
// rsm/storage/storage_test.cpp.
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <policies/plain_storage.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/storage/errors.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace plain_storage_test {

using namespace rsm_test;
using namespace raft::test;

namespace {

using Plain = StorageNode<policies::PlainStorage>;

/// A directory with five entries in it, each in a record of its own.
struct Written {
    Written() {
        Plain node(plan());
        node.start();
        for (std::uint64_t i = 1; i <= 5; ++i) {
            ends.push_back(read_file(log()).size());
            CHECK(node.write(write_of({entry(i, 1, 100)})).has_value());
        }
        node.close();
        whole = read_file(log());
    }
    policies::PlainStorage plan() const { return policies::PlainStorage(directory.path()); }
    std::string log() const { return directory.path() + "/log"; }

    TemporaryDirectory directory;
    std::vector<std::size_t> ends;  ///< where the records of the entries begin
    std::string whole;
};

/// No file of this process may be longer, as if the disk were full.
class FileSizeLimit {
public:
    explicit FileSizeLimit(std::size_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        const rlimit limit{bytes, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, signal_);
    }

private:
    rlimit before_{};
    void (*signal_)(int);
};

}  // namespace

TEST_CASE("plain: a last record that is torn anywhere is cut, and the log goes on before it") {
    Written written;
    std::string torn = written.whole;
    SUBCASE("it is short") { torn.resize(written.ends[4] + 60); }
    SUBCASE("its header is short") { torn.resize(written.ends[4] + 7); }
    SUBCASE("its room was reserved") {
        torn.replace(written.ends[4], torn.size() - written.ends[4],
                     std::string(torn.size() - written.ends[4], '\0'));
    }
    SUBCASE("its header is missing") { torn.replace(written.ends[4], 24, std::string(24, '\0')); }
    SUBCASE("a part of its body is missing") { torn[written.ends[4] + 90] = '\0'; }
    write_file(written.log(), torn);
    {
        Plain node(written.plan());
        CHECK(node.start().last == raft::Index{4});
        REQUIRE(node.storage().recovery_report().size() == 1);
        CHECK(node.storage().recovery_report()[0].find("/log: cut an incomplete record at offset " +
                                                       std::to_string(written.ends[4])) !=
              std::string::npos);
        CHECK(node.write(write_of({entry(5, 2, "another")})).has_value());
        node.close();
    }
    Plain node(written.plan());
    CHECK(node.start().last == raft::Index{5});
    CHECK(node.storage().recovery_report().empty());
    CHECK(node.read(5, 1)->front() == entry(5, 2, "another"));
}

TEST_CASE("plain: a damaged record with others behind it is refused by file and offset") {
    Written written;
    std::string damaged = written.whole;
    std::size_t record = 0;
    SUBCASE("in a body") {
        record = written.ends[2];
        damaged[record + 80] ^= 1;
    }
    SUBCASE("in a header") {
        record = written.ends[2];
        damaged[record + 9] ^= 1;
    }
    SUBCASE("in the image at the beginning") { damaged[30] ^= 1; }
    SUBCASE("the last but one") {
        record = written.ends[3];
        damaged[record + 1] ^= 1;
    }
    write_file(written.log(), damaged);
    {
        Plain node(written.plan());
        const auto recovered = node.recover();
        REQUIRE_FALSE(recovered.has_value());
        CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
        const std::string place = "/log at offset " + std::to_string(record) + ":";
        CHECK(recovered.error().what.find(place) != std::string::npos);
    }
    CHECK(read_file(written.log()) == damaged);
}

TEST_CASE("plain: a log that is cut to nothing or missing is refused") {
    Written written;
    {
        Plain node(written.plan());
        node.start();
        CHECK(node.save(position(3, 1), "state").has_value());
        node.close();
    }
    SUBCASE("empty") { write_file(written.log(), ""); }
    SUBCASE("without its beginning's end") {
        write_file(written.log(), written.whole.substr(0, 30));
    }
    SUBCASE("missing") { std::filesystem::remove(written.log()); }
    Plain node(written.plan());
    CHECK(node.recover().error().code == rsm::StorageErrc::corrupted);
}

TEST_CASE("plain: a file of which most is released is replaced by a short one") {
    Written written;
    {
        Plain node(written.plan());
        node.start();
        for (std::uint64_t i = 6; i <= 40; ++i) {
            CHECK(node.write(write_of({entry(i, 1, 100000)})).has_value());
        }
        CHECK(read_file(written.log()).size() > 3000000);
        CHECK(node.save(position(39, 1), "state").has_value());
        CHECK(node.write(release(position(39, 1))).has_value());
        CHECK(read_file(written.log()).size() < 110000);
        CHECK(node.write(write_of({entry(41, 2, "next")})).has_value());
        node.close();
    }
    // What a crash in the midst of this leaves is not looked at.
    write_file(written.log() + ".new", "half an image");
    Plain node(written.plan());
    const raft::Recovered recovered = node.start();
    CHECK(recovered.base == position(39, 1));
    CHECK(recovered.last == raft::Index{41});
    CHECK(node.read(40, 1)->front() == entry(40, 1, 100000));
    CHECK(node.storage().persisted_bytes() ==
          bytes_of({entry(40, 1, 100000), entry(41, 2, "next")}));
    CHECK_FALSE(std::filesystem::exists(written.log() + ".new"));
}

TEST_CASE("plain: a write that finds no room waits for it, and fails when the storage is closed") {
    Written written;
    std::optional<Plain> node(written.plan());
    node->start();
    std::optional<raft::Result<void>> outcome;
    {
        const FileSizeLimit limit(written.whole.size() + 1000);
        node->storage().append(write_of({entry(6, 1, 5000)}),
                               [&](raft::Result<void> result) { outcome = std::move(result); });
        node->storage().append(write_of({entry(7, 1, 10)}), [](auto) {});
        // Snapshots have a thread of their own, and find room as long as they are short.
        std::optional<bool> saved;
        node->storage().save_snapshot(position(3, 1), voters(3), produce("state"),
                                      [&](auto result) { saved = result.has_value(); });
        while (!saved) node->io.run_one();
        CHECK(*saved);
        CHECK_FALSE(outcome.has_value());
    }
    node->run();
    REQUIRE(outcome.has_value());
    CHECK(outcome->has_value());
    CHECK(node->read(7, 1)->front() == entry(7, 1, 10));
    {
        const FileSizeLimit limit(read_file(written.log()).size() + 1000);
        outcome.reset();
        node->storage().append(write_of({entry(8, 1, 5000)}),
                               [&](raft::Result<void> result) { outcome = std::move(result); });
        node->close();
    }
    REQUIRE(outcome.has_value());
    CHECK(outcome->error().code == std::errc::file_too_large);
    node.emplace(written.plan());
    CHECK(node->start().last == raft::Index{7});
}

TEST_CASE("plain: an unfinished snapshot is removed, and a damaged one is not restored from") {
    Written written;
    raft::SnapshotMeta kept;
    {
        Plain node(written.plan());
        node.start();
        kept = *node.save(position(3, 1), std::string(200000, 's'));
        node.close();
    }
    const std::string aside = written.directory.path() + "/snapshot.saving";
    const std::string path = written.directory.path() + "/snapshot-3-1";
    write_file(aside, "half a snapshot");
    std::string bytes = read_file(path);
    bool readable = true;
    SUBCASE("in its content") { bytes[bytes.size() - 5] ^= 1; }
    SUBCASE("in its length") { bytes.resize(bytes.size() - 1); }
    SUBCASE("in its description") {
        bytes[20] ^= 1;
        readable = false;
    }
    write_file(path, bytes);
    Plain node(written.plan());
    const auto recovered = node.recover();
    CHECK(recovered.has_value() == readable);
    CHECK_FALSE(std::filesystem::exists(aside));
    if (readable) {
        CHECK(recovered->snapshot == kept);
        CHECK(node.storage().open_snapshot(kept).error().code == rsm::StorageErrc::corrupted);
    } else {
        CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
    }
}

}  // namespace plain_storage_test
