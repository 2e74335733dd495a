// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104): what proves that somebody knows a secret. Here
// because none of the header-only libraries that this one uses has a keyed hash that was made for
// that: xxHash has none, and Boost.Uuid's SHA-1 is old.
#ifndef RSM_DETAIL_SHA256_HPP
#define RSM_DETAIL_SHA256_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rsm::inline v0::detail {

using Digest256 = std::array<std::byte, 32>;

class Sha256 {
public:
    static constexpr std::size_t block_bytes = 64;

    Sha256& update(std::span<const std::byte> bytes) {
        length_ += bytes.size();
        for (const std::byte byte : bytes) {
            block_[filled_++] = byte;
            if (filled_ == block_bytes) compress();
        }
        return *this;
    }

    /// Of all bytes so far. Final.
    Digest256 digest() {
        const std::uint64_t bits = length_ * 8;
        put(std::byte{0x80});
        while (filled_ != block_bytes - 8) put(std::byte{0});
        for (unsigned shift = 64; shift != 0; shift -= 8) {
            put(static_cast<std::byte>(bits >> (shift - 8) & 0xff));
        }
        Digest256 result;
        for (std::size_t i = 0; i < result.size(); ++i) {
            result[i] = static_cast<std::byte>(state_[i / 4] >> (24 - 8 * (i % 4)) & 0xff);
        }
        return result;
    }

private:
    void put(std::byte byte) {
        block_[filled_++] = byte;
        if (filled_ == block_bytes) compress();
    }

    /// Section 6.2.2.
    void compress() {
        std::array<std::uint32_t, 64> w;
        for (std::size_t t = 0; t < 16; ++t) {
            w[t] = 0;
            for (std::size_t i = 0; i < 4; ++i) {
                w[t] = w[t] << 8 | std::to_integer<std::uint32_t>(block_[4 * t + i]);
            }
        }
        for (std::size_t t = 16; t < 64; ++t) {
            const std::uint32_t s0 =
                std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
            const std::uint32_t s1 =
                std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = s1 + w[t - 7] + s0 + w[t - 16];
        }
        auto [a, b, c, d, e, f, g, h] = state_;
        for (std::size_t t = 0; t < 64; ++t) {
            const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
            const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + constants[t] + w[t];
            const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
            const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
        const std::array<std::uint32_t, 8> more = {a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < more.size(); ++i) state_[i] += more[i];
        filled_ = 0;
    }

    static constexpr std::array<std::uint32_t, 64> constants = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};

    std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, block_bytes> block_{};
    std::size_t filled_ = 0;
    std::uint64_t length_ = 0;
};

class HmacSha256 {
public:
    explicit HmacSha256(std::span<const std::byte> key) {
        std::array<std::byte, Sha256::block_bytes> block{};
        if (key.size() <= block.size()) {
            std::copy(key.begin(), key.end(), block.begin());
        } else {
            const Digest256 hashed = Sha256().update(key).digest();
            std::copy(hashed.begin(), hashed.end(), block.begin());
        }
        for (std::byte& byte : block) byte ^= std::byte{0x36};
        inner_.update(block);
        for (std::byte& byte : block) byte ^= std::byte{0x36} ^ std::byte{0x5c};
        outer_.update(block);
    }

    HmacSha256& update(std::span<const std::byte> bytes) {
        inner_.update(bytes);
        return *this;
    }
    /// Of all bytes so far. Final.
    Digest256 code() {
        const Digest256 inner = inner_.digest();
        return outer_.update(inner).digest();
    }

private:
    Sha256 inner_;
    Sha256 outer_;
};

/// In a time that does not tell where they differ.
inline bool equal_in_constant_time(const Digest256& a, const Digest256& b) {
    std::byte difference{0};
    for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
    return difference == std::byte{0};
}

}  // namespace rsm::detail

#endif
