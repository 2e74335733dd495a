// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The sockets between clients and servers: TCP, and TLS over it in programs that link OpenSSL.
#ifndef RSM_EXAMPLES_KV_CLIENT_SOCKET_HPP
#define RSM_EXAMPLES_KV_CLIENT_SOCKET_HPP

#ifdef RSM_KV_TLS
#include <rsm/transport/tls.hpp>

#include <openssl/x509.h>
#endif

#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace kv {

/// How a handshake has ended.
struct Handshake {
    std::string failure;    ///< a sentence about the other end; empty: it has not failed
    bool is_plain = false;  ///< the other end has begun without TLS
};

#ifdef RSM_KV_TLS

using ClientSocket = rsm::TlsSocket;
using TlsContext = rsm::TlsContext;
using TlsAsks = rsm::TlsAsks;

/// What connections use; null: no TLS.
using Tls = std::shared_ptr<TlsContext>;

/// As a server: calls done(Handshake), not from inside.
template <class Done>
void secure_client(ClientSocket& socket, const Tls& tls, TlsAsks asks, Done done) {
    socket.async_secure(tls, asks, [done = std::move(done)](const rsm::TlsOutcome& outcome) {
        done(Handshake{outcome.failure, outcome.is_plain});
    });
}

/// As a client, who takes each node whose certificate is signed for a server, of whatever address:
/// calls done(Handshake), not from inside.
template <class Done>
void secure_server(ClientSocket& socket, const Tls& tls, Done done) {
    const auto is_a_node = [](const X509* shown) {
        return rsm::certified_nodes(shown).empty() ? "it is for no node: it has no URI "
                                                     "rsm://CLUSTER/ID"
                                                   : std::string();
    };
    socket.async_secure(tls, is_a_node, [done = std::move(done)](const rsm::TlsOutcome& outcome) {
        done(Handshake{outcome.failure, false});
    });
}

inline boost::asio::ip::tcp::socket& tcp_of(ClientSocket& socket) { return socket.tcp(); }
/// Bytes that TLS takes for it.
inline std::size_t tls_memory(const ClientSocket& socket) { return socket.tls_memory_bytes(); }

#else

using ClientSocket = boost::asio::ip::tcp::socket;
enum class TlsAsks : std::uint8_t { nothing, for_certificate, for_a_valid_one };

/// There is none in a program without OpenSSL: always null.
struct TlsContext;
using Tls = std::shared_ptr<TlsContext>;

template <class Done>
void secure_client(ClientSocket&, const Tls&, TlsAsks, Done) {}
template <class Done>
void secure_server(ClientSocket&, const Tls&, Done) {}

inline boost::asio::ip::tcp::socket& tcp_of(ClientSocket& socket) { return socket; }
inline std::size_t tls_memory(const ClientSocket&) { return 0; }

#endif

/// What the program's own questions to servers use, unless they say something else. To be set
/// before the first of them.
inline Tls& own_tls() {
    static Tls tls;
    return tls;
}

}  // namespace kv

#endif
