// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// rsm-wal, on directories of all kinds.
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/bytes.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/backup.hpp>
#include <rsm/members.hpp>
#include <rsm/storage/wal.hpp>

#include <rsm-wal/commands.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace rsm_wal_test {

using namespace raft::test;
using namespace rsm_test;
using Node = StorageNode<rsm::WalStorage>;

raft::Identity identity() {
    raft::Identity identity{{2}, "shop", {}, {0xabc}, true};
    identity.founding.members = {rsm::voter(1, "a:1"), rsm::voter(2, "b:2")};
    return identity;
}
rsm::WalOptions options_for(const std::string& path) {
    rsm::WalOptions options;
    options.directory = path;
    options.segment_bytes = 4096;
    options.pieces.first_segment_bytes = 4096;
    return options;
}
Node node_on(const std::string& path) {
    return Node(rsm::WalStorage(options_for(path)), identity());
}
raft::Entry text_entry(std::uint64_t index, std::uint64_t term, std::string text) {
    return {{index}, {term}, raft::EntryKind::operation, raft::Bytes::copy_of(text)};
}

/// Six entries in one segment, of which four are known to be committed.
void fill(Node& node) {
    raft::Write write = write_of({text_entry(1, 1, "one")});
    write.hard_state = raft::HardState{{1}, {2}, {}};
    REQUIRE(node.write(write).has_value());
    raft::Membership members = identity().founding;
    members.members[0].instance = {0x11};
    raft::Entry membership{{2}, {1}, raft::EntryKind::membership, {}};
    membership.payload = raft::codec::encode(members);
    REQUIRE(node.write(write_of({membership})).has_value());
    REQUIRE(node.write(write_of({text_entry(3, 1, "a rather long operation"),
                                 text_entry(4, 2, ""),
                                 {{5}, {2}, raft::EntryKind::barrier, {}},
                                 text_entry(6, 2, "six")}))
                .has_value());
    raft::Write last;
    last.hard_state = raft::HardState{{3}, {1}, {4}};
    REQUIRE(node.write(last).has_value());
}

struct Said {
    int status = 0;
    std::string out;
    std::string err;
};
struct Bed {
    Bed() : path(directory / "d") {}

    std::map<std::string, std::string> files() const {
        std::map<std::string, std::string> all;
        for (const auto& item : std::filesystem::directory_iterator(path)) {
            all[item.path().filename()] = read_file(item.path());
        }
        return all;
    }
    template <class Command>
    Said say(Command command) const {
        std::ostringstream out;
        std::ostringstream err;
        Said said;
        said.status = command(out, err);
        said.out = plain(out.str());
        said.err = plain(err.str());
        return said;
    }
    Said show(bool json = false) const {
        return say([&](auto& out, auto& err) { return rsm_wal::show(path, json, out, err); });
    }
    Said verify() const {
        return say([&](auto& out, auto& err) { return rsm_wal::verify(path, out, err); });
    }
    Said dump(rsm_wal::Range range = {}, bool json = false) const {
        return say(
            [&](auto& out, auto& err) { return rsm_wal::dump(path, range, json, out, err); });
    }
    Said cut(rsm_wal::Cut wish) const {
        return say([&](auto& out, auto& err) { return rsm_wal::cut(path, wish, out, err); });
    }
    /// Without what is another one each time.
    std::string plain(std::string text) const {
        for (auto at = text.find(path); at != std::string::npos; at = text.find(path)) {
            text.replace(at, path.size(), "D");
        }
        return text;
    }
    void change(const std::string& name, std::size_t at) const {
        std::string bytes = read_file(path + "/" + name);
        REQUIRE(at < bytes.size());
        bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
        write_file(path + "/" + name, bytes);
    }

    TemporaryDirectory directory;
    std::string path;
};
const std::string first = "00000000000000000001.wal";

