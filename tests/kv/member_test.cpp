// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What MEMBER and TRANSFER ask for, and what the members become by it.
#include <kv/cli_status.hpp>
#include <kv/command.hpp>
#include <kv/member_commands.hpp>

#include <rsm/members.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace member_test {

namespace {

using Words = std::vector<std::string_view>;
using Kind = kv::MemberEdit::Kind;

kv::Command parse(const Words& words) {
    kv::Connection connection;
    return kv::parse_command(words, connection);
}

/// The error that it is answered with; empty: it is none.
std::string refusal(const Words& words) {
    const kv::Command command = parse(words);
    const auto* const immediate = std::get_if<kv::Immediate>(&command);
    return immediate == nullptr ? "" : immediate->reply;
}

kv::MemberEdit edit(const Words& words) {
    const kv::Command command = parse(words);
    REQUIRE(std::holds_alternative<kv::MemberEdit>(command));
    return std::get<kv::MemberEdit>(command);
}

void check_edit(const Words& words, const kv::MemberEdit& expected) {
    const kv::MemberEdit found = edit(words);
    CHECK(found.kind == expected.kind);
    CHECK(found.node == expected.node);
    CHECK(found.successor == expected.successor);
    CHECK(found.address == expected.address);
    CHECK(found.priority == expected.priority);
}

rsm::Members members() {
    rsm::Members members{rsm::voter(1, "a:1"), rsm::voter(2, "b:1"), rsm::learner(3, "c:1")};
    for (rsm::Member& member : members) member.instance = {10 + member.id.value};
    return members;
}

kv::EditedMembers after(const Words& words) { return kv::edited(members(), edit(words)); }

std::string arity(const std::string& subcommand) {
    return "-ERR wrong number of arguments for 'member|" + subcommand + "' command\r\n";
}

}  // namespace

TEST_CASE("member commands: each subcommand says what is to be changed") {
    check_edit({"MEMBER", "ADD", "4", "d:1"}, {Kind::add, 4, 4, "d:1"});
    check_edit({"member", "add", "4", "d:1", "LEARNER"}, {Kind::add_learner, 4, 4, "d:1"});
    check_edit({"MEMBER", "REMOVE", "4"}, {Kind::remove, 4, 4, ""});
    check_edit({"MEMBER", "promote", "4"}, {Kind::promote, 4, 4, ""});
    check_edit({"MEMBER", "DEMOTE", "4"}, {Kind::demote, 4, 4, ""});
    check_edit({"MEMBER", "MOVE", "4", "d:1"}, {Kind::move, 4, 4, "d:1"});
    check_edit({"MEMBER", "REPLACE", "4", "5", "d:1"}, {Kind::replace, 4, 5, "d:1"});
    check_edit({"MEMBER", "PRIORITY", "4", "0"}, {Kind::prioritize, 4, 4, "", 0});
    check_edit({"member", "priority", "4", "4294967295"}, {Kind::prioritize, 4, 4, "", 4294967295});
    CHECK(std::get<kv::MemberQuery>(parse({"MEMBER", "LIST"})) == kv::MemberQuery::list);
    CHECK(std::get<kv::MemberQuery>(parse({"MEMBER", "Founding"})) == kv::MemberQuery::founding);
    CHECK(std::get<kv::Transfer>(parse({"TRANSFER"})).target == 0);
    CHECK(std::get<kv::Transfer>(parse({"transfer", "7"})).target == 7);
}

TEST_CASE("member commands: too few words or too many are refused by the subcommand's name") {
    CHECK(refusal({"MEMBER", "LIST", "x"}) == arity("list"));
    CHECK(refusal({"MEMBER", "FOUNDING", "x"}) == arity("founding"));
    CHECK(refusal({"MEMBER", "ADD", "4"}) == arity("add"));
    CHECK(refusal({"MEMBER", "ADD", "4", "d:1", "LEARNER", "x"}) == arity("add"));
    CHECK(refusal({"MEMBER", "REMOVE"}) == arity("remove"));
    CHECK(refusal({"MEMBER", "REMOVE", "4", "x"}) == arity("remove"));
    CHECK(refusal({"MEMBER", "PROMOTE"}) == arity("promote"));
    CHECK(refusal({"MEMBER", "DEMOTE", "4", "x"}) == arity("demote"));
    CHECK(refusal({"MEMBER", "MOVE", "4"}) == arity("move"));
    CHECK(refusal({"MEMBER", "REPLACE", "4", "d:1"}) == arity("replace"));
    CHECK(refusal({"MEMBER", "PRIORITY", "4"}) == arity("priority"));
    CHECK(refusal({"MEMBER"}) == "-ERR wrong number of arguments for 'member' command\r\n");
    CHECK(refusal({"TRANSFER", "1", "2"}) ==
          "-ERR wrong number of arguments for 'transfer' command\r\n");
    CHECK(refusal({"MEMBER", "BANISH", "4"}) == "-ERR unknown subcommand 'BANISH' of 'member'\r\n");
    CHECK(refusal({"MEMBER", "ADD", "4", "d:1", "king"}).starts_with("-ERR unknown"));
}

