// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The listening sockets and the incoming connections: greet, read, deliver.
#ifndef RSM_TRANSPORT_TCP_LISTENER_HPP
#define RSM_TRANSPORT_TCP_LISTENER_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/transport/tcp/connection.hpp>
#include <rsm/transport/tcp/inbox.hpp>
#include <rsm/transport/tcp/judgement.hpp>
#include <rsm/transport/tcp/secured.hpp>
#include <rsm/transport/tcp/shared.hpp>
#include <rsm/transport/wire/greeting.hpp>
#include <rsm/transport/wire/peer_secret.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Accepts connections. A connection is a stranger's until its hello was accepted; strangers are
/// limited in number and in time. Each peer has one connection here: a newer one replaces it.
///
/// Handlers own the listener and the connection that they work for; after close() they do nothing.
template <class Net>
class TcpListener {
    using Shared = TcpShared<Net>;

public:
    using Self = std::shared_ptr<TcpListener>;
    /// A node of the cluster, and where it says that it can be dialled. Whether it is a peer.
    using Meet = std::function<bool(raft::NodeId, const std::string&)>;
    /// A peer, and its process.
    using Greeted = std::function<void(raft::NodeId, std::uint64_t)>;

    /// `meet` is asked, and `greeted` told then, of each peer that introduces itself.
    TcpListener(typename Shared::Ptr shared, Meet meet, Greeted greeted)
        : shared_(std::move(shared)), meet_(std::move(meet)), greeted_(std::move(greeted)) {}

    /// Binds and listens; connections wait in the system until start(). May block on a lookup if
    /// the host is not numeric. Throws boost::system::system_error that names the address.
    void open(const TcpAddress& address) {
        for (auto& acceptor : shared_->net.listen(shared_->executor, address)) {
            doors_.push_back({std::move(acceptor), shared_->net.timer(shared_->executor)});
        }
        port_ = doors_.front().acceptor.local_endpoint().port();
    }

    std::uint16_t port() const { return port_; }
    bool has(raft::NodeId peer) const { return peers_.contains(peer); }

    static void start(const Self& self) {
        for (Door& door : self->doors_) accept(self, door);
    }

    /// Forgets a peer that is none any more.
    void remove(raft::NodeId peer) {
        const auto found = peers_.find(peer);
        if (found == peers_.end()) return;
        found->second->close();
        peers_.erase(found);
    }

    void stop() {
        stopped_ = true;
        boost::system::error_code ignored;
        for (Door& door : doors_) {
            door.acceptor.close(ignored);
            door.retry.cancel();
        }
        for (const ConnectionPtr& stranger : strangers_) stranger->close();
        for (const auto& [peer, connection] : peers_) connection->close();
        strangers_.clear();
        peers_.clear();
    }

private:
    /// One of the addresses that are listened on.
    struct Door {
        typename Net::Acceptor acceptor;
        typename Net::Timer retry;
    };

    struct Connection : TcpStream<Net> {
        Connection(typename Net::Socket accepted, const Shared& shared)
            : TcpStream<Net>(std::move(accepted)),
              timer(shared.net.timer(shared.executor)),
              inbox(shared.options.max_frame_bytes, shared.options.buffers) {
            boost::system::error_code error;
            const auto other = this->socket.remote_endpoint(error);
            if (!error) from = TcpAddress{other.address().to_string(), other.port()}.text();
        }

        typename Net::Timer timer;
        bool closed = false;
        bool dismissed = false;     ///< and told why; it goes when it has closed its end
        bool welcomed = false;      ///< and the peer's system has the welcome
        std::string from;           ///< "host:port" of the other end
        raft::NodeId peer;          ///< 0: a stranger
        std::uint64_t process = 0;  ///< of the peer
        std::array<std::byte, greeting_head_bytes + greeting_rest_max> hello{};
        std::vector<std::byte> answer;
        Inbox inbox;

        /// Says what fits without waiting: for a connection that is closed right after.
        void say_at_once(const std::vector<std::byte>& bytes) {
            boost::system::error_code error;
            this->socket.non_blocking(true, error);
            if (!error) this->socket.write_some(boost::asio::buffer(bytes), error);
        }

        void close() {
            closed = true;
            timer.cancel();
            TcpStream<Net>::close();
        }
    };
    using ConnectionPtr = std::shared_ptr<Connection>;

    // ---- strangers ---------------------------------------------------------------------------

    static void accept(const Self& self, Door& door) {
        door.acceptor.async_accept(
            [self, &door](boost::system::error_code error, typename Net::Socket socket) {
                if (self->stopped_) return;
                if (error) {
                    Shared::refuse(self->shared_, TcpRefusal::not_accepted, {}, error.message());
                    return pause(self, door);
                }
                admit(self, std::make_shared<Connection>(std::move(socket), *self->shared_));
                accept(self, door);
            });
    }

