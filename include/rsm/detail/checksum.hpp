// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The checksum of the disk and wire formats: XXH3 with 64 bits, inlined from xxhash's header. It
// finds accidental damage; it is no defence against somebody who forges bytes on purpose.
#ifndef RSM_DETAIL_CHECKSUM_HPP
#define RSM_DETAIL_CHECKSUM_HPP

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace rsm::inline v0::detail {

/// XXH3-64 of `bytes`. Equal on every platform.
inline std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// The same checksum over bytes that arrive in pieces: however they are cut, value() equals
/// checksum() of the whole. One object is used from one thread at a time.
class Checksum {
public:
    explicit Checksum(std::uint64_t seed = 0) {
        // The reset compares `seed` with the state's own before it derives the secret from it, so
        // a state that was never initialised could keep a secret that is garbage.
        XXH3_INITSTATE(&state_);
        XXH3_64bits_reset_withSeed(&state_, seed);
    }

    void update(std::span<const std::byte> bytes) {
        XXH3_64bits_update(&state_, bytes.data(), bytes.size());
    }
    /// Of everything so far; more may follow.
    std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

private:
    XXH3_state_t state_;
};

}  // namespace rsm::detail

#endif