TEST_CASE("member commands: an id is a positive integer") {
    const std::string expected = "-ERR the id of a node is a positive integer\r\n";
    for (const std::string_view id : {"0", "-1", "x", "", "1x", "99999999999999999999"}) {
        CAPTURE(id);
        CHECK(refusal({"MEMBER", "REMOVE", id}) == expected);
        CHECK(refusal({"MEMBER", "ADD", id, "d:1"}) == expected);
        CHECK(refusal({"MEMBER", "REPLACE", "1", id, "d:1"}) == expected);
        CHECK(refusal({"TRANSFER", id}) == expected);
    }
}

TEST_CASE("member commands: a priority is an unsigned integer of 32 bits") {
    for (const std::string_view priority : {"-1", "x", "", "4294967296", "1.5"}) {
        CAPTURE(priority);
        CHECK(refusal({"MEMBER", "PRIORITY", "1", priority}).starts_with("-ERR a priority is"));
    }
    CHECK(refusal({"MEMBER", "PRIORITY", "x", "1"}).starts_with("-ERR the id of a node"));
}

TEST_CASE("edited members: who comes is a voter or a learner that no instance is known of") {
    rsm::Members expected = members();
    expected.push_back(rsm::voter(4, "d:1"));
    CHECK(after({"MEMBER", "ADD", "4", "d:1"}).members == expected);
    expected.back() = rsm::learner(4, "d:1");
    CHECK(after({"MEMBER", "ADD", "4", "d:1", "learner"}).members == expected);
}

TEST_CASE("edited members: only what is asked for changes") {
    rsm::Members expected = members();
    expected[2].standing = raft::Standing::voter;
    CHECK(after({"MEMBER", "PROMOTE", "3"}).members == expected);
    expected = members();
    expected[1].standing = raft::Standing::learner;
    CHECK(after({"MEMBER", "DEMOTE", "2"}).members == expected);
    expected = members();
    expected[1].contact = "e:9";
    CHECK(after({"MEMBER", "MOVE", "2", "e:9"}).members == expected);
    expected = members();
    expected[1].priority = 7;
    CHECK(after({"MEMBER", "PRIORITY", "2", "7"}).members == expected);
    expected = members();
    expected.erase(expected.begin());
    CHECK(after({"MEMBER", "REMOVE", "1"}).members == expected);
}

TEST_CASE("edited members: a replacement has standing and priority of the one that goes") {
    rsm::Members expected = members();
    expected[1] = rsm::voter(5, "e:1");
    CHECK(after({"MEMBER", "REPLACE", "2", "5", "e:1"}).members == expected);
    expected = members();
    expected[2] = rsm::learner(5, "e:1");
    CHECK(after({"MEMBER", "REPLACE", "3", "5", "e:1"}).members == expected);
    rsm::Members preferred = members();
    preferred[0].priority = 9;
    const auto replaced = kv::edited(preferred, edit({"MEMBER", "REPLACE", "1", "5", "e:1"}));
    CHECK(replaced.members[0].priority == 9);
}

TEST_CASE("edited members: who is there already, or is not there, is refused in a sentence") {
    CHECK(after({"MEMBER", "ADD", "2", "e:1"}).refusal == "node 2 is a member already, at b:1");
    CHECK(after({"MEMBER", "ADD", "3", "e:1", "LEARNER"}).refusal ==
          "node 3 is a member already, at c:1");
    for (const std::string_view verb : {"REMOVE", "PROMOTE", "DEMOTE"}) {
        CHECK(after({"MEMBER", verb, "9"}).refusal == "node 9 is no member");
    }
    CHECK(after({"MEMBER", "MOVE", "9", "e:1"}).refusal == "node 9 is no member");
    CHECK(after({"MEMBER", "REPLACE", "9", "5", "e:1"}).refusal == "node 9 is no member");
    for (const std::string_view successor : {"1", "2"}) {
        CHECK(after({"MEMBER", "REPLACE", "2", successor, "e:1"}).refusal ==
              "node " + std::string(successor) + " is a member already: take a new id");
    }
}

TEST_CASE("kv status: a member is read from a server's account") {
    kv::Row row;
    row.fields = kv::parse_fields(
        "node:2\r\nmember_10:standing=learner,address=[::1]:7,instance=0b\r\n"
        "member_2:standing=voter,address=,instance=0000\r\nmember_x:standing=voter\r\n");
    const std::vector<kv::MemberRow> found = kv::members_of(row);
    REQUIRE(found.size() == 2);
    CHECK(found[0].node == 2);
    CHECK(found[0].standing == "voter");
    CHECK(found[0].address.empty());
    CHECK(found[1].node == 10);
    CHECK(found[1].address == "[::1]:7");
    CHECK(found[1].instance == "0b");
}

