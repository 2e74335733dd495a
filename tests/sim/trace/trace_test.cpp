// Distributed under the Boost Software License, Version 1.0. See LICENSE.

#include "trace_example.hpp"

#include <raft/base/types.hpp>
#include <rsm/sim/trace/page.hpp>
#include <rsm/sim/trace/trace.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trace_test {

namespace {

using nlohmann::json;
using raft::NodeId;
using rsm::sim::Trace;
using rsm::sim::TraceHeader;
using rsm::sim::TraceKind;
using rsm::sim::TraceMessage;
using rsm::sim::TraceOutcome;
using rsm::sim::TraceRecord;
using rsm::sim::TraceRole;
using rsm::sim::test::at_ms;

TraceRecord note(std::int64_t milliseconds, std::string text = {}) {
    return {.at = at_ms(milliseconds), .node = {1}, .text = std::move(text)};
}

std::string page_of(const Trace& trace, const TraceHeader& header = {}) {
    std::ostringstream out;
    rsm::sim::write_trace_html(out, trace, header);
    return out.str();
}

std::size_t count_of(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
    return count;
}

json data_of(const std::string& page) {
    constexpr std::string_view opening = "<script id=\"data\" type=\"application/json\">";
    const std::size_t begin = page.find(opening) + opening.size();
    const std::string text = page.substr(begin, page.find("</script>", begin) - begin);
    const auto safe = [](char c) {
        return c == '\n' || (c >= ' ' && c <= '~' && c != '<' && c != '>' && c != '&');
    };
    CHECK(std::ranges::all_of(text, safe));
    return json::parse(text);
}

std::string json_string(std::string_view text) {
    std::string out;
    rsm::sim::detail::append_json_string(out, text);
    return out;
}

std::string html(std::string_view text) {
    std::string out;
    rsm::sim::detail::append_html(out, text);
    return out;
}

std::string text_of(const Trace& trace, std::size_t last, const std::vector<NodeId>& nodes = {}) {
    std::ostringstream out;
    trace.write_text(out, last, nodes);
    return out.str();
}

}  // namespace

TEST_CASE("A trace that is off keeps nothing and takes ends of records that it never had") {
    Trace trace;
    CHECK_FALSE(trace.enabled());
    const Trace::Number number = trace.add(note(1));
    CHECK(number == 0);
    trace.end(number, at_ms(2), "x");
    trace.lose(number, at_ms(2), "x");
    CHECK(trace.records().empty());
    trace.enable();
    CHECK(trace.add(note(1)) == 1);
    CHECK(trace.records().size() == 1);
    trace.end(7, at_ms(2), "not yet there");
    CHECK(trace.records().front() == note(1));
}

TEST_CASE("A trace keeps the latest records and counts those that it dropped") {
    Trace trace(true, 3);
    for (std::int64_t i = 0; i < 5; ++i) trace.add(note(i));
    REQUIRE(trace.records().size() == 3);
    CHECK(trace.records().front().at == at_ms(2));
    CHECK(trace.records().back().at == at_ms(4));
    CHECK(trace.dropped() == 2);
    CHECK(trace.standing().empty());
    json data = data_of(page_of(trace));
    CHECK(data["dropped"] == 2);
    CHECK(data["records"].size() == 3);
    trace.clear();
    CHECK(trace.records().empty());
    CHECK(trace.dropped() == 0);
    CHECK(trace.add(note(9)) == 1);
}

TEST_CASE("Of what was dropped, states, spans that reach into the rest and violations stand") {
    Trace trace(true, 2);
    trace.add({.at = at_ms(0), .kind = TraceKind::role, .node = {1}});
    trace.add({.at = at_ms(1), .kind = TraceKind::role, .node = {1}, .role = TraceRole::leader});
    trace.add({.at = at_ms(1), .kind = TraceKind::crash, .node = {2}});
    const auto cut = trace.add({.at = at_ms(2), .kind = TraceKind::partition});
    const auto pause = trace.add({.at = at_ms(3), .kind = TraceKind::pause, .node = {3}});
    trace.add({.at = at_ms(3), .kind = TraceKind::violation, .text = "bad"});
    trace.add({.at = at_ms(3), .kind = TraceKind::commit, .node = {1}});
    for (std::int64_t i = 10; i < 12; ++i) trace.add(note(i));

    const auto kinds = [&trace] {
        std::vector<TraceKind> result;
        for (const TraceRecord& record : trace.standing()) result.push_back(record.kind);
        return result;
    };
    CHECK(kinds() == std::vector{TraceKind::role, TraceKind::crash, TraceKind::partition,
                                 TraceKind::pause, TraceKind::violation});
    CHECK(trace.standing().front().role == TraceRole::leader);

    trace.end(pause, at_ms(9));  // before the first record that is kept
    trace.end(cut, at_ms(11), "healed");
    CHECK(kinds() == std::vector{TraceKind::role, TraceKind::crash, TraceKind::partition,
                                 TraceKind::violation});
    CHECK(trace.standing()[2].until == at_ms(11));
    CHECK(trace.standing()[2].text == "healed");
}

