// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A number that tells sequences of values apart.
#ifndef RSM_RAFT_BASE_DIGEST_HPP
#define RSM_RAFT_BASE_DIGEST_HPP

#include <raft/base/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace raft::inline v0 {

/// A 64-bit digest of a sequence of values, the same on every platform. Not cryptographic: it
/// serves to compare and to index states, never to detect damage.
class Digest {
public:
    void add(std::uint64_t value) {
        // The finalizer of SplitMix64 spreads every input bit over the state.
        state_ += 0x9e3779b97f4a7c15ULL + value;
        state_ = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9ULL;
        state_ = (state_ ^ (state_ >> 27)) * 0x94d049bb133111ebULL;
        state_ ^= state_ >> 31;
    }
    void add(Term term) { add(term.value); }
    void add(Index index) { add(index.value); }
    void add(NodeId node) { add(node.value); }
    void add(LogPosition position) {
        add(position.index);
        add(position.term);
    }
    void add(Time time) { add(static_cast<std::uint64_t>(time.time_since_epoch().count())); }
    void add(std::span<const std::byte> bytes) {
        add(bytes.size());
        std::uint64_t word = 0;
        unsigned filled = 0;
        for (const std::byte byte : bytes) {
            word |= std::to_integer<std::uint64_t>(byte) << (8 * filled);
            if (++filled == 8) {
                add(word);
                word = 0;
                filled = 0;
            }
        }
        if (filled != 0) add(word);
    }
    std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0;
};

}  // namespace raft

#endif
