// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is told of a node as text: for Prometheus, as JSON, and what the documents and the dashboard
// say of it.
#include "support/temporary_directory.hpp"

#include <rsm/admin/json.hpp>
#include <rsm/admin/prometheus.hpp>
#include <rsm/admin/status_json.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace text_test {

using namespace std::chrono_literals;
using Names = std::set<std::string>;

namespace {

/// A leader that is sending one follower a snapshot, and is not connected to it.
rsm::Status some_status() {
    rsm::Status status;
    status.self = raft::NodeId{1};
    status.role = raft::Role::leader;
    status.leader = raft::NodeId{1};
    status.term = raft::Term{5};
    status.commit = raft::Index{10};
    status.known_commit = raft::Index{10};
    status.applied = raft::Index{9};
    status.last = raft::Index{11};
    status.persisted_bytes = 1000;
    status.members = {rsm::voter(1, "127.0.0.1:7001"), rsm::learner(2, "127.0.0.1:7002")};
    rsm::Status::Follower follower;
    follower.node = raft::NodeId{2};
    follower.state = raft::ProgressState::snapshot;
    follower.match = raft::Index{4};
    follower.last_contact = 1500ms;
    follower.disk_full = true;
    follower.transfer = rsm::SnapshotProgress{3, 8};
    status.followers.push_back(follower);
    rsm::PeerStatus peer;
    peer.node = raft::NodeId{2};
    peer.reason = "refused";
    peer.bytes_sent = 77;
    status.peers.push_back(peer);
    status.certificate_end = 1'893'456'000;
    return status;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

bool has_line(const std::string& text, const std::string& wanted) {
    for (const std::string& line : lines_of(text)) {
        if (line == wanted) return true;
    }
    return false;
}

Names families() {
    Names names;
    for (const std::string& line : lines_of(rsm::prometheus_text({}, some_status()))) {
        if (line.starts_with("# TYPE ")) names.insert(line.substr(7, line.find(' ', 7) - 7));
    }
    return names;
}

/// The first column of the tables of the page.
Names documented() {
    Names names;
    const std::regex row("\\| `(rsm_[a-z_]+)");
    for (const std::string& line : lines_of(rsm_test::read_file(RSM_SOURCE "/docs/metrics.md"))) {
        std::smatch match;
        if (std::regex_search(line, match, row, std::regex_constants::match_continuous)) {
            names.insert(match[1]);
        }
    }
    return names;
}

void collect_queries(const nlohmann::json& node, std::vector<std::string>& queries) {
    if (node.is_object() && node.contains("expr")) queries.push_back(node["expr"]);
    if (!node.is_structured()) return;
    for (const auto& child : node) collect_queries(child, queries);
}

/// Of a series: a histogram has several.
std::string family_of(std::string series) {
    for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
        if (series.ends_with(suffix)) return series.substr(0, series.size() - suffix.size());
    }
    return series;
}

rsm::Account account(const rsm::Status& status, const rsm::Metrics& metrics,
                     const rsm::History& history) {
    return {status, metrics, history, 1'700'000'000'000, 1'700'000'000'000, 1000};
}

TEST_CASE("a latency is told in seconds and counted up to each bound") {
    rsm::Metrics metrics;
    metrics.uptime = 12'345ms;
    metrics.operations_completed = 3;
    metrics.operations_failed.count(make_error_code(rsm::Errc::not_leader));
    metrics.commit_latency.record(std::uint64_t{1} << 20);
    metrics.commit_latency.record((std::uint64_t{1} << 20) + 1);
    metrics.write_entries.record(3);
    const std::string text = rsm::prometheus_text(metrics, some_status());
    CHECK(has_line(text, "rsm_uptime_seconds 12.345"));
    CHECK(has_line(text, "rsm_operations_completed_total 3"));
    CHECK(has_line(text, "rsm_operations_failed_total{reason=\"not_leader\"} 1"));
    CHECK(has_line(text, "rsm_operations_failed_total{reason=\"log_full\"} 0"));
    CHECK(has_line(text, "rsm_commit_latency_seconds_bucket{le=\"0.000524288\"} 0"));
    CHECK(has_line(text, "rsm_commit_latency_seconds_bucket{le=\"0.001048576\"} 1"));
    CHECK(has_line(text, "rsm_commit_latency_seconds_bucket{le=\"0.002097152\"} 2"));
    CHECK(has_line(text, "rsm_commit_latency_seconds_bucket{le=\"+Inf\"} 2"));
    CHECK(has_line(text, "rsm_commit_latency_seconds_sum 0.002097153"));
    CHECK(has_line(text, "rsm_commit_latency_seconds_count 2"));
    CHECK(has_line(text, "rsm_write_entries_bucket{le=\"2\"} 0"));
    CHECK(has_line(text, "rsm_write_entries_bucket{le=\"4\"} 1"));
    CHECK(has_line(text, "rsm_role{role=\"leader\"} 1"));
    CHECK(has_line(text, "rsm_role{role=\"pre_candidate\"} 0"));
    CHECK(has_line(text, "rsm_follower_lag_entries{follower=\"2\"} 7"));
    CHECK(has_line(text, "rsm_follower_last_contact_seconds{follower=\"2\"} 1.5"));
    CHECK(has_line(text, "rsm_follower_transfer_sent_bytes{follower=\"2\"} 3"));
    CHECK(has_line(text, "rsm_peer_sent_bytes_total{peer=\"2\"} 77"));
    CHECK(has_line(text, "rsm_certificate_expiry_timestamp_seconds 1893456000"));
    CHECK(!contains(rsm::prometheus_text(metrics, {}), "\nrsm_certificate_expiry"));
    CHECK(rsm::detail::label("x", "a\"b\\c\nd") == "x=\"a\\\"b\\\\c\\nd\"");
}

TEST_CASE("the page about metrics has each that is told, and no other") {
    CHECK(families().size() > 50);
    CHECK(documented() == families());
}

TEST_CASE("the dashboard asks for nothing that is not told") {
    std::vector<std::string> queries;
    collect_queries(
        nlohmann::json::parse(rsm_test::read_file(RSM_SOURCE "/tools/grafana/rsm.json")), queries);
    CHECK(queries.size() > 10);
    const Names known = families();
    const std::regex name("\\brsm_[a-z_]+");
    for (const std::string& query : queries) {
        CAPTURE(query);
        int found = 0;
        for (std::sregex_iterator at(query.begin(), query.end(), name), end; at != end; ++at) {
            const std::string family = family_of(at->str());
            CHECK_MESSAGE(known.contains(family), family);
            ++found;
        }
        CHECK(found > 0);
    }
}

TEST_CASE("the status as JSON says what is known, and null where nothing is") {
    rsm::Metrics metrics;
    rsm::History history;
    history.take(metrics);
    metrics.operations_completed = 4;
    metrics.commit_latency.record(1024);
    history.take(metrics);
    history.take(metrics);
    metrics.uptime = 12'345ms;
    const auto json =
        nlohmann::json::parse(rsm::status_json(account(some_status(), metrics, history)));
    CHECK(json["node"] == 1);
    CHECK(json["uptime_s"] == 12.345);
    CHECK(json["role"] == "leader");
    CHECK(json["address"] == "127.0.0.1:7001");
    CHECK(json["receiving"].is_null());
    CHECK(json["certificate_end"] == 1'893'456'000);
    CHECK(json["now_ms"] == 1'700'000'000'000);
    const auto& self = json["members"][0];
    CHECK(self["self"] == true);
    CHECK(self["leader"] == true);
    CHECK(self["connected"] == true);
    for (const char* unknown : {"state", "match", "lag", "last_contact_ms", "transfer"}) {
        CHECK(self[unknown].is_null());
    }
    const auto& other = json["members"][1];
    CHECK(other["voter"] == false);
    CHECK(other["state"] == "snapshot");
    CHECK(other["match"] == 4);
    CHECK(other["lag"] == 7);
    CHECK(other["last_contact_ms"] == 1500);
    CHECK(other["disk"] == "full");
    CHECK(other["connected"] == false);
    CHECK(other["why_not"] == "refused");
    CHECK(other["transfer"]["sent_bytes"] == 3);
    CHECK(other["transfer"]["total_bytes"] == 8);
    CHECK(json["history"]["operations"] == nlohmann::json::array({4, 0}));
    CHECK(json["history"]["commit_p50_us"] == nlohmann::json::array({1, nullptr}));
    CHECK(json["history"]["interval_ms"] == 1000);
}

TEST_CASE("whatever bytes a contact has, JSON stays JSON and no markup comes of it") {
    rsm::Status status = some_status();
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
    status.members[1].contact = bytes;
    status.peers[0].reason = "</script><b>\xc3\xa4\xed\xa0\x80\xf0\x9f\x98\x80\xc0\xaf";
    const std::string text = rsm::status_json(account(status, {}, {}));
    CHECK(text.find_first_of("<>&\n\r") == std::string::npos);
    const auto json = nlohmann::json::parse(text);  // refuses what is not UTF-8
    const std::string contact = json["members"][1]["contact"];
    CHECK(contact.starts_with(bytes.substr(0, 128)));
    CHECK(json["members"][1]["why_not"] ==
          "</script><b>\u00e4\ufffd\ufffd\ufffd\U0001f600\ufffd\ufffd");
}

}  // namespace

}  // namespace text_test
