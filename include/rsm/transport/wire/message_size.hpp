// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How large a message is, before it is encoded: what limits in bytes are compared with.
#ifndef RSM_TRANSPORT_WIRE_MESSAGE_SIZE_HPP
#define RSM_TRANSPORT_WIRE_MESSAGE_SIZE_HPP

#include <raft/membership.hpp>
#include <raft/message.hpp>

#include <cstddef>
#include <variant>

namespace rsm::detail {

inline std::size_t body_size(const raft::VoteRequest&) { return 1 + 16; }
inline std::size_t body_size(const raft::VoteReply&) { return 8 + 1 + 1; }
inline std::size_t body_size(const raft::AppendRequest& body) {
    std::size_t size = 16 + 8 + 8 + 4;
    for (const raft::Entry& entry : body.entries) size += 8 + 1 + 4 + entry.payload.size();
    return size;
}
inline std::size_t body_size(const raft::AppendReply&) { return 1 + 8 + 16 + 8; }
inline std::size_t body_size(const raft::SnapshotChunk& body) {
    const raft::Membership& members = body.meta.membership;
    const std::size_t nodes =
        members.voters.size() + members.outgoing.size() + members.learners.size();
    return 16 + 8 + 8 + 3 * 4 + 8 * nodes + 8 + body.data.size();
}
inline std::size_t body_size(const raft::SnapshotReply&) { return 16 + 8 + 8 + 1 + 8; }

/// The exact number of bytes that codec::put writes for `message`.
inline std::size_t encoded_size(const raft::Message& message) {
    constexpr std::size_t envelope = 1 + 8 + 8 + 8;  // kind, from, to, term
    return envelope + std::visit([](const auto& body) { return body_size(body); }, message.body);
}

/// Whether the message holds slices of the block that it was decoded from.
inline bool holds_payload(const raft::Message& message) {
    if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
        for (const raft::Entry& entry : append->entries) {
            if (!entry.payload.empty()) return true;
        }
        return false;
    }
    const auto* chunk = std::get_if<raft::SnapshotChunk>(&message.body);
    return chunk != nullptr && !chunk->data.empty();
}

}  // namespace rsm::detail

#endif
