// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What goes to one peer: a connection, its queue, and a new connection when that one ends.
#ifndef RSM_TRANSPORT_TCP_SENDER_HPP
#define RSM_TRANSPORT_TCP_SENDER_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/transport/tcp/connection.hpp>
#include <rsm/transport/tcp/dialer.hpp>
#include <rsm/transport/tcp/link.hpp>
#include <rsm/transport/tcp/outbox.hpp>
#include <rsm/transport/tcp/shared.hpp>
#include <rsm/transport/wire/greeting.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// Sends to one peer over a connection that it dials itself and that carries nothing back but the
/// reason why the peer ends it. While there is none, messages are dropped: Raft repeats what still
/// matters when a reply is missing, and what was kept would mostly be stale.
///
/// A connection that seems to lead nowhere stays in use until a new one is greeted, so that whoever
/// makes it seem so by a forged greeting has won nothing.
///
/// Handlers own the sender and the connection that they work for; a handler whose connection is not
/// the current one any more does nothing.
template <class Net>
class TcpSender {
    using Dialer = TcpDialer<Net>;
    using Link = TcpLink<Net>;
    using LinkPtr = typename Link::Ptr;
    using Shared = TcpShared<Net>;

public:
    using Self = std::shared_ptr<TcpSender>;

    TcpSender(typename Shared::Ptr shared, raft::NodeId peer)
        : shared_(std::move(shared)),
          peer_(peer),
          outbox_(shared_->options.queue_bytes, shared_->options.max_frame_bytes,
                  shared_->options.buffers.kept_batch_bytes),
          retry_(shared_->net.timer(shared_->executor)),
          look_(shared_->net.timer(shared_->executor)),
          random_(seed(shared_->net, shared_->options.self, peer)) {}

    bool connected() const { return link_ != nullptr; }
    std::size_t queued_bytes() const { return outbox_.bytes(); }

    /// Begins to connect, unless an attempt is under way. Ends a wait between two attempts.
    static void dial(const Self& self) {
        if (self->stopped_ || self->dialer_ != nullptr) return;
        ++self->retry_round_;
        self->retry_.cancel();
        self->dialer_ =
            Dialer::start(self->shared_, self->peer_, [self](LinkPtr link, std::string why) {
                self->dialer_ = nullptr;
                if (link != nullptr) return ready(self, link);
                failed(self, std::move(why));
            });
    }

    /// The peer has connected to this node: it can be reached, now. What this node has towards it
    /// is replaced if it leads to the peer's former self or waits for the system to repeat
    /// something, which may take as long again as the interruption has lasted.
    static void greeted(const Self& self, std::uint64_t process) {
        self->failures_ = 0;
        if (const LinkPtr& link = self->link_) {
            if (link->process == process && !self->shared_->net.awaits_repetition(link->socket))
                return;
            self->renewing_ = true;
            self->is_expected_ = true;
        }
        if (self->dialer_ != nullptr && self->dialer_->hangs()) self->drop_dialer();
        dial(self);
    }

    /// Queues a message for the next flush(). False: it was dropped.
    bool push(raft::Message message) { return connected() && outbox_.push(std::move(message)); }

    /// Writes what waits, unless a write is under way; that one goes on with it when it ends.
    static void flush(const Self& self) {
        if (!self->connected() || self->link_->writing || self->outbox_.empty()) return;
        const LinkPtr link = self->link_;
        link->take(self->outbox_);
        // At once, which mostly is all there is to it. What is left (or a snapshot's next chunk)
        // goes by way of the executor, so that other messages can gather meanwhile.
        boost::system::error_code broken;
        if (link->write_now(broken)) {
            self->written(*link);
            if (self->outbox_.empty()) return;
            link->take(self->outbox_);
        }
        if (broken) return broke(self, broken);
        write(self, link);
    }

    /// Closes the connection and dials again, at the address that is known now.
    static void redial(const Self& self) {
        if (self->stopped_) return;
        self->drop_dialer();
        self->drop_link();
        Shared::report(self->shared_, self->peer_, false, "its address has changed");
        self->failures_ = 0;
        dial(self);
    }

