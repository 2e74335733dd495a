// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Where a kv server tells over HTTP how it is.
#ifndef RSM_EXAMPLES_KV_ADMIN_ARGUMENTS_HPP
#define RSM_EXAMPLES_KV_ADMIN_ARGUMENTS_HPP

#include "listen.hpp"

#include <rsm/admin/http.hpp>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kv {

struct AdminArguments {
    std::string address;             ///< empty: nowhere
    std::vector<std::string> names;  ///< by which clients may call it
};

inline void declare_admin(CLI::App& app, AdminArguments& arguments) {
    app.add_option("--admin", arguments.address,
                   "Where to tell over HTTP how this node is, for Prometheus (/metrics), "
                   "supervisors (/healthz, /readyz) and people (/): HOST:PORT, or PORT for this "
                   "host alone; whoever reaches it may read it");
    app.add_option("--admin-name", arguments.names,
                   "A name besides localhost by which clients of --admin may call this host, "
                   "once for each")
        ->expected(1)
        ->take_all()
        ->needs("--admin");
}

/// Bound, and not listened on yet; none where none is wanted.
/// @param left_out  as of bind_all()
/// @throws std::invalid_argument, std::runtime_error
inline std::vector<boost::asio::ip::tcp::acceptor> bind_admin(
    boost::asio::io_context& io, const AdminArguments& arguments,
    const std::function<void(const std::string&)>& left_out) {
    if (arguments.address.empty()) return {};
    const bool is_port = arguments.address.find_first_not_of("0123456789") == std::string::npos;
    const std::string address = (is_port ? "127.0.0.1:" : "") + arguments.address;
    return bind_all(io, own_endpoints(io, parse_address("--admin", address)), left_out);
}

/// The host of --admin is a name of it, too.
inline rsm::AdminOptions admin_options(const AdminArguments& arguments) {
    rsm::AdminOptions options;
    options.names = arguments.names;
    const auto own = rsm::TcpAddress::parse(arguments.address);
    if (own) options.names.push_back(own->host);
    return options;
}

}  // namespace kv

#endif
