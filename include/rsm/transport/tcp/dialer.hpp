// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One attempt to get a greeted connection to a peer.
#ifndef RSM_TRANSPORT_TCP_DIALER_HPP
#define RSM_TRANSPORT_TCP_DIALER_HPP

#include <raft/base/types.hpp>
#include <rsm/transport/tcp/connection.hpp>
#include <rsm/transport/tcp/link.hpp>
#include <rsm/transport/tcp/secured.hpp>
#include <rsm/transport/tcp/shared.hpp>
#include <rsm/transport/wire/greeting.hpp>
#include <rsm/transport/wire/peer_secret.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Looks the peer's name up and tries its addresses in turn, until the right node welcomes this
/// one at one of them. Each step has a time limit of its own.
///
/// Handlers own the attempt; one that is over does nothing any more.
template <class Net>
class TcpDialer : public TcpStream<Net> {
public:
    using Shared = typename TcpShared<Net>::Ptr;
    using Link = TcpLink<Net>;
    using Self = std::shared_ptr<TcpDialer>;
    /// The connection, or none and a sentence that says why.
    using Done = std::function<void(typename Link::Ptr, std::string)>;

    TcpDialer(Shared shared, raft::NodeId peer, TcpAddress address, Done done)
        : TcpStream<Net>(shared->net.socket(shared->executor)),
          shared_(std::move(shared)),
          peer_(peer),
          address_(std::move(address)),
          done_(std::move(done)),
          resolver_(shared_->net.resolver(shared_->executor)),
          timer_(shared_->net.timer(shared_->executor)) {}

    /// Calls `done` once, and not from inside. @pre the peer is known
    static Self start(const Shared& shared, raft::NodeId peer, Done done) {
        const TcpAddress address = shared->peers[peer].address;
        auto self = std::make_shared<TcpDialer>(shared, peer, address, std::move(done));
        boost::system::error_code not_numeric;
        const auto numeric = boost::asio::ip::make_address(address.host, not_numeric);
        if (not_numeric) {
            look_up(self);
        } else {
            self->endpoints_.emplace_back(numeric, address.port);
            next(self);
        }
        return self;
    }

    /// Ends the attempt; `done` is not called any more.
    void cancel() {
        done_ = nullptr;
        release();
    }

    /// Whether the peer's host should have answered the request to connect by now, if that had
    /// reached it.
    bool hangs() const {
        const auto waited = shared_->net.now() - step_began_;
        return step_ == Step::connect && waited > std::chrono::milliseconds(100);
    }

private:
    enum class Step : std::uint8_t { look_up, connect, secure, greet };

    static constexpr std::size_t endpoints_max = 16;

    static void look_up(const Self& self) {
        enter(self, Step::look_up, self->shared_->options.lookup_timeout);
        self->resolver_.async_resolve(
            self->address_.host, std::to_string(self->address_.port),
            [self](boost::system::error_code error, const auto& found) {
                if (self->over()) return;
                if (error) {
                    return self->finish(nullptr, "cannot look the name up: " + error.message());
                }
                for (const auto& result : found) {
                    if (self->endpoints_.size() == endpoints_max) break;
                    self->endpoints_.push_back(result.endpoint());
                }
                next(self);
            });
    }

    /// Tries the next address.
    static void next(const Self& self) {
        if (self->next_endpoint_ == self->endpoints_.size()) return self->give_up();
        enter(self, Step::connect, self->shared_->options.connect_timeout);
        const std::size_t attempt = ++self->next_endpoint_;
        self->close();
        self->socket.async_connect(
            self->endpoints_[attempt - 1], [self, attempt](boost::system::error_code error) {
                if (!self->at(attempt)) return;
                if (error) return failed(self, "cannot connect: " + error.message());
                secure(self, attempt);
            });
    }

    static void secure(const Self& self, std::size_t attempt) {
        const TcpOptions& options = self->shared_->options;
        if constexpr (SecuringNet<Net>) enter(self, Step::secure, options.handshake_timeout);
        self->shared_->net.tune(self->socket, options.user_timeout);
        secure_dialled(self->shared_->net, self->socket, self->peer_,
                       [self, attempt](const std::string& why) {
                           if (!self->at(attempt)) return;
                           if (why.empty()) return greet(self, attempt);
                           failed(self, "no TLS: " + why);
                       });
    }

    static void greet(const Self& self, std::size_t attempt) {
        const TcpOptions& options = self->shared_->options;
        enter(self, Step::greet, options.handshake_timeout);
        Hello hello{options.self,           self->peer_,
                    self->shared_->process, self->shared_->cluster_id,
                    self->shared_->storage, options.cluster,
                    self->shared_->contact, options.versions};
        if (!options.secret.empty()) hello.challenge = draw_challenge(self->shared_->net);
        self->hello_ = encode(hello);
        self->proved_ = false;
        say(self, attempt, self->hello_);
    }

    /// Says something that this object keeps, and reads the answer to it.
    static void say(const Self& self, std::size_t attempt, const std::vector<std::byte>& what) {
        self->parts = {boost::asio::buffer(what)};
        self->first_part = 0;
        write_parts(self, [self, attempt](boost::system::error_code error) {
            if (!self->at(attempt)) return;
            if (error) return failed(self, "no greeting: " + error.message());
            read_answer(self, self->answer_, 0, [self, attempt](const AnswerRead& read) {
                if (self->at(attempt)) answered(self, attempt, read);
            });
        });
    }

