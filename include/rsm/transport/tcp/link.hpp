// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A connection to a peer on which both sides have greeted each other.
#ifndef RSM_TRANSPORT_TCP_LINK_HPP
#define RSM_TRANSPORT_TCP_LINK_HPP

#include <rsm/transport/tcp/connection.hpp>
#include <rsm/transport/tcp/outbox.hpp>
#include <rsm/transport/wire/greeting.hpp>

#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// What reading an answer has come to.
struct AnswerRead {
    enum class State : std::uint8_t { complete, broken_off, none, other_layout, damaged };
    State state{};
    boost::system::error_code error;  ///< if broken_off
    Answer answer;                    ///< if complete
    std::size_t size = 0;             ///< of it as it was sent; likewise
    std::uint16_t layout = 0;         ///< if other_layout
};

using AnswerBytes = std::array<std::byte, greeting_head_bytes + greeting_rest_max>;

/// Reads an answer into `bytes`, which `stream` owns, then calls done(AnswerRead).
/// @param have  how many bytes of it are there already; less than the head's
template <class Stream, class Done>
void read_answer(const std::shared_ptr<Stream>& stream, AnswerBytes& bytes, std::size_t have,
                 Done done) {
    using State = AnswerRead::State;
    const auto head = std::span(bytes).first(greeting_head_bytes).subspan(have);
    read_exactly(
        stream, head,
        [stream, &bytes, done = std::move(done)](boost::system::error_code broken) mutable {
            if (broken) return done(AnswerRead{State::broken_off, broken, {}});
            const GreetingHead got = load_greeting_head(bytes.data());
            const bool possible = got.length > 0 && got.length <= greeting_rest_max;
            if (got.magic != answer_magic || !possible)
                return done(AnswerRead{State::none, {}, {}});
            if (got.layout != greeting_layout) {
                return done(AnswerRead{State::other_layout, {}, {}, 0, got.layout});
            }
            const std::size_t size = greeting_head_bytes + got.length;
            const auto rest = std::span(bytes).first(size).subspan(greeting_head_bytes);
            read_exactly(
                stream, rest,
                [&bytes, size, done = std::move(done)](boost::system::error_code error) mutable {
                    if (error) return done(AnswerRead{State::broken_off, error, {}});
                    auto answer = decode_answer(std::span(bytes).first(size));
                    if (!answer) return done(AnswerRead{State::damaged, {}, {}});
                    AnswerRead read{State::complete, {}, *std::move(answer)};
                    read.size = size;
                    done(read);
                });
        });
}

/// As the dialling side has it: it writes frames and reads a farewell.
template <class Net>
struct TcpLink : TcpStream<Net> {
    using Clock = std::chrono::steady_clock;
    using Ptr = std::shared_ptr<TcpLink>;

    TcpLink(typename Net::Socket greeted, std::uint64_t peer_process, std::uint8_t agreed,
            Clock::time_point now)
        : TcpStream<Net>(std::move(greeted)), process(peer_process), version(agreed), since(now) {
        boost::system::error_code ignored;
        this->socket.non_blocking(true, ignored);
    }

    const std::uint64_t process;  ///< the peer's
    const std::uint8_t version;   ///< of the frames
    const Clock::time_point since;
    Batch batch;
    bool writing = false;
    AnswerBytes farewell{};

    /// The next batch becomes this connection's.
    void take(Outbox& outbox) {
        outbox.take(batch);
        this->parts.clear();
        this->first_part = 0;
        batch.frames.for_each_part([this](std::span<const std::byte> part) {
            this->parts.emplace_back(part.data(), part.size());
        });
    }

    /// For how long the other side has taken nothing although something waits. Counted from the
    /// first look that finds it so: before it, this node may have been busy and written nothing.
    Clock::duration stuck_for(const Net& net) {
        const auto now = net.now();
        const std::size_t waiting = net.unacknowledged(this->socket).value_or(0);
        const std::uint64_t taken = this->written - waiting;
        const bool idle = !writing && waiting == 0;
        if (idle || taken != taken_) {
            stuck_since_.reset();
        } else if (!stuck_since_) {
            stuck_since_ = now;
        }
        taken_ = taken;
        return stuck_since_ ? now - *stuck_since_ : Clock::duration::zero();
    }

private:
    std::uint64_t taken_ = 0;  // bytes, as of the last look
    std::optional<Clock::time_point> stuck_since_;
};

}  // namespace rsm::detail

#endif
