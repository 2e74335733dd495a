// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a state machine's state becomes a snapshot and back.
#ifndef RSM_NODE_SAVED_STATE_HPP
#define RSM_NODE_SAVED_STATE_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/newer_version.hpp>
#include <rsm/state_machine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// The layout of what stands around the state machine's own bytes in a snapshot. A reader refuses
/// others. Each has what the one before has, and more; the simplest is written that will do.
inline constexpr std::uint8_t snapshot_layout_plain = 1;
inline constexpr std::uint8_t snapshot_layout_with_skips = 2;
inline constexpr std::uint8_t snapshot_layout_with_digest = 3;

/// What a snapshot says besides the state.
struct SnapshotHead {
    std::vector<raft::Index> skipped;     ///< operations that the state lacks, ascending
    std::optional<std::uint64_t> digest;  ///< AppliedDigest; nothing: not known
    friend bool operator==(const SnapshotHead&, const SnapshotHead&) = default;
};

inline void write_head(SnapshotWriter& out, const SnapshotHead& head) {
    if (!head.digest && head.skipped.empty()) {
        out << snapshot_layout_plain;
        return;
    }
    out << (head.digest ? snapshot_layout_with_digest : snapshot_layout_with_skips);
    out.write_varint(head.skipped.size());
    for (const raft::Index index : head.skipped) out.write_varint(index.value);
    if (head.digest) out.write_fixed(*head.digest);
}

inline SnapshotHead read_head(SnapshotReader& in) {
    SnapshotHead head;
    std::uint8_t layout = 0;
    in >> layout;
    if (layout == snapshot_layout_plain) return head;
    if (layout != snapshot_layout_with_skips && layout != snapshot_layout_with_digest) {
        in.fail(ArchiveErrc::newer_version);
    }
    const std::size_t count = in.read_count();
    for (std::size_t i = 0; i < count; ++i) {
        const raft::Index index{in.read_varint()};
        if (!head.skipped.empty() && index <= head.skipped.back()) {
            in.fail(ArchiveErrc::bad_value);
        }
        head.skipped.push_back(index);
    }
    if (layout == snapshot_layout_with_digest) head.digest = in.read_fixed<std::uint64_t>();
    return head;
}

/// How a state is written.
struct WritingOptions {
    std::size_t buffer_bytes = snapshot_buffer_bytes;  ///< of the archive
    FormatVersions versions;  ///< those of the snapshot's membership and of the machine
};

/// @param state  a machine, or the image of one
template <class State>
void write_state(raft::ByteSink& sink, const State& state, const SnapshotHead& head = {},
                 const WritingOptions& how = {}) {
    SnapshotWriter out(sink, how.buffer_bytes);
    write_head(out, head);
    out.use_versions(how.versions);
    if constexpr (WritesSnapshot<State>) {
        state.snapshot(out);
    } else {
        out << state;
    }
    out.flush();
}

/// @param last  the snapshot's position, for those that keep it themselves
template <class Machine>
SnapshotHead read_state(raft::ByteSource& source, std::uint64_t size, Machine& machine,
                        const WritingOptions& how = {},
                        [[maybe_unused]] raft::LogPosition last = {}) {
    SnapshotReader in(source, size, how.buffer_bytes);
    SnapshotHead head = read_head(in);
    in.use_versions(how.versions);
    if constexpr (Persistent<Machine>) {
        machine.restore(in, last);
    } else if constexpr (SnapshotsByHand<Machine>) {
        machine.restore(in);
    } else {
        in >> machine;
    }
    in.finish();
    return head;
}

/// Collects in memory, up to a limit in bytes; what comes to more than that it lets go.
class PieceSink final : public raft::ByteSink {
public:
    static constexpr std::size_t no_limit = static_cast<std::size_t>(-1);

    explicit PieceSink(std::size_t limit = no_limit) : limit_(limit) {}
    void write(std::span<const std::byte> bytes) override {
        if (beyond_) return;
        beyond_ = bytes.size() > limit_ - bytes_;
        if (beyond_) return pieces_.clear();
        bytes_ += bytes.size();
        pieces_.push_back(raft::Bytes::copy_of(bytes));
    }
    bool beyond() const { return beyond_; }
    std::vector<raft::Bytes> take() { return std::move(pieces_); }

private:
    std::vector<raft::Bytes> pieces_;
    std::size_t limit_;
    std::size_t bytes_ = 0;
    bool beyond_ = false;
};

