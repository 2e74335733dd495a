// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Listening sockets for all addresses of a name.
#ifndef RSM_TRANSPORT_TCP_ACCEPTORS_HPP
#define RSM_TRANSPORT_TCP_ACCEPTORS_HPP

#include <rsm/transport/tcp_address.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Each address that `address.host` has, once. May block on a lookup if the host is not numeric.
inline std::vector<boost::asio::ip::address> addresses_of(
    const boost::asio::any_io_executor& executor, const std::string& host,
    boost::system::error_code& error) {
    const auto numeric = boost::asio::ip::make_address(host, error);
    if (!error) return {numeric};
    boost::asio::ip::tcp::resolver resolver(executor);
    std::vector<boost::asio::ip::address> addresses;
    for (const auto& found : resolver.resolve(host, "", error)) {
        const auto one = found.endpoint().address();
        if (std::find(addresses.begin(), addresses.end(), one) == addresses.end()) {
            addresses.push_back(one);
        }
    }
    return addresses;
}

/// @param alone  false: others follow on the same port, maybe of the other version of IP
inline boost::asio::ip::tcp::acceptor open_acceptor(const boost::asio::any_io_executor& executor,
                                                    const boost::asio::ip::tcp::endpoint& endpoint,
                                                    bool alone, boost::system::error_code& error) {
    boost::asio::ip::tcp::acceptor acceptor(executor);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(boost::asio::socket_base::reuse_address(true), error);
    if (!error && !alone && endpoint.address().is_v6()) {
        acceptor.set_option(boost::asio::ip::v6_only(true), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
    return acceptor;
}

/// Whether the address is one of those that a name has and this host has not.
inline bool is_elsewhere(const boost::system::error_code& error) {
    return error == boost::system::errc::address_not_available ||
           error == boost::system::errc::address_family_not_supported;
}

/// Opens a socket at each of the addresses and at one port. Addresses that this host does not have
/// are left out unless there is no other.
inline std::vector<boost::asio::ip::tcp::acceptor> open_acceptors(
    const boost::asio::any_io_executor& executor,
    const std::vector<boost::asio::ip::address>& addresses, std::uint16_t port,
    boost::system::error_code& error) {
    std::vector<boost::asio::ip::tcp::acceptor> acceptors;
    boost::system::error_code elsewhere;
    for (const auto& address : addresses) {
        auto opened = open_acceptor(executor, {address, port}, addresses.size() == 1, error);
        if (is_elsewhere(error)) {
            elsewhere = std::exchange(error, {});
            continue;
        }
        if (!error && port == 0) port = opened.local_endpoint(error).port();
        if (error) return {};
        acceptors.push_back(std::move(opened));
    }
    if (acceptors.empty()) error = elsewhere;
    return acceptors;
}

/// Listens on all addresses that `address.host` has, at the same port; port 0 lets the system
/// choose it. May block on a lookup. Throws boost::system::system_error that names the address.
inline std::vector<boost::asio::ip::tcp::acceptor> listen_on(
    const boost::asio::any_io_executor& executor, const TcpAddress& address) {
    boost::system::error_code error;
    const auto addresses = addresses_of(executor, address.host, error);
    std::vector<boost::asio::ip::tcp::acceptor> acceptors;
    // The port that the system has chosen at the first address may be taken at another one.
    for (int attempts = address.port == 0 ? 16 : 1; !error && attempts > 0; --attempts) {
        acceptors = open_acceptors(executor, addresses, address.port, error);
        if (!acceptors.empty()) return acceptors;
        if (attempts > 1 && error == boost::asio::error::address_in_use) error = {};
    }
    if (!error) error = boost::asio::error::host_not_found;
    throw boost::system::system_error(error, "cannot listen on " + address.text());
}

}  // namespace rsm::detail

#endif
