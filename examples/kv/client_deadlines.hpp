// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What time a client of a kv server has for what.
#ifndef RSM_EXAMPLES_KV_CLIENT_DEADLINES_HPP
#define RSM_EXAMPLES_KV_CLIENT_DEADLINES_HPP

#include "server_options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kv {

/// A time limit that a client has let pass.
enum class Lapse : std::uint8_t {
    none,
    replies,    ///< it takes none of the bytes that wait for it
    handshake,  ///< it does not come to speak TLS
    login,      ///< it does not say who it is
    request,    ///< it does not complete what it has begun to send
    idle,       ///< it wants nothing
};

/// For the operator, with the option that it is about.
inline std::string_view describe(Lapse lapse) {
    switch (lapse) {
        case Lapse::none: break;
        case Lapse::replies: return "it does not take its replies (--reply-timeout)";
        case Lapse::handshake: return "it does not complete its TLS handshake (--request-timeout)";
        case Lapse::login: return "it does not say who it is (--request-timeout)";
        case Lapse::request: return "it does not complete its request (--request-timeout)";
        case Lapse::idle: return "it has been idle (--timeout)";
    }
    return "";
}

/// The last word to the client.
inline std::string_view farewell(Lapse lapse) {
    switch (lapse) {
        case Lapse::login: return "NOAUTH there was no AUTH in time";
        case Lapse::request: return "ERR the request was not completed in time";
        case Lapse::none:
        case Lapse::replies:
        case Lapse::handshake:
        case Lapse::idle: break;
    }
    return "";
}

/// What is noted of one client to judge it by. Of the limits, 0 is none.
class ClientDeadlines {
public:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;

    explicit ClientDeadlines(Time begin) : begin_(begin), active_(begin) {}

    /// It has sent something, or taken all that waited for it.
    void note_activity(Time now) { active_ = now; }
    /// A part of a request is here, or none any more.
    void note_half(Time now) {
        if (!half_since_) half_since_ = now;
    }
    void note_whole() { half_since_.reset(); }
    /// It shakes hands, or has done so.
    void note_securing(Time now) { securing_since_ = now; }
    void note_secured() { securing_since_.reset(); }
    bool is_securing() const { return securing_since_.has_value(); }

    /// What of a client is so just now.
    struct State {
        std::optional<Time> sending;  ///< since when it has taken nothing of what is being sent
        bool is_stranger = false;
        bool is_busy = false;  ///< requests of it are waiting or under way
    };

    /// In this order, since each excuses those behind it.
    Lapse lapse(const State& state, const ServerOptions& limits, Time now) const {
        const auto passed = [now](Time since, std::chrono::milliseconds limit) {
            return limit.count() != 0 && now - since >= limit;
        };
        if (state.is_stranger && passed(begin_, limits.request_timeout)) return Lapse::login;
        if (state.sending) {
            return passed(*state.sending, limits.reply_timeout) ? Lapse::replies : Lapse::none;
        }
        if (securing_since_) {
            return passed(*securing_since_, limits.request_timeout) ? Lapse::handshake
                                                                    : Lapse::none;
        }
        if (half_since_ && passed(*half_since_, limits.request_timeout)) return Lapse::request;
        if (!state.is_busy && passed(active_, limits.idle_timeout)) return Lapse::idle;
        return Lapse::none;
    }

private:
    Time begin_;
    Time active_;
    std::optional<Time> half_since_;
    std::optional<Time> securing_since_;
};

}  // namespace kv

#endif