    void stop() {
        stopped_ = true;
        ++retry_round_;
        retry_.cancel();
        drop_dialer();
        drop_link();
    }

private:
    static std::uint64_t seed(const Net& net, raft::NodeId self, raft::NodeId peer) {
        const auto now = net.now().time_since_epoch().count();
        return static_cast<std::uint64_t>(now) + self.value * 0x9e3779b97f4a7c15ULL + peer.value;
    }

    // ---- the beginning of a connection -------------------------------------------------------

    /// The new connection takes the place of the old one, if that is still there. What was queued
    /// goes over the new one.
    static void ready(const Self& self, const LinkPtr& link) {
        if (self->link_ != nullptr) self->close_link();
        if (self->outbox_.version() != link->version) {
            self->clear_queue();  // what is encoded already the peer would not read
            self->outbox_.speak(link->version);
        }
        self->link_ = link;
        self->renewing_ = false;
        self->is_expected_ = false;
        ++self->shared_->counters.connects;
        Shared::report(self->shared_, self->peer_, true, {});
        look_later(self);
        read_farewell(self, link);
        flush(self);
    }

    /// Nothing comes back on this connection but the reason for its end.
    static void read_farewell(const Self& self, const LinkPtr& link) {
        const auto first = std::span(link->farewell).first(1);
        read_exactly(link, first, [self, link](boost::system::error_code error) {
            if (self->link_ != link) return;
            if (error) return ended(self, error);
            constexpr auto begins_with = static_cast<std::byte>(answer_magic & 0xff);
            if (link->farewell[0] != begins_with) return lost(self, "the peer broke the protocol");
            read_answer(link, link->farewell, 1, [self, link](const AnswerRead& read) {
                if (self->link_ != link) return;
                if (read.state == AnswerRead::State::broken_off) return ended(self, read.error);
                if (read.state != AnswerRead::State::complete) {
                    return lost(self, "the peer broke the protocol");
                }
                lost(self,
                     std::string("the peer closed the connection: ") + sentence(read.answer.code));
            });
        });
    }

    // ---- the end of a connection -------------------------------------------------------------

    static void failed(const Self& self, std::string why) {
        ++self->shared_->counters.connect_failures;
        self->is_expected_ = false;
        if (!self->connected()) {
            self->renewing_ = false;
            self->clear_queue();
            Shared::report(self->shared_, self->peer_, false, std::move(why));
        }
        if (!self->connected() || self->renewing_) wait(self);
        if (self->shared_->is_guest_gone(self->peer_) && self->shared_->let_go) {
            self->shared_->let_go(self->peer_);
        }
    }

    static void ended(const Self& self, boost::system::error_code error) {
        if (error == boost::asio::error::timed_out) return broke(self, error);
        // The peer closes it when it has the new one, whose welcome may come a little later.
        if (self->renewing_ && self->dialer_ != nullptr) return self->close_link();
        lost(self, "the peer closed the connection: " + error.message());
    }
    static void broke(const Self& self, boost::system::error_code error) {
        if (error == boost::asio::error::timed_out) return lost(self, nothing_taken);
        lost(self, "the connection broke: " + error.message());
    }

    static void lost(const Self& self, const std::string& why) {
        // Only a connection that lasted proves that the trouble is over; otherwise two nodes that
        // claim one id would push each other out as fast as they can dial.
        const auto lasted = self->shared_->net.now() - self->link_->since;
        if (lasted >= self->shared_->options.user_timeout) self->failures_ = 0;
        // The peer has the new one already; what is queued goes over that.
        if (self->is_expected_ && self->dialer_ != nullptr) return self->close_link();
        self->drop_link();
        if (const TcpPeer* const peer = self->shared_->peer(self->peer_)) {
            Shared::report(self->shared_, self->peer_, false, peer->address.text() + ": " + why);
        }
        wait(self);
    }