TEST_CASE("show tells whose a directory is, and what is in it") {
    Bed bed;
    Node node = node_on(bed.path);
    node.start();
    fill(node);
    REQUIRE(node.save({{3}, {1}}, "a state").has_value());
    node.close();
    const auto before = bed.files();
    const Said said = bed.show();
    CHECK(said.status == 0);
    CHECK(said.err.empty());
    CHECK(said.out ==
          "D\n"
          "  cluster     \"shop\", founded with 1 (voter at a:1), 2 (voter at b:2)\n"
          "  node        2, instance 0000000000000abc, a founder\n"
          "  term        3, vote for node 1\n"
          "  log         entries behind 0 of term 0, up to 6 of term 2; 327 bytes\n"
          "  committed   up to 4, as far as this node knew\n"
          "  snapshot    up to 3 of term 1, 7 bytes, members 1 (voter), 2 (voter), 3 (voter)\n"
          "  segment     1: 4096 bytes, used, entries 1 to 6\n"
          "  segment     2: 4096 bytes, unused\n");
    const auto json = nlohmann::json::parse(bed.show(true).out);
    CHECK(json["identity"]["cluster"] == "shop");
    CHECK(json["identity"]["founding"][1]["address"] == "b:2");
    CHECK(json["in_use"] == false);
    CHECK(json["log"]["last"]["index"] == 6);
    CHECK(json["snapshot"]["at"]["index"] == 3);
    CHECK(json["segments"].size() == 2);
    CHECK(json["damages"].empty());
    CHECK(json["lost_up_to"].is_null());
    CHECK(bed.files() == before);
}

TEST_CASE(
    "show and verify tell of a backup how far it goes, whose it is, and whether it is whole") {
    const Bed bed;
    rsm::CapturedState state;
    state.last = {{8210003}, {7}};
    state.membership.members = {rsm::voter(1, "a:1"), rsm::learner(3, "c:3")};
    state.identity = identity();
    state.identity.origin = 0xfeed;
    state.produce = [](raft::ByteSink& sink) {
        sink.write(std::as_bytes(std::span(std::string_view("a state"))));
    };
    const auto saved = rsm::Backup::save(state, bed.path);
    REQUIRE(saved.has_value());
    const std::string checksum = rsm::detail::hexadecimal(saved->meta().checksum);
    const std::string what =
        "  cluster     \"shop\", founded with 1 (voter at a:1), 2 (voter at b:2)\n"
        "  origin      backup 000000000000feed\n"
        "  position    index 8210003 of term 7\n"
        "  members     1 (voter at a:1), 3 (learner at c:3)\n"
        "  state       7 bytes, checksum " +
        checksum;
    Said said = bed.show();
    CHECK(said.status == 0);
    CHECK(said.out == "D: a backup, whole\n" + what + ", which is that of what is there\n");
    const auto json = nlohmann::json::parse(bed.show(true).out);
    CHECK(json["at"]["index"] == 8210003);
    CHECK(json["members"][1]["standing"] == "learner");
    CHECK(json["damage"].is_null());
    CHECK(bed.verify().status == 0);
    CHECK(bed.verify().out == "D: whole\n");

    std::string bytes = read_file(bed.path);
    bytes.back() = '?';
    write_file(bed.path, bytes);
    said = bed.show();
    CHECK(said.status == 1);
    CHECK(said.out.starts_with("D: a backup, damaged\n" + what + "\n  damage      D"));
    CHECK(bed.verify().status == 1);
    CHECK(bed.verify().err.find("the backup is damaged") != std::string::npos);
    write_file(bed.path, bytes.substr(0, bytes.size() - 1));
    CHECK(bed.show().status == 1);
    CHECK(bed.show().err.find("it should end at ") != std::string::npos);
    write_file(bed.path, "no backup");
    CHECK(bed.verify().status == 1);
    CHECK(bed.verify().err == "rsm-wal: D is no backup\n");
}

TEST_CASE("show tells that a node is running, and does not disturb it") {
    Bed bed;
    Node node = node_on(bed.path);
    node.start();
    fill(node);
    CHECK(bed.show().out.find("D: a node is running on it\n") == 0);
    CHECK(bed.verify().status == 0);
    CHECK(bed.verify().out == "D: whole, with a node running on it\n");
    const Said said = bed.cut({5, 5, false});
    CHECK(said.status == 2);
    CHECK(said.err == "rsm-wal: D: a node is running on it, stop it first\n");
    REQUIRE(node.write(write_of({text_entry(7, 3, "seven")})).has_value());
    CHECK(bed.dump({7, {}}).out == "7 term 3 operation 5 bytes: 736576656e\n");
    node.close();
}

