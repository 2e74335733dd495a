// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsContext: the certificate, the key and the authorities that new connections use, read again
// when their files have changed.
#ifndef RSM_TRANSPORT_TLS_CONTEXT_HPP
#define RSM_TRANSPORT_TLS_CONTEXT_HPP

#include <rsm/transport/tls/error.hpp>
#include <rsm/transport/tls/pace.hpp>

#include <openssl/asn1.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace rsm::inline v0 {

/// Paths of files in PEM.
struct TlsFiles {
    std::string certificate;  ///< this side's, followed by those between it and the authority
    std::string key;          ///< of that certificate, without a password
    std::string authorities;  ///< whose signatures are trusted: one certificate or several
};

namespace detail {

using SslContext = std::shared_ptr<SSL_CTX>;

/// What changes when a file is written or replaced.
struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t written_ns = 0;
    std::int64_t changed_ns = 0;  ///< also by who may read it
    friend bool operator==(const FileState&, const FileState&) = default;

    /// Of a file that is not there: that of none.
    static FileState of(const std::string& path) {
        struct stat found {};
        if (path.empty() || ::stat(path.c_str(), &found) != 0) return {};
        const auto nanoseconds = [](const timespec& time) {
            return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
        };
        return {found.st_dev, found.st_ino, found.st_size, nanoseconds(found.st_mtim),
                nanoseconds(found.st_ctim)};
    }
};

/// Throws std::invalid_argument with a sentence that names the file.
[[noreturn]] inline void refuse_file(const std::string& what, const std::string& path) {
    std::string why = openssl_sentence();
    if (std::FILE* const file = std::fopen(path.c_str(), "re")) {
        std::fclose(file);
    } else {
        why = std::generic_category().message(errno);
    }
    throw std::invalid_argument("TLS: the " + what + " in " + path + ": " + why);
}

