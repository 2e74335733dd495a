// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Arbitrary bytes as the content of a snapshot of the kv store: they are a state, or refused.
#include "support/allocations.hpp"
#include "support/finding.hpp"
#include "support/input.hpp"

#include <kv/store.hpp>

#include <raft/base/bytes.hpp>
#include <rsm/node/saved_state.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz::snapshot_input {
namespace {

using rsm::detail::PieceSink;
using rsm::detail::PieceSource;
using rsm::detail::SnapshotHead;

std::vector<raft::Bytes> pieces_of(std::string_view bytes, std::size_t most) {
    std::vector<raft::Bytes> pieces;
    while (!bytes.empty()) {
        const std::string_view piece = bytes.substr(0, most);
        pieces.push_back(raft::Bytes::copy_of(piece));
        bytes.remove_prefix(piece.size());
    }
    return pieces;
}

kv::Store first_state() {
    kv::Store store;
    store.apply({kv::Set{"key", "value"}});
    return store;
}

/// The store promises more than others have to.
void read_by_itself(std::string_view bytes) {
    const std::vector<raft::Bytes> pieces = pieces_of(bytes, 100);
    PieceSource source(pieces);
    kv::Store store = first_state();
    try {
        rsm::SnapshotReader reader(source, bytes.size());
        store.restore(reader);
    } catch (const std::exception&) {
        require(store == first_state(), "a snapshot that is refused has changed the state");
    }
}

void run(Input input) {
    const std::size_t most = 1 + input.below(64);
    raft::SnapshotMeta meta;
    meta.last = {{9}, {2}};
    meta.membership.version = static_cast<std::uint32_t>(input.below(3));
    // One that ends before the size that it states, or goes on behind it.
    const std::size_t size_error = input.below(16) == 0 ? input.below(20) : 0;
    const std::string_view bytes = input.rest();
    meta.size = bytes.size() + size_error;

    kv::Store store = first_state();
    const std::vector<raft::Bytes> pieces = pieces_of(bytes, most);
    PieceSource source(pieces);
    const LargestAllocation largest;
    const raft::Result<SnapshotHead> head =
        rsm::detail::restore_state(source, meta, store, 16 + most);
    require(largest.bytes() <= 64 * bytes.size() + 65536,
            "an allocation is larger than what was received justifies");
    read_by_itself(bytes);
    if (!head) return require(!head.error().what.empty(), "a refusal does not say what it refuses");
    PieceSink sink;
    rsm::detail::write_state(sink, store, *head);
    const std::vector<raft::Bytes> written = sink.take();
    std::string again;
    for (const raft::Bytes& piece : written) again += piece.text();
    kv::Store other;
    PieceSource second(written);
    const SnapshotHead same = rsm::detail::read_state(second, again.size(), other);
    require(other == store && other.digest() == store.digest() && same == *head,
            "a state is not what its snapshot says");
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::snapshot_input
