// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsSocket: a TCP socket that speaks TLS once it is told to.
#ifndef RSM_TRANSPORT_TLS_SOCKET_HPP
#define RSM_TRANSPORT_TLS_SOCKET_HPP

#include <rsm/transport/tls/context.hpp>
#include <rsm/transport/tls/pace.hpp>
#include <rsm/transport/tls/session.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <openssl/x509.h>

#include <sys/socket.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace rsm::inline v0 {

/// How a handshake has ended.
struct TlsOutcome {
    std::string failure;    ///< a sentence about the other end; empty: the socket speaks TLS
    bool is_plain = false;  ///< the other end has begun with something else, which is unread
};

/// Does what boost::asio::ip::tcp::socket does, as far as this library and its examples use it: in
/// plain until a handshake has succeeded, and under TLS from then on. Handlers are never called
/// from inside the call that begins an operation. At most one operation of each direction is under
/// way at a time.
///
/// Thread safety: as that of a tcp::socket, whose executor must be a strand or run by one thread.
class TlsSocket {
public:
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;
    using executor_type = boost::asio::any_io_executor;
    using wait_type = Tcp::socket::wait_type;
    using shutdown_type = boost::asio::socket_base::shutdown_type;
    using Check = detail::TlsSession::Check;
    using Shaken = std::function<void(const TlsOutcome&)>;

    static constexpr auto wait_read = Tcp::socket::wait_read;
    static constexpr auto wait_write = Tcp::socket::wait_write;
    static constexpr auto shutdown_send = Tcp::socket::shutdown_send;

    // A socket that was accepted is one of these without further ado.
    TlsSocket(Tcp::socket plain)  // NOLINT(google-explicit-constructor)
        : state_(std::make_shared<State>(std::move(plain))) {}
    explicit TlsSocket(const executor_type& executor) : TlsSocket(Tcp::socket(executor)) {}
    TlsSocket(TlsSocket&&) = default;
    TlsSocket& operator=(TlsSocket&&) = delete;
    ~TlsSocket() {
        Error ignored;
        close(ignored);
    }

    executor_type get_executor() { return state_->tcp.get_executor(); }
    const Tcp::socket& tcp() const { return state_->tcp; }
    Tcp::socket& tcp() { return state_->tcp; }
    bool is_open() const { return state_->tcp.is_open(); }
    bool is_secured() const { return state_->session != nullptr; }
    /// What the other end has shown in the handshake; null: nothing.
    const X509* certificate() const {
        return is_secured() ? state_->session->certificate() : nullptr;
    }

    /// About how much memory TLS takes for it.
    std::size_t tls_memory_bytes() const {
        const auto& session = is_secured() ? state_->session : state_->shaking;
        return session == nullptr ? 0 : session->memory_bytes();
    }

    // ---- TLS -----------------------------------------------------------------------------------

    /// As the side that has connected. `check` judges the certificate of the other.
    void async_secure(const std::shared_ptr<TlsContext>& context, Check check, Shaken done) {
        const auto state = state_;
        state->is_to_be_secured = true;
        boost::asio::post(get_executor(), [state, context = context->next(),
                                           check = std::move(check), done = std::move(done)] {
            if (!state->begin(context, false, TlsAsks::nothing, check, done)) return;
            State::shake_hands(state, done);
        });
    }
    /// As the side that has accepted. Whatever does not begin like TLS is left as it is.
    void async_secure(std::shared_ptr<TlsContext> context, TlsAsks asks, Shaken done) {
        state_->is_to_be_secured = true;
        state_->tcp.async_wait(wait_read, [state = state_, context = std::move(context), asks,
                                           done = std::move(done)](Error error) {
            if (error) return done({error.message(), false});
            if (!state->begins_with_tls()) return done({{}, true});
            State::when_it_is_time(state, context, [state, context, asks, done](Error ended) {
                if (ended) return done({ended.message(), false});
                if (!state->begin(context->next(), true, asks, {}, done)) return;
                state->paced_by = context;
                State::shake_hands(state, done);
            });
        });
    }

    // ---- the socket ----------------------------------------------------------------------------