/// Reads what a PieceSink has collected.
class PieceSource final : public raft::ByteSource {
public:
    explicit PieceSource(const std::vector<raft::Bytes>& pieces) : pieces_(pieces) {}
    std::size_t read(std::span<std::byte> out) override {
        while (next_ < pieces_.size() && at_ == pieces_[next_].size()) {
            ++next_;
            at_ = 0;
        }
        if (next_ == pieces_.size()) return 0;
        const std::span<const std::byte> rest = pieces_[next_].view().subspan(at_);
        const std::size_t count = std::min(out.size(), rest.size());
        std::copy_n(rest.begin(), count, out.begin());
        at_ += count;
        return count;
    }

private:
    const std::vector<raft::Bytes>& pieces_;
    std::size_t next_ = 0;
    std::size_t at_ = 0;  // in the next piece
};

/// The state as it is now, written out into memory; nothing if that takes more than `limit` bytes.
template <class Machine>
std::optional<raft::SnapshotProducer> collect_state(const Machine& machine,
                                                    const SnapshotHead& head,
                                                    const WritingOptions& how, std::size_t limit) {
    PieceSink memory(limit);
    write_state(memory, machine, head, how);
    if (memory.beyond()) return std::nullopt;
    auto pieces = std::make_shared<const std::vector<raft::Bytes>>(memory.take());
    return [pieces](raft::ByteSink& sink) {
        for (const raft::Bytes& piece : *pieces) sink.write(piece.view());
    };
}

/// Writes an image wherever it is called.
template <class Image>
raft::SnapshotProducer image_producer(Image image, SnapshotHead head, const WritingOptions& how) {
    auto shared = std::make_shared<const Image>(std::move(image));
    return [shared, head = std::move(head), how](raft::ByteSink& sink) {
        write_state(sink, *shared, head, how);
    };
}

/// Captures the state as it is now. A machine that freezes gives an image, which the producer
/// writes wherever it is called; any other is written out into memory, whatever that takes.
template <class Machine>
raft::SnapshotProducer capture_state(const Machine& machine, const SnapshotHead& head = {},
                                     const WritingOptions& how = {}) {
    if constexpr (Freezes<Machine>) {
        return image_producer(machine.freeze(), head, how);
    } else {
        return *collect_state(machine, head, how, PieceSink::no_limit);
    }
}

/// A machine's state of one moment, to which the machine can be put back.
template <class Machine>
class SavedState {
public:
    explicit SavedState(const Machine& machine) : produce_(capture_state(machine)) {}

    void put_back(Machine& machine) const {
        PieceSink memory;
        produce_(memory);
        const std::vector<raft::Bytes> pieces = memory.take();
        std::uint64_t size = 0;
        for (const raft::Bytes& piece : pieces) size += piece.size();
        PieceSource source(pieces);
        read_state(source, size, machine);
    }

private:
    raft::SnapshotProducer produce_;
};

/// Replaces the machine's state by a snapshot's content, and gives what else that says. Failure:
/// illegal_byte_sequence, not_supported where its version is newer than the machine's.
template <class Machine>
raft::Result<SnapshotHead> restore_state(raft::ByteSource& source, const raft::SnapshotMeta& meta,
                                         Machine& machine, std::size_t buffer_bytes) {
    constexpr std::uint32_t known = format_version_of<Machine>;
    const std::uint32_t written = meta.membership.version;
    if (written > known) return failure_of(NewerVersion(meta.last.index, written, known));
    try {
        return read_state(source, meta.size, machine, {buffer_bytes, {written, known}}, meta.last);
    } catch (const std::exception& error) {
        return raft::Failure{std::make_error_code(std::errc::illegal_byte_sequence),
                             "snapshot at index " + std::to_string(meta.last.index.value) +
                                 " cannot be restored into the state machine (" + error.what() +
                                 ")"};
    } catch (...) {
        return raft::Failure{std::make_error_code(std::errc::illegal_byte_sequence),
                             "snapshot at index " + std::to_string(meta.last.index.value) +
                                 " cannot be restored into the state machine (an exception of an "
                                 "unknown type)"};
    }
}

}  // namespace rsm::detail

#endif
