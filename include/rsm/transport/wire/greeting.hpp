// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the two ends of a connection say to each other first, and last (docs/wire.md).
#ifndef RSM_TRANSPORT_WIRE_GREETING_HPP
#define RSM_TRANSPORT_WIRE_GREETING_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/detail/sha256.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/cluster_id.hpp>
#include <rsm/transport/wire/versions.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::detail {

/// The layout of the greetings, by which nodes of all versions find out which one they have in
/// common. What is added to it comes at the end, where those who do not know it leave it unread.
inline constexpr std::uint16_t greeting_layout = 4;
inline constexpr std::uint32_t hello_magic = 0x484d5352;   // "RSMH"
inline constexpr std::uint32_t answer_magic = 0x414d5352;  // "RSMA"
inline constexpr std::uint32_t proof_magic = 0x504d5352;   // "RSMP"
/// magic u32, layout u16, length u16 of what follows.
inline constexpr std::size_t greeting_head_bytes = 8;
inline constexpr std::size_t greeting_rest_max = 2048;
/// The longest is a hello: versions, six numbers, the cluster's name, the contact, the challenge,
/// the checksum.
static_assert(greeting_rest_max >= 2 + 6 * 8 + 2 + TcpOptions::max_cluster_bytes + 2 +
                                       raft::max_contact_bytes + 2 + 32 + 8);
/// Of a proof, whole.
inline constexpr std::size_t proof_bytes = greeting_head_bytes + sizeof(Digest256) + 8;

struct GreetingHead {
    std::uint32_t magic = 0;
    std::uint16_t layout = 0;
    std::uint16_t length = 0;
};

/// @pre `bytes` holds greeting_head_bytes
inline GreetingHead load_greeting_head(const std::byte* bytes) {
    return {raft::codec::load_little<std::uint32_t>(bytes),
            raft::codec::load_little<std::uint16_t>(bytes + 4),
            raft::codec::load_little<std::uint16_t>(bytes + 6)};
}

/// What one side has drawn, for the other to show that it knows the peers' secret.
using Challenge = std::array<std::byte, 32>;

/// What the dialling side says first.
struct Hello {
    raft::NodeId from;
    raft::NodeId to;
    /// The sender's, drawn when it was started: a node that comes back has another one.
    std::uint64_t process = 0;
    ClusterId cluster_id;
    raft::Instance instance;  ///< of its storage
    std::string cluster;
    std::string contact;  ///< where the sender can be dialled; empty: it does not say
    WireVersions versions{};
    std::optional<Challenge> challenge{};  ///< if the sender has a secret
    friend bool operator==(const Hello&, const Hello&) = default;
};

/// What an answer says. The values are those of the wire.
enum class AnswerCode : std::uint8_t {
    welcome = 0,
    other_version = 1,
    other_cluster = 2,
    other_node = 3,    ///< the hello was meant for another node
    unknown_node = 4,  ///< the sender is not among the peers
    damaged_hello = 5,
    too_many = 6,  ///< of those that have not introduced themselves
    // After a welcome:
    replaced = 7,          ///< by a newer connection from a node of the sender's id
    frame_too_long = 8,    ///< above the receiver's max_frame_bytes
    bad_frame = 9,         ///< damaged, or of an unknown version or kind
    foreign_message = 10,  ///< in another's name, or to another node
    // Instead of a welcome:
    other_security = 11,     ///< one of the two speaks TLS, and the other does not
    other_certificate = 12,  ///< the sender's is not that of the node that it says it is
    prove = 13,              ///< no refusal: the sender is to show that it knows the secret
    secret_required = 14,    ///< the sender has none
    no_secret = 15,          ///< the sender has one, and the accepting side has none
    other_secret = 16        ///< the sender has not shown that it knows it
};

