// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsTransport: the nodes of a cluster over TCP with TLS 1.3, each with a certificate of its own.
// The only header that needs OpenSSL (3.0 or newer): programs that include it link its two
// libraries (CMake: OpenSSL::SSL).
#ifndef RSM_TRANSPORT_TLS_HPP
#define RSM_TRANSPORT_TLS_HPP

#include <raft/base/types.hpp>
#include <rsm/plan.hpp>
#include <rsm/transport/tcp/places.hpp>
#include <rsm/transport/tcp/running.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/tls/context.hpp>
#include <rsm/transport/tls/identity.hpp>
#include <rsm/transport/tls/net.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <openssl/x509.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// What a TlsTransport needs beside its TcpOptions.
struct TlsOptions {
    /// All three. The certificate has a URI among its subject's alternative names that says which
    /// node it is for: `rsm://<cluster's name>/<id>`, or `rsm:///<id>` for whatever cluster trusts
    /// its authority. Extended key usages, if it has any, include those of server and of client.
    TlsFiles files;
    /// Told until when the certificate is valid as it is opened, and later that the files have
    /// changed, and whether the new ones can be used: a sentence without line breaks. Called from
    /// within open(), and then on the transport's executor, also from inside of its members: it
    /// must not touch the transport.
    TlsContext::Notice on_notice;
};

/// A TlsTransport at work.
using RunningTlsTransport = BasicRunningTcpTransport<detail::TlsNet>;

/// Carries messages as TcpTransport does (tcp.hpp), over connections that are encrypted and on
/// which each end has shown that it is the node that the other one means: a plan (rsm/plan.hpp).
///
/// Whoever has the key of a node's certificate is that node. A certificate that is expired, foreign
/// (of an authority that is not among TlsFiles::authorities), of another node or of another cluster
/// is refused, and so is a peer without TLS; each time both sides say why, as with all that is
/// turned away. What the greetings tell then, the id of the founded cluster among it, comes from
/// the node that the certificate is for.
///
/// Handshakes count among what TcpOptions::max_strangers and TcpOptions::handshake_timeout bound.
///
/// Files that change are read again for the next connection, so certificates are renewed without a
/// restart (see TlsContext). Connections that are there go on as they began: one whose certificate
/// has run out since is not ended for that. There are no revocation lists: to exclude a node,
/// remove it from the members and replace the authority.
class TlsTransport {
public:
    /// @param tls  nothing: connections stay plain, as those of a TcpTransport, for programs that
    ///             have both and choose when they run
    TlsTransport(TcpOptions options, std::optional<TlsOptions> tls)
        : options_(std::move(options)), tls_(std::move(tls)) {}
    /// The short form: default options. `peers` gives "host:port" of every node, this one too.
    TlsTransport(raft::NodeId self, const std::map<std::uint64_t, std::string>& peers,
                 TlsOptions tls)
        : tls_(std::move(tls)) {
        options_.self = self;
        for (const auto& [peer, address] : peers) options_.peers[{peer}] = address;
    }

    /// Reads the files and opens the listening socket; see RunningTlsTransport. Throws
    /// std::invalid_argument, too, for files that cannot be used and for a certificate that is not
    /// this node's. One that has expired is used: it is the others who refuse it.
    RunningTlsTransport open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), options_, net()};
    }

    const TcpOptions& options() const { return options_; }
    std::size_t max_message_bytes() const { return options_.max_frame_bytes; }
    raft::NodeId self() const { return options_.self; }
    /// The cluster's name.
    const std::string& cluster() const { return options_.cluster; }
    /// This node and every peer that the options name: the cluster at its first start.
    std::vector<raft::NodeId> members() const { return detail::members_of(options_); }
    /// "host:port" of a member, as the others dial it; empty where the options do not say.
    std::string contact(raft::NodeId node) const { return detail::contact_of(options_, node); }

private:
    detail::TlsNet net() const {
        detail::TlsNet net;
        if (!tls_) return net;
        net.cluster = options_.cluster;
        net.context = std::make_shared<TlsContext>(
            tls_->files, tls_->on_notice,
            [cluster = options_.cluster, self = options_.self](const X509* own) {
                return detail::certificate_mismatch(own, cluster, self);
            });
        return net;
    }

    TcpOptions options_;
    std::optional<TlsOptions> tls_;
};

static_assert(TransportPlan<TlsTransport>);

}  // namespace rsm

#endif
