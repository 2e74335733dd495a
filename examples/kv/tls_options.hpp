// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What command lines say about TLS and the peers' secret.
#ifndef RSM_EXAMPLES_KV_TLS_OPTIONS_HPP
#define RSM_EXAMPLES_KV_TLS_OPTIONS_HPP

#include "client_socket.hpp"

#include <rsm/transport/tcp_options.hpp>

#ifdef RSM_KV_TLS
#include <rsm/transport/tls.hpp>
#else
#include <rsm/transport/tcp.hpp>
#endif

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace kv {

/// The files, of a server or of a client.
struct TlsArguments {
    std::string certificate;
    std::string key;
    std::string authorities;

    bool any() const { return !certificate.empty() || !key.empty() || !authorities.empty(); }
};

inline void declare_tls(CLI::App& app, TlsArguments& arguments) {
    app.add_option("--tls-cert", arguments.certificate,
                   "File with this side's certificate (PEM), followed by those between it and the "
                   "authority; read again when it changes");
    app.add_option("--tls-key", arguments.key, "File with its key (PEM, without a password)");
    app.add_option("--tls-ca", arguments.authorities,
                   "File with the certificates of the authorities that are trusted (PEM); turns "
                   "TLS on");
}

/// The peers' secret in a file: all of it but the white space at its ends, so that whatever editor
/// may have written it. Empty for no file. @throws std::invalid_argument
inline std::string read_peer_secret(const std::string& path) {
    if (path.empty()) return {};
    std::ifstream in(path, std::ios::binary);
    // One byte more than is allowed says that it is too long.
    constexpr std::size_t most = rsm::TcpOptions::max_secret_bytes + 64;
    std::string text(most, '\0');
    in.read(text.data(), static_cast<std::streamsize>(most));
    text.resize(static_cast<std::size_t>(std::max(in.gcount(), std::streamsize{0})));
    if (in.bad() || (text.empty() && !in.is_open())) {
        throw std::invalid_argument("--peer-secret: cannot read " + path);
    }
    constexpr const char* space = " \t\r\n";
    text.erase(text.find_last_not_of(space) + 1);
    text.erase(0, text.find_first_not_of(space));
    if (text.size() < rsm::TcpOptions::min_secret_bytes ||
        text.size() > rsm::TcpOptions::max_secret_bytes) {
        throw std::invalid_argument("--peer-secret: " + path + " must have " +
                                    std::to_string(rsm::TcpOptions::min_secret_bytes) + " to " +
                                    std::to_string(rsm::TcpOptions::max_secret_bytes) +
                                    " bytes that nobody can guess");
    }
    return text;
}

/// Of a server, besides.
struct ServerTlsArguments : TlsArguments {
    enum class Use : std::uint8_t { all, peers, clients };
    Use use = Use::all;
    std::string peer_secret;  ///< a file
    TlsAsks asks = TlsAsks::for_a_valid_one;

    bool for_peers() const { return any() && use != Use::clients; }
    bool for_clients() const { return any() && use != Use::peers; }
};

inline void declare_tls(CLI::App& app, ServerTlsArguments& arguments) {
    using Use = ServerTlsArguments::Use;
    declare_tls(app, static_cast<TlsArguments&>(arguments));
    const std::map<std::string, Use> uses{
        {"all", Use::all}, {"peers", Use::peers}, {"clients", Use::clients}};
    app.add_option("--tls-for", arguments.use, "Whose connections are under TLS")
        ->transform(CLI::CheckedTransformer(uses))
        ->option_text("all|peers|clients")
        ->default_str("all");
    app.add_option("--peer-secret", arguments.peer_secret,
                   "File with a secret that the nodes show each other to know, the same for all; "
                   "for those without TLS");
    const std::map<std::string, TlsAsks> asks{{"yes", TlsAsks::for_a_valid_one},
                                              {"optional", TlsAsks::for_certificate},
                                              {"no", TlsAsks::nothing}};
    app.add_option("--tls-auth-clients", arguments.asks,
                   "Whether clients have to show a certificate of one of the authorities")
        ->transform(CLI::CheckedTransformer(asks))
        ->option_text("yes|optional|no")
        ->default_str("yes");
}

#ifdef RSM_KV_TLS

using Transport = rsm::TlsTransport;

inline rsm::TlsFiles files_of(const TlsArguments& arguments) {
    return {arguments.certificate, arguments.key, arguments.authorities};
}

/// Null where there is to be no TLS. @throws std::invalid_argument
inline Tls open_tls(const TlsArguments& arguments, rsm::TlsContext::Notice notice = {}) {
    if (!arguments.any()) return nullptr;
    return std::make_shared<rsm::TlsContext>(files_of(arguments), std::move(notice));
}

inline Transport make_transport(rsm::TcpOptions options, const ServerTlsArguments& arguments,
                                rsm::TlsContext::Notice notice) {
    if (!arguments.for_peers()) return {std::move(options), std::nullopt};
    return {std::move(options), rsm::TlsOptions{files_of(arguments), std::move(notice)}};
}

#else

using Transport = rsm::TcpTransport;

inline Tls open_tls(const TlsArguments& arguments,
                    const std::function<void(const std::string&)>& = {}) {
    if (!arguments.any()) return nullptr;
    throw std::invalid_argument("--tls-...: this program was built without OpenSSL");
}

inline Transport make_transport(rsm::TcpOptions options, const ServerTlsArguments& arguments,
                                const std::function<void(const std::string&)>&) {
    open_tls(arguments);
    return Transport(std::move(options));
}

#endif

}  // namespace kv

#endif