/// What the accepting side answers, and what it says when it ends a connection that it had
/// welcomed. A refusal carries no advertisement. Only a question, whose code is `prove`, has a
/// challenge and a proof.
struct Answer {
    AnswerCode code = AnswerCode::welcome;
    raft::NodeId from;
    std::uint64_t process = 0;  ///< the accepting side's, as in a hello
    std::string advertise;
    WireVersions versions{};
    std::optional<Challenge> challenge{};
    std::optional<Digest256> proof{};  ///< that the accepting side knows the secret
    friend bool operator==(const Answer&, const Answer&) = default;
};

inline const char* sentence(AnswerCode code) {
    switch (code) {
        case AnswerCode::welcome: return "welcome";
        case AnswerCode::other_version: return "it speaks other versions of the protocol";
        case AnswerCode::other_cluster: return "it belongs to another cluster";
        case AnswerCode::other_node: return "it is another node";
        case AnswerCode::unknown_node: return "it does not know this node";
        case AnswerCode::damaged_hello: return "this node's greeting arrived damaged";
        case AnswerCode::too_many:
            return "too many connections there have not introduced themselves yet";
        case AnswerCode::replaced:
            return "another connection from a node of this node's id took its place";
        case AnswerCode::frame_too_long:
            return "this node sent a frame above its max_frame_bytes, which must not differ";
        case AnswerCode::bad_frame:
            return "a frame of this node's arrived damaged or is unknown to it";
        case AnswerCode::foreign_message:
            return "this node sent a message in another's name or to another node";
        case AnswerCode::other_security: return "one of the two speaks TLS, and the other does not";
        case AnswerCode::other_certificate:
            return "this node's certificate is not for it, or for another cluster";
        case AnswerCode::prove: return "it asks for a proof of what this node has not claimed";
        case AnswerCode::secret_required:
            return "it asks for a peer secret, and this node has none";
        case AnswerCode::no_secret: return "it has no peer secret, and this node has one";
        case AnswerCode::other_secret: return "its peer secret is another one than this node's";
    }
    return "for a reason that this node does not know";
}

inline void put_text(raft::codec::Gather& out, std::string_view text) {
    out.put(static_cast<std::uint16_t>(text.size()));
    out.put_text(text);
}
inline std::string get_text(raft::codec::Reader& in, std::size_t most) {
    const std::size_t size = in.get<std::uint16_t>();
    if (size > most) in.fail();
    return std::string(in.good() ? in.get_bytes(size).text() : std::string_view{});
}

