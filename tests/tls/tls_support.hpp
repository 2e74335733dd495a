// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes under TLS, and what they say of each other.
#ifndef RSM_TESTS_TLS_SUPPORT_HPP
#define RSM_TESTS_TLS_SUPPORT_HPP

#include "certificates.hpp"
#include "rsm/transport/transport_support.hpp"
#include "support/temporary_directory.hpp"

#include <rsm/transport/tls.hpp>

#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tls_test {

using transport_test::contains;
using transport_test::one;
using transport_test::run_until;
using transport_test::three;
using transport_test::two;

/// A transport under TLS, or without, that keeps what it receives and what it says.
struct Node {
    Node(boost::asio::io_context& io, raft::NodeId id, std::optional<rsm::TlsFiles> files,
         rsm::TcpOptions with = {})
        : self(id), transport(plan(std::move(with), std::move(files)).open(io.get_executor())) {}

    void start() {
        transport.start([this](raft::Message message) { received.push_back(std::move(message)); });
    }
    void knows(const Node& peer) {
        transport.set_peer(peer.self, "127.0.0.1", peer.transport.local_port());
    }
    /// Whether one of its lines about what it has turned away has all these parts.
    bool has_refused(rsm::TcpRefusal reason, const std::string& part) const {
        for (const rsm::TcpRefused& one_of_them : refused) {
            if (one_of_them.reason == reason && contains(one_of_them.text(), part)) return true;
        }
        return false;
    }
    bool misses(raft::NodeId peer, const std::string& part) const {
        return contains(transport.last_failure(peer), part);
    }

    raft::NodeId self;
    std::vector<rsm::TcpRefused> refused;
    std::vector<std::string> notices;
    std::vector<raft::Message> received;
    rsm::RunningTlsTransport transport;

private:
    rsm::TlsTransport plan(rsm::TcpOptions with, std::optional<rsm::TlsFiles> files) {
        rsm::TcpOptions usual = transport_test::options(self);
        usual.cluster = with.cluster;
        usual.handshake_timeout = with.handshake_timeout;
        usual.max_strangers = with.max_strangers;
        usual.user_timeout = with.user_timeout;
        usual.on_refusal = [this](const rsm::TcpRefused& said) { refused.push_back(said); };
        if (!files) return {std::move(usual), std::nullopt};
        return {std::move(usual),
                rsm::TlsOptions{*std::move(files),
                                [this](const std::string& said) { notices.push_back(said); }}};
    }
};

inline void introduce(Node& a, Node& b) {
    a.knows(b);
    b.knows(a);
    a.start();
    b.start();
}

/// Whether both have a connection to the other.
inline bool connect(boost::asio::io_context& io, Node& a, Node& b) {
    return run_until(
        io, [&] { return a.transport.connected(b.self) && b.transport.connected(a.self); });
}

}  // namespace tls_test

#endif
