// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an Engine needs from the world: a Storage, a Transport and a Clock.
//
// Common to all three. Everything happens on the node's serial executor: the Engine calls from
// there, and callbacks arrive there, never from inside the call that asked for them. Destroying
// the policy drops all callbacks that have not run and waits for nothing.
#ifndef RSM_RAFT_CONCEPTS_HPP
#define RSM_RAFT_CONCEPTS_HPP

#include <raft/message.hpp>
#include <raft/stable.hpp>
#include <raft/types.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace raft {

using WriteDone = std::function<void(Result<void>)>;
using EntriesRead = std::function<void(Result<std::vector<Entry>>)>;
using SnapshotSaved = std::function<void(Result<SnapshotMeta>)>;
using ChunkReceived = std::function<void(Result<ChunkOutcome>)>;
using ChunkRead = std::function<void(Result<Bytes>)>;

/// Keeps a node's persistent state. Any failure that a callback reports is final for the node
/// (it stops voting and acknowledging), except where stated. What merely cannot be begun for want
/// of space, descriptors or memory is no failure of a write: the write waits, and those behind it
/// with it, until it can be.
///
/// - `recover()` is called once, before anything else, and may block. It repairs what a crash may
///   leave (a torn tail, an unfinished snapshot) and refuses anything else with a Failure that
///   names file and offset. If the newest snapshot is not a prefix of the log, the log is void.
///   Older snapshots need not be kept.
/// - `append(write, done)` makes a write durable. Writes complete in submission order; several
///   may be under way, and the storage is expected to gather what waits into one sync. A failed
///   write or sync is final: all later ones fail too, nothing is retried.
/// - `read(first, max_bytes, done)` gives consecutive entries from `first` on, at least one and
///   then as many as have a footprint of at most max_bytes together. @pre `first` is in the log as
///   of the writes submitted so far, and durable.
/// - `persisted_bytes()` is the exact size of the persisted Raft state as of the writes submitted
///   so far: the hard state and every entry in (release, last], in the encoding of codec.hpp;
///   snapshots are not counted.
/// - `save_snapshot(last, membership, produce, done)` writes a snapshot aside, makes it durable
///   under its final name and then calls done with its size and checksum filled in. Not final: a
///   failure says that there is no such snapshot, and leaves nothing behind.
/// - `receive_chunk(meta, offset, data, done)` collects a snapshot from a peer; offset 0 begins
///   (anew); each call continues where the last ended. Several may be under way; they complete in
///   order. At the end the checksum is verified. Not final: a failure drops what was collected, as
///   a rejection does, and all further calls are rejected until one begins anew.
/// - `abandon_transfer()` drops what was collected of a snapshot that is not complete, as of the
///   calls of receive_chunk() so far; nothing where there is none.
/// - Snapshots of one position replace each other: the one whose save or receipt completes last is
///   kept, also through a restart, and the other one is not there any more.
/// - `read_chunk(meta, offset, max_bytes, done)` reads a piece of a kept snapshot. Not final: a
///   failure says that this snapshot is not there (any more).
/// - `open_snapshot(meta)` gives a kept snapshot's content to be read at once; it may block.
///   The source ends early when the content is damaged; the reader checks the count.
/// - `drop_snapshots_before(index)` removes every kept snapshot of a lower index.
/// - `close(done)` finishes what is under way, then releases the files. Writes that wait for
///   space fail. Nothing may be asked after it.
template <class S>
concept Storage = std::movable<S> &&
    requires(S storage, const S& fixed, Write write, Index index, LogPosition position,
             Membership membership, const SnapshotMeta& meta, Bytes bytes, std::size_t size,
             std::uint64_t offset, SnapshotProducer produce, WriteDone written, EntriesRead entries,
             SnapshotSaved saved, ChunkReceived received, ChunkRead chunk,
             std::function<void()> closed) {
    { storage.recover() } -> std::same_as<Result<Recovered>>;
    storage.append(std::move(write), std::move(written));
    storage.read(index, size, std::move(entries));
    { fixed.persisted_bytes() } -> std::convertible_to<std::uint64_t>;
    storage.save_snapshot(position, membership, std::move(produce), std::move(saved));
    storage.receive_chunk(meta, offset, std::move(bytes), std::move(received));
    storage.abandon_transfer();
    storage.read_chunk(meta, offset, size, std::move(chunk));
    { storage.open_snapshot(meta) } -> std::same_as<Result<std::unique_ptr<ByteSource>>>;
    storage.drop_snapshots_before(index);
    storage.close(std::move(closed));
};

/// A Storage that knows whose state it keeps.
///
/// - `claim(identity)`, before recover(): whose it is to be. recover() gives a new storage this
///   identity, durably, before anything else can be in it, and refuses one of another identity.
template <class S>
concept ClaimedStorage = Storage<S> && requires(S storage, Identity identity) {
    storage.claim(std::move(identity));
};

/// A Storage whose room has an end.
///
/// - `refuses()`: why it has no more room than its last reserve, if so. The reserve is for votes,
///   terms and what others have decided; what clients ask for should be refused until it is
///   nothing again. That comes by itself.
template <class S>
concept LimitedStorage = Storage<S> && requires(const S& storage) {
    { storage.refuses() } -> std::convertible_to<const std::optional<Failure>&>;
};

/// A Storage that says what recover() has done to what it found, a sentence for each.
template <class S>
concept ReportingStorage = Storage<S> && requires(const S& storage) {
    { storage.recovery_report() } -> std::convertible_to<const std::vector<std::string>&>;
};

/// Carries messages. It may drop, delay, double and reorder them; it never corrupts one, never
/// blocks and never queues without bound.
///
/// - `start(receive)` begins to deliver what peers send to this node.
/// - `send(message)` passes a message on to message.to, or drops it. Messages to one peer should
///   arrive in order where that costs nothing; snapshot chunks should yield to all others.
/// - `stop()` ends all traffic; nothing is delivered after it.
template <class T>
concept Transport = std::movable<T> &&
    requires(T transport, Message message, std::function<void(Message)> receive) {
    transport.start(std::move(receive));
    transport.send(std::move(message));
    transport.stop();
};

/// A Transport to which messages come in groups, and which sends better what it gets in groups. It
/// saves the trips through the executor that would gather them otherwise.
///
/// - `start(receive, received)` takes the place of start(receive): `received()` is called after
///   each group, when nothing more of it will follow. The caller may stop the transport from there,
///   not destroy it.
/// - `flush()` lets leave what has been sent since the last one. Whoever starts it so calls it
///   whenever it has sent something; nothing else need make that leave. It never calls back.
template <class T>
concept GroupingTransport = Transport<T> &&
    requires(T transport, std::function<void(Message)> receive, std::function<void()> received) {
    transport.start(std::move(receive), std::move(received));
    transport.flush();
};

/// The only source of time, and the only timer.
///
/// - `now()` never goes backward.
/// - `start(expired)` names what to call when the armed time has come.
/// - `arm(time)` replaces whatever was armed before; a time that has passed expires soon.
/// - `stop()` disarms; nothing is called after it.
template <class C>
concept Clock = std::movable<C> && requires(C clock, Time time, std::function<void()> expired) {
    { clock.now() } -> std::same_as<Time>;
    clock.start(std::move(expired));
    clock.arm(time);
    clock.stop();
};

}  // namespace raft

#endif
