// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Arbitrary bytes as messages and memberships of the wire: refused, or exactly what encoding the
// result gives.
#include "support/allocations.hpp"
#include "support/finding.hpp"
#include "support/input.hpp"

#include <raft/base/bytes.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace fuzz::codec_input {
namespace {

template <class T>
void require_same(const raft::Bytes& bytes, const T& value) {
    raft::codec::Count count;
    raft::codec::put(count, value);
    require(count.size() == bytes.size(), "the size of an encoding is another one");
    require(raft::codec::encode(value, 8) == bytes, "two encodings mean the same");
}

void run(Input input) {
    const bool is_message = input.below(8) != 0;
    const raft::Bytes bytes = raft::Bytes::copy_of(input.rest());
    const LargestAllocation largest;
    if (is_message) {
        if (const auto message = raft::codec::decode_message(bytes)) {
            require_same(bytes, *message);
            static_cast<void>(raft::within_limits(*message));
            require(*message == raft::codec::decode_message(bytes), "a message is another one");
        }
    } else if (const auto membership = raft::codec::decode_membership(bytes)) {
        require_same(bytes, *membership);
    }
    require(largest.bytes() <= 40 * bytes.size() + 8192,
            "an allocation is larger than what was received justifies");
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::codec_input
