// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The Raft consensus algorithm, with nothing but the standard library. Open this file first.
//
// `Core` is the algorithm as a value, `Engine` carries out what it asks for. Whoever drives a Core
// by hand, without the Engine, has these duties:
//
//  1. Recover the stored state (Storage::recover) and hand it to the constructor. Give every node
//     of a cluster another seed.
//  2. Call step() with everything that has happened since the last call, in order, and with the
//     time; and at the latest at Output::deadline.
//  3. Begin Output::write before anything else. Writes become durable in the order of their ids.
//     When one is durable, say so with Persisted. A write that fails is final: stop the node.
//  4. Send Output::send now. Send each of Output::send_after only once the write it names is
//     durable, in order.
//  5. Tell the proposers of Output::proposals where their operations stand. An operation is done
//     when the entry with exactly that position is applied.
//  6. Replace the state machine's state by Output::restore, then apply Output::apply, in order;
//     then say Applied.
//  7. Answer each read of Output::reads that is released from the state as it is then.
//  8. Answer Output::load_entries, load_chunks and store_chunk with EntriesLoaded, ChunkLoaded and
//     ChunkStored. Drop snapshots when told to.
//  9. When the log has grown (Storage::persisted_bytes), write a snapshot of the applied state,
//     make it durable, then say SnapshotTaken.
#ifndef RSM_RAFT_RAFT_HPP
#define RSM_RAFT_RAFT_HPP

#if __cplusplus < 202002L
#error "rsm needs C++20: compile with -std=c++20 or later"
#else

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/driver/engine.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/proof/invariants.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>

#endif  // C++20

#endif
