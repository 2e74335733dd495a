// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an Engine needs from the world: a Storage, a Transport and a Clock.
//
// Common to all three. Each is made where it stays and needs to be neither copied nor moved, so
// what it has under way may refer to it. Everything happens on the node's serial executor: the
// Engine calls from there, and callbacks arrive there, never from inside the call that asked for
// them. A callback may destroy the policy that calls it. Destroying the policy drops all callbacks
// that have not run and waits for nothing.
#ifndef RSM_RAFT_DRIVER_CONCEPTS_HPP
#define RSM_RAFT_DRIVER_CONCEPTS_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace raft::inline v0 {

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
///   names file and offset; or, where it still knows the last term and vote and how far the log had
///   come, gives what is left and says so in Recovered::promised. Of the snapshots it finds it
///   gives the newest; older ones need not be kept. raft/driver/recovery.hpp puts the runs of terms
///   together and says whether the log is void because that snapshot is no prefix of it. The commit
///   index that it gives lets the node deliver up to there before it has heard of a leader, unless
///   Options::recover_commit_index is off; a storage may give less, down to 0.
/// - `append(write, done)` makes a write durable: all of it or, after a crash, nothing of it, and
///   never without those before it. Writes complete in submission order; several may be under way,
///   and the storage is expected to gather what waits into one sync. A failed write or sync is
///   final: all later ones fail too, nothing is retried.
/// - `read(first, max_bytes, done)` gives consecutive entries from `first` on, at least one and
///   then as many as have a footprint of at most max_bytes together. @pre `first` is in the log as
///   of the writes begun so far, and durable.
/// - `persisted_bytes()` is the exact size of the persisted Raft state as of the writes begun
///   so far: the hard state, once there is one, and every entry in (release, last], in the encoding
///   of codec.hpp (persisted_hard_state_size, persisted_size()); snapshots are not counted. No rule
///   of the algorithm reads it: it tells the host when to take a snapshot, and that the log has
///   become short by one. So a storage with a format of its own may count what that takes instead;
///   then a threshold means other amounts there than elsewhere, and tests that know the sizes of
///   the entries will not agree. What must hold is that it rises with what is appended and falls
///   with what is replaced, reset and released.
/// - `save_snapshot(last, membership, produce, done)` writes a snapshot aside, makes it durable
///   under its final name and then calls done with its size and checksum filled in. `produce` is
///   called once at most, possibly on another thread, and has returned or is not called any more
///   once done is. Several may be under way, in any order of positions, also below that of a
///   snapshot which is kept. Not final: a failure says that there is no such snapshot, and leaves
///   nothing behind.
/// - `receive_chunk(meta, offset, data, done)` collects a snapshot from a peer; offset 0 begins
///   (anew); each call continues where the last ended. Several may be under way; they complete in
///   order. At the end size and checksum are verified, and the snapshot is made durable before
///   done says `installed`. Not final: a failure drops what was collected, as a rejection does, and
///   all further calls are rejected until one begins anew. A storage may keep what it has of one
///   through a restart (Recovered::partial); then the first call may continue there.
/// - `abandon_transfer()` drops what was collected of a snapshot that is not complete, as of the
///   calls of receive_chunk() so far; nothing where there is none.
/// - Snapshots of one position replace each other: the one whose save or receipt completes last is
///   kept, also through a restart, and the other one is not there any more.
/// - `read_chunk(meta, offset, max_bytes, done)` reads a piece of a kept snapshot: as much as
///   there is, up to max_bytes. Not final: a failure says that this snapshot is not there (any
///   more).
/// - `open_snapshot(meta)` gives a kept snapshot's content to be read at once; it may block.
///   The source ends early when the content is damaged; the reader checks the count.
/// - `drop_snapshots_except(needed)` removes every kept snapshot whose index is lower than the last
///   of `needed` and not among them. They ascend, and there is one at least.
/// - `close(done)` finishes what is under way, then releases the files. Writes that wait for
///   space fail. Nothing may be asked after it.
///
/// SnapshotMeta::checksum is the storage's. The algorithm only compares it, as a part of the
/// snapshot's name; but the storage of another node verifies what it receives by it, so all
/// storages of a cluster must compute it alike. Those of rsm use XXH3 with 64 bits and seed 0 over
/// the content, which any XXH3 library gives (XXH3_64bits() of xxhash.h).
template <class S>
concept Storage = requires(S& storage, const S& fixed, Write write, Index index,
                           LogPosition position, Membership membership, const SnapshotMeta& meta,
                           Bytes bytes, std::size_t size, std::uint64_t offset,
                           const std::vector<Index>& needed, SnapshotProducer produce,
                           WriteDone written, EntriesRead entries, SnapshotSaved saved,
                           ChunkReceived received, ChunkRead chunk, std::function<void()> closed) {
    { storage.recover() } -> std::same_as<Result<Recovered>>;
    storage.append(std::move(write), std::move(written));
    storage.read(index, size, std::move(entries));
    { fixed.persisted_bytes() } -> std::convertible_to<std::uint64_t>;
    storage.save_snapshot(position, membership, std::move(produce), std::move(saved));
    storage.receive_chunk(meta, offset, std::move(bytes), std::move(received));
    storage.abandon_transfer();
    storage.read_chunk(meta, offset, size, std::move(chunk));
    { storage.open_snapshot(meta) } -> std::same_as<Result<std::unique_ptr<ByteSource>>>;
    storage.drop_snapshots_except(needed);
    storage.close(std::move(closed));
};

