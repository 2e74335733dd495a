// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How many wrong passwords may come from one place.
#ifndef RSM_EXAMPLES_KV_GUESS_LIMIT_HPP
#define RSM_EXAMPLES_KV_GUESS_LIMIT_HPP

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kv {

/// Wrong passwords cost a place something that it gets back with time; a place that has none left
/// is not listened to, right or wrong: to answer the right one at once would go on telling it from
/// the others. A place is an IPv4 address or the 64 leading bits of an IPv6 address, since whoever
/// has one address of such a network has all of them.
///
/// Only so many places are remembered. Where more than that guess at once, the one that has most
/// left is forgotten, so it begins anew.
class GuessLimit {
public:
    using Clock = std::chrono::steady_clock;
    using Address = boost::asio::ip::address;

    static constexpr std::size_t at_once = 32;
    static constexpr std::size_t places_max = 1024;

    /// @param interval  after which a place may be wrong once more; 0: nobody is limited
    explicit GuessLimit(Clock::duration interval) : interval_(interval) {}

    /// Whether a password from there is looked at.
    bool admits(const Address& from, Clock::time_point now) const {
        const auto place = find(place_of(from));
        return place == places_.end() || owed(*place, now) + interval_ <= most();
    }

    /// One from there was wrong.
    void note_wrong(const Address& from, Clock::time_point now) {
        if (interval_ == Clock::duration::zero()) return;
        const std::uint64_t network = place_of(from);
        auto place = places_.begin() + (find(network) - places_.cbegin());
        if (place == places_.end()) {
            if (places_.size() < places_max) {
                place = places_.insert(place, Place{network, now});
            } else {
                place = std::min_element(places_.begin(), places_.end(), clears_sooner);
                *place = {network, now};
            }
        }
        place->clear_at = std::max(place->clear_at, now) + interval_;
    }

private:
    struct Place {
        std::uint64_t network;
        Clock::time_point clear_at;  // when nothing of what it did counts any more
    };

    static bool clears_sooner(const Place& a, const Place& b) { return a.clear_at < b.clear_at; }

    static std::uint64_t place_of(const Address& address) {
        if (address.is_v4()) return address.to_v4().to_uint();
        const auto v6 = address.to_v6();
        const auto bytes = v6.to_bytes();
        const std::size_t first = v6.is_v4_mapped() ? 12 : 0;
        const std::size_t last = v6.is_v4_mapped() ? 16 : 8;
        std::uint64_t place = 0;
        for (std::size_t i = first; i < last; ++i) place = place << 8 | bytes[i];
        return place;
    }

    std::vector<Place>::const_iterator find(std::uint64_t network) const {
        return std::find_if(places_.begin(), places_.end(),
                            [&](const Place& place) { return place.network == network; });
    }

    static Clock::duration owed(const Place& place, Clock::time_point now) {
        return std::max(place.clear_at - now, Clock::duration::zero());
    }
    Clock::duration most() const { return interval_ * at_once; }

    Clock::duration interval_;
    std::vector<Place> places_;
};

}  // namespace kv

#endif