/// With its size in front; nothing at all where there is none, for it comes last.
template <class Optional>
void put_last(raft::codec::Gather& out, const Optional& bytes) {
    if (!bytes) return;
    out.put(static_cast<std::uint16_t>(bytes->size()));
    out.put_text({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}
inline std::optional<std::array<std::byte, 32>> get_last(raft::codec::Reader& in) {
    std::array<std::byte, 32> bytes;
    // What follows is unknown here if it is not of this size.
    if (!in.good() || in.remaining() < 2 + bytes.size()) return std::nullopt;
    if (in.get<std::uint16_t>() != bytes.size()) return std::nullopt;
    const raft::Bytes got = in.get_bytes(bytes.size());
    std::copy_n(got.data(), bytes.size(), bytes.data());
    return bytes;
}

/// Fills in the length and adds the checksum, which covers everything before it.
inline std::vector<std::byte> finish_greeting(raft::codec::Gather& out) {
    const std::size_t rest = out.size() + 8 - greeting_head_bytes;
    raft::codec::store_little(out.copied().data() + 6, static_cast<std::uint16_t>(rest));
    out.put(checksum(out.copied()));
    return {out.copied().begin(), out.copied().end()};
}
inline void begin_greeting(raft::codec::Gather& out, std::uint32_t magic) {
    out.put(magic);
    out.put(greeting_layout);
    out.put(std::uint16_t{0});
}

inline void put_versions(raft::codec::Gather& out, WireVersions versions) {
    out.put(versions.lowest);
    out.put(versions.highest);
}
inline WireVersions get_versions(raft::codec::Reader& in) {
    const auto lowest = in.get<std::uint8_t>();
    return {lowest, in.get<std::uint8_t>()};
}

inline std::vector<std::byte> encode(const Hello& hello) {
    raft::codec::Gather out;
    begin_greeting(out, hello_magic);
    put_versions(out, hello.versions);
    out.put(hello.from);
    out.put(hello.to);
    out.put(hello.process);
    out.put(hello.cluster_id.low);
    out.put(hello.cluster_id.high);
    out.put(hello.instance.value);
    put_text(out, hello.cluster);
    put_text(out, hello.contact);
    put_last(out, hello.challenge);
    return finish_greeting(out);
}
inline std::vector<std::byte> encode(const Answer& answer) {
    raft::codec::Gather out;
    begin_greeting(out, answer_magic);
    put_versions(out, answer.versions);
    out.put(static_cast<std::uint8_t>(answer.code));
    out.put(answer.from);
    out.put(answer.process);
    put_text(out, answer.advertise);
    put_last(out, answer.challenge);
    put_last(out, answer.proof);
    return finish_greeting(out);
}
/// The dialling side's answer to a question.
inline std::vector<std::byte> encode_proof(const Digest256& proof) {
    raft::codec::Gather out;
    begin_greeting(out, proof_magic);
    out.put_text({reinterpret_cast<const char*>(proof.data()), proof.size()});
    return finish_greeting(out);
}

/// A reader behind the head of a complete greeting, or nothing if the checksum is wrong.
/// @pre `whole` has the length that its head states
inline std::optional<raft::codec::Reader> open_greeting(std::span<const std::byte> whole) {
    if (whole.size() < greeting_head_bytes + 8) return std::nullopt;
    const std::span<const std::byte> covered = whole.first(whole.size() - 8);
    const auto sum = raft::codec::load_little<std::uint64_t>(covered.data() + covered.size());
    if (sum != checksum(covered)) return std::nullopt;
    return raft::codec::Reader(raft::Bytes::copy_of(covered.subspan(greeting_head_bytes)));
}
/// @pre magic and layout of the head were checked, and `whole` has the length that it states
inline std::optional<Hello> decode_hello(std::span<const std::byte> whole) {
    auto in = open_greeting(whole);
    if (!in) return std::nullopt;
    Hello hello;
    hello.versions = get_versions(*in);
    hello.from = in->get_node();
    hello.to = in->get_node();
    hello.process = in->get<std::uint64_t>();
    hello.cluster_id.low = in->get<std::uint64_t>();
    hello.cluster_id.high = in->get<std::uint64_t>();
    hello.instance.value = in->get<std::uint64_t>();
    hello.cluster = get_text(*in, TcpOptions::max_cluster_bytes);
    hello.contact = get_text(*in, raft::max_contact_bytes);
    hello.challenge = get_last(*in);
    if (!in->good()) return std::nullopt;
    return hello;
}
/// @pre as for decode_hello()
inline std::optional<Answer> decode_answer(std::span<const std::byte> whole) {
    auto in = open_greeting(whole);
    if (!in) return std::nullopt;
    Answer answer;
    answer.versions = get_versions(*in);
    answer.code = static_cast<AnswerCode>(in->get<std::uint8_t>());
    answer.from = in->get_node();
    answer.process = in->get<std::uint64_t>();
    answer.advertise = get_text(*in, TcpOptions::max_advertise_bytes);
    answer.challenge = get_last(*in);
    answer.proof = get_last(*in);
    if (!in->good()) return std::nullopt;
    return answer;
}
/// Nothing if it is no proof, or a damaged one. @pre `whole` has proof_bytes
inline std::optional<Digest256> decode_proof(std::span<const std::byte> whole) {
    const GreetingHead head = load_greeting_head(whole.data());
    const bool fits = head.magic == proof_magic && head.layout == greeting_layout &&
                      head.length == proof_bytes - greeting_head_bytes;
    if (!fits || !open_greeting(whole)) return std::nullopt;
    Digest256 proof;
    std::copy_n(whole.data() + greeting_head_bytes, proof.size(), proof.data());
    return proof;
}

}  // namespace rsm::detail

#endif
