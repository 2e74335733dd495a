// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsSession: the records of TLS over a socket that does not block.
#ifndef RSM_TRANSPORT_TLS_SESSION_HPP
#define RSM_TRANSPORT_TLS_SESSION_HPP

#include <rsm/transport/tls/context.hpp>
#include <rsm/transport/tls/error.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// Whether the accepting side asks who connects.
enum class TlsAsks : std::uint8_t {
    nothing,
    for_certificate,  ///< and takes those who have none, too
    for_a_valid_one,  ///< and takes nobody else
};

namespace detail {

/// All records of one write leave in one call of the system, and one call reads several; OpenSSL's
/// own sockets take a call for each.
///
/// What is written counts as written when the system has its records. A write that it did not take
/// at once is to be repeated with the same bytes in front, as whatever writes in pieces does.
class TlsSession {
public:
    /// Why a certificate whose signatures are right is not to be accepted; empty: it is.
    using Check = std::function<std::string(const X509*)>;
    enum class State : std::uint8_t { done, wants_read, wants_write, failed };

    TlsSession(SslContext context, int socket, bool accepts, TlsAsks asks, Check check)
        : context_(std::move(context)), socket_(socket), check_(std::move(check)) {
        ssl_.reset(SSL_new(context_.get()));
        BIO* const bio = ssl_ == nullptr ? nullptr : BIO_new(method());
        if (bio == nullptr) throw std::bad_alloc();
        BIO_set_data(bio, this);
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
        SSL_set_ex_data(ssl_.get(), slot(), this);
        SSL_set_msg_callback(ssl_.get(), note_message);
        SSL_set_msg_callback_arg(ssl_.get(), this);
        SSL_set_verify(ssl_.get(), accepts ? verify_mode(asks) : SSL_VERIFY_PEER, verify);
        accepts ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    }
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    /// Goes on with the handshake as far as that is possible without waiting.
    /// @param why  set if it has failed: a sentence about the other end
    State shake_hands(std::string& why) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_.get());
        is_established_ = result == 1;
        const int state = SSL_get_error(ssl_.get(), result);
        if (result != 1 && state != SSL_ERROR_WANT_READ) why = handshake_failure(state);
        boost::system::error_code broken;
        flush(broken);  // a failure is told to the other end, too
        if (!why.empty()) return State::failed;
        if (broken) {
            why = broken.message();
            return State::failed;
        }
        if (!unsent_.empty()) return State::wants_write;
        return result == 1 ? State::done : State::wants_read;
    }

    /// The other end's, if it has shown one; null: it has not.
    X509* certificate() const { return SSL_get0_peer_certificate(ssl_.get()); }

    /// Reads what is there. 0 and no error but would_block: nothing. @pre size != 0
    std::size_t read(void* target, std::size_t size, boost::system::error_code& error) {
        auto* const to = static_cast<char*>(target);
        std::size_t total = 0;
        // One record at a time is what OpenSSL gives.
        while (total < size) {
            std::size_t count = 0;
            ERR_clear_error();
            if (SSL_read_ex(ssl_.get(), to + total, size - total, &count) != 1) break;
            total += count;
            read_bytes_ += count;
            if (SSL_has_pending(ssl_.get()) == 0) return total;
        }
        if (total == 0) error = read_error();
        return total;
    }

    /// Whether a read would give something, be it an error.
    bool is_readable() {
        char byte = 0;
        std::size_t count = 0;
        ERR_clear_error();
        if (SSL_peek_ex(ssl_.get(), &byte, 1, &count) == 1) return true;
        return read_error() != boost::asio::error::would_block;
    }

    /// Writes from the front of the parts and says how many bytes the system has now, counted from
    /// that front. 0 with would_block: none that have not been told yet.
    template <class Buffers>
    std::size_t write(const Buffers& parts, boost::system::error_code& error) {
        flush(error);
        if (!error && !unsent_.empty()) error = boost::asio::error::would_block;
        if (error) return 0;
        if (untold_ != 0) return std::exchange(untold_, 0);
        const std::size_t count = encrypt(parts, error);
        if (!error) flush(error);
        if (error) return 0;
        if (unsent_.empty()) return count;
        untold_ = count;
        error = boost::asio::error::would_block;
        return 0;
    }

    /// About how much memory it takes: what OpenSSL keeps for a connection, and what waits here.
    std::size_t memory_bytes() const { return openssl_bytes + unsent_.capacity(); }

    /// Says that nothing follows, as far as the system takes it at once.
    void finish() {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
        boost::system::error_code ignored;
        flush(ignored);
    }