    /// Accepting fails when descriptors run out, among others; a little later it may not.
    static void pause(const Self& self, Door& door) {
        door.retry.expires_after(std::chrono::milliseconds(100));
        door.retry.async_wait([self, &door](boost::system::error_code) {
            if (!self->stopped_) accept(self, door);
        });
    }

    static void admit(const Self& self, const ConnectionPtr& stranger) {
        if (self->strangers_.size() >= self->shared_->options.max_strangers) self->make_room();
        self->strangers_.push_back(stranger);
        self->shared_->net.tune(stranger->socket, self->shared_->options.user_timeout);
        limit(self, stranger);
        secure_accepted(self->shared_->net, stranger->socket,
                        [self, stranger](const std::string& why) {
                            if (stranger->closed) return;
                            if (why.empty()) return read_head(self, stranger);
                            self->note(stranger, TcpRefusal::tls_failed, why);
                            // TLS itself has told the other end why.
                            hang_up(self, stranger);
                        });
    }

    static void read_head(const Self& self, const ConnectionPtr& stranger) {
        const auto head = std::span(stranger->hello).first(greeting_head_bytes);
        read_exactly(stranger, head, [self, stranger, head](boost::system::error_code error) {
            if (stranger->closed) return;
            if (error) return self->broke_off(stranger, error);
            const GreetingHead got = load_greeting_head(stranger->hello.data());
            if (begins_tls(head)) {
                return refuse(self, stranger,
                              {AnswerCode::other_security, TcpRefusal::speaks_tls, {}});
            }
            if (got.magic != hello_magic || got.length == 0) {
                return self->turn_away(stranger, TcpRefusal::no_hello);
            }
            if (auto objection = objection_to(got, self->shared_->net, stranger->socket)) {
                return refuse(self, stranger, *std::move(objection));
            }
            if (got.length > greeting_rest_max) {
                return self->turn_away(stranger, TcpRefusal::no_hello);
            }
            read_rest(self, stranger, greeting_head_bytes + got.length);
        });
    }

    /// Those who have said nothing for longest go, so that they cannot keep peers out.
    void make_room() {
        const ConnectionPtr oldest = strangers_.front();
        if (oldest->dismissed) return close(oldest);  // refused already, and counted
        if (speaks_as_asked(shared_->net, oldest->socket)) {
            oldest->say_at_once(encode(farewell(AnswerCode::too_many)));
        }
        turn_away(oldest, TcpRefusal::too_many);
    }

    /// Closes the stranger when the time for greetings is over.
    static void limit(const Self& self, const ConnectionPtr& stranger) {
        stranger->timer.expires_after(self->shared_->options.handshake_timeout);
        stranger->timer.async_wait([self, stranger](boost::system::error_code error) {
            // It may have become a peer just when the time was up.
            if (error || stranger->closed || stranger->peer) return;
            if (!stranger->dismissed) return self->turn_away(stranger, TcpRefusal::hello_timeout);
            self->close(stranger);  // refused already, and counted
        });
    }

    static void read_rest(const Self& self, const ConnectionPtr& stranger, std::size_t size) {
        const auto rest = std::span(stranger->hello).first(size).subspan(greeting_head_bytes);
        read_exactly(stranger, rest, [self, stranger, size](boost::system::error_code error) {
            if (stranger->closed) return;
            if (error) return self->broke_off(stranger, error);
            const auto hello = decode_hello(std::span(stranger->hello).first(size));
            if (!hello) {
                return refuse(self, stranger,
                              {AnswerCode::damaged_hello, TcpRefusal::hello_damaged, {}});
            }
            if (auto objection = objection_to(*hello, *self->shared_, stranger->socket)) {
                return refuse(self, stranger, *std::move(objection));
            }
            if (self->shared_->options.secret.empty()) return introduce(self, stranger, *hello);
            ask_for_proof(self, stranger, *hello, size);
        });
    }

    /// @param size  of the hello, which is still there as it was sent
    static void ask_for_proof(const Self& self, const ConnectionPtr& stranger, const Hello& hello,
                              std::size_t size) {
        const std::string& secret = self->shared_->options.secret;
        const auto said = std::span<const std::byte>(stranger->hello).first(size);
        Answer answer = self->farewell(AnswerCode::prove);
        answer.challenge = draw_challenge(self->shared_->net);
        Question question = ask(secret, said, std::move(answer));
        stranger->answer = std::move(question.bytes);
        stranger->parts = {boost::asio::buffer(stranger->answer)};
        stranger->first_part = 0;
        write_parts(stranger, [self, stranger, hello,
                               expected = question.expected](boost::system::error_code error) {
            if (stranger->closed || stranger->dismissed) return;
            if (error) return self->broke_off(stranger, error);
            read_proof(self, stranger, hello, expected);
        });
    }