/// A Storage that knows whose state it keeps.
///
/// - `claim(identity)`, before recover(): whose it is to be. recover() gives a new storage this
///   identity, durably, before anything else can be in it. One that has an identity is refused if
///   the node, the cluster's name or, unless the claim's are empty, the ids of the founding members
///   differ, or a claimed origin that is not 0; its instance and whether it is a founder are its
///   own. A new storage is refused if the claim names no founding members.
/// - `identity()`, after recover(): what it holds.
/// - `renounce(done)`: makes it durable that the node is no founder. A failure is final.
template <class S>
concept ClaimedStorage = Storage<S> &&
    requires(S& storage, const S& fixed, Identity identity, WriteDone renounced) {
    storage.claim(std::move(identity));
    { fixed.identity() } -> std::convertible_to<const Identity&>;
    storage.renounce(std::move(renounced));
};

/// A Storage that gives what it has of a log behind damage.
///
/// - `read_detached(first, max_bytes, done)` is what read() is, for the entries of
///   Recovered::detached. Not final: a failure says that they cannot be read (any more).
template <class S>
concept DetachingStorage = Storage<S> &&
    requires(S& storage, Index first, std::size_t max_bytes, EntriesRead done) {
    storage.read_detached(first, max_bytes, std::move(done));
};

/// A Storage that can begin with a state.
///
/// - `begin_with(seed)`, after claim() and before recover(): a new storage holds the snapshot
///   before it has an identity, so that it never comes up as one that was founded without; what a
///   start that was cut off has left of it is replaced. One that is not new takes no notice.
template <class S>
concept SeedableStorage = ClaimedStorage<S> && requires(S& storage, Seed seed) {
    storage.begin_with(std::move(seed));
};

/// A Storage whose room has an end.
///
/// - `refuses()`: why it has no more room than its last reserve, if so. The reserve is for votes,
///   terms and what others have decided; what clients ask for should be refused until it is
///   nothing again. That comes by itself. Asked at each turn; a leader that has no room passes
///   leadership on to a voter that has.
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
/// - `send(message)` passes a message on to message.to, or drops it; message.from is this node.
///   Messages to one peer should arrive in order where that costs nothing; snapshot chunks should
///   yield to all others.
/// - `stop()` ends all traffic; nothing is delivered after it. It is called when the Engine is
///   destroyed at the latest, also where start() was not called, and possibly more than once.
///
/// Messages are no calls. A request may stay without an answer (it was stale, or what it asks for
/// came by another way), an answer may come much later (when a write is durable) and may answer
/// several requests. So a transport that carries a request and its answer as a call of some RPC
/// must end each call after a time of its own, or carry both as notices. Nothing waits for an
/// answer for ever: what still matters is said again. Of the alternatives of Message::body,
/// VoteRequest, AppendRequest and SnapshotChunk are the requests (a SourceRequest is mostly
/// answered, by way of a SourceChunk, to the leader by another node); codec.hpp has the bytes of a
/// message, which begin with its kind, its sender and its receiver.
template <class T>
concept Transport = requires(T& transport, Message message, std::function<void(Message)> receive) {
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
    requires(T& transport, std::function<void(Message)> receive, std::function<void()> received) {
    transport.start(std::move(receive), std::move(received));
    transport.flush();
};

/// A Transport that can tell its own cluster's nodes from others.
///
/// - `identify(identity)`, before start(): whose node this is.
template <class T>
concept IdentifyingTransport = Transport<T> && requires(T& transport, const Identity& identity) {
    transport.identify(identity);
};

/// A Transport that is told where nodes are, and for whom it is.
///
/// - `set_members(members)`, before start() and whenever they change: the members in force, those
///   that are about to leave, and on a leader those that have left and are to be told. Of a member
///   without a contact nothing is known that was not known before. Others of the same cluster may
///   still be heard: see rules/admission.hpp.
template <class T>
concept MembersTransport = Transport<T> && requires(T& transport, const Membership& members) {
    transport.set_members(members);
};

/// The only source of time, and the only timer.
///
/// - `now()` never goes backward.
/// - `start(expired)` names what to call when the armed time has come.
/// - `arm(time)` replaces whatever was armed before; a time that has passed expires soon.
/// - `stop()` disarms; nothing is called after it. It may come without a start().
template <class C>
concept Clock = requires(C& clock, Time time, std::function<void()> expired) {
    { clock.now() } -> std::same_as<Time>;
    clock.start(std::move(expired));
    clock.arm(time);
    clock.stop();
};

}  // namespace raft

#endif
