// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Messages and persistent state to bytes and back. Little-endian, fixed widths, lengths first.
// Frames around these bodies (length, version, checksum) belong to the transport and the storage.
//
// Decoding never reads past its input, never allocates more than the input can justify and
// accepts exactly what encoding produces: an unknown kind, a flag that is not 0 or 1 and bytes
// that are left over are refusals, not skips.
#ifndef RSM_RAFT_CODEC_HPP
#define RSM_RAFT_CODEC_HPP

#include <raft/bytes.hpp>
#include <raft/entry.hpp>
#include <raft/message.hpp>
#include <raft/types.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace raft::codec {

/// The version of the encodings in this file; it travels in handshakes and file headers.
inline constexpr std::uint8_t format_version = 1;

template <std::unsigned_integral Word>
void store_little(std::byte* target, Word value) {
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(target, &value, sizeof value);
    } else {
        for (std::size_t i = 0; i < sizeof value; ++i) {
            target[i] = static_cast<std::byte>((value >> (8 * i)) & 0xff);
        }
    }
}

template <std::unsigned_integral Word>
Word load_little(const std::byte* source) {
    if constexpr (std::endian::native == std::endian::little) {
        Word value;
        std::memcpy(&value, source, sizeof value);
        return value;
    } else {
        Word value = 0;
        for (std::size_t i = 0; i < sizeof value; ++i) {
            value |= static_cast<Word>(static_cast<Word>(source[i]) << (8 * i));
        }
        return value;
    }
}

/// An output that gathers: small things are copied into one run of bytes, large payloads are
/// kept as slices that a vectored write picks up in place.
class Gather {
public:
    /// From this size on a payload is referred to instead of copied.
    static constexpr std::size_t reference_bytes = 4096;

    /// A payload that belongs at `position` of the copied bytes.
    struct Piece {
        std::size_t position;
        Bytes payload;
    };

    template <std::unsigned_integral Word>
    void put(Word value) {
        std::byte raw[sizeof(Word)];
        store_little(raw, value);
        copied_.insert(copied_.end(), raw, raw + sizeof(Word));
    }
    void put(bool value) { put(static_cast<std::uint8_t>(value ? 1 : 0)); }
    void put(Term term) { put(term.value); }
    void put(Index index) { put(index.value); }
    void put(NodeId node) { put(node.value); }
    void put(LogPosition position) {
        put(position.index);
        put(position.term);
    }
    void put_raw(std::span<const std::byte> bytes) {
        copied_.insert(copied_.end(), bytes.begin(), bytes.end());
    }
    /// Appends a payload without its length.
    void put_payload(const Bytes& payload) {
        if (payload.size() < reference_bytes) {
            put_raw(payload.view());
        } else {
            pieces_.push_back({copied_.size(), payload});
            referenced_bytes_ += payload.size();
        }
    }
    /// Reserves `count` bytes at the end, to be overwritten later (a frame's header). Returns
    /// their position in the copied bytes.
    std::size_t reserve(std::size_t count) {
        copied_.resize(copied_.size() + count);
        return copied_.size() - count;
    }
    /// The copied bytes; invalidated by anything that appends.
    std::span<std::byte> copied() { return copied_; }
    std::span<const std::byte> copied() const { return copied_; }
    const std::vector<Piece>& pieces() const { return pieces_; }
    /// Copied and referenced bytes together.
    std::size_t size() const { return copied_.size() + referenced_bytes_; }

    /// Calls f(span) for every contiguous part from position `from` of the copied bytes and
    /// piece number `first_piece` on, in order.
    template <class Function>
    void for_each_part(Function f, std::size_t from = 0, std::size_t first_piece = 0) const {
        const std::span<const std::byte> all = copied_;
        for (std::size_t i = first_piece; i < pieces_.size(); ++i) {
            const Piece& piece = pieces_[i];
            if (piece.position > from) f(all.subspan(from, piece.position - from));
            f(piece.payload.view());
            from = piece.position;
        }
        if (from < all.size()) f(all.subspan(from));
    }

    /// Forgets everything, keeps the memory.
    void clear() {
        copied_.clear();
        pieces_.clear();
        referenced_bytes_ = 0;
    }

private:
    std::vector<std::byte> copied_;
    std::vector<Piece> pieces_;
    std::size_t referenced_bytes_ = 0;
};

/// Reads from received bytes; slices of payloads share them. The first read that does not fit
/// makes the reader bad; a bad reader gives zeros.
class Reader {
public:
    explicit Reader(Bytes source) : source_(std::move(source)) {}

    bool good() const { return good_; }
    /// Good, and nothing is left.
    bool done() const { return good_ && at_ == source_.size(); }
    std::size_t remaining() const { return source_.size() - at_; }
    std::size_t offset() const { return at_; }
    void fail() { good_ = false; }

