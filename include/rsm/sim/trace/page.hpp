// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A trace as a page: a space-time diagram of the run, in one file that needs nothing else. What
// the page looks like and how it behaves is in the files of the folder page, which
// cmake/pages.cmake puts into detail/page_parts.hpp; this header writes the data into it.
//
// The data is JSON inside of a script element. Texts come from state machines and from failures,
// and may contain anything: only printable ASCII is written as it stands, without <, > and &, so
// that no text can end the element or be taken for markup, whatever the encoding.
#ifndef RSM_SIM_TRACE_PAGE_HPP
#define RSM_SIM_TRACE_PAGE_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/trace/detail/page_parts.hpp>
#include <rsm/sim/trace/trace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What the page says about the run as a whole.
struct TraceHeader {
    std::uint64_t seed = 0;
    std::string title = {};
    std::string property = {};             ///< the violated one; empty if there is none
    std::string replay = {};               ///< the command that runs this again
    std::vector<raft::NodeId> nodes = {};  ///< in the order of their lanes
    std::vector<std::pair<std::string, std::string>> parameters = {};  ///< what the seed drew
};

namespace detail {

/// The code point that begins at `position`, which moves behind it. Bytes that are no UTF-8 are
/// U+FFFD each.
inline std::uint32_t next_code_point(std::string_view text, std::size_t& position) {
    const auto byte_at = [text](std::size_t place) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[place]));
    };
    constexpr std::uint32_t invalid = 0xfffd;
    const std::uint32_t first = byte_at(position++);
    if (first < 0x80) return first;
    if (first < 0xc2 || first > 0xf4) return invalid;
    const std::size_t more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (text.size() - position < more) return invalid;
    std::uint32_t code = first & (0x3fU >> more);
    for (std::size_t i = 0; i < more; ++i) {
        const std::uint32_t next = byte_at(position + i);
        if ((next & 0xc0U) != 0x80) return invalid;
        code = (code << 6U) | (next & 0x3fU);
    }
    constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < least[more - 1] || surrogate || code > 0x10ffff) return invalid;
    position += more;
    return code;
}

inline void append_json_escape(std::string& out, std::uint32_t unit) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\u";
    for (unsigned shift = 16; shift != 0;) {
        shift -= 4;
        out += digits[(unit >> shift) & 0xfU];
    }
}

inline void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    for (std::size_t position = 0; position < text.size();) {
        const std::uint32_t code = next_code_point(text, position);
        if (code == '"' || code == '\\') {
            out += '\\';
            out += static_cast<char>(code);
        } else if (code >= 0x10000) {
            append_json_escape(out, 0xd800 + ((code - 0x10000) >> 10U));
            append_json_escape(out, 0xdc00 + ((code - 0x10000) & 0x3ffU));
        } else if (code < 0x20 || code >= 0x7f || code == '<' || code == '>' || code == '&') {
            append_json_escape(out, code);
        } else {
            out += static_cast<char>(code);
        }
    }
    out += '"';
}

/// For text between tags and in quoted attributes. HTML has no way to write control characters.
inline void append_html(std::string& out, std::string_view text) {
    for (std::size_t position = 0; position < text.size();) {
        std::uint32_t code = next_code_point(text, position);
        if (code < 0x20 || (code >= 0x7f && code < 0xa0)) code = code == '\n' ? ' ' : 0xfffd;
        if (code >= 0x7f || code == '<' || code == '>' || code == '&' || code == '"' ||
            code == '\'') {
            out += "&#" + std::to_string(code) + ';';
        } else {
            out += static_cast<char>(code);
        }
    }
}

/// JavaScript's numbers are exact up to 2^53; what is larger becomes a string.
inline void append_json_number(std::string& out, std::uint64_t value) {
    if (value < (std::uint64_t{1} << 53U)) {
        out += std::to_string(value);
    } else {
        out += '"' + std::to_string(value) + '"';
    }
}

template <class Range, class Append>
void append_json_array(std::string& out, const Range& range, Append append) {
    out += '[';
    bool first = true;
    for (const auto& element : range) {
        if (!first) out += ',';
        first = false;
        append(out, element);
    }
    out += ']';
}

inline void append_json_strings(std::string& out, std::span<const std::string_view> strings) {
    append_json_array(out, strings, append_json_string);
}

/// The nodes in the order of their lanes. Records speak of lanes, so that they stay short; a node
/// that the header does not know gets a lane at the end.
class TraceLanes {
public:
    explicit TraceLanes(std::vector<raft::NodeId> nodes) : nodes_(std::move(nodes)) {}

    void take(const TraceRecord& record) {
        take(record.node);
        take(record.peer);
        for (const raft::NodeId node : record.nodes) take(node);
        for (const TraceLink& link : record.links) {
            take(link.from);
            take(link.to);
        }
    }
    /// -1 for nobody.
    std::int64_t lane(raft::NodeId node) const {
        const auto found = std::find(nodes_.begin(), nodes_.end(), node);
        return found == nodes_.end() ? -1 : found - nodes_.begin();
    }
    const std::vector<raft::NodeId>& nodes() const { return nodes_; }

private:
    void take(raft::NodeId node) {
        if (node && lane(node) == -1) nodes_.push_back(node);
    }

    std::vector<raft::NodeId> nodes_;
};