    static void read_proof(const Self& self, const ConnectionPtr& stranger, const Hello& hello,
                           const Digest256& expected) {
        const auto place = std::span(stranger->hello).first(proof_bytes);
        read_exactly(
            stranger, place,
            [self, stranger, place, hello, expected](boost::system::error_code error) {
                if (stranger->closed) return;
                if (error) return self->broke_off(stranger, error);
                const auto proof = decode_proof(place);
                if (proof && equal_in_constant_time(*proof, expected)) {
                    return introduce(self, stranger, hello);
                }
                refuse(self, stranger, {AnswerCode::other_secret, TcpRefusal::other_secret, {}});
            });
    }

    /// @pre there is no objection to the hello, and it has been proved if it has to be
    static void introduce(const Self& self, const ConnectionPtr& stranger, const Hello& hello) {
        // The peers never include this node itself.
        if (!self->meet_(hello.from, hello.contact)) {
            return refuse(self, stranger,
                          {AnswerCode::unknown_node, TcpRefusal::unknown_node,
                           "it says that it is " + std::to_string(hello.from.value)});
        }
        welcome(self, stranger, hello);
    }

    static void refuse(const Self& self, const ConnectionPtr& stranger, Objection objection) {
        self->note(stranger, objection.reason, std::move(objection.detail));
        say_farewell(self, stranger, objection.code);
    }

    Answer farewell(AnswerCode code) const {
        return {code, shared_->options.self, shared_->process, {}, shared_->options.versions};
    }

    /// Says why, then waits until the other side has closed (or its time is up): closing while
    /// bytes of it are unread would destroy the answer on its way.
    /// @pre the connection is a stranger's with a time limit
    static void say_farewell(const Self& self, const ConnectionPtr& stranger, AnswerCode code) {
        stranger->dismissed = true;
        stranger->answer = encode(self->farewell(code));
        stranger->parts = {boost::asio::buffer(stranger->answer)};
        stranger->first_part = 0;
        write_parts(stranger, [self, stranger](boost::system::error_code error) {
            if (stranger->closed) return;
            if (error) return self->close(stranger);
            hang_up(self, stranger);
        });
    }

    static void hang_up(const Self& self, const ConnectionPtr& stranger) {
        stranger->dismissed = true;
        boost::system::error_code ignored;
        stranger->socket.shutdown(boost::asio::socket_base::shutdown_send, ignored);
        drain(self, stranger, self->shared_->options.buffers.drained_bytes);
    }

    static void drain(const Self& self, const ConnectionPtr& stranger, std::size_t left) {
        stranger->socket.async_read_some(
            boost::asio::buffer(stranger->hello),
            [self, stranger, left](boost::system::error_code error, std::size_t count) {
                if (stranger->closed) return;
                if (error || count >= left) return self->close(stranger);
                drain(self, stranger, left - count);
            });
    }

    /// Counts it among those that were turned away, and tells of it.
    void note(const ConnectionPtr& stranger, TcpRefusal reason, std::string detail = {}) {
        ++shared_->counters.handshakes_refused;
        Shared::refuse(shared_, reason, stranger->from, std::move(detail));
    }

    void turn_away(const ConnectionPtr& stranger, TcpRefusal reason, std::string detail = {}) {
        note(stranger, reason, std::move(detail));
        close(stranger);
    }
    void broke_off(const ConnectionPtr& stranger, boost::system::error_code error) {
        const bool merely_ended = error == boost::asio::error::eof;
        turn_away(stranger, TcpRefusal::hello_cut_off,
                  merely_ended ? std::string() : error.message());
    }

    /// @pre the two have a version in common
    static void welcome(const Self& self, const ConnectionPtr& connection, const Hello& hello) {
        std::erase(self->strangers_, connection);
        connection->timer.cancel();
        connection->peer = hello.from;
        connection->process = hello.process;
        if (self->has(hello.from)) replace(self, self->peers_[hello.from], *connection);
        self->peers_[hello.from] = connection;
        ++self->shared_->counters.accepts;
        const TcpOptions& options = self->shared_->options;
        connection->inbox.speak(*common_version(hello.versions, options.versions));
        connection->answer =
            encode(Answer{AnswerCode::welcome, options.self, self->shared_->process,
                          options.advertise, options.versions});
        connection->parts = {boost::asio::buffer(connection->answer)};
        connection->first_part = 0;
        write_parts(connection, [self, connection](boost::system::error_code error) {
            if (connection->closed || !connection->peer) return;
            if (error) return self->close(connection);
            connection->welcomed = true;
            read_frames(self, connection);
        });
        self->greeted_(hello.from, hello.process);
    }