    template <class Handler>
    void async_connect(const Tcp::endpoint& to, Handler handler) {
        // It begins in plain, whatever became, or still becomes, of a connection before.
        if (state_->is_to_be_secured) {
            Error ignored;
            close(ignored);
            state_ = std::make_shared<State>(Tcp::socket(get_executor()));
        }
        state_->tcp.async_connect(to, std::move(handler));
    }
    template <class Buffers, class Handler>
    void async_read_some(const Buffers& buffers, Handler handler) {
        if (!is_secured()) return state_->tcp.async_read_some(buffers, std::move(handler));
        const boost::asio::mutable_buffer target = *boost::asio::buffer_sequence_begin(buffers);
        read_later(state_, target, std::move(handler));
    }
    template <class Buffers, class Handler>
    void async_write_some(const Buffers& buffers, Handler handler) {
        if (!is_secured()) return state_->tcp.async_write_some(buffers, std::move(handler));
        write_later(state_, buffers, std::move(handler));
    }
    template <class Buffers>
    std::size_t read_some(const Buffers& buffers, Error& error) {
        if (!is_secured()) return state_->tcp.read_some(buffers, error);
        return state_->read(*boost::asio::buffer_sequence_begin(buffers), error);
    }
    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, Error& error) {
        if (!is_secured()) return state_->tcp.write_some(buffers, error);
        return state_->write(buffers, error);
    }
    /// Under TLS, a socket is readable when there are bytes to be read, or an end.
    template <class Handler>
    void async_wait(wait_type what, Handler handler) {
        if (!is_secured() || what != wait_read) {
            return state_->tcp.async_wait(what, std::move(handler));
        }
        wait_for_bytes(state_, std::move(handler));
    }

    /// Under TLS nothing blocks, whatever this is.
    bool non_blocking() const { return state_->tcp.non_blocking(); }
    void non_blocking(bool on, Error& error) { state_->tcp.non_blocking(on, error); }
    template <class Option>
    void set_option(const Option& option, Error& error) {
        state_->tcp.set_option(option, error);
    }
    Tcp::endpoint remote_endpoint(Error& error) const { return state_->tcp.remote_endpoint(error); }
    void shutdown(shutdown_type what, Error& error) {
        if (is_secured() && is_open() && what != boost::asio::socket_base::shutdown_receive) {
            state_->session->finish();
        }
        state_->tcp.shutdown(what, error);
    }
    void cancel(Error& error) {
        state_->pause.cancel();
        state_->tcp.cancel(error);
    }
    /// Also of one that was moved from, which then is good for nothing else.
    void close(Error& error) {
        if (state_ == nullptr) return;
        state_->pause.cancel();
        state_->tcp.close(error);
    }