    template <std::unsigned_integral Word>
    Word get() {
        if (!take(sizeof(Word))) return 0;
        return load_little<Word>(source_.data() + at_ - sizeof(Word));
    }
    bool get_flag() {
        const std::uint8_t value = get<std::uint8_t>();
        if (value > 1) fail();
        return value == 1;
    }
    Term get_term() { return {get<std::uint64_t>()}; }
    Index get_index() { return {get<std::uint64_t>()}; }
    NodeId get_node() { return {get<std::uint64_t>()}; }
    LogPosition get_position() {
        const Index index = get_index();
        return {index, get_term()};
    }
    Bytes get_bytes(std::size_t count) {
        if (!take(count)) return {};
        return source_.slice(at_ - count, count);
    }

private:
    bool take(std::size_t count) {
        if (!good_ || count > remaining()) {
            good_ = false;
            return false;
        }
        at_ += count;
        return true;
    }

    Bytes source_;
    std::size_t at_ = 0;
    bool good_ = true;
};

// ---- entries and persistent state ------------------------------------------------------------

/// index, term, kind; the payload is the rest.
inline constexpr std::size_t entry_header_bytes = 8 + 8 + 1;
inline constexpr std::size_t hard_state_bytes = 8 + 8 + 8;
/// The header of a record in persistent storage (docs/format.md).
inline constexpr std::size_t record_header_bytes = 16;

/// What `Storage::persisted_bytes()` counts for an entry and for the hard state.
inline std::uint64_t persisted_size(const Entry& entry) {
    return record_header_bytes + entry_header_bytes + entry.payload.size();
}
inline constexpr std::uint64_t persisted_hard_state_size = record_header_bytes + hard_state_bytes;

inline bool known(EntryKind kind) {
    return kind == EntryKind::operation || kind == EntryKind::membership ||
           kind == EntryKind::barrier;
}

/// An entry whose payload reaches to the end of its frame.
inline void put(Gather& out, const Entry& entry) {
    out.put(entry.position());
    out.put(static_cast<std::uint8_t>(entry.kind));
    out.put_payload(entry.payload);
}
inline std::optional<Entry> get_entry(Reader& in) {
    Entry entry;
    entry.index = in.get_index();
    entry.term = in.get_term();
    entry.kind = static_cast<EntryKind>(in.get<std::uint8_t>());
    entry.payload = in.get_bytes(in.remaining());
    if (!in.done() || !known(entry.kind)) return std::nullopt;
    return entry;
}

inline void put(Gather& out, const HardState& state) {
    out.put(state.term);
    out.put(state.voted_for);
    out.put(state.commit);
}
inline HardState get_hard_state(Reader& in) {
    HardState state;
    state.term = in.get_term();
    state.voted_for = in.get_node();
    state.commit = in.get_index();
    return state;
}

inline void put(Gather& out, const Membership& membership) {
    for (const auto* nodes : {&membership.voters, &membership.outgoing, &membership.learners}) {
        out.put(static_cast<std::uint32_t>(nodes->size()));
        for (const NodeId node : *nodes) out.put(node);
    }
}
/// An invalid membership makes the reader bad, except the empty one (no snapshot, no cluster).
inline Membership get_membership(Reader& in) {
    Membership membership;
    for (auto* nodes : {&membership.voters, &membership.outgoing, &membership.learners}) {
        const std::uint32_t count = in.get<std::uint32_t>();
        if (count > in.remaining() / sizeof(std::uint64_t)) in.fail();
        for (std::uint32_t i = 0; i < count && in.good(); ++i) nodes->push_back(in.get_node());
    }
    if (membership != Membership{} && !membership.valid()) in.fail();
    return membership;
}

inline void put(Gather& out, const SnapshotMeta& meta) {
    out.put(meta.last);
    out.put(meta.size);
    out.put(meta.checksum);
    put(out, meta.membership);
}
inline SnapshotMeta get_snapshot_meta(Reader& in) {
    SnapshotMeta meta;
    meta.last = in.get_position();
    meta.size = in.get<std::uint64_t>();
    meta.checksum = in.get<std::uint64_t>();
    meta.membership = get_membership(in);
    return meta;
}

inline Bytes encode(const Membership& membership) {
    Gather out;
    put(out, membership);
    return Bytes::copy_of(out.copied());
}
inline std::optional<Membership> decode_membership(const Bytes& bytes) {
    Reader in(bytes);
    Membership membership = get_membership(in);
    if (!in.done() || !membership.valid()) return std::nullopt;
    return membership;
}

// ---- messages --------------------------------------------------------------------------------

inline void put(Gather& out, const VoteRequest& body) {
    out.put(body.pre_vote);
    out.put(body.last);
}
inline void put(Gather& out, const VoteReply& body) {
    out.put(body.election);
    out.put(body.pre_vote);
    out.put(body.granted);
}
inline void put(Gather& out, const AppendRequest& body) {
    out.put(body.previous);
    out.put(body.commit);
    out.put(body.round);
    out.put(static_cast<std::uint32_t>(body.entries.size()));
    // Indexes follow from `previous`, so they do not travel.
    for (const Entry& entry : body.entries) {
        out.put(entry.term);
        out.put(static_cast<std::uint8_t>(entry.kind));
        out.put(static_cast<std::uint32_t>(entry.payload.size()));
        out.put_payload(entry.payload);
    }
}
inline void put(Gather& out, const AppendReply& body) {
    out.put(body.accepted);
    out.put(body.index);
    out.put(body.hint);
    out.put(body.round);
}
inline void put(Gather& out, const SnapshotChunk& body) {
    put(out, body.meta);
    out.put(body.offset);
    out.put_payload(body.data);
}
inline void put(Gather& out, const SnapshotReply& body) {
    out.put(body.last);
    out.put(body.checksum);
    out.put(body.next_offset);
    out.put(static_cast<std::uint8_t>(body.installed ? 1 : body.rejected ? 2 : 0));
    out.put(body.match);
}

