// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How two nodes show each other that they know the peers' secret, without telling it
// (docs/wire.md).
#ifndef RSM_TRANSPORT_WIRE_PEER_SECRET_HPP
#define RSM_TRANSPORT_WIRE_PEER_SECRET_HPP

#include <raft/protocol/codec.hpp>
#include <rsm/detail/sha256.hpp>
#include <rsm/transport/wire/greeting.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::detail {

/// Who proves it.
enum class Side : std::uint8_t { dialling = 1, accepting = 2 };

/// Bytes that this node has drawn and that nobody can have foreseen.
template <class Net>
Challenge draw_challenge(Net& net) {
    Challenge challenge;
    for (std::size_t i = 0; i < challenge.size(); i += 8) {
        raft::codec::store_little(challenge.data() + i, std::uint64_t{net.random()});
    }
    return challenge;
}

/// A code over all that the two have said: the hello, which names both nodes and the cluster and
/// has the dialling side's challenge, and the question, which names the accepting process and has
/// its own. Nobody else's exchange, no other one of theirs, and not the other side's proof in it
/// has the same.
/// @param hello     as it was sent
/// @param question  what is provable() of it
inline Digest256 proof_of(std::string_view secret, Side side, std::span<const std::byte> hello,
                          std::span<const std::byte> question) {
    constexpr std::string_view purpose = "rsm peer secret 1";
    const std::byte which{static_cast<std::uint8_t>(side)};
    return HmacSha256(std::as_bytes(std::span(secret)))
        .update(std::as_bytes(std::span(purpose)))
        .update(std::span(&which, 1))
        .update(hello)
        .update(question)
        .code();
}

/// What both proofs are over: all of an encoded question but its checksum, with zeros where its own
/// proof is. So what later versions add behind that is proved as well.
/// @param known  what has been read of it
inline std::vector<std::byte> provable(std::span<const std::byte> question, const Answer& known) {
    const std::size_t end_of_known = encode(known).size() - 8;
    std::vector<std::byte> bytes(question.begin(), question.end() - 8);
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(end_of_known - sizeof(Digest256)),
                sizeof(Digest256), std::byte{0});
    return bytes;
}

/// An encoded question.
struct Question {
    std::vector<std::byte> bytes;  ///< with the accepting side's proof in it
    Digest256 expected;            ///< the proof that a dialling side which knows the secret gives
};

/// @param answer  the accepting side's, with its challenge
inline Question ask(std::string_view secret, std::span<const std::byte> hello, Answer answer) {
    answer.code = AnswerCode::prove;
    answer.proof = Digest256{};
    const std::vector<std::byte> proved = provable(encode(answer), answer);
    answer.proof = proof_of(secret, Side::accepting, hello, proved);
    return {encode(answer), proof_of(secret, Side::dialling, hello, proved)};
}

}  // namespace rsm::detail

#endif