private:
    /// Operations own it: they may end after the socket is gone.
    struct State {
        explicit State(Tcp::socket plain) : tcp(std::move(plain)), pause(tcp.get_executor()) {}

        /// Or with nothing. @pre it is readable
        bool begins_with_tls() {
            constexpr unsigned char handshake_record = 22;
            unsigned char first = 0;
            const auto count = ::recv(tcp.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
            return count != 1 || first == handshake_record;
        }

        /// Calls then(Error) at once if the context's pace allows that.
        template <class Then>
        static void when_it_is_time(const std::shared_ptr<State>& self,
                                    const std::shared_ptr<TlsContext>& context, Then then) {
            const auto wait = context->pace().wait(detail::TlsPace::Clock::now());
            if (wait == wait.zero()) return then(Error{});
            self->pause.expires_after(wait);
            self->pause.async_wait([self, context, then = std::move(then)](Error ended) mutable {
                if (ended) return then(ended);
                when_it_is_time(self, context, std::move(then));
            });
        }

        /// False: it could not, and `done` was told.
        bool begin(const detail::SslContext& context, bool accepts, TlsAsks asks,
                   const Check& check, const Shaken& done) {
            if (!tcp.is_open()) {
                done({"the connection is closed", false});
                return false;
            }
            try {
                shaking = std::make_unique<detail::TlsSession>(context, tcp.native_handle(),
                                                               accepts, asks, check);
                return true;
            } catch (const std::bad_alloc&) {
                done({"there is no memory for it here", false});
                return false;
            }
        }

        /// @pre not from inside the call that has begun it
        static void shake_hands(const std::shared_ptr<State>& self, const Shaken& done) {
            using Step = detail::TlsSession::State;
            if (!self->tcp.is_open()) return done({"the connection is closed", false});
            std::string why;
            const auto begun = detail::TlsPace::Clock::now();
            const Step step = self->shaking->shake_hands(why);
            if (self->paced_by != nullptr) {
                const auto now = detail::TlsPace::Clock::now();
                self->paced_by->pace().spent(now, now - begun);
            }
            if (step == Step::failed) {
                self->shaking = nullptr;
                return done({why, false});
            }
            if (step == Step::done) {
                self->session = std::move(self->shaking);
                return done({});
            }
            self->tcp.async_wait(step == Step::wants_read ? wait_read : wait_write,
                                 [self, done](Error error) {
                                     if (error) return done({error.message(), false});
                                     shake_hands(self, done);
                                 });
        }

        std::size_t read(const boost::asio::mutable_buffer& target, Error& error) {
            error = {};
            if (!tcp.is_open()) error = boost::asio::error::bad_descriptor;
            if (error || target.size() == 0) return 0;
            return session->read(target.data(), target.size(), error);
        }
        template <class Buffers>
        std::size_t write(const Buffers& buffers, Error& error) {
            error = {};
            if (!tcp.is_open()) error = boost::asio::error::bad_descriptor;
            return error ? 0 : session->write(buffers, error);
        }

        Tcp::socket tcp;
        std::unique_ptr<detail::TlsSession> session;  // null: in plain
        std::unique_ptr<detail::TlsSession> shaking;  // the handshake is under way
        boost::asio::steady_timer pause;              // before the handshake
        std::shared_ptr<TlsContext> paced_by;         // null: this side has asked for it
        bool is_to_be_secured = false;                // or is
    };
    using StatePtr = std::shared_ptr<State>;

    /// Calls the handler where it wants to be called, but not from here.
    template <class Handler, class... Results>
    static void complete(const StatePtr& state, Handler handler, Results... results) {
        const auto executor =
            boost::asio::get_associated_executor(handler, state->tcp.get_executor());
        boost::asio::post(executor, [handler = std::move(handler), results...]() mutable {
            handler(results...);
        });
    }

    template <class Handler>
    static void read_later(const StatePtr& state, const boost::asio::mutable_buffer& target,
                           Handler handler) {
        Error error;
        const std::size_t count = state->read(target, error);
        if (error != boost::asio::error::would_block) {
            return complete(state, std::move(handler), error, count);
        }
        state->tcp.async_wait(wait_read,
                              [state, target, handler = std::move(handler)](Error ended) mutable {
                                  if (ended) return handler(ended, std::size_t{0});
                                  Error failed;
                                  const std::size_t got = state->read(target, failed);
                                  if (failed != boost::asio::error::would_block)
                                      return handler(failed, got);
                                  read_later(state, target, std::move(handler));
                              });
    }

    template <class Buffers, class Handler>
    static void write_later(const StatePtr& state, const Buffers& buffers, Handler handler) {
        Error error;
        const std::size_t count = state->write(buffers, error);
        if (error != boost::asio::error::would_block) {
            return complete(state, std::move(handler), error, count);
        }
        state->tcp.async_wait(wait_write,
                              [state, buffers, handler = std::move(handler)](Error ended) mutable {
                                  if (ended) return handler(ended, std::size_t{0});
                                  Error failed;
                                  const std::size_t put = state->write(buffers, failed);
                                  if (failed != boost::asio::error::would_block)
                                      return handler(failed, put);
                                  write_later(state, buffers, std::move(handler));
                              });
    }

    template <class Handler>
    static void wait_for_bytes(const StatePtr& state, Handler handler) {
        if (!state->tcp.is_open()) {
            return complete(state, std::move(handler), Error(boost::asio::error::bad_descriptor));
        }
        if (state->session->is_readable()) return complete(state, std::move(handler), Error{});
        state->tcp.async_wait(wait_read,
                              [state, handler = std::move(handler)](Error ended) mutable {
                                  if (ended) return handler(ended);
                                  wait_for_bytes(state, std::move(handler));
                              });
    }

    StatePtr state_;
};

}  // namespace rsm

#endif
