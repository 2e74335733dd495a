// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The outgoing connection to one peer: dial, greet, write, and begin again when it breaks.
#ifndef RSM_TRANSPORT_TCP_SENDER_HPP
#define RSM_TRANSPORT_TCP_SENDER_HPP

#include <raft/message.hpp>
#include <raft/types.hpp>
#include <rsm/transport/tcp_connection.hpp>
#include <rsm/transport/tcp_outbox.hpp>
#include <rsm/transport/tcp_wire.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::detail {

/// Sends to one peer over a connection that it dials itself and that carries nothing back. While
/// there is none, messages are dropped: Raft repeats what still matters when a reply is missing,
/// and what was kept would mostly be stale.
///
/// Handlers own the sender and the link that they work for; a handler whose link is not the
/// current one any more does nothing.
class TcpSender {
public:
    using Self = std::shared_ptr<TcpSender>;

    TcpSender(std::shared_ptr<TcpShared> shared, raft::NodeId peer)
        : shared_(std::move(shared)),
          peer_(peer),
          outbox_(shared_->options.queue_bytes, shared_->options.max_frame_bytes),
          timer_(shared_->executor),
          random_(seed(shared_->options.self, peer)) {}

    bool connected() const { return phase_ == Phase::connected; }

    /// Begins to connect. Also ends a wait between two attempts: the peer seems to be there.
    static void dial(const Self& self) {
        if (self->phase_ != Phase::waiting) return;
        self->phase_ = Phase::connecting;
        const LinkPtr link = std::make_shared<Link>(self->shared_->executor);
        self->link_ = link;
        arm(self, self->shared_->options.connect_timeout);
        const TcpAddress address = self->shared_->peers[self->peer_].address;
        boost::system::error_code not_numeric;
        const auto numeric = boost::asio::ip::make_address(address.host, not_numeric);
        if (!not_numeric) {
            link->endpoints.emplace_back(numeric, address.port);
            return connect(self, link, {});
        }
        link->resolver.async_resolve(
            address.host, std::to_string(address.port),
            [self, link](boost::system::error_code error, const auto& found) {
                if (self->link_ != link) return;
                for (const auto& result : found) link->endpoints.push_back(result.endpoint());
                connect(self, link, error);
            });
    }

    /// Queues a message for the next flush(). False: it was dropped.
    bool push(raft::Message message) { return connected() && outbox_.push(std::move(message)); }

    /// Writes what waits, unless a write is under way; that one goes on with it when it ends.
    static void flush(const Self& self) {
        if (!self->connected() || self->link_->writing || self->outbox_.empty()) return;
        const LinkPtr link = self->link_;
        self->take(*link);
        // At once, which mostly is all there is to it. What is left (or a snapshot's next chunk)
        // goes by way of the executor, so that other messages can gather meanwhile.
        boost::system::error_code broken;
        if (link->write_now(broken)) {
            self->written(*link);
            if (self->outbox_.empty()) return;
            self->take(*link);
        }
        if (broken) return lost(self, "the connection broke: " + broken.message());
        write(self, link);
    }

    /// Closes the connection and dials again, at the address that is known now.
    static void redial(const Self& self) {
        if (self->phase_ == Phase::stopped) return;
        self->drop_link();
        self->failures_ = 0;
        self->phase_ = Phase::waiting;
        dial(self);
    }

    void stop() {
        phase_ = Phase::stopped;
        ++timer_round_;
        timer_.cancel();
        drop_link();
    }

private:
    enum class Phase : std::uint8_t { waiting, connecting, greeting, connected, stopped };

    /// One connection, from the attempt to its end.
    struct Link : TcpStream {
        explicit Link(const boost::asio::any_io_executor& executor)
            : TcpStream(boost::asio::ip::tcp::socket(executor)), resolver(executor) {}