private:
    static constexpr std::size_t record_bytes = SSL3_RT_MAX_PLAIN_LENGTH;
    /// Measured for one that is idle: 30 KiB. While it reads it has a buffer of 64 KiB.
    static constexpr std::size_t openssl_bytes = std::size_t{32} << 10;
    static constexpr std::size_t encrypted_at_once = 16 * record_bytes;
    static constexpr std::size_t kept_bytes = std::size_t{64} << 10;
    /// What a peer may send before it has shown who it is, but for one read more.
    static constexpr std::size_t handshake_most = std::size_t{32} << 10;
    /// How often a peer may change its keys, which takes this side some 20 us each time: so often,
    /// and once more for as many bytes of data. An honest one does it behind gigabytes.
    static constexpr std::uint64_t key_changes_most = 32;
    static constexpr std::uint64_t bytes_for_key_change = std::uint64_t{64} << 10;
    /// More than one write makes, and what else OpenSSL may have to say.
    static constexpr std::size_t unsent_most = 2 * encrypted_at_once;

    static int verify_mode(TlsAsks asks) {
        switch (asks) {
            case TlsAsks::nothing: return SSL_VERIFY_NONE;
            case TlsAsks::for_certificate: return SSL_VERIFY_PEER;
            case TlsAsks::for_a_valid_one: break;
        }
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }

    // ---- the handshake -----------------------------------------------------------------------

    /// Where a connection of OpenSSL's keeps who it belongs to.
    static int slot() {
        static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
        return index;
    }

    static int verify(int accepted, X509_STORE_CTX* store) {
        const auto* const ssl = static_cast<const SSL*>(
            X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto* const self = static_cast<TlsSession*>(SSL_get_ex_data(ssl, slot()));
        if (accepted != 1 || X509_STORE_CTX_get_error_depth(store) != 0 || !self->check_) {
            return accepted;
        }
        self->objection_ = self->check_(X509_STORE_CTX_get_current_cert(store));
        if (self->objection_.empty()) return 1;
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);  // a bad certificate
        return 0;
    }

    std::string handshake_failure(int state) const {
        const unsigned long error = take_openssl_error();
        const long verdict = SSL_get_verify_result(ssl_.get());
        if (!objection_.empty()) return "its certificate is not accepted: " + objection_;
        if (state == SSL_ERROR_SSL && verdict != X509_V_OK) {
            return std::string("its certificate is not accepted: ") +
                   X509_verify_cert_error_string(verdict);
        }
        if (state == SSL_ERROR_SSL) return tls_sentence(ERR_GET_REASON(error));
        if (system_error_ != 0) return last_system_error().message();
        return "it closed the connection during the TLS handshake";
    }

    // ---- reading and writing -----------------------------------------------------------------

    boost::system::error_code last_system_error() const {
        return {system_error_, boost::system::system_category()};
    }

    /// Told of the protocol's messages; an established connection has those that change keys.
    /// OpenSSL takes in any number of them until there is data, unless the other end is done.
    static void note_message(int written, int, int type, const void*, std::size_t, SSL* ssl,
                             void* session) {
        auto* const self = static_cast<TlsSession*>(session);
        if (written != 0 || type != SSL3_RT_HANDSHAKE || !self->is_established_) return;
        ++self->key_changes_;
        if (self->is_flooded()) SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
    }
    bool is_flooded() const {
        return key_changes_ > key_changes_most + read_bytes_ / bytes_for_key_change;
    }

    /// After a read that gave nothing.
    boost::system::error_code read_error() {
        if (is_flooded()) return tls_error(SSL_R_TOO_MANY_KEY_UPDATES);
        const int state = SSL_get_error(ssl_.get(), 0);
        if (state == SSL_ERROR_WANT_READ) return boost::asio::error::would_block;
        if (state == SSL_ERROR_ZERO_RETURN) return boost::asio::error::eof;
        if (state == SSL_ERROR_SSL) return tls_error(ERR_GET_REASON(take_openssl_error()));
        ERR_clear_error();
        return system_error_ != 0 ? last_system_error() : boost::asio::error::eof;
    }

    /// Small parts share a record.
    template <class Buffers>
    std::size_t encrypt(const Buffers& parts, boost::system::error_code& error) {
        std::array<std::byte, record_bytes> record;
        std::size_t gathered = 0;
        std::size_t total = 0;
        const auto last = boost::asio::buffer_sequence_end(parts);
        for (auto part = boost::asio::buffer_sequence_begin(parts); part != last; ++part) {
            boost::asio::const_buffer rest = *part;
            while (rest.size() != 0 && total + gathered < encrypted_at_once) {
                if (gathered == 0 && rest.size() >= record_bytes) {
                    if (!put_record(rest.data(), record_bytes, error)) return 0;
                    total += record_bytes;
                    rest += record_bytes;
                    continue;
                }
                const std::size_t count = std::min(rest.size(), record_bytes - gathered);
                std::memcpy(record.data() + gathered, rest.data(), count);
                gathered += count;
                rest += count;
                if (gathered < record_bytes) continue;
                if (!put_record(record.data(), gathered, error)) return 0;
                total += std::exchange(gathered, 0);
            }
        }
        if (gathered != 0 && !put_record(record.data(), gathered, error)) return 0;
        return total + gathered;
    }

    bool put_record(const void* bytes, std::size_t size, boost::system::error_code& error) {
        std::size_t count = 0;
        ERR_clear_error();
        if (SSL_write_ex(ssl_.get(), bytes, size, &count) == 1) return true;
        const int reason = ERR_GET_REASON(take_openssl_error());
        error = reason != 0 ? tls_error(reason)
                            : boost::system::error_code(boost::asio::error::broken_pipe);
        return false;
    }

    void flush(boost::system::error_code& error) {
        while (sent_ < unsent_.size()) {
            const ssize_t count = ::send(socket_, unsent_.data() + sent_, unsent_.size() - sent_,
                                         MSG_DONTWAIT | MSG_NOSIGNAL);
            if (count >= 0) {
                sent_ += static_cast<std::size_t>(count);
            } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return;
            } else if (errno != EINTR) {
                system_error_ = errno;
                error = last_system_error();
                return;
            }
        }
        sent_ = 0;
        unsent_.clear();
        if (unsent_.capacity() > kept_bytes) std::vector<std::byte>().swap(unsent_);
    }

    // ---- what OpenSSL reads from and writes to ---------------------------------------------

    static const BIO_METHOD* method() {
        static const BIO_METHOD* const made = [] {
            BIO_METHOD* const fresh =
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rsm socket");
            if (fresh == nullptr) throw std::bad_alloc();
            BIO_meth_set_read(fresh, take);
            BIO_meth_set_write(fresh, give);
            BIO_meth_set_ctrl(fresh, control);
            return fresh;
        }();
        return made;
    }

    static int take(BIO* bio, char* target, int size) {
        auto* const self = static_cast<TlsSession*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const bool is_shaking = SSL_is_init_finished(self->ssl_.get()) == 0;
        if (is_shaking && self->taken_ > handshake_most) return -1;
        while (true) {
            const ssize_t count =
                ::recv(self->socket_, target, static_cast<std::size_t>(size), MSG_DONTWAIT);
            if (count > 0) {
                if (is_shaking) self->taken_ += static_cast<std::size_t>(count);
                return static_cast<int>(count);
            }
            if (count == 0) {
                self->ended_ = true;
                return 0;
            }
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                BIO_set_retry_read(bio);
            } else {
                self->system_error_ = errno;
            }
            return -1;
        }
    }

    static int give(BIO* bio, const char* bytes, int size) {
        auto* const self = static_cast<TlsSession*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const auto count = static_cast<std::size_t>(size);
        if (self->unsent_.size() + count > unsent_most) return -1;
        const auto* const from = reinterpret_cast<const std::byte*>(bytes);
        try {
            self->unsent_.insert(self->unsent_.end(), from, from + count);
        } catch (const std::bad_alloc&) {
            return -1;  // nothing may be thrown through OpenSSL
        }
        return size;
    }

    static long control(BIO* bio, int command, long, void*) {
        if (command == BIO_CTRL_EOF) return static_cast<TlsSession*>(BIO_get_data(bio))->ended_;
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }

    struct Free {
        void operator()(SSL* made) const { SSL_free(made); }
    };

    SslContext context_;
    int socket_;
    Check check_;
    std::string objection_;
    std::unique_ptr<SSL, Free> ssl_;
    std::vector<std::byte> unsent_;  // records; from `sent_` on the system has not taken them
    std::size_t sent_ = 0;
    std::size_t untold_ = 0;  // bytes whose records were not all taken when they were written
    std::size_t taken_ = 0;   // bytes, in the handshake
    bool is_established_ = false;
    std::uint64_t key_changes_ = 0;
    std::uint64_t read_bytes_ = 0;  // of data
    int system_error_ = 0;
    bool ended_ = false;  // the other end sends nothing more
};

}  // namespace detail
}  // namespace rsm

#endif