TEST_CASE("What stands of the dropped records is bounded as well") {
    Trace trace(true, 1);
    for (std::int64_t i = 0; i < 3'000; ++i) {
        trace.add({.at = at_ms(i), .kind = TraceKind::client, .client = 1});
    }
    CHECK(trace.dropped() == 2'999);
    CHECK(trace.standing().size() == 1'000);
    CHECK(trace.standing().back().at == at_ms(2'998));
}

TEST_CASE("A span gets its end, its outcome and more text later; a message may be lost later") {
    Trace trace(true);
    const auto operation =
        trace.add({.at = at_ms(1), .kind = TraceKind::client, .client = 4, .text = "put a"});
    const auto message = trace.add(
        {.at = at_ms(2), .kind = TraceKind::message, .node = {1}, .peer = {2}, .until = at_ms(4)});
    trace.end(operation, at_ms(5), TraceOutcome::unknown, "deadline");
    trace.lose(message, at_ms(3), "the receiver is down");
    CHECK(trace.records()[0].until == at_ms(5));
    CHECK(trace.records()[0].outcome == TraceOutcome::unknown);
    CHECK(trace.records()[0].text == "put a; deadline");
    CHECK(trace.records()[1].kind == TraceKind::message_lost);
    CHECK(trace.records()[1].until == at_ms(3));
    CHECK(trace.records()[1].text == "the receiver is down");
}

TEST_CASE("Long texts are cut, but never inside a character") {
    Trace trace(true);
    std::string text(Trace::text_bytes_max - 1, 'x');
    trace.add(note(1, text + "y"));
    CHECK(trace.records().back().text == text + "y");
    trace.add(note(1, text + "\u00e9"));
    CHECK(trace.records().back().text == text + "...");
}

TEST_CASE("A partition into sides cuts both directions between all nodes of different sides") {
    const std::vector<std::vector<NodeId>> sides = {{{1}}, {{2}, {3}}};
    const TraceRecord record = rsm::sim::partition_into(at_ms(1), sides);
    CHECK(record.kind == TraceKind::partition);
    CHECK(record.text == "{1} | {2 3}");
    CHECK(record.until == TraceRecord::open);
    const std::vector<rsm::sim::TraceLink> expected = {
        {{1}, {2}}, {{1}, {3}}, {{2}, {1}}, {{3}, {1}}};
    CHECK(record.links == expected);
}

TEST_CASE("The last records of some nodes are aligned lines") {
    Trace trace(true);
    trace.add({.at = at_ms(5),
               .kind = TraceKind::role,
               .node = {3},
               .term = {1},
               .role = TraceRole::leader});
    trace.add({.at = at_ms(10'000),
               .kind = TraceKind::message,
               .node = {3},
               .peer = {1},
               .term = {1},
               .until = at_ms(10'002),
               .message = TraceMessage::append,
               .text = "1 entry (4,5]"});
    trace.add({.at = at_ms(10'001),
               .kind = TraceKind::message_lost,
               .node = {3},
               .peer = {2},
               .term = {1},
               .message = TraceMessage::heartbeat,
               .text = "\x1b[2J\n"});
    trace.add({.at = at_ms(10'003), .kind = TraceKind::commit, .node = {1}, .index = {5}});
    trace.add({.at = at_ms(10'004),
               .kind = TraceKind::client,
               .node = {3},
               .until = at_ms(10'005),
               .client = 12,
               .outcome = TraceOutcome::ok,
               .text = "get k"});
    trace.add(
        {.at = at_ms(10'006), .kind = TraceKind::violation, .text = "bad", .nodes = {{1}, {2}}});
    CHECK(text_of(trace, 100) ==
          " 0.005000  3      leader          T1\n"
          "10.000000  3>1    append          T1      1 entry (4,5] -> 10.002000\n"
          "10.001000  3>2    lost heartbeat  T1      \\x1b[2J\\x0a -> ...\n"
          "10.003000  1      commit              #5\n"
          "10.004000  c12>3  client ok               get k -> 10.005000\n"
          "10.006000  1,2    VIOLATION               bad\n");
    CHECK(text_of(trace, 2, {{1}}) ==
          "10.003000  1    commit     #5\n"
          "10.006000  1,2  VIOLATION      bad\n");
    CHECK(text_of(trace, 0).empty());
    CHECK(rsm::sim::detail::trace_seconds(at_ms(-1'500)) == "-1.500000");
}

TEST_CASE("No text can end the script element that holds the data, nor break its JSON") {
    CHECK(json_string("a\"b\\c") == "\"a\\\"b\\\\c\"");
    CHECK(json_string("</script><!--&") == "\"\\u003c/script\\u003e\\u003c!--\\u0026\"");
    CHECK(json_string(std::string_view("\0\n\x1f\x7f", 4)) == "\"\\u0000\\u000a\\u001f\\u007f\"");
    CHECK(json_string("\u00e9\u2028\U0001f600") == "\"\\u00e9\\u2028\\ud83d\\ude00\"");
    // Not UTF-8: a lone continuation, an end that is missing, an overlong form, a surrogate, and
    // what lies beyond Unicode.
    CHECK(json_string("\x80!") == "\"\\ufffd!\"");
    CHECK(json_string("\xe2\x82") == "\"\\ufffd\\ufffd\"");
    CHECK(json_string("\xc0\xaf") == "\"\\ufffd\\ufffd\"");
    CHECK(json_string("\xe0\x80\x80") == "\"\\ufffd\\ufffd\\ufffd\"");
    CHECK(json_string("\xed\xa0\x80") == "\"\\ufffd\\ufffd\\ufffd\"");
    CHECK(json_string("\xf4\x90\x80\x80") == "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

TEST_CASE("A title is text in HTML, whatever it contains") {
    CHECK(html("a <b> & \"c\" 'd'") == "a &#60;b&#62; &#38; &#34;c&#34; &#39;d&#39;");
    CHECK(html("\u00e9\n\x01\xff") == "&#233; &#65533;&#65533;");
}

TEST_CASE("What is written into a page can be read out of it again") {
    Trace trace(true);
    const std::string nasty("</script>\n\"\\ \0\u00e9\U0001f600\x80", 21);
    trace.add({.at = at_ms(1),
               .kind = TraceKind::message,
               .node = {7},
               .peer = {9},
               .term = {3},
               .index = {std::numeric_limits<std::uint64_t>::max()},
               .until = at_ms(2),
               .message = TraceMessage::vote_reply,
               .text = nasty});
    trace.add({.at = at_ms(3), .kind = TraceKind::violation, .text = "x", .nodes = {{9}, {11}}});
    trace.add({.at = at_ms(4), .kind = TraceKind::partition, .links = {{{7}, {9}}}});
    trace.add({.at = at_ms(5), .kind = TraceKind::note});
    trace.add({.at = at_ms(6),
               .kind = TraceKind::client,
               .until = at_ms(8),
               .client = 2,
               .outcome = TraceOutcome::failed});
    const TraceHeader header = {.seed = std::numeric_limits<std::uint64_t>::max(),
                                .title = nasty,
                                .property = "<p>",
                                .replay = "run --x '&'",
                                .nodes = {{9}, {7}},
                                .parameters = {{"loss", "1 %"}, {"<delay>", "2"}}};
    json data = data_of(page_of(trace, header));

    const std::string same = nasty.substr(0, nasty.size() - 1) + "\ufffd";
    CHECK(data["title"] == same);
    CHECK(data["seed"] == "18446744073709551615");
    CHECK(data["property"] == "<p>");
    CHECK(data["replay"] == header.replay);
    CHECK(data["parameters"][1][0] == "<delay>");
    CHECK(data["parameters"][1][1] == "2");
    // Lanes in the header's order, then whoever else occurs.
    REQUIRE(data["nodes"].size() == 3);
    CHECK(data["nodes"][0] == "9");
    CHECK(data["nodes"][1] == "7");
    CHECK(data["nodes"][2] == "11");

    json& rows = data["records"];
    REQUIRE(rows.size() == 5);
    CHECK(rows[0][10] == same);
    REQUIRE(rows[0].size() == 11);
    const auto name_in = [&data](const char* names, const json& place) -> json {
        return data[names][place.get<std::size_t>()];
    };
    CHECK(name_in("kinds", rows[0][0]) == "message");
    CHECK(std::vector<json>(rows[0].begin() + 1, rows[0].begin() + 7) ==
          std::vector<json>{1000000, 2000000, 1, 0, 3, "18446744073709551615"});
    CHECK(name_in("messages", rows[0][7]) == "vote reply");
    CHECK(name_in("kinds", rows[1][0]) == "violation");
    CHECK(rows[1][11][1] == 2);
    CHECK(rows[2][12][0] == json{1, 0});
    CHECK(rows[3].size() == 2);  // the rest says nothing
    CHECK(rows[4][2] == 8000000);
    CHECK(name_in("outcomes", rows[4][9]) == "failed");
}

TEST_CASE("A page is one file that loads nothing and has the elements that its script needs") {
    Trace trace(true);
    rsm::sim::test::ExampleRun(trace).run();
    const std::string page = page_of(trace, rsm::sim::test::example_header());
    CHECK(page.starts_with("<!DOCTYPE html>\n"));
    CHECK(page.ends_with("</html>\n"));
    for (const std::string_view loads : {"src=", "href=", "url(", "@import", "http:", "https:"}) {
        CHECK_MESSAGE(count_of(page, loads) == 0, loads);
    }
    CHECK(count_of(page, "<script") == 2);
    CHECK(count_of(page, "</script") == 2);
    CHECK(std::all_of(page.begin(), page.end(), [](char c) { return (c & '\x80') == 0; }));
    const std::string wanted = "byId(\"";
    std::set<std::string> ids;
    for (auto at = page.find(wanted); at != page.npos; at = page.find(wanted, at + 1)) {
        const std::size_t begin = at + wanted.size();
        ids.insert(page.substr(begin, page.find('"', begin) - begin));
    }
    CHECK(ids.size() > 20);
    for (const std::string& id : ids) {
        CHECK_MESSAGE(count_of(page, "id=\"" + id + "\"") == 1, id);
    }
    CHECK(data_of(page)["records"].size() == trace.records().size());
}

TEST_CASE("The same trace gives the same page, and an empty one gives a whole page") {
    const auto run = [] {
        Trace trace(true);
        rsm::sim::test::ExampleRun(trace).run();
        return page_of(trace, rsm::sim::test::example_header());
    };
    CHECK(run() == run());
    const std::string empty = page_of(Trace());
    CHECK(count_of(empty, "<title>Trace of a run (seed 0)</title>") == 1);
    CHECK(empty.ends_with("</html>\n"));
    json data = data_of(empty);
    CHECK(data["records"].empty());
    CHECK(data["nodes"].empty());
    CHECK(data["dropped"] == 0);
}

TEST_CASE("Every kind has its name, and no literal is longer than compilers take") {
    CHECK(name_of(TraceKind::role) == "role");
    CHECK(name_of(TraceKind::snapshot_installed) == "snapshot_installed");
    CHECK(name_of(TraceKind::disk_fault) == "disk_fault");
    CHECK(name_of(TraceKind::note) == "note");
    CHECK(name_of(TraceRole::leader) == "leader");
    CHECK(name_of(TraceMessage::heartbeat) == "heartbeat");
    CHECK(name_of(TraceMessage::snapshot_reply) == "snapshot reply");
    CHECK(name_of(TraceOutcome::unknown) == "unknown");
    for (const std::string_view literal :
         {rsm::sim::detail::page_style_css, rsm::sim::detail::page_body_html,
          rsm::sim::detail::page_model_js, rsm::sim::detail::page_draw_js,
          rsm::sim::detail::page_marks_js, rsm::sim::detail::page_input_js,
          rsm::sim::detail::page_panel_js}) {
        CHECK(literal.size() < 16'000);
    }
}

}  // namespace trace_test
