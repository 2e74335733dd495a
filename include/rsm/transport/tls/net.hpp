// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsNet: the network of the operating system with TLS between the nodes.
#ifndef RSM_TRANSPORT_TLS_NET_HPP
#define RSM_TRANSPORT_TLS_NET_HPP

#include <raft/base/types.hpp>
#include <rsm/transport/tcp/system_net.hpp>
#include <rsm/transport/tls/context.hpp>
#include <rsm/transport/tls/identity.hpp>
#include <rsm/transport/tls/socket.hpp>

#include <openssl/x509.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// A Net that secures connections (tcp/secured.hpp): both ends show a certificate, and each is told
/// which node the other one's has to be for.
struct TlsNet : SystemNet {
    using Socket = TlsSocket;
    using Secures = void;
    using Done = std::function<void(std::string)>;

    std::shared_ptr<TlsContext> context;  ///< null: connections stay plain
    std::string cluster;                  ///< its name

    /// When the certificate of this node expires, in seconds since 1970; 0: it shows none.
    std::int64_t certificate_end() const {
        return context == nullptr ? 0 : context->certificate_end();
    }

    static Socket socket(const Executor& executor) { return Socket(executor); }

    static void tune(Socket& socket, std::chrono::milliseconds user_timeout) {
        SystemNet::tune(socket.tcp(), user_timeout);
    }
    static std::optional<std::size_t> unacknowledged(Socket& socket) {
        return SystemNet::unacknowledged(socket.tcp());
    }
    static bool awaits_repetition(Socket& socket) {
        return SystemNet::awaits_repetition(socket.tcp());
    }

    void secure_dialled(Socket& socket, raft::NodeId peer, Done done) const {
        if (context == nullptr) return done({});
        socket.async_secure(
            context,
            [name = cluster, peer](const X509* shown) {
                return certificate_mismatch(shown, name, peer);
            },
            [done = std::move(done)](const TlsOutcome& outcome) { done(outcome.failure); });
    }
    void secure_accepted(Socket& socket, Done done) const {
        if (context == nullptr) return done({});
        socket.async_secure(
            context, TlsAsks::for_a_valid_one,
            [done = std::move(done)](const TlsOutcome& outcome) { done(outcome.failure); });
    }
    bool speaks_as_asked(const Socket& socket) const {
        return context == nullptr || socket.is_secured();
    }
    std::string identity_mismatch(const Socket& socket, raft::NodeId node) const {
        if (context == nullptr) return {};
        return certificate_mismatch(socket.certificate(), cluster, node);
    }
};

}  // namespace rsm::detail

#endif
