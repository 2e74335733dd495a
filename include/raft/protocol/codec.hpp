// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Messages and persistent state to bytes and back. Little-endian, fixed widths, lengths first.
// Frames around these bodies (length, version, checksum) belong to the transport and the storage.
//
// Decoding never reads past its input, never allocates more than the input can justify and
// accepts exactly what encoding produces: an unknown kind, a flag that is not 0 or 1 and bytes
// that are left over are refusals, not skips.
#ifndef RSM_RAFT_PROTOCOL_CODEC_HPP
#define RSM_RAFT_PROTOCOL_CODEC_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/fields.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace raft::inline v0::codec {

/// The versions of the messages' encodings in this file: all of them are read and written. They
/// differ in the kinds of messages that there are; see is_known_in().
inline constexpr std::uint8_t oldest_format_version = 3;
inline constexpr std::uint8_t format_version = 5;

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
    static constexpr std::size_t reference_bytes = 4096;

    /// A payload that belongs at `position` of the copied bytes.
    struct Piece {
        std::size_t position;
        Bytes payload;
    };

    Gather() = default;
    /// @param referenced_from  from this size on a payload is referred to instead of copied
    explicit Gather(std::size_t referenced_from) : referenced_from_(referenced_from) {}

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
    void put_text(std::string_view text) { put_raw(bytes_of(text)); }
    /// Appends a payload without its length.
    void put_payload(const Bytes& payload) {
        if (payload.size() < referenced_from_) {
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
    std::size_t referenced_from_ = reference_bytes;
    std::vector<std::byte> copied_;
    std::vector<Piece> pieces_;
    std::size_t referenced_bytes_ = 0;
};

/// An output that only counts.
class Count {
public:
    template <std::unsigned_integral Word>
    void put(Word) {
        size_ += sizeof(Word);
    }
    void put_text(std::string_view text) { size_ += text.size(); }
    void put_payload(const Bytes& payload) { size_ += payload.size(); }
    std::size_t size() const { return size_; }

private:
    std::size_t size_ = 0;
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

// ---- values ----------------------------------------------------------------------------------
//
// A type with fields is its fields, one after the other. The last one may be a payload, which
// reaches to the end of the frame.

inline bool known(EntryKind kind) {
    return kind == EntryKind::operation || kind == EntryKind::membership ||
           kind == EntryKind::barrier;
}
inline bool known(Standing standing) {
    return standing >= Standing::voter && standing <= Standing::suspended;
}
inline bool known(TransferOutcome outcome) { return outcome <= TransferOutcome::rejected; }
inline bool known(MarksKind kind) { return kind >= MarksKind::newest && kind <= MarksKind::agreed; }

template <class Sink, std::unsigned_integral Word>
void put(Sink& out, Word value) {
    if constexpr (std::same_as<Word, bool>) {
        out.put(static_cast<std::uint8_t>(value ? 1 : 0));
    } else {
        out.put(value);
    }
}
template <class Sink, class Kind>
    requires std::is_enum_v<Kind>
void put(Sink& out, Kind kind) { out.put(static_cast<std::uint8_t>(kind)); }
template <class Sink, class Number>
    requires std::same_as<Number, Term> || std::same_as<Number, Index> ||
        std::same_as<Number, NodeId> || std::same_as<Number, Instance>
void put(Sink& out, Number number) { out.put(number.value); }
template <class Sink>
void put(Sink& out, const Bytes& rest) {
    out.put_payload(rest);
}
template <class Sink>
void put(Sink& out, const std::string& text) {
    out.put(static_cast<std::uint32_t>(text.size()));
    out.put_text(text);
}
/// Beside the number of members stands whether a version follows them; 0 is not written, so that
/// what knows of no versions reads a membership without one.
inline constexpr std::uint32_t version_follows = std::uint32_t{1} << 31;
template <class Sink>
void put(Sink& out, const Membership& membership) {
    const std::uint32_t flag = membership.version == 0 ? 0 : version_follows;
    out.put(static_cast<std::uint32_t>(membership.members.size()) | flag);
    for (const Member& member : membership.members) put(out, member);
    if (flag != 0) out.put(membership.version);
}
template <class Sink>
void put(Sink& out, const std::vector<StateMark>& marks) {
    out.put(static_cast<std::uint32_t>(marks.size()));
    for (const StateMark& mark : marks) put(out, mark);
}
/// The entries of a request. Their indexes follow from its `previous`, so they do not travel.
template <class Sink>
void put(Sink& out, const std::vector<Entry>& entries) {
    out.put(static_cast<std::uint32_t>(entries.size()));
    for (const Entry& entry : entries) {
        put(out, entry.term);
        put(out, entry.kind);
        out.put(static_cast<std::uint32_t>(entry.payload.size()));
        out.put_payload(entry.payload);
    }
}
template <class Sink, HasFields T>
void put(Sink& out, const T& value) {
    for_each_field(value, [&out](const auto& field) { put(out, field); });
}

/// What the fields alone do not say; it restores what does not travel.
template <class T>
bool makes_sense(T&) {
    return true;
}
/// The empty membership is that of no cluster.
inline bool makes_sense(Membership& membership) { return membership.empty() || membership.valid(); }
template <class Body>
    requires requires(Body& body) { body.entries.front().index = body.previous.index; }
bool makes_sense(Body& body) {
    Index index = body.previous.index;
    for (Entry& entry : body.entries) entry.index = ++index;
    return true;
}
/// Stated so that the sum cannot overflow.
template <class Chunk>
    requires requires(Chunk& chunk) { chunk.data.size() <= chunk.meta.size - chunk.offset; }
bool makes_sense(Chunk& chunk) {
    return chunk.offset <= chunk.meta.size && chunk.data.size() <= chunk.meta.size - chunk.offset;
}

template <std::unsigned_integral Word>
void get(Reader& in, Word& value) {
    if constexpr (std::same_as<Word, bool>) {
        value = in.get_flag();
    } else {
        value = in.get<Word>();
    }
}
template <class Kind>
    requires std::is_enum_v<Kind>
void get(Reader& in, Kind& kind) {
    kind = static_cast<Kind>(in.get<std::uint8_t>());
    if (!known(kind)) in.fail();
}
template <class Number>
    requires std::same_as<Number, Term> || std::same_as<Number, Index> ||
        std::same_as<Number, NodeId> || std::same_as<Number, Instance>
void get(Reader& in, Number& number) { number.value = in.get<std::uint64_t>(); }
inline void get(Reader& in, Bytes& rest) { rest = in.get_bytes(in.remaining()); }
template <HasFields T>
void get(Reader& in, T& value);
inline void get(Reader& in, std::string& text) {
    text = in.get_bytes(in.get<std::uint32_t>()).text();
}
inline void get(Reader& in, Membership& membership) {
    const std::uint32_t head = in.get<std::uint32_t>();
    const std::uint32_t count = head & ~version_follows;
    if (count > max_members) in.fail();
    for (std::uint32_t i = 0; i < count && in.good(); ++i)
        get(in, membership.members.emplace_back());
    const bool versioned = (head & version_follows) != 0;
    if (versioned) membership.version = in.get<std::uint32_t>();
    const bool one_way = versioned == (membership.version != 0);
    if (in.good() && (!one_way || !makes_sense(membership))) in.fail();
}
inline void get(Reader& in, std::vector<StateMark>& marks) {
    const std::uint32_t count = in.get<std::uint32_t>();
    if (count > max_state_marks) in.fail();
    for (std::uint32_t i = 0; i < count && in.good(); ++i) get(in, marks.emplace_back());
}
inline void get(Reader& in, std::vector<Entry>& entries) {
    constexpr std::size_t smallest_entry = 8 + 1 + 4;
    const std::uint32_t count = in.get<std::uint32_t>();
    if (count > in.remaining() / smallest_entry) in.fail();
    if (in.good()) entries.reserve(count);
    for (std::uint32_t i = 0; i < count && in.good(); ++i) {
        Entry& entry = entries.emplace_back();
        get(in, entry.term);
        get(in, entry.kind);
        entry.payload = in.get_bytes(in.get<std::uint32_t>());
    }
}
template <HasFields T>
void get(Reader& in, T& value) {
    for_each_field(value, [&in](auto& field) { get(in, field); });
    if (in.good() && !makes_sense(value)) in.fail();
}

/// The number of bytes that put() writes for a value.
template <class T>
std::size_t encoded_size(const T& value) {
    Count count;
    put(count, value);
    return count.size();
}
/// The value in one piece of bytes, for what carries it as a whole.
template <class T>
Bytes encode(const T& value, std::size_t referenced_from = Gather::reference_bytes) {
    Gather out(referenced_from);
    put(out, value);
    Buffer whole(out.size());
    std::size_t at = 0;
    out.for_each_part([&](std::span<const std::byte> part) {
        std::copy(part.begin(), part.end(), whole.data() + at);
        at += part.size();
    });
    return whole.share(0, at);
}
/// The value that is all of these bytes, or nothing. Payloads are slices of them.
template <HasFields T>
std::optional<T> decode(const Bytes& bytes) {
    Reader in(bytes);
    T value;
    get(in, value);
    if (!in.done()) return std::nullopt;
    return value;
}
/// Of a cluster, so not the empty one.
inline std::optional<Membership> decode_membership(const Bytes& bytes) {
    std::optional<Membership> membership = decode<Membership>(bytes);
    if (membership && !membership->valid()) membership.reset();
    return membership;
}

// ---- persistent state ------------------------------------------------------------------------

/// index, term, kind; the payload is the rest.
inline constexpr std::size_t entry_header_bytes = 8 + 8 + 1;
inline constexpr std::size_t hard_state_bytes = 8 + 8 + 8;
/// The header of a record in persistent storage (docs/format.md).
inline constexpr std::size_t record_header_bytes = 16;

/// What `Storage::persisted_bytes()` counts for an entry and for the hard state.
inline std::uint64_t persisted_size(const Entry& entry) {
    return record_header_bytes + encoded_size(entry);
}
inline constexpr std::uint64_t persisted_hard_state_size = record_header_bytes + hard_state_bytes;

// ---- messages --------------------------------------------------------------------------------

/// What stands for a kind of message, and the version of the encodings that it came with.
struct Kind {
    std::uint8_t number;
    std::uint8_t since;
};
/// In the order of Message::Body. Each number is used once for ever.
inline constexpr Kind kinds[] = {
    {1, 3},   // VoteRequest
    {2, 3},   // VoteReply
    {3, 3},   // AppendRequest
    {4, 3},   // AppendReply
    {5, 3},   // SnapshotChunk
    {6, 3},   // SnapshotReply
    {7, 3},   // TimeoutNow
    {8, 3},   // LackingEntries
    {9, 4},   // StateMarks
    {10, 5},  // ReadableVersion
    {11, 5},  // SourceRequest
    {12, 5},  // SourceReply
    {13, 5},  // SourceChunk
};
static_assert(std::size(kinds) == std::variant_size_v<Message::Body>);

/// Appends the encoding of a message: kind, from, to, their instances, then the body, which begins
/// with its term.
/// @pre every payload and the number of entries are below 2^32
template <class Sink>
void put(Sink& out, const Message& message) {
    out.put(kinds[message.body.index()].number);
    put(out, message.from);
    put(out, message.to);
    put(out, message.sender);
    put(out, message.addressee);
    std::visit([&out](const auto& body) { put(out, body); }, message.body);
}

/// Whether that version of the encodings has messages of the kind.
inline bool is_known_in(std::uint8_t version, const Message& message) {
    return version >= kinds[message.body.index()].since;
}

/// Whether the message holds slices of the block that it was decoded from.
inline bool holds_payload(const Message& message) {
    return std::visit(
        [](const auto& body) {
            if constexpr (requires { body.entries; }) {
                return std::any_of(body.entries.begin(), body.entries.end(),
                                   [](const Entry& entry) { return !entry.payload.empty(); });
            } else if constexpr (requires { body.data; }) {
                return !body.data.empty();
            } else {
                return false;
            }
        },
        message.body);
}

namespace detail {

template <std::size_t At = 0>
void get_body(Reader& in, std::uint8_t kind, Message::Body& body) {
    if constexpr (At == std::variant_size_v<Message::Body>) {
        in.fail();
    } else {
        if (kind != kinds[At].number) return get_body<At + 1>(in, kind, body);
        get(in, body.emplace<At>());
    }
}

}  // namespace detail

/// The message that these bytes are, or nothing. Payloads are slices of `frame`.
inline std::optional<Message> decode_message(const Bytes& frame) {
    Reader in(frame);
    const std::uint8_t kind = in.get<std::uint8_t>();
    std::optional<Message> message(std::in_place);
    get(in, message->from);
    get(in, message->to);
    get(in, message->sender);
    get(in, message->addressee);
    if (!in.good()) return std::nullopt;
    detail::get_body(in, kind, message->body);
    if (!in.done()) message.reset();
    return message;
}

}  // namespace raft::codec

#endif
