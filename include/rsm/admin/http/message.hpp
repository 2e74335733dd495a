// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Requests and replies of the admin server, and what is decided about a request by itself.
#ifndef RSM_ADMIN_HTTP_MESSAGE_HPP
#define RSM_ADMIN_HTTP_MESSAGE_HPP

#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

using HttpRequest = boost::beast::http::request<boost::beast::http::empty_body>;

struct HttpReply {
    unsigned status = 200;
    std::string_view content_type = "text/plain; charset=utf-8";
    std::string body;
    std::string_view policy = "default-src 'none'; frame-ancestors 'none'";  ///< of contents
};

inline HttpReply plain_reply(unsigned status, std::string_view sentence) {
    HttpReply reply;
    reply.status = status;
    reply.body.append(sentence).append("\n");
    return reply;
}

inline std::string_view reason_of(unsigned status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 413: return "Content Too Large";
        case 421: return "Misdirected Request";
        case 431: return "Request Header Fields Too Large";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "Error";
    }
}

/// @param with_body  false: as for HEAD
inline std::string to_bytes(const HttpReply& reply, bool with_body, bool keep_alive) {
    std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " ";
    text.append(reason_of(reply.status));
    text.append("\r\nContent-Type: ").append(reply.content_type);
    text.append("\r\nContent-Length: ").append(std::to_string(reply.body.size()));
    text.append("\r\nContent-Security-Policy: ").append(reply.policy);
    text.append(
        "\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer"
        "\r\nCross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store");
    if (reply.status == 405) text.append("\r\nAllow: GET, HEAD");
    text.append(keep_alive ? "\r\nConnection: keep-alive" : "\r\nConnection: close");
    text.append("\r\n\r\n");
    if (with_body) text.append(reply.body);
    return text;
}

/// The host of a Host field, without its port and, of an IPv6 address, the brackets.
inline std::string_view host_in(std::string_view field) {
    if (field.starts_with('[')) {
        const std::size_t end = field.find(']');
        return end == std::string_view::npos ? std::string_view() : field.substr(1, end - 1);
    }
    return field.substr(0, field.find(':'));
}

/// Whether this server may be called so. A page of another site can make its own name lead to this
/// host (DNS rebinding) and would then read what is said here as if it were its own; but it cannot
/// be called by an address, or by a name that it does not own.
inline bool is_own_name(std::string_view host, const std::vector<std::string>& names) {
    boost::system::error_code no_address;
    boost::asio::ip::make_address(std::string(host), no_address);
    const auto same = [&](std::string_view name) { return boost::beast::iequals(host, name); };
    return !no_address || same("localhost") || std::ranges::any_of(names, same);
}

/// Why a request is not answered, if so. Nothing of it is repeated.
inline std::optional<HttpReply> refusal_of(const HttpRequest& request,
                                           const std::vector<std::string>& names) {
    using boost::beast::http::field;
    using boost::beast::http::verb;
    if (request.version() != 10 && request.version() != 11) {
        return plain_reply(505, "This server speaks HTTP/1.1.");
    }
    const std::size_t hosts = request.count(field::host);
    if (hosts > 1 || (hosts == 0 && request.version() == 11)) {
        return plain_reply(400, "A request needs one Host field.");
    }
    const auto host = request[field::host];
    if (hosts == 1 && !is_own_name(host_in({host.data(), host.size()}), names)) {
        return plain_reply(
            421,
            "This server is not known by that name: use its address, or name it at its start.");
    }
    if (request.method() != verb::get && request.method() != verb::head) {
        return plain_reply(405, "This server only tells: GET and HEAD.");
    }
    const auto length = request[field::content_length];
    if (request.count(field::transfer_encoding) != 0 || (!length.empty() && length != "0")) {
        return plain_reply(413, "A request must not have a body.");
    }
    if (!request.target().starts_with('/')) {
        return plain_reply(400, "The target of a request must begin with a slash.");
    }
    return std::nullopt;
}

/// What is asked for, without a query.
inline std::string path_of(const HttpRequest& request) {
    const auto target = request.target();
    const std::string_view all(target.data(), target.size());
    return std::string(all.substr(0, all.find('?')));
}

}  // namespace rsm::detail

#endif