TEST_CASE("kv status: the servers that those which answer know of are asked, too, each once") {
    const auto row = [](std::string asked_at, std::string_view account) {
        return kv::Row{std::move(asked_at), kv::parse_fields(account), ""};
    };
    const kv::Row follower = row("localhost:6382",
                                 "node:2\r\naddress:b:6382\r\nleader_address:d:6384\r\n"
                                 "member_2:standing=voter,address=b:1,serves=b:6382\r\n"
                                 "member_3:standing=voter,address=c:1,serves=\r\n"
                                 "member_4:standing=voter,address=d:1,serves=d:6384\r\n"
                                 "member_5:standing=voter,address=e:1,serves=e:6385\r\n");
    CHECK(kv::unasked({follower}) == std::vector<std::string>{"d:6384", "e:6385"});
    const kv::Row silent{"d:6384", {}, "unreachable"};
    CHECK(kv::unasked({follower, silent}) == std::vector<std::string>{"e:6385"});
    CHECK(kv::unasked({row("a:6381", "node:1\r\nleader_address:\r\n")}).empty());
}

TEST_CASE("kv status: whether the way back to the program before is open is said") {
    const auto text = [](std::string_view account) {
        return kv::detail::format_text(kv::parse_fields(account));
    };
    CHECK(text("node:2\r\nformat_version:0\r\nreadable_version:1\r\n") ==
          "format version 0 is in force, of 1 that node 2 reads: the way back to the program "
          "before is open");
    CHECK(text("node:2\r\nformat_version:1\r\nreadable_version:1\r\n") ==
          "format version 1 is in force: there is no way back to a program that does not read it");
    CHECK(text("node:2\r\nformat_version:0\r\nreadable_version:0\r\n") ==
          "format version 0 is in force");
    CHECK(text("node:2\r\n").empty());
}

TEST_CASE("kv status: a server that bears a member's id and is another is remarked on") {
    const kv::MemberRow member{2, "voter", "b:1", "00a1", "1"};
    const auto remark = [&member](const std::string& account) {
        return kv::remark_on(member, {{"x:1", kv::parse_fields(account), ""}});
    };
    CHECK(remark("node:2\r\ninstance:00a1\r\n").empty());
    CHECK(remark("node:3\r\ninstance:00b2\r\n").empty());
    CHECK(remark("node:2\r\ninstance:0000\r\n").empty());
    CHECK(remark("node:2\r\n").empty());
    CHECK(remark("node:2\r\ninstance:00b2\r\n") == "other instance: 00b2 answers");
}

TEST_CASE("kv status: a disk that hangs or is full is remarked on, by whoever knows") {
    const kv::MemberRow member{2, "voter", "b:1", "00a1", "1"};
    const auto remark = [&member](const std::string& account) {
        return kv::remark_on(member, {{"x:1", kv::parse_fields(account), ""}});
    };
    CHECK(remark("node:2\r\ndisk_stalled:0\r\nstorage:ok\r\n").empty());
    CHECK(remark("node:2\r\ndisk_stalled:1\r\nstorage:ok\r\n") == "its disk hangs");
    CHECK(remark("node:2\r\nstorage:allocate d/7: no space\r\n") == "allocate d/7: no space");
    // It does not answer itself.
    const std::string leader = "node:1\r\nrole:leader\r\nfollower_2:state=probe";
    CHECK(remark(leader + ",disk_stalled=0,disk_full=0\r\n").empty());
    CHECK(remark(leader + ",disk_stalled=1,disk_full=0\r\n") == "its disk hangs");
    CHECK(remark(leader + ",disk_stalled=0,disk_full=1\r\n") == "its disk is full");
    CHECK(remark("node:1\r\nrole:follower\r\nfollower_2:x,disk_full=1\r\n").empty());
}

TEST_CASE("kv status: what a disk has lost is remarked on, by whoever knows") {
    const kv::MemberRow member{2, "voter", "b:1", "00a1", "1"};
    const auto remark = [&member](const std::string& own, const std::string& doubtful) {
        return kv::remark_on(
            member, {{"x:1", kv::parse_fields("node:2\r\nlost_up_to:" + own + "\r\n"), ""},
                     {"y:1",
                      kv::parse_fields(
                          "node:1\r\nrole:leader\r\nfollower_2:x,doubtful=" + doubtful + "\r\n"),
                      ""}});
    };
    CHECK(remark("0", "0").empty());
    CHECK(remark("7", "1") == "damaged, lacks entries up to 7");
    CHECK(remark("0", "1") == "has lost what it had acknowledged");
}

}  // namespace member_test