TEST_CASE("dump shows entries, and members in words") {
    Bed bed;
    Node node = node_on(bed.path);
    node.start();
    fill(node);
    node.close();
    const Said all = bed.dump();
    CHECK(all.status == 0);
    CHECK(all.out ==
          "1 term 1 operation 3 bytes: 6f6e65\n"
          "2 term 1 membership 60 bytes: 1 (voter at a:1, instance 0000000000000011), "
          "2 (voter at b:2)\n"
          "3 term 1 operation 23 bytes: 6120726174686572206c6f6e67206f70...\n"
          "4 term 2 operation 0 bytes\n"
          "5 term 2 barrier 0 bytes\n"
          "6 term 2 operation 3 bytes: 736978\n");
    CHECK(bed.dump({4, 5}).out == "4 term 2 operation 0 bytes\n5 term 2 barrier 0 bytes\n");
    CHECK(bed.dump({7, 9}).out.empty());
    CHECK(bed.dump({6, 4}).out.empty());
    const auto json = nlohmann::json::parse(bed.dump({2, 2}, true).out);
    CHECK(json["kind"] == "membership");
    CHECK(json["members"][0]["instance"] == "0000000000000011");
}

TEST_CASE("verify finds damage wherever it is, and changes nothing") {
    Bed bed;
    Node node = node_on(bed.path);
    node.start();
    fill(node);
    for (std::uint64_t index = 7; index < 20; ++index) {
        REQUIRE(node.write(write_of({text_entry(index, 3, std::string(1000, 'x'))})).has_value());
    }
    REQUIRE(node.save({{3}, {1}}, "a state").has_value());
    node.close();
    CHECK(bed.verify().status == 0);
    CHECK(bed.verify().out == "D: whole\n");
    std::string where;
    SUBCASE("in the log") {
        bed.change(first, 700);
        where = "D/" + first + " at offset";
    }
    SUBCASE("in a snapshot") {
        bed.change("00000000000000000003-00000000000000000001.snapshot", 140);
        where = "D/00000000000000000003-00000000000000000001.snapshot at offset";
    }
    SUBCASE("a segment is missing") {
        std::filesystem::remove(bed.path + "/00000000000000000002.wal");
        where = "D/00000000000000000002.wal is missing";
    }
    const auto before = bed.files();
    const Said said = bed.verify();
    CHECK(said.status == 1);
    CHECK((said.out + said.err).find(where) != std::string::npos);
    CHECK(said.out.find("D: damaged\n") != std::string::npos);
    const Said shown = bed.show();
    CHECK(shown.status == 0);
    CHECK(shown.out.find("DAMAGE      " + where) != std::string::npos);
    CHECK(bed.files() == before);
}

TEST_CASE("what nobody can make out is damaged, and what is not there cannot be read") {
    Bed bed;
    CHECK(bed.verify().status == 2);
    CHECK(bed.show().status == 2);
    CHECK(bed.dump().status == 2);
    CHECK(bed.cut({1, 1, true}).status == 2);
    CHECK_FALSE(std::filesystem::exists(bed.path));
    std::filesystem::create_directory(bed.path);
    CHECK(bed.show().err.find("holds no log of a node") != std::string::npos);
    CHECK(bed.files().empty());
    Node node = node_on(bed.path);
    node.start();
    fill(node);
    node.close();
    SUBCASE("the identity") {
        bed.change("identity", 30);
        CHECK(bed.verify().status == 1);
        CHECK(bed.show().err.find("D/identity at offset 0") != std::string::npos);
    }
    SUBCASE("a version that is not known") {
        std::string bytes = read_file(bed.path + "/identity");
        bytes[8] = 9;
        const std::size_t covered = bytes.size() - 8;
        raft::codec::store_little(
            reinterpret_cast<std::byte*>(bytes.data()) + covered,
            rsm::detail::checksum(std::as_bytes(std::span(bytes)).first(covered)));
        write_file(bed.path + "/identity", bytes);
        CHECK(bed.verify().status == 2);
    }
}

