// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a network may do with a connection before the greetings: nothing, or TLS.
#ifndef RSM_TRANSPORT_TCP_SECURED_HPP
#define RSM_TRANSPORT_TCP_SECURED_HPP

#include <raft/base/types.hpp>

#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// A Net (system_net.hpp) that secures connections has, besides,
/// - `secure_dialled(socket, peer, done)`: makes sure that the other end is that node, then calls
///   done(why), `why` being empty or the sentence about why it is not;
/// - `secure_accepted(socket, done)`: the same, as far as the other end begins to; what it begins
///   with instead is left unread;
/// - `speaks_as_asked(socket)`: whether it has begun to, if it has to;
/// - `identity_mismatch(socket, node)`: why the other end is not that node; empty: it is.
/// `done` is called once, also when the socket is closed; it may be called from inside.
template <class Net>
concept SecuringNet = requires {
    typename Net::Secures;
};

template <class Net, class Done>
void secure_dialled(Net& net, typename Net::Socket& socket, raft::NodeId peer, Done done) {
    if constexpr (SecuringNet<Net>) {
        net.secure_dialled(socket, peer, std::move(done));
    } else {
        done(std::string());
    }
}

template <class Net, class Done>
void secure_accepted(Net& net, typename Net::Socket& socket, Done done) {
    if constexpr (SecuringNet<Net>) {
        net.secure_accepted(socket, std::move(done));
    } else {
        done(std::string());
    }
}

template <class Net>
bool speaks_as_asked(const Net& net, const typename Net::Socket& socket) {
    if constexpr (SecuringNet<Net>) {
        return net.speaks_as_asked(socket);
    } else {
        return true;
    }
}

template <class Net>
std::string identity_mismatch(const Net& net, const typename Net::Socket& socket,
                              raft::NodeId node) {
    if constexpr (SecuringNet<Net>) {
        return net.identity_mismatch(socket, node);
    } else {
        return {};
    }
}

}  // namespace rsm::detail

#endif
