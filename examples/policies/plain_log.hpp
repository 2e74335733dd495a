// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// PlainLog: a Raft log as a value, and its writes as bytes.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_LOG_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_LOG_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace policies {

/// The log as of the writes that it was given, all of it in memory: about as many bytes as
/// Options::snapshot_threshold, and what is held for a slow follower.
class PlainLog {
public:
    /// Whether a write continues this log. One that does not is refused, not carried out.
    bool takes(const raft::Write& write) const {
        const raft::Index base = write.reset ? write.reset->index : base_.index;
        raft::Index end = write.reset ? base : last();
        if (!write.entries.empty()) {
            raft::Index next = write.entries.front().index;
            if (next <= base || next > end + 1) return false;
            for (const raft::Entry& entry : write.entries) {
                if (entry.index != next || !raft::codec::known(entry.kind)) return false;
                ++next;
            }
            end = next - 1;
        }
        return !write.release || write.release->index <= end;
    }

    /// In the order of the members of Write. @pre takes(write)
    void apply(const raft::Write& write) {
        if (write.reset) reset(*write.reset);
        if (!write.entries.empty()) {
            while (last() >= write.entries.front().index) pop_back();
            for (const raft::Entry& entry : write.entries) {
                entries_.push_back(entry);
                entry_bytes_ += raft::codec::persisted_size(entry);
            }
        }
        if (write.hard_state) hard_state_ = write.hard_state;
        if (write.release && write.release->index > base_.index) {
            while (base_.index < write.release->index) pop_front();
            base_ = *write.release;
        }
    }

    void reset(raft::LogPosition base) {
        entries_.clear();
        entry_bytes_ = 0;
        base_ = base;
    }

    /// As of the writes begun, durable or not: the number falls as soon as a release is asked
    /// for, so nobody asks for a second snapshot meanwhile.
    std::uint64_t persisted_bytes() const {
        return entry_bytes_ + (hard_state_ ? raft::codec::persisted_hard_state_size : 0);
    }

    bool holds(raft::Index index) const { return index > base_.index && index <= last(); }
    /// @pre holds(first)
    std::vector<raft::Entry> read(raft::Index first, std::size_t max_bytes) const {
        std::vector<raft::Entry> result;
        std::size_t bytes = 0;
        for (raft::Index index = first; holds(index); ++index) {
            const raft::Entry& entry = entries_[static_cast<std::size_t>(index - base_.index) - 1];
            bytes += footprint(entry);
            if (index != first && bytes > max_bytes) break;
            result.push_back(entry);
        }
        return result;
    }

    /// One write that makes this log out of any other.
    raft::Write image() const {
        raft::Write write;
        write.reset = base_;
        write.entries.assign(entries_.begin(), entries_.end());
        write.hard_state = hard_state_;
        return write;
    }

    raft::Recovered recovered(raft::SnapshotMeta newest) const {
        raft::Recovered result;
        result.hard_state = hard_state_.value_or(raft::HardState{});
        result.snapshot = std::move(newest);
        result.base = base_;
        result.last = last();
        for (const raft::Entry& entry : entries_) {
            raft::add_to_runs(result.runs, entry.index, entry.term);
            if (entry.kind == raft::EntryKind::membership) result.memberships.push_back(entry);
        }
        return result;
    }

private:
    raft::Index last() const { return base_.index + entries_.size(); }
    void pop_back() {
        entry_bytes_ -= raft::codec::persisted_size(entries_.back());
        entries_.pop_back();
    }
    void pop_front() {
        entry_bytes_ -= raft::codec::persisted_size(entries_.front());
        entries_.pop_front();
        ++base_.index;
    }

    std::optional<raft::HardState> hard_state_;
    raft::LogPosition base_;
    std::deque<raft::Entry> entries_;
    std::uint64_t entry_bytes_ = 0;
};

/// A write says itself where it ends, so several may stand one behind the other.
inline void put_write(raft::codec::Gather& out, const raft::Write& write) {
    out.put(write.reset.has_value());
    if (write.reset) out.put(*write.reset);
    out.put(static_cast<std::uint32_t>(write.entries.size()));
    for (const raft::Entry& entry : write.entries) {
        out.put(static_cast<std::uint32_t>(raft::codec::encoded_size(entry)));
        raft::codec::put(out, entry);
    }
    out.put(write.hard_state.has_value());
    if (write.hard_state) raft::codec::put(out, *write.hard_state);
    out.put(write.release.has_value());
    if (write.release) out.put(*write.release);
}

/// Nothing where the bytes are no write; the reader is bad then.
inline std::optional<raft::Write> get_write(raft::codec::Reader& in) {
    raft::Write write;
    if (in.get_flag()) write.reset = in.get_position();
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && in.good(); ++i) {
        auto entry = raft::codec::decode<raft::Entry>(in.get_bytes(in.get<std::uint32_t>()));
        if (!entry) return std::nullopt;
        write.entries.push_back(std::move(*entry));
    }
    if (in.get_flag()) raft::codec::get(in, write.hard_state.emplace());
    if (in.get_flag()) write.release = in.get_position();
    if (!in.good()) return std::nullopt;
    return write;
}

}  // namespace policies

#endif