/// Appends the encoding of a message: kind, from, to, term, then the rest of the body.
/// @pre every payload and the number of entries are below 2^32
inline void put(Gather& out, const Message& message) {
    out.put(static_cast<std::uint8_t>(message.body.index() + 1));
    out.put(message.from);
    out.put(message.to);
    out.put(term_of(message));
    std::visit([&out](const auto& body) { put(out, body); }, message.body);
}
/// The same in one piece, for what carries messages as a whole.
inline Bytes encode(const Message& message) {
    Gather out;
    put(out, message);
    Buffer whole(out.size());
    std::size_t at = 0;
    out.for_each_part([&](std::span<const std::byte> part) {
        std::copy(part.begin(), part.end(), whole.data() + at);
        at += part.size();
    });
    return whole.share(0, at);
}

namespace detail {

inline VoteRequest get(Reader& in, std::type_identity<VoteRequest>) {
    VoteRequest body;
    body.pre_vote = in.get_flag();
    body.last = in.get_position();
    return body;
}
inline VoteReply get(Reader& in, std::type_identity<VoteReply>) {
    VoteReply body;
    body.election = in.get_term();
    body.pre_vote = in.get_flag();
    body.granted = in.get_flag();
    return body;
}
inline AppendRequest get(Reader& in, std::type_identity<AppendRequest>) {
    constexpr std::size_t smallest_entry = 8 + 1 + 4;
    AppendRequest body;
    body.previous = in.get_position();
    body.commit = in.get_index();
    body.round = in.get<std::uint64_t>();
    const std::uint32_t count = in.get<std::uint32_t>();
    if (count > in.remaining() / smallest_entry) in.fail();
    if (in.good()) body.entries.reserve(count);
    Index index = body.previous.index;
    for (std::uint32_t i = 0; i < count && in.good(); ++i) {
        Entry& entry = body.entries.emplace_back();
        entry.index = ++index;
        entry.term = in.get_term();
        entry.kind = static_cast<EntryKind>(in.get<std::uint8_t>());
        entry.payload = in.get_bytes(in.get<std::uint32_t>());
        if (!known(entry.kind)) in.fail();
    }
    return body;
}
inline AppendReply get(Reader& in, std::type_identity<AppendReply>) {
    AppendReply body;
    body.accepted = in.get_flag();
    body.index = in.get_index();
    body.hint = in.get_position();
    body.round = in.get<std::uint64_t>();
    return body;
}
inline SnapshotChunk get(Reader& in, std::type_identity<SnapshotChunk>) {
    SnapshotChunk body;
    body.meta = get_snapshot_meta(in);
    body.offset = in.get<std::uint64_t>();
    body.data = in.get_bytes(in.remaining());
    // Stated so that the sum cannot overflow.
    if (body.offset > body.meta.size || body.data.size() > body.meta.size - body.offset) in.fail();
    return body;
}
inline SnapshotReply get(Reader& in, std::type_identity<SnapshotReply>) {
    SnapshotReply body;
    body.last = in.get_position();
    body.checksum = in.get<std::uint64_t>();
    body.next_offset = in.get<std::uint64_t>();
    const auto outcome = in.get<std::uint8_t>();
    if (outcome > 2) in.fail();
    body.installed = outcome == 1;
    body.rejected = outcome == 2;
    body.match = in.get_index();
    return body;
}

template <std::size_t Kind = 0>
bool get_body(Reader& in, std::size_t kind, Term term, Message::Body& body) {
    if constexpr (Kind == std::variant_size_v<Message::Body>) {
        return false;
    } else {
        if (kind != Kind) return get_body<Kind + 1>(in, kind, term, body);
        auto value = get(in, std::type_identity<std::variant_alternative_t<Kind, Message::Body>>{});
        value.term = term;
        body = std::move(value);
        return in.done();
    }
}

}  // namespace detail

/// The message that these bytes are, or nothing. Payloads are slices of `frame`.
inline std::optional<Message> decode_message(const Bytes& frame) {
    Reader in(frame);
    const std::uint8_t kind = in.get<std::uint8_t>();
    Message message;
    message.from = in.get_node();
    message.to = in.get_node();
    const Term term = in.get_term();
    if (!in.good() || kind == 0) return std::nullopt;
    if (!detail::get_body(in, kind - 1U, term, message.body)) return std::nullopt;
    return message;
}

}  // namespace raft::codec

#endif
