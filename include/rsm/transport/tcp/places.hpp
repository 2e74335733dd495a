// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Where a node listens and where its peers are, as the options say it.
#ifndef RSM_TRANSPORT_TCP_PLACES_HPP
#define RSM_TRANSPORT_TCP_PLACES_HPP

#include <raft/base/types.hpp>
#include <rsm/transport/tcp_address.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

struct TcpPlaces {
    TcpAddress own;
    std::map<raft::NodeId, TcpAddress> peers;
};

/// The node itself, then every peer that the options name.
inline std::vector<raft::NodeId> members_of(const TcpOptions& options) {
    std::vector<raft::NodeId> nodes{options.self};
    for (const auto& [peer, address] : options.peers) {
        if (peer != options.self) nodes.push_back(peer);
    }
    return nodes;
}

/// What the options say of where a node can be dialled; empty: nothing.
inline std::string contact_of(const TcpOptions& options, raft::NodeId node) {
    const auto listed = options.peers.find(node);
    if (listed != options.peers.end()) return listed->second;
    const auto listens = TcpAddress::parse(options.listen);
    const bool fixed = node == options.self && listens && listens->port != 0;
    return fixed ? options.listen : std::string();
}

[[noreturn]] inline void refuse_option(const std::string& why) {
    throw std::invalid_argument("TcpTransport: " + why);
}

inline TcpAddress parse_address(const std::string& whose, const std::string& text) {
    auto address = TcpAddress::parse(text);
    if (!address) {
        refuse_option("the address of " + whose + " is not host:port: \"" + text + "\"");
    }
    return *std::move(address);
}

/// Host names are compared as they are written, but for upper and lower case: whether two names
/// mean one host is not known here.
inline bool same_place(const TcpAddress& a, const TcpAddress& b) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return a.port == b.port &&
           std::equal(a.host.begin(), a.host.end(), b.host.begin(), b.host.end(),
                      [&lower](char left, char right) { return lower(left) == lower(right); });
}

/// Whether others can find somebody there: neither port 0 nor "any address", and a host without
/// blanks and control characters.
inline bool can_be_dialled(const TcpAddress& address) {
    const bool printable = std::all_of(address.host.begin(), address.host.end(),
                                       [](char c) { return c > ' ' && c != 127; });
    boost::system::error_code no_number;
    const auto number = boost::asio::ip::make_address(address.host, no_number);
    return address.port != 0 && printable && (no_number || !number.is_unspecified());
}

inline TcpAddress own_place(const TcpOptions& options) {
    if (!options.listen.empty()) return parse_address("this node", options.listen);
    const auto own = options.peers.find(options.self);
    if (own != options.peers.end()) return parse_address("this node", own->second);
    std::string listed;
    for (const auto& [peer, text] : options.peers) {
        listed += (listed.empty() ? "" : ", ") + std::to_string(peer.value);
    }
    refuse_option("node " + std::to_string(options.self.value) +
                  (listed.empty() ? " has no address: peers and listen are empty"
                                  : " is not among the peers (" + listed +
                                        "), and listen does not say where it listens either"));
}

/// Throws std::invalid_argument that names the nodes if two of them have one address. Port 0 is
/// nobody's: the system chooses another one for each.
inline void check_distinct(const std::map<raft::NodeId, TcpAddress>& nodes) {
    for (auto a = nodes.begin(); a != nodes.end(); ++a) {
        const auto twin = std::find_if(std::next(a), nodes.end(), [a](const auto& b) {
            return a->second.port != 0 && same_place(a->second, b.second);
        });
        if (twin == nodes.end()) continue;
        refuse_option("nodes " + std::to_string(a->first.value) + " and " +
                      std::to_string(twin->first.value) + " have the same address, " +
                      a->second.text());
    }
}

/// Reads the addresses of all nodes. Throws std::invalid_argument, with a sentence about it, for
/// one that is none, for a peer with port 0, for two nodes at one address and if the node's own is
/// not given.
inline TcpPlaces places_of(const TcpOptions& options) {
    TcpPlaces places{own_place(options), {}};
    std::map<raft::NodeId, TcpAddress> nodes;
    for (const auto& [peer, text] : options.peers) {
        if (peer == options.self) {
            nodes.emplace(peer, parse_address("this node", text));
            continue;
        }
        const std::string whose = "peer " + std::to_string(peer.value);
        TcpAddress address = parse_address(whose, text);
        if (address.port == 0) {
            refuse_option("the port of " + whose + " is 0: \"" + text + "\"");
        }
        nodes.emplace(peer, address);
        places.peers.emplace(peer, std::move(address));
    }
    check_distinct(nodes);
    return places;
}

}  // namespace rsm::detail

#endif