TEST_CASE("a write that was never completed is no damage") {
    Bed bed;
    Node node = node_on(bed.path);
    node.start();
    fill(node);
    const std::string before = read_file(bed.path + "/" + first);
    REQUIRE(node.write(write_of({text_entry(7, 3, std::string(1000, 'x'))})).has_value());
    node.close();
    // Of the last batch a whole sector did not arrive.
    std::string after = read_file(bed.path + "/" + first);
    const std::size_t begin = before.find_last_not_of('\0') + 1;
    const std::size_t sector = (begin / 512 + 1) * 512;
    for (std::size_t i = sector; i < sector + 512; ++i) after[i] = '\0';
    write_file(bed.path + "/" + first, after);
    CHECK(bed.verify().status == 0);
    CHECK(bed.show().out.find("unfinished") != std::string::npos);
    CHECK(bed.show().out.find("up to 6 of term 2") != std::string::npos);
    CHECK(read_file(bed.path + "/" + first) == after);
}

// ---- cut ----

TEST_CASE("cut ends the log where it is told, and the node goes on from there") {
    Bed bed;
    {
        Node node = node_on(bed.path);
        node.start();
        fill(node);
        node.close();
    }
    const auto before = bed.files();
    const Said asked = bed.cut({5, {}, false});
    CHECK(asked.status == 2);
    CHECK(asked.out == "the entries 6 to 6 go; known to be committed are those up to 4\n");
    CHECK(asked.err.find("--yes-lose-entries-above 5\n") != std::string::npos);
    CHECK(bed.cut({5, 4, false}).status == 2);
    CHECK(bed.files() == before);
    const Said said = bed.cut({5, 5, false});
    CHECK(said.err.empty());
    REQUIRE(said.status == 0);
    CHECK(said.out.find("D: the log ends with entry 5\n") != std::string::npos);
    CHECK(bed.verify().status == 0);
    CHECK(bed.show().out.find("up to 5 of term 2") != std::string::npos);
    Node node = node_on(bed.path);
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last.value == 5);
    CHECK(recovered.hard_state == raft::HardState{{3}, {1}, {4}});
    CHECK(recovered.promised == raft::LogPosition{});
    CHECK(recovered.memberships.size() == 1);
    CHECK(node.storage().recovery_report().empty());
    REQUIRE(node.write(write_of({text_entry(6, 4, "another")})).has_value());
    node.close();
    CHECK(bed.dump({6, {}}).out == "6 term 4 operation 7 bytes: 616e6f74686572\n");
}

TEST_CASE("cut goes below what is committed only when it is forced, and never below a snapshot") {
    Bed bed;
    {
        Node node = node_on(bed.path);
        node.start();
        fill(node);
        REQUIRE(node.save({{2}, {1}}, "a state").has_value());
        node.close();
    }
    const auto before = bed.files();
    CHECK(bed.cut({3, 3, false}).err.find("up to 4 are known to be committed") !=
          std::string::npos);
    CHECK(bed.cut({1, 1, true}).err.find("the snapshot holds everything up to entry 2") !=
          std::string::npos);
    CHECK(bed.cut({6, 6, true}).err.find("the log ends with 6") != std::string::npos);
    CHECK(bed.files() == before);
    CHECK(bed.cut({3, 3, true}).status == 0);
    Node node = node_on(bed.path);
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last.value == 3);
    CHECK(recovered.hard_state.commit.value == 3);
    CHECK(recovered.runs.size() == 1);
    node.close();
}

TEST_CASE("cut takes a log of several segments") {
    Bed bed;
    {
        Node node = node_on(bed.path);
        node.start();
        for (std::uint64_t index = 1; index < 20; ++index) {
            REQUIRE(
                node.write(write_of({text_entry(index, 3, std::string(1000, 'x'))})).has_value());
        }
        node.close();
    }
    REQUIRE(bed.cut({4, 4, false}).status == 0);
    Node node = node_on(bed.path);
    CHECK(node.start().last.value == 4);
    const auto entries = node.read(1, 1 << 20);
    REQUIRE(entries.has_value());
    CHECK(entries->size() == 4);
    node.close();
}

}  // namespace rsm_wal_test