    /// Dials again after a while; for longer each time.
    static void wait(const Self& self) {
        if (self->dialer_ != nullptr) return;
        const TcpOptions& options = self->shared_->options;
        auto wait = options.reconnect_min;
        for (unsigned i = 0; i < self->failures_ && wait < options.reconnect_max; ++i) wait *= 2;
        if (wait < options.reconnect_max) ++self->failures_;
        wait = std::min(wait, options.reconnect_max);
        const auto spread = self->random_.below(static_cast<std::uint64_t>(wait.count()) / 2 + 1);
        const std::uint64_t round = ++self->retry_round_;
        self->retry_.expires_after(wait - std::chrono::milliseconds(spread));
        self->retry_.async_wait([self, round](boost::system::error_code error) {
            // A wait that ended just before it was replaced is stale although it succeeded.
            if (!error && self->retry_round_ == round) dial(self);
        });
    }

    void drop_dialer() {
        if (dialer_ == nullptr) return;
        dialer_->cancel();
        dialer_ = nullptr;
    }
    /// What was given to the system may be lost, and what was not is.
    void close_link() {
        look_.cancel();
        if (link_->writing) shared_->counters.messages_dropped += link_->batch.messages;
        link_->close();
        outbox_.abandon();
        link_ = nullptr;
    }
    void drop_link() {
        if (link_ == nullptr) return;
        close_link();
        clear_queue();
    }
    void clear_queue() {
        shared_->counters.messages_dropped += outbox_.messages();
        outbox_.clear();
    }

    // ---- writing -----------------------------------------------------------------------------

    static void write(const Self& self, const LinkPtr& link) {
        link->writing = true;
        write_parts(link, [self, link](boost::system::error_code error) {
            if (self->link_ != link) return;
            if (error) return broke(self, error);
            self->written(*link);
            flush(self);
        });
    }

    void written(Link& link) {
        ++shared_->counters.writes;
        shared_->counters.messages_sent += link.batch.messages;
        shared_->counters.bytes_sent += link.batch.frames.size();
        if (TcpPeer* const peer = shared_->peer(peer_)) {
            peer->messages_sent += link.batch.messages;
            peer->bytes_sent += link.batch.frames.size();
        }
        link.writing = false;
        // An idle connection must not keep entries alive.
        outbox_.finish(link.batch);
    }

    /// The system itself ends a connection on which nothing is acknowledged, where it can be told
    /// to; and it says nothing of a process that takes nothing in.
    static void look_later(const Self& self) {
        const auto limit = self->shared_->options.user_timeout;
        self->look_.expires_after(std::max(limit / 8, std::chrono::milliseconds(1)));
        self->look_.async_wait([self, link = self->link_](boost::system::error_code error) {
            if (error || self->link_ != link) return;
            const auto stuck = link->stuck_for(self->shared_->net);
            if (stuck >= self->shared_->options.user_timeout) return lost(self, nothing_taken);
            look_later(self);
            if (stuck >= self->shared_->options.user_timeout / 8) renew(self);
        });
    }

    /// Where packets are lost, the system repeats them after longer and longer pauses: a new
    /// connection may be made sooner. The old one stays in use until it is there.
    static void renew(const Self& self) {
        if (!self->shared_->net.awaits_repetition(self->link_->socket)) return;
        if (std::exchange(self->renewing_, true)) return;
        if (self->dialer_ == nullptr) dial(self);
    }

    static constexpr const char* nothing_taken =
        "nothing is acknowledged: the host cannot be reached, or its process takes nothing in";

    typename Shared::Ptr shared_;
    raft::NodeId peer_;
    Outbox outbox_;
    LinkPtr link_;                    // null: not connected
    std::shared_ptr<Dialer> dialer_;  // null: no attempt is under way
    bool renewing_ = false;           // the connection is to be replaced
    bool is_expected_ = false;        // by the peer, which has begun anew itself
    bool stopped_ = false;
    typename Net::Timer retry_;
    std::uint64_t retry_round_ = 0;
    typename Net::Timer look_;
    unsigned failures_ = 0;  // in a row
    raft::Random random_;
};

}  // namespace rsm::detail

#endif