/// A record as an array whose members have fixed places; those at the end that say nothing are
/// left out.
class TraceRow {
public:
    TraceRow(std::string& out, const TraceLanes& lanes) : out_(out), lanes_(lanes) {}

    void write(const TraceRecord& record) {
        out_ += '[' + std::to_string(static_cast<unsigned>(record.kind)) + ',' +
                std::to_string(record.at.time_since_epoch().count());
        keep(true);
        const bool ends = is_span(record.kind) && record.until != TraceRecord::open;
        out_ += ',' + (ends ? std::to_string(record.until.time_since_epoch().count()) : "null");
        keep(ends);
        lane(record.node);
        lane(record.peer);
        number(record.term.value);
        number(record.index.value);
        number(subkind(record));
        number(record.client);
        number(static_cast<std::uint64_t>(record.outcome));
        out_ += ',';
        append_json_string(out_, record.text);
        keep(!record.text.empty());
        out_ += ',';
        append_json_array(out_, record.nodes, [this](std::string& out, raft::NodeId node) {
            out += std::to_string(lanes_.lane(node));
        });
        keep(!record.nodes.empty());
        out_ += ',';
        append_json_array(out_, record.links, [this](std::string& out, const TraceLink& link) {
            out += '[' + std::to_string(lanes_.lane(link.from)) + ',' +
                   std::to_string(lanes_.lane(link.to)) + ']';
        });
        keep(!record.links.empty());
        out_.resize(written_);
        out_ += ']';
    }

private:
    static std::uint64_t subkind(const TraceRecord& record) {
        switch (record.kind) {
            case TraceKind::role: return static_cast<std::uint64_t>(record.role);
            case TraceKind::message:
            case TraceKind::message_lost: return static_cast<std::uint64_t>(record.message);
            default: return 0;
        }
    }
    void keep(bool says_something) {
        if (says_something) written_ = out_.size();
    }
    void lane(raft::NodeId node) {
        out_ += ',' + std::to_string(lanes_.lane(node));
        keep(static_cast<bool>(node));
    }
    void number(std::uint64_t value) {
        out_ += ',';
        append_json_number(out_, value);
        keep(value != 0);
    }

    std::string& out_;
    const TraceLanes& lanes_;
    std::size_t written_ = 0;  ///< up to here the row says something
};

inline void append_trace_header(std::string& out, const TraceHeader& header) {
    // The seed is always a string: people copy it digit by digit.
    out += "\"seed\":\"" + std::to_string(header.seed) + "\",\"title\":";
    append_json_string(out, header.title);
    out += ",\"property\":";
    append_json_string(out, header.property);
    out += ",\"replay\":";
    append_json_string(out, header.replay);
    out += ",\"parameters\":";
    append_json_array(out, header.parameters, [](std::string& to, const auto& parameter) {
        to += '[';
        append_json_string(to, parameter.first);
        to += ',';
        append_json_string(to, parameter.second);
        to += ']';
    });
}

/// The data of the page. The names come along, so that the page knows no number of an enum.
inline void write_trace_json(std::ostream& stream, const Trace& trace, const TraceHeader& header) {
    const std::vector<TraceRecord> standing = trace.standing();
    TraceLanes lanes(header.nodes);
    for (const TraceRecord& record : standing) lanes.take(record);
    for (const TraceRecord& record : trace.records()) lanes.take(record);

    std::string out = "{";
    append_trace_header(out, header);
    out += ",\n\"kinds\":";
    append_json_strings(out, trace_kind_names);
    out += ",\"roles\":";
    append_json_strings(out, trace_role_names);
    out += ",\"messages\":";
    append_json_strings(out, trace_message_names);
    out += ",\"outcomes\":";
    append_json_strings(out, trace_outcome_names);
    out += ",\n\"nodes\":";
    append_json_array(out, lanes.nodes(), [](std::string& to, raft::NodeId node) {
        to += '"' + std::to_string(node.value) + '"';
    });
    out += ",\"dropped\":" + std::to_string(trace.dropped());
    const auto append_row = [&lanes](std::string& to, const TraceRecord& record) {
        to += '\n';
        TraceRow(to, lanes).write(record);
    };
    out += ",\n\"standing\":";
    append_json_array(out, standing, append_row);
    out += ",\n\"records\":";
    append_json_array(out, trace.records(), append_row);
    out += "}\n";
    stream << out;
}

}  // namespace detail

/// Writes the whole page. It opens at the violation, or at the end where there is none.
inline void write_trace_html(std::ostream& out, const Trace& trace, const TraceHeader& header) {
    std::string title;
    detail::append_html(title, header.title.empty() ? "Trace of a run" : header.title);
    title += " (seed " + std::to_string(header.seed) + ")";
    out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        << "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"
        << title << "</title>\n<style>" << detail::page_style_css << "</style>\n</head>\n"
        << detail::page_body_html << "<script id=\"data\" type=\"application/json\">\n";
    detail::write_trace_json(out, trace, header);
    out << "</script>\n<script>\n\"use strict\";\n"
        << detail::page_model_js << detail::page_draw_js << detail::page_marks_js
        << detail::page_input_js << detail::page_panel_js << "</script>\n</body>\n</html>\n";
}

}  // namespace rsm::sim

#endif