    /// A process that has renewed its connection knows it. One that is told of a newer process
    /// knows, as this node does, that two nodes may claim one id.
    static void replace(const Self& self, ConnectionPtr former, const Connection& newer) {
        if (former->process == newer.process) return self->close(former);
        Shared::refuse(self->shared_, TcpRefusal::claimed_anew, former->from,
                       "node " + std::to_string(newer.peer.value) + ", now from " + newer.from);
        dismiss(self, former, AnswerCode::replaced);
    }

    /// Makes a peer's connection a stranger's again, which goes when it has been told why.
    /// By value: the argument may stand in one of the containers.
    static void dismiss(const Self& self, ConnectionPtr connection, AnswerCode code) {
        if (!connection->welcomed) return self->close(connection);  // that is still being written
        self->forget(connection);
        connection->peer = {};
        if (self->strangers_.size() >= self->shared_->options.max_strangers) self->make_room();
        self->strangers_.push_back(connection);
        limit(self, connection);
        // What is being read or written belongs to the peer that it was.
        boost::system::error_code ignored;
        connection->socket.cancel(ignored);
        say_farewell(self, connection, code);
    }

    // ---- peers -------------------------------------------------------------------------------

    static void read_frames(const Self& self, const ConnectionPtr& connection) {
        const std::span<std::byte> space = connection->inbox.free_space();
        connection->socket.async_read_some(
            boost::asio::buffer(space.data(), space.size()),
            [self, connection](boost::system::error_code error, std::size_t count) {
                if (connection->closed || !connection->peer) return;
                if (error) return self->close(connection);
                self->shared_->counters.bytes_received += count;
                connection->inbox.received(count);
                const std::uint64_t before = self->shared_->counters.messages_received;
                const raft::NodeId peer = connection->peer;
                deliver(self, connection);
                const std::uint64_t messages = self->shared_->counters.messages_received - before;
                if (TcpPeer* const known = self->shared_->peer(peer)) {
                    known->bytes_received += count;
                    known->messages_received += messages;
                }
                if (messages != 0) self->delivered();
                if (!connection->closed && connection->peer) read_frames(self, connection);
            });
    }

    /// Hands out every message that is complete.
    static void deliver(const Self& self, const ConnectionPtr& connection) {
        const auto receive = self->shared_->receive;
        raft::Message message;
        // A receiver may stop the transport, which closes the connection.
        while (!connection->closed) {
            switch (connection->inbox.next(message)) {
                case Inbox::Status::message: break;
                case Inbox::Status::incomplete: return;
                case Inbox::Status::too_long:
                    return reject(self, connection, AnswerCode::frame_too_long,
                                  TcpRefusal::frame_too_long);
                case Inbox::Status::unknown:
                    return reject(self, connection, AnswerCode::bad_frame,
                                  TcpRefusal::frame_unknown);
                case Inbox::Status::damaged:
                    return reject(self, connection, AnswerCode::bad_frame,
                                  TcpRefusal::frame_damaged);
                case Inbox::Status::invalid:
                    return reject(self, connection, AnswerCode::bad_frame,
                                  TcpRefusal::message_invalid);
            }
            if (message.from != connection->peer || message.to != self->shared_->options.self) {
                return reject(self, connection, AnswerCode::foreign_message,
                              TcpRefusal::message_foreign);
            }
            ++self->shared_->counters.messages_received;
            (*receive)(std::move(message));
        }
    }

    /// Ends a peer's connection for what came over it.
    static void reject(const Self& self, const ConnectionPtr& connection, AnswerCode code,
                       TcpRefusal reason) {
        ++self->shared_->counters.bad_frames;
        Shared::refuse(self->shared_, reason, connection->from,
                       "node " + std::to_string(connection->peer.value));
        dismiss(self, connection, code);
    }

    void delivered() {
        const auto received = shared_->received;
        if (received != nullptr) (*received)();
    }

    /// By value: the argument may stand in one of the containers.
    void close(ConnectionPtr connection) {
        connection->close();
        forget(connection);
    }
    void forget(const ConnectionPtr& connection) {
        std::erase(strangers_, connection);
        const auto found = peers_.find(connection->peer);
        if (found != peers_.end() && found->second == connection) peers_.erase(found);
    }

    typename Shared::Ptr shared_;
    Meet meet_;
    Greeted greeted_;
    std::vector<Door> doors_;  ///< handlers refer to them: not changed once it is open
    std::uint16_t port_ = 0;
    bool stopped_ = false;
    std::deque<ConnectionPtr> strangers_;  ///< the oldest first
    std::map<raft::NodeId, ConnectionPtr> peers_;
};

}  // namespace rsm::detail

#endif