    static void answered(const Self& self, std::size_t attempt, const AnswerRead& read) {
        switch (read.state) {
            case AnswerRead::State::broken_off:
                return failed(self, "no greeting: " + read.error.message());
            case AnswerRead::State::none:
                return failed(self, "what answers there is no node of this kind");
            case AnswerRead::State::other_layout:
                return failed(self,
                              "it speaks other versions of the protocol: its greeting has "
                              "layout " +
                                  std::to_string(read.layout) + ", and this node's has " +
                                  std::to_string(greeting_layout));
            case AnswerRead::State::damaged: return failed(self, "its greeting is damaged");
            case AnswerRead::State::complete: break;
        }
        const Answer& answer = read.answer;
        const WireVersions spoken = self->shared_->options.versions;
        const auto version = common_version(answer.versions, spoken);
        if (!version) {
            return failed(self, "refused: it speaks versions " + text(answer.versions) +
                                    " of the protocol, and this node " + text(spoken));
        }
        const bool has_secret = !self->shared_->options.secret.empty();
        if (answer.code == AnswerCode::prove && has_secret && !self->proved_) {
            return prove(self, attempt, read);
        }
        if (answer.code != AnswerCode::welcome) {
            return failed(self, std::string("refused: ") + sentence(answer.code));
        }
        if (has_secret && !self->proved_) {
            return failed(self, "it does not show that it knows the peer secret");
        }
        if (answer.from != self->peer_) return failed(self, "another node answers there");
        if (TcpPeer* const peer = self->shared_->peer(self->peer_)) {
            peer->advertisement = answer.advertise;
        }
        self->finish(std::make_shared<Link>(std::move(self->socket), answer.process, *version,
                                            self->shared_->net.now()),
                     {});
    }

    /// Shows that this node knows the secret, but not to one that does not know it.
    static void prove(const Self& self, std::size_t attempt, const AnswerRead& read) {
        const std::string& secret = self->shared_->options.secret;
        const auto question = std::span<const std::byte>(self->answer_).first(read.size);
        if (!read.answer.challenge || !read.answer.proof) {
            return failed(self, "its greeting is damaged");
        }
        const auto asked = provable(question, read.answer);
        const auto expected = proof_of(secret, Side::accepting, self->hello_, asked);
        self->proved_ = equal_in_constant_time(*read.answer.proof, expected);
        self->proof_ = encode_proof(
            self->proved_ ? proof_of(secret, Side::dialling, self->hello_, asked) : Digest256{});
        if (self->proved_) return say(self, attempt, self->proof_);
        // One that proves nothing tells the other side, too.
        self->parts = {boost::asio::buffer(self->proof_)};
        self->first_part = 0;
        write_parts(self, [self, attempt](boost::system::error_code) {
            if (!self->at(attempt)) return;
            failed(self, std::string("refused: ") + sentence(AnswerCode::other_secret));
        });
    }

    // ---- the end -----------------------------------------------------------------------------

    /// This address was none that the peer welcomes this node at.
    static void failed(const Self& self, std::string why) {
        const auto address = self->endpoints_[self->next_endpoint_ - 1].address();
        self->failures_.push_back({address.to_string(), std::move(why)});
        next(self);
    }

    /// The sentence does not depend on the order in which a name server gave the addresses, so
    /// that it changes only if the reasons do.
    void give_up() {
        if (endpoints_.size() < 2) {
            return finish(nullptr, failures_.empty() ? "the name has no address"
                                                     : std::move(failures_.front().why));
        }
        std::sort(failures_.begin(), failures_.end(),
                  [](const Failed& a, const Failed& b) { return a.address < b.address; });
        std::string why;
        for (const Failed& failure : failures_) {
            why += (why.empty() ? "" : "; ") + failure.address + ": " + failure.why;
        }
        finish(nullptr, std::move(why));
    }

    void finish(typename Link::Ptr link, std::string why) {
        const Done done = std::exchange(done_, nullptr);
        release();
        done(std::move(link), why.empty() ? why : address_.text() + ": " + why);
    }

    void release() {
        timer_.cancel();
        resolver_.cancel();
        this->close();
    }

    // ---- time --------------------------------------------------------------------------------

    bool over() const { return done_ == nullptr; }
    /// Whether this attempt's current address is still the one with that number.
    bool at(std::size_t attempt) const { return !over() && next_endpoint_ == attempt; }

    static void enter(const Self& self, Step step, std::chrono::milliseconds limit) {
        const std::uint64_t round = ++self->round_;
        self->step_ = step;
        self->step_began_ = self->shared_->net.now();
        self->timer_.expires_after(limit);
        self->timer_.async_wait([self, round](boost::system::error_code error) {
            // A wait that ended just before it was replaced is stale although it succeeded.
            if (!error && !self->over() && self->round_ == round) expired(self);
        });
    }

    static void expired(const Self& self) {
        switch (self->step_) {
            case Step::look_up:
                return self->finish(nullptr, "cannot look the name up: no answer in time");
            case Step::connect: return failed(self, "cannot connect: no answer in time");
            case Step::secure: return failed(self, "no TLS: no handshake in time");
            case Step::greet: return failed(self, "no greeting in time");
        }
    }

    struct Failed {
        std::string address;
        std::string why;
    };

    Shared shared_;
    raft::NodeId peer_;
    TcpAddress address_;
    Done done_;  // null: over
    typename Net::Resolver resolver_;
    typename Net::Timer timer_;
    std::uint64_t round_ = 0;  // of the timer
    Step step_{};
    std::chrono::steady_clock::time_point step_began_{};
    std::vector<boost::asio::ip::tcp::endpoint> endpoints_;
    std::size_t next_endpoint_ = 0;
    std::vector<Failed> failures_;  // of the addresses that were tried
    std::vector<std::byte> hello_;
    AnswerBytes answer_{};
    std::vector<std::byte> proof_;
    bool proved_ = false;  // that the other side knows the secret
};

}  // namespace rsm::detail

#endif
