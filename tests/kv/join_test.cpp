// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/join.hpp>

#include <rsm/members.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace join_test {

namespace {

std::string refusal(std::string_view text) {
    try {
        kv::parse_founded(text);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("join: what a server says of the foundation is read") {
    const kv::FoundedCluster cluster = kv::parse_founded(
        "cluster:a name\r\n1 voter 10.0.0.1:7001\r\n2 voter [::1]:7001\r\n3 learner c:1\r\n");
    CHECK(cluster.name == "a name");
    CHECK(cluster.founding == rsm::Members{rsm::voter(1, "10.0.0.1:7001"),
                                           rsm::voter(2, "[::1]:7001"), rsm::learner(3, "c:1")});
}

TEST_CASE("join: an answer without members is refused") {
    CHECK(refusal("") == "it names no members");
    CHECK(refusal("cluster:kv\r\n") == "it names no members");
}

TEST_CASE("join: an answer that was cut is refused") {
    const std::string whole = "cluster:kv\r\n1 voter 10.0.0.1:7001\r\n2 learner 10.0.0.2:7001\r\n";
    REQUIRE(kv::parse_founded(whole).founding.size() == 2);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        const std::string part = whole.substr(0, size);
        // At the end of a member's line only members are missing, and with them the cluster's id is
        // another: the others refuse such a node.
        const bool ends_line = part.ends_with("7001\r\n");
        CHECK(refusal(part).empty() == ends_line);
    }
}

TEST_CASE("join: a line that names no member is refused") {
    CHECK(refusal("cluster:kv\r\nx voter a:1\r\n") == "no member: \"x voter a:1\"");
    CHECK(refusal("cluster:kv\r\n0 voter a:1\r\n") == "no member: \"0 voter a:1\"");
    CHECK(refusal("cluster:kv\r\n-1 voter a:1\r\n") == "no member: \"-1 voter a:1\"");
    CHECK(refusal("cluster:kv\r\n\r\n1 voter a:1\r\n") == "no member: \"\"");
    CHECK(refusal("cluster:kv\r\n1 king a:1\r\n") == "no member: \"1 king a:1\"");
    CHECK(refusal("cluster:kv\r\n1 voter\r\n") == "no member: \"1 voter\"");
    CHECK(refusal("cluster:kv\r\n1 voter a:1 more\r\n") == "no member: \"1 voter a:1 more\"");
    CHECK(refusal("1 voter a:1\r\n") == "it does not name the cluster");
    CHECK(refusal("cluster:kv\r\n1 voter a:1\r\n1 voter a:1\r\n") == "no member: \"1 voter a:1\"");
}

}  // namespace join_test