/// TLS 1.3 and nothing else. Sessions are not resumed: each connection shows its certificate.
inline SslContext new_context() {
    SslContext context(SSL_CTX_new(TLS_method()), [](SSL_CTX* made) { SSL_CTX_free(made); });
    if (context == nullptr) throw std::invalid_argument("TLS: " + openssl_sentence());
    SSL_CTX* const made = context.get();
    SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(made, 0);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    // Frames and requests have a length, so a connection that is cut off is found out anyway.
    SSL_CTX_set_options(made, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(made, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS |
                               SSL_MODE_NO_AUTO_CHAIN);
    // A peer that has shown nothing yet makes OpenSSL gather no more than this.
    SSL_CTX_set_max_cert_list(made, long{16} << 10);
    // One call of the system reads several records.
    SSL_CTX_set_read_ahead(made, 1);
    SSL_CTX_set_default_read_buffer_len(made, std::size_t{64} << 10);
    // Nobody is there to type a password.
    SSL_CTX_set_default_passwd_cb(made, [](char*, int, int, void*) { return -1; });
    return context;
}

/// Throws std::invalid_argument with a sentence about the first file that cannot be used.
inline SslContext load_context(const TlsFiles& files) {
    ERR_clear_error();
    SslContext context = new_context();
    SSL_CTX* const made = context.get();
    if (SSL_CTX_load_verify_locations(made, files.authorities.c_str(), nullptr) != 1) {
        refuse_file("authorities", files.authorities);
    }
    if (files.certificate.empty()) return context;
    if (SSL_CTX_use_certificate_chain_file(made, files.certificate.c_str()) != 1) {
        refuse_file("certificate", files.certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(made, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
        refuse_file("key", files.key);
    }
    return context;
}

/// Seconds since 1970; 0: no time that OpenSSL can read.
inline std::int64_t unix_seconds(const ASN1_TIME* time) {
    const std::unique_ptr<ASN1_TIME, void (*)(ASN1_TIME*)> epoch(ASN1_TIME_set(nullptr, 0),
                                                                 ASN1_TIME_free);
    int days = 0;
    int seconds = 0;
    if (epoch == nullptr || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
    return std::int64_t{days} * 86'400 + seconds;
}

/// "2030-01-31 12:00:00 UTC"
inline std::string time_text(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return "?";
    char text[32];
    return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts));
}

}  // namespace detail

/// What the connections of one side of a program have in common.
///
/// The files are looked at again for each new connection. Those that can be used replace what was
/// read before; those that cannot are said so once, and what was read before is used on. Files that
/// have not changed since are tried again after a minute at the earliest, for what kept them from
/// being read may have passed.
/// Connections that are there keep what they began with.
///
/// Until when the certificate is valid is said when it is read, in capitals where that is over, or
/// will be within `soon`.
///
/// Thread safety: one object from one thread at a time.
class TlsContext {
public:
    /// Why a certificate is not to be used here, in a sentence; empty: it is.
    using Check = std::function<std::string(const X509*)>;
    using Notice = std::function<void(const std::string&)>;
    /// Before the end of a certificate: time enough to have it renewed.
    static constexpr std::chrono::hours soon{14 * 24};

    /// @param files   certificate and key may be missing together: then none is shown
    /// @param notice  told, from within the constructor, that the certificate has been read, and,
    ///                from within next(), of changes of the files, in a sentence without line
    ///                breaks; may be empty
    /// @param check   asked of each certificate that is read; may be empty
    /// Throws std::invalid_argument, with a sentence, for files that cannot be used.
    explicit TlsContext(TlsFiles files, Notice notice = {}, Check check = {})
        : files_(std::move(files)), notice_(std::move(notice)), check_(std::move(check)) {
        if (files_.authorities.empty()) {
            throw std::invalid_argument("TLS: a file of authorities is needed");
        }
        if (files_.certificate.empty() != files_.key.empty()) {
            throw std::invalid_argument(
                "TLS: certificate and key are given together or not at "
                "all");
        }
        looked_at_ = look();
        current_ = load();
        if (!files_.certificate.empty()) {
            tell("TLS: the certificate is that in " + files_.certificate + validity());
        }
    }

    /// For a connection that begins now.
    detail::SslContext next() {
        const Files now = look();
        const bool is_same = now == looked_at_;
        if (is_same && (!retry_at_ || Clock::now() < *retry_at_)) return current_;
        looked_at_ = now;
        retry_at_.reset();
        std::string why;
        try {
            current_ = load();
            tell("TLS: the files have changed, and new connections use them" + validity());
            return current_;
        } catch (const std::bad_alloc&) {
            why = "TLS: there is no memory to read the files";
        } catch (const std::invalid_argument& error) {
            why = error.what();
        }
        retry_at_ = Clock::now() + std::chrono::minutes(1);
        if (!is_same) tell(why + "; what was read before is used on");
        return current_;
    }

    /// Of the handshakes that others ask for.
    detail::TlsPace& pace() { return pace_; }

    /// ", valid until ..." of the certificate; empty: there is none.
    std::string validity() const {
        const ASN1_TIME* const end = not_after();
        if (end == nullptr) return {};
        using std::chrono::system_clock;
        std::time_t then = system_clock::to_time_t(system_clock::now() + soon);
        const std::string text = detail::time_text(end);
        if (X509_cmp_current_time(end) < 0) return "; THE CERTIFICATE HAS EXPIRED on " + text;
        if (X509_cmp_time(end, &then) < 0) return "; THE CERTIFICATE EXPIRES SOON, on " + text;
        return ", valid until " + text;
    }

    /// When the certificate that new connections show expires, in seconds since 1970; 0: none is
    /// shown.
    std::int64_t certificate_end() const {
        const ASN1_TIME* const end = not_after();
        return end == nullptr ? 0 : detail::unix_seconds(end);
    }

private:
    using Clock = std::chrono::steady_clock;
    using Files = std::array<detail::FileState, 3>;

    Files look() const {
        return {detail::FileState::of(files_.certificate), detail::FileState::of(files_.key),
                detail::FileState::of(files_.authorities)};
    }

    detail::SslContext load() const {
        detail::SslContext loaded = detail::load_context(files_);
        if (!check_ || files_.certificate.empty()) return loaded;
        const std::string why = check_(SSL_CTX_get0_certificate(loaded.get()));
        if (why.empty()) return loaded;
        throw std::invalid_argument("TLS: the certificate in " + files_.certificate + ": " + why);
    }

    /// Null: there is no certificate.
    const ASN1_TIME* not_after() const {
        const X509* const own = SSL_CTX_get0_certificate(current_.get());
        return own == nullptr ? nullptr : X509_get0_notAfter(own);
    }

    void tell(const std::string& what) const {
        if (notice_) notice_(what);
    }

    TlsFiles files_;
    Notice notice_;
    Check check_;
    Files looked_at_;
    std::optional<Clock::time_point> retry_at_;  // the files could not be used
    detail::SslContext current_;
    detail::TlsPace pace_;
};

}  // namespace rsm

#endif
