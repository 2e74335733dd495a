// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// From addresses on a command line to listening sockets, and what is wrong with them.
#ifndef RSM_EXAMPLES_KV_LISTEN_HPP
#define RSM_EXAMPLES_KV_LISTEN_HPP

#include "command_spec.hpp"
#include "integer.hpp"

#include <raft/base/types.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// @throws std::invalid_argument  a sentence that begins with the name of the option
inline rsm::TcpAddress parse_address(const std::string& option, const std::string& text) {
    auto parsed = rsm::TcpAddress::parse(text);
    if (parsed) return *std::move(parsed);
    throw std::invalid_argument(option + ": not HOST:PORT: \"" + text + "\"");
}

/// The same for one that others are to connect to.
/// @throws std::invalid_argument
inline rsm::TcpAddress parse_destination(const std::string& option, const std::string& text) {
    rsm::TcpAddress address = parse_address(option, text);
    if (address.port == 0) {
        throw std::invalid_argument(option + ": nobody can connect to port 0: \"" + text + "\"");
    }
    boost::system::error_code is_name;
    const auto ip = boost::asio::ip::make_address(address.host, is_name);
    if (!is_name && ip.is_unspecified()) {
        throw std::invalid_argument(option + ": nobody can connect to all addresses of a host: \"" +
                                    text + "\"");
    }
    return address;
}

/// One spelling for each address, as far as that can be said without asking for names.
inline std::string plain_spelling(rsm::TcpAddress address) {
    boost::system::error_code is_name;
    const auto ip = boost::asio::ip::make_address(address.host, is_name);
    address.host = is_name ? detail::to_lower(address.host) : ip.to_string();
    return address.text();
}

/// The nodes of a cluster from "ID=HOST:PORT" each.
/// @throws std::invalid_argument  about the first that is wrong, or if `self` is not there
inline std::map<raft::NodeId, std::string> parse_cluster(const std::vector<std::string>& items,
                                                         std::uint64_t self) {
    std::map<raft::NodeId, std::string> peers;
    std::map<std::string, std::uint64_t> owners;
    for (const std::string& item : items) {
        const std::size_t equals = item.find('=');
        const auto id = parse_node_id(std::string_view(item).substr(0, equals));
        if (equals == std::string::npos || !id) {
            throw std::invalid_argument("--cluster: not ID=HOST:PORT: \"" + item + "\"");
        }
        const std::string where = item.substr(equals + 1);
        const std::string plain = plain_spelling(parse_destination("--cluster", where));
        if (!peers.emplace(raft::NodeId{*id}, where).second) {
            throw std::invalid_argument("--cluster: node " + std::to_string(*id) +
                                        " is there twice");
        }
        const auto [owner, is_new] = owners.emplace(plain, *id);
        if (!is_new) {
            throw std::invalid_argument("--cluster: nodes " + std::to_string(owner->second) +
                                        " and " + std::to_string(*id) + " have the same address " +
                                        plain);
        }
    }
    if (!peers.contains(raft::NodeId{self})) {
        throw std::invalid_argument("--id: node " + std::to_string(self) + " is not in --cluster");
    }
    return peers;
}

namespace detail {

inline std::string cannot_listen(const std::string& where, const boost::system::error_code& why) {
    return "cannot listen on " + where + ": " + why.message();
}

inline boost::asio::ip::tcp::acceptor bound_to(boost::asio::io_context& io,
                                               const boost::asio::ip::tcp::endpoint& endpoint,
                                               boost::system::error_code& error) {
    boost::asio::ip::tcp::acceptor acceptor(io);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(boost::asio::socket_base::reuse_address(true), error);
    // Each address has a socket of its own.
    if (!error && endpoint.protocol() == boost::asio::ip::tcp::v6()) {
        acceptor.set_option(boost::asio::ip::v6_only(true), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    return acceptor;
}

}  // namespace detail

/// All addresses that the host's name has here.
/// @throws std::runtime_error
inline std::vector<boost::asio::ip::tcp::endpoint> own_endpoints(boost::asio::io_context& io,
                                                                 const rsm::TcpAddress& where) {
    using Resolver = boost::asio::ip::tcp::resolver;
    boost::system::error_code error;
    Resolver resolver(io);
    const auto found =
        resolver.resolve(where.host, std::to_string(where.port), Resolver::passive, error);
    if (error) throw std::runtime_error(detail::cannot_listen(where.text(), error));
    std::vector<boost::asio::ip::tcp::endpoint> endpoints;
    for (const auto& entry : found) {
        if (std::find(endpoints.begin(), endpoints.end(), entry.endpoint()) == endpoints.end()) {
            endpoints.push_back(entry.endpoint());
        }
    }
    return endpoints;
}

/// Binds to all of them; until listen() clients are turned away, and not kept waiting. One that is
/// listened on is taken; whether another program is about to listen, only listen() tells. Port 0
/// becomes one that the system chooses, the same for all. Addresses that this machine does not have
/// are left out, as long as it has one.
/// @param left_out  called with a sentence for each of those
/// @throws std::runtime_error  if one of the others cannot be listened on, or none is there
inline std::vector<boost::asio::ip::tcp::acceptor> bind_all(
    boost::asio::io_context& io, const std::vector<boost::asio::ip::tcp::endpoint>& endpoints,
    const std::function<void(const std::string&)>& left_out) {
    std::vector<boost::asio::ip::tcp::acceptor> acceptors;
    std::vector<std::string> absent;
    for (boost::asio::ip::tcp::endpoint endpoint : endpoints) {
        if (!acceptors.empty()) endpoint.port(acceptors.front().local_endpoint().port());
        boost::system::error_code error;
        boost::asio::ip::tcp::acceptor acceptor = detail::bound_to(io, endpoint, error);
        const std::string at =
            rsm::TcpAddress{endpoint.address().to_string(), endpoint.port()}.text();
        if (!error) {
            acceptors.push_back(std::move(acceptor));
        } else if (error == boost::system::errc::address_not_available ||
                   error == boost::system::errc::address_family_not_supported) {
            absent.push_back(detail::cannot_listen(at, error));
        } else {
            throw std::runtime_error(detail::cannot_listen(at, error));
        }
    }
    if (acceptors.empty()) {
        throw std::runtime_error(absent.empty() ? "no address to listen on" : absent.front());
    }
    for (const std::string& text : absent) left_out(text);
    return acceptors;
}

/// @throws std::runtime_error  if one of them cannot be listened on
inline void listen(std::vector<boost::asio::ip::tcp::acceptor>& acceptors) {
    for (boost::asio::ip::tcp::acceptor& acceptor : acceptors) {
        boost::system::error_code error;
        acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
        if (!error) continue;
        const auto endpoint = acceptor.local_endpoint();
        throw std::runtime_error(detail::cannot_listen(
            rsm::TcpAddress{endpoint.address().to_string(), endpoint.port()}.text(), error));
    }
}

}  // namespace kv

#endif
