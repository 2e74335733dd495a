// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Entries, messages and roles as text for people.
#ifndef RSM_TESTS_SUPPORT_TEXT_HPP
#define RSM_TESTS_SUPPORT_TEXT_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>

#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace raft::test {

inline std::string text_of(LogPosition position) {
    return std::to_string(position.index.value) + "/" + std::to_string(position.term.value);
}
inline const char* text_of(Standing standing) {
    switch (standing) {
        case Standing::voter: return "";
        case Standing::learner: return "(learner)";
        case Standing::incoming: return "(incoming)";
        case Standing::outgoing: return "(outgoing)";
        case Standing::demoted: return "(demoted)";
        case Standing::returning: return "(returning)";
        case Standing::suspended: return "(suspended)";
    }
    return "?";
}
/// "{1(outgoing) 2 3(incoming)}"
inline std::string text_of(const Membership& membership) {
    std::string text = "{";
    for (const Member& member : membership.members) {
        if (text.size() > 1) text += ' ';
        text += std::to_string(member.id.value) + text_of(member.standing);
    }
    return text + "}";
}
inline std::string text_of(const Entry& entry) {
    std::string text = text_of(entry.position());
    if (entry.kind == EntryKind::barrier) return text + " barrier";
    if (entry.kind == EntryKind::membership) {
        const auto membership = codec::decode_membership(entry.payload);
        return text + " " + text_of(membership.value_or(Membership{}));
    }
    return text + " " + std::string(entry.payload.text());
}
inline std::string text_of(const std::vector<Entry>& entries) {
    std::string text = "[";
    for (const Entry& entry : entries) {
        if (text.size() > 1) text += ", ";
        text += text_of(entry);
    }
    return text + "]";
}

/// What a message says, without who says it to whom.
struct MessageText {
    std::ostringstream out;

    void operator()(const VoteRequest& request) {
        out << (request.pre_vote ? "PreVoteRequest" : "VoteRequest") << " (term "
            << request.term.value << ", last " << text_of(request.last) << ")";
    }
    void operator()(const VoteReply& reply) {
        out << (reply.pre_vote ? "PreVoteReply" : "VoteReply") << " (term " << reply.term.value
            << ", for term " << reply.election.value << ", "
            << (reply.granted ? "granted" : "refused") << ")";
    }
    void operator()(const AppendRequest& request) {
        out << "AppendRequest (term " << request.term.value << ", after "
            << text_of(request.previous) << ", " << text_of(request.entries) << ", commit "
            << request.commit.value;
        if (request.round != 0) out << ", round " << request.round;
        out << ")";
    }
    void operator()(const AppendReply& reply) {
        out << "AppendReply (term " << reply.term.value << ", ";
        if (reply.accepted) {
            out << "agrees to " << reply.index.value;
            if (reply.hint.index.value != 0) out << ", takes no more";
        } else {
            out << "refused after " << reply.index.value << ", hint " << text_of(reply.hint);
        }
        if (reply.round != 0) out << ", round " << reply.round;
        out << ")";
    }
    void operator()(const SnapshotChunk& chunk) {
        out << "SnapshotChunk (term " << chunk.term.value << ", to " << text_of(chunk.meta.last)
            << ", offset " << chunk.offset << ")";
    }
    void operator()(const SnapshotReply& reply) {
        out << "SnapshotReply (term " << reply.term.value << ", to " << text_of(reply.last);
        if (reply.installed()) {
            out << ", installed, agrees to " << reply.match.value << ")";
        } else {
            out << (reply.rejected() ? ", rejected" : "") << ", goes on at " << reply.next_offset
                << ")";
        }
    }
    void operator()(const TimeoutNow& request) {
        out << "TimeoutNow (term " << request.term.value << ")";
    }
    void operator()(const LackingEntries& lacking) {
        out << "LackingEntries (term " << lacking.term.value << ", after "
            << text_of(lacking.previous) << ", " << text_of(lacking.entries) << ")";
    }
    void operator()(const StateMarks& told) {
        out << "StateMarks (term " << told.term.value << ", kind "
            << static_cast<unsigned>(told.kind) << ", " << told.marks.size() << " of them)";
    }
    void operator()(const ReadableVersion& report) {
        out << "ReadableVersion (term " << report.term.value << ", version " << report.version
            << ")";
    }
    void operator()(const SourceRequest& request) {
        out << "SourceRequest (term " << request.term.value << ", for " << request.target.value
            << ", to " << text_of(request.last) << ", offset " << request.offset << ", "
            << request.bytes << " bytes)";
    }
    void operator()(const SourceReply& reply) {
        out << "SourceReply (term " << reply.term.value << ", for " << reply.target.value << ", to "
            << text_of(reply.meta.last) << ")";
    }
    void operator()(const SourceChunk& chunk) {
        out << "SourceChunk (term " << chunk.term.value << ", of " << chunk.leader.value << ", to "
            << text_of(chunk.meta.last) << ", offset " << chunk.offset << ")";
    }
};
inline std::string text_of(const Message& message) {
    MessageText text;
    std::visit(text, message.body);
    return text.out.str();
}

inline const char* text_of(Role role) {
    switch (role) {
        case Role::follower: return "follower";
        case Role::pre_candidate: return "pre-candidate";
        case Role::candidate: return "candidate";
        case Role::leader: return "leader";
    }
    return "?";
}

}  // namespace raft::test

#endif