        boost::asio::ip::tcp::resolver resolver;
        std::vector<boost::asio::ip::tcp::endpoint> endpoints;
        std::size_t next_endpoint = 0;
        std::vector<std::byte> hello;
        std::array<std::byte, greeting_head_bytes + greeting_rest_max> answer{};
        Batch batch;
        bool writing = false;
        std::uint64_t written_before = 0;  ///< as of the last look for a stall
        std::chrono::steady_clock::time_point since{};
    };
    using LinkPtr = std::shared_ptr<Link>;

    static std::uint64_t seed(raft::NodeId self, raft::NodeId peer) {
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        return static_cast<std::uint64_t>(now) + self.value * 0x9e3779b97f4a7c15ULL + peer.value;
    }

    // ---- connecting --------------------------------------------------------------------------

    static void connect(const Self& self, const LinkPtr& link, boost::system::error_code error) {
        if (link->next_endpoint == link->endpoints.size()) {
            return failed(self, "cannot connect: " + error.message());
        }
        link->close();
        link->socket.async_connect(link->endpoints[link->next_endpoint++],
                                   [self, link](boost::system::error_code result) {
                                       if (self->link_ != link) return;
                                       if (result) return connect(self, link, result);
                                       greet(self, link);
                                   });
    }

    static void greet(const Self& self, const LinkPtr& link) {
        self->phase_ = Phase::greeting;
        arm(self, self->shared_->options.handshake_timeout);
        link->tune();
        const TcpOptions& options = self->shared_->options;
        link->hello =
            encode(Hello{options.self, self->peer_, options.cluster, options.advertise});
        link->parts = {boost::asio::buffer(link->hello)};
        write_parts(link, [self, link](boost::system::error_code error) {
            if (self->link_ != link) return;
            if (error) return failed(self, "no greeting: " + error.message());
            read_head(self, link);
        });
    }

    static void read_head(const Self& self, const LinkPtr& link) {
        const auto head = std::span(link->answer).first(greeting_head_bytes);
        read_exactly(link, head, [self, link](boost::system::error_code error) {
            if (self->link_ != link) return;
            if (error) return failed(self, "no greeting: " + error.message());
            const GreetingHead got = load_greeting_head(link->answer.data());
            if (got.magic != answer_magic || got.length > greeting_rest_max || got.length == 0) {
                return failed(self, "what answers there is no node of this kind");
            }
            // The shape of an answer of another version is unknown.
            if (got.version != wire_version) {
                return failed(self, std::string("refused: ") + sentence(Verdict::other_version));
            }
            read_rest(self, link, greeting_head_bytes + got.length);
        });
    }

    static void read_rest(const Self& self, const LinkPtr& link, std::size_t size) {
        const auto rest = std::span(link->answer).first(size).subspan(greeting_head_bytes);
        read_exactly(link, rest, [self, link, size](boost::system::error_code error) {
            if (self->link_ != link) return;
            if (error) return failed(self, "no greeting: " + error.message());
            const auto answer = decode_answer(std::span(link->answer).first(size));
            if (!answer) return failed(self, "its greeting is damaged");
            if (answer->verdict != Verdict::welcome) {
                return failed(self, std::string("refused: ") + sentence(answer->verdict));
            }
            if (answer->from != self->peer_) return failed(self, "another node answers there");
            self->shared_->peers[self->peer_].advertisement = answer->advertise;
            ready(self, link);
        });
    }

    static void ready(const Self& self, const LinkPtr& link) {
        self->phase_ = Phase::connected;
        boost::system::error_code ignored;
        link->socket.non_blocking(true, ignored);
        link->since = std::chrono::steady_clock::now();
        ++self->shared_->counters.connects;
        self->shared_->peers[self->peer_].last_failure.clear();
        arm(self, self->shared_->options.stall_timeout);
        // Nothing comes back on this connection, so whatever this read finds is its end.
        read_exactly(link, std::span(link->answer).first(1),
                     [self, link](boost::system::error_code error) {
                         if (self->link_ != link) return;
                         lost(self, error ? "the peer closed the connection: " + error.message()
                                          : std::string("the peer broke the protocol"));
                     });
    }

