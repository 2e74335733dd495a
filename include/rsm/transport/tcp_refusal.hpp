// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node turns away at its peer port, and why.
#ifndef RSM_TRANSPORT_TCP_REFUSAL_HPP
#define RSM_TRANSPORT_TCP_REFUSAL_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rsm::inline v0 {

/// Why a connection was not accepted, or was closed for what came over it.
enum class TcpRefusal : std::uint8_t {
    not_accepted,     ///< the system could not give the connection, e.g. for want of descriptors
    too_many,         ///< the oldest of too many that had not introduced themselves
    no_hello,         ///< its first bytes are no greeting
    hello_cut_off,    ///< it was closed before its greeting was complete
    hello_timeout,    ///< its greeting was not complete in time
    hello_damaged,    ///< the greeting's checksum is wrong, or it is malformed
    other_version,    ///< it speaks no version of the protocol that this node does
    other_cluster,    ///< it belongs to another cluster
    other_node,       ///< it looks for another node
    unknown_node,     ///< it has an id that is none of the peers'
    frame_too_long,   ///< a greeted peer sent a frame above max_frame_bytes
    frame_unknown,    ///< a frame of an unknown version or kind
    frame_damaged,    ///< a frame whose checksum is wrong
    message_invalid,  ///< a frame that holds no message
    message_foreign,  ///< a message in another's name, or to another node
    claimed_anew,     ///< another process says that it is the peer, whose connection ends for that
    speaks_tls,       ///< it speaks TLS, and this node does not
    speaks_no_tls,    ///< this node speaks TLS, and it does not
    tls_failed,       ///< the handshake of TLS, e.g. for a certificate that is not accepted
    no_secret,        ///< this node has a peer secret, and it has none
    has_secret,       ///< it has a peer secret, and this node has none
    other_secret,     ///< it does not know this node's peer secret
    other_certificate,  ///< its certificate is not that of the node that it says it is
};

inline constexpr std::size_t tcp_refusals = std::size_t{23};

namespace detail {

struct RefusalText {
    std::string_view name;
    std::string_view sentence;
};
inline constexpr std::array<RefusalText, tcp_refusals> refusal_texts = {{
    {"not_accepted", "a connection could not be accepted"},
    {"too_many", "too many connections have not introduced themselves, the oldest is closed"},
    {"no_hello", "its first bytes are no greeting"},
    {"hello_cut_off", "it was closed before its greeting was complete"},
    {"hello_timeout", "its greeting was not complete in time"},
    {"hello_damaged", "its greeting is damaged"},
    {"other_version", "it speaks no version of the protocol that this node speaks"},
    {"other_cluster", "it belongs to another cluster"},
    {"other_node", "it looks for another node"},
    {"unknown_node", "it is none of the peers"},
    {"frame_too_long", "it sent a frame above max_frame_bytes"},
    {"frame_unknown", "it sent a frame of an unknown version or kind"},
    {"frame_damaged", "it sent a frame with a wrong checksum"},
    {"message_invalid", "it sent a frame that holds no message"},
    {"message_foreign", "it sent a message in another's name or to another node"},
    {"claimed_anew", "another process says that it is this node, and takes its place"},
    {"speaks_tls", "it speaks TLS, and this node does not"},
    {"speaks_no_tls", "it speaks no TLS, and this node takes nothing else"},
    {"tls_failed", "the TLS handshake failed"},
    {"no_secret", "it has no peer secret, and this node has one"},
    {"has_secret", "it has a peer secret, and this node has none"},
    {"other_secret", "its peer secret is another one"},
    {"other_certificate", "its certificate is not that of the node that it says it is"},
}};

}  // namespace detail

/// One word, for counters and programs: "other_cluster".
inline std::string_view to_string(TcpRefusal reason) {
    return detail::refusal_texts[static_cast<std::size_t>(reason)].name;
}

/// How often each reason has come up.
class TcpRefusalCounts {
public:
    std::uint64_t operator[](TcpRefusal reason) const {
        return counts_[static_cast<std::size_t>(reason)];
    }
    std::uint64_t& operator[](TcpRefusal reason) {
        return counts_[static_cast<std::size_t>(reason)];
    }

private:
    std::array<std::uint64_t, tcp_refusals> counts_{};
};

/// One refusal, with what was left unsaid before it.
struct TcpRefused {
    TcpRefusal reason{};
    std::string from;              ///< "host:port" of the other end; empty if not known
    std::string detail;            ///< what exactly; may be empty. No control characters
    std::uint64_t suppressed = 0;  ///< others for this reason since the last one that was told

    /// One sentence, without a line break.
    std::string text() const {
        std::string text = from.empty() ? std::string() : from + ": ";
        text += detail::refusal_texts[static_cast<std::size_t>(reason)].sentence;
        if (!detail.empty()) text += " (" + detail + ")";
        if (suppressed != 0) text += "; " + std::to_string(suppressed) + " more like it before";
        return text;
    }
};

}  // namespace rsm

#endif
