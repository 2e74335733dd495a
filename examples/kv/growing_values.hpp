// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How large values may become by writes that are under way.
#ifndef RSM_EXAMPLES_KV_GROWING_VALUES_HPP
#define RSM_EXAMPLES_KV_GROWING_VALUES_HPP

#include "table.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kv {

/// Bytes of writes by the places of their keys, of which there are few: so it takes no memory, and
/// what it says of a key may be more than there is, and never less.
class GrowingValues {
public:
    using Place = std::uint16_t;
    /// Of a write of several keys.
    static constexpr Place anywhere = 256;
    static Place place_of(std::string_view key) {
        return static_cast<Place>(hash(key, 0) % anywhere);
    }

    void begun(Place place, std::size_t bytes) { bytes_[place] += bytes; }
    void ended(Place place, std::size_t bytes) { bytes_[place] -= bytes; }
    /// By how much the key's value may grow.
    std::size_t of(std::string_view key) const { return bytes_[place_of(key)] + bytes_[anywhere]; }

private:
    std::array<std::size_t, anywhere + 1> bytes_{};
};

}  // namespace kv

#endif
