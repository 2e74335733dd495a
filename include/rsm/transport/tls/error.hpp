// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What OpenSSL says has gone wrong, in sentences about the other end.
#ifndef RSM_TRANSPORT_TLS_ERROR_HPP
#define RSM_TRANSPORT_TLS_ERROR_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace rsm::inline v0::detail {

/// An alert that the other end has sent (RFC 8446, section 6.2).
inline std::string alert_sentence(int alert) {
    const std::string text = SSL_alert_desc_string_long(alert);
    const std::string refused = "it refuses the certificate that it was shown: ";
    switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
            return refused + "that is for another node or cluster, or not valid yet";
        case SSL_AD_UNKNOWN_CA: return refused + "it does not trust the one who has signed that";
        case SSL_AD_CERTIFICATE_EXPIRED: return refused + "that has expired";
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_NO_CERTIFICATE: return refused + text;
        case SSL_AD_CERTIFICATE_REQUIRED: return "it asks for a certificate, and was shown none";
        case SSL_AD_PROTOCOL_VERSION: return "it does not speak TLS 1.3";
        default: return "it ended the TLS connection: " + text;
    }
}

/// @param reason  ERR_GET_REASON() of an error of OpenSSL's
inline std::string tls_sentence(int reason) {
    if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
        return alert_sentence(reason - SSL_AD_REASON_OFFSET);
    }
    switch (reason) {
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_PACKET_LENGTH_TOO_LONG: return "it speaks no TLS";
        case SSL_R_UNSUPPORTED_PROTOCOL: return "it does not speak TLS 1.3";
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "it shows no certificate";
        case SSL_R_TOO_MANY_KEY_UPDATES: return "it changes its TLS keys again and again";
        default: break;
    }
    const char* const text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
    return text != nullptr ? std::string("TLS: ") + text : std::string("TLS failed");
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#endif

/// Errors of a connection under TLS; the values are OpenSSL's reasons.
class TlsCategory final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "rsm.tls"; }
    std::string message(int value) const override { return tls_sentence(value); }
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

inline boost::system::error_code tls_error(int reason) {
    static const TlsCategory category;
    return {reason, category};
}

/// Takes OpenSSL's oldest error off its queue, and the others with it.
inline unsigned long take_openssl_error() {
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    return error;
}

/// The same for a file or a key that could not be used.
inline std::string openssl_sentence() {
    const unsigned long error = take_openssl_error();
    const char* const text = ERR_reason_error_string(error);
    return text != nullptr ? text : "it cannot be used";
}

}  // namespace rsm::detail

#endif
