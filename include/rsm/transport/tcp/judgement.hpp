// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether a node that introduces itself may be heard at all.
#ifndef RSM_TRANSPORT_TCP_JUDGEMENT_HPP
#define RSM_TRANSPORT_TCP_JUDGEMENT_HPP

#include <rsm/transport/tcp/secured.hpp>
#include <rsm/transport/tcp/shared.hpp>
#include <rsm/transport/tcp_refusal.hpp>
#include <rsm/transport/wire/greeting.hpp>
#include <rsm/transport/wire/versions.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace rsm::inline v0::detail {

/// Why it may not: what it is told, and what this node says of it.
struct Objection {
    AnswerCode code{};
    TcpRefusal reason{};
    std::string detail;
};

/// What strangers say, made fit for a line of a log.
inline std::string printable(std::string_view text) {
    std::string shown;
    for (const char c : text) shown += c >= ' ' && c <= '~' ? c : '?';
    return shown;
}

/// Whether these first bytes of a connection begin a handshake of TLS (RFC 8446, section 5.1).
inline bool begins_tls(std::span<const std::byte> bytes) {
    return bytes.size() > 1 && bytes[0] == std::byte{22} && bytes[1] == std::byte{3};
}

/// To the head of a hello. @pre it has come over `socket`
template <class Net>
std::optional<Objection> objection_to(const GreetingHead& head, const Net& net,
                                      const typename Net::Socket& socket) {
    if (!speaks_as_asked(net, socket)) {
        return Objection{AnswerCode::other_security, TcpRefusal::speaks_no_tls, {}};
    }
    if (head.layout != greeting_layout) {
        return Objection{AnswerCode::other_version, TcpRefusal::other_version,
                         "its greeting has layout " + std::to_string(head.layout) + " instead of " +
                             std::to_string(greeting_layout)};
    }
    return std::nullopt;
}

/// To a hello. @pre it has come over `socket`
template <class Net>
std::optional<Objection> objection_to(const Hello& hello, const TcpShared<Net>& shared,
                                      const typename Net::Socket& socket) {
    const TcpOptions& own = shared.options;
    if (!common_version(hello.versions, own.versions)) {
        return Objection{AnswerCode::other_version, TcpRefusal::other_version,
                         text(hello.versions) + " instead of " + text(own.versions)};
    }
    const std::string name = "\"" + printable(hello.cluster) + "\"";
    if (hello.cluster != own.cluster) {
        return Objection{AnswerCode::other_cluster, TcpRefusal::other_cluster,
                         name + " instead of \"" + printable(own.cluster) + "\""};
    }
    if (hello.cluster_id != shared.cluster_id) {
        return Objection{AnswerCode::other_cluster, TcpRefusal::other_cluster,
                         name +
                             " too, but founded with other members, at other addresses, or "
                             "from another backup"};
    }
    if (hello.to != own.self) {
        return Objection{
            AnswerCode::other_node, TcpRefusal::other_node,
            std::to_string(hello.to.value) + ", and this is " + std::to_string(own.self.value)};
    }
    if (auto why = identity_mismatch(shared.net, socket, hello.from); !why.empty()) {
        return Objection{AnswerCode::other_certificate, TcpRefusal::other_certificate,
                         std::move(why)};
    }
    if (own.secret.empty() && hello.challenge) {
        return Objection{AnswerCode::no_secret, TcpRefusal::has_secret, {}};
    }
    if (!own.secret.empty() && !hello.challenge) {
        return Objection{AnswerCode::secret_required, TcpRefusal::no_secret, {}};
    }
    return std::nullopt;
}

}  // namespace rsm::detail

#endif