    // ---- the end of a connection -------------------------------------------------------------

    /// The connection was not made.
    static void failed(const Self& self, std::string why) {
        ++self->shared_->counters.connect_failures;
        retry(self, std::move(why));
    }

    static void lost(const Self& self, std::string why) {
        // Only a connection that lasted proves that the trouble is over; otherwise two nodes that
        // claim one id would push each other out as fast as they can dial.
        const auto lasted = std::chrono::steady_clock::now() - self->link_->since;
        if (lasted >= self->shared_->options.reconnect_max) self->failures_ = 0;
        retry(self, std::move(why));
    }

    static void retry(const Self& self, std::string why) {
        const TcpOptions& options = self->shared_->options;
        TcpPeer& peer = self->shared_->peers[self->peer_];
        peer.last_failure = peer.address.text() + ": " + std::move(why);
        self->drop_link();
        self->phase_ = Phase::waiting;
        auto wait = options.reconnect_min;
        for (unsigned i = 0; i < self->failures_ && wait < options.reconnect_max; ++i) wait *= 2;
        if (wait < options.reconnect_max) ++self->failures_;
        wait = std::min(wait, options.reconnect_max);
        const auto spread = self->random_.below(static_cast<std::uint64_t>(wait.count()) / 2 + 1);
        arm(self, wait - std::chrono::milliseconds(spread));
    }

    void drop_link() {
        if (link_ == nullptr) return;
        shared_->counters.messages_dropped += outbox_.messages() + link_->batch.messages;
        outbox_.clear();
        link_->close();
        link_->resolver.cancel();
        link_ = nullptr;
    }

    /// The next batch becomes the link's.
    void take(Link& link) {
        outbox_.take(link.batch);
        link.parts.clear();
        link.first_part = 0;
        link.batch.frames.for_each_part([&link](std::span<const std::byte> part) {
            link.parts.emplace_back(part.data(), part.size());
        });
    }

    static void write(const Self& self, const LinkPtr& link) {
        link->writing = true;
        write_parts(link, [self, link](boost::system::error_code error) {
            if (self->link_ != link) return;
            if (error) return lost(self, "the connection broke: " + error.message());
            self->written(*link);
            flush(self);
        });
    }

    void written(Link& link) {
        ++shared_->counters.writes;
        shared_->counters.messages_sent += link.batch.messages;
        shared_->counters.bytes_sent += link.batch.frames.size();
        link.writing = false;
        // An idle connection must not keep entries alive.
        outbox_.finish(link.batch);
    }

    // ---- time --------------------------------------------------------------------------------

    static void arm(const Self& self, std::chrono::milliseconds wait) {
        const std::uint64_t round = ++self->timer_round_;
        self->timer_.expires_after(wait);
        self->timer_.async_wait([self, round](boost::system::error_code error) {
            // A wait that ended just before it was replaced is stale although it succeeded.
            if (!error && self->timer_round_ == round) expired(self);
        });
    }

    static void expired(const Self& self) {
        switch (self->phase_) {
            case Phase::waiting: return dial(self);
            case Phase::connecting: return failed(self, "cannot connect: no answer in time");
            case Phase::greeting: return failed(self, "no greeting in time");
            case Phase::connected: return look_for_stall(self);
            case Phase::stopped: return;
        }
    }

    static void look_for_stall(const Self& self) {
        Link& link = *self->link_;
        if (link.writing && link.written == link.written_before) {
            return lost(self, "the peer takes no more data");
        }
        link.written_before = link.written;
        arm(self, self->shared_->options.stall_timeout);
    }

    std::shared_ptr<TcpShared> shared_;
    raft::NodeId peer_;
    Phase phase_ = Phase::waiting;
    LinkPtr link_;  ///< null while waiting and when stopped
    Outbox outbox_;
    boost::asio::steady_timer timer_;
    std::uint64_t timer_round_ = 0;
    unsigned failures_ = 0;
    raft::Random random_;
};

}  // namespace rsm::detail

#endif
