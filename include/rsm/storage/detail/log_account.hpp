// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a storage counts of its log, and which writes it refuses.
#ifndef RSM_STORAGE_DETAIL_LOG_ACCOUNT_HPP
#define RSM_STORAGE_DETAIL_LOG_ACCOUNT_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/errors.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// What a storage knows of its log as of the writes begun so far: its extent and the size of
/// each entry. Both storages use it, so both count the same bytes and refuse the same writes.
///
/// persisted_bytes() is 0 for a new log; the hard state counts from the first one on that was
/// written; an entry counts while it is in (base, last]. Memory: four bytes for each entry.
class LogAccount {
public:
    /// The most that the records of one write may take; keeps offsets in 32 bits.
    static constexpr std::uint64_t max_write_bytes = std::uint64_t{1} << 30;

    /// What the records of a write take, without what frames them.
    static std::uint64_t record_bytes(const raft::Write& write) {
        constexpr std::uint64_t position = raft::codec::record_header_bytes + 16;
        std::uint64_t bytes = (write.reset ? position : 0) + (write.release ? position : 0);
        if (write.hard_state) bytes += raft::codec::persisted_hard_state_size;
        for (const raft::Entry& entry : write.entries) {
            bytes += raft::codec::persisted_size(entry);
        }
        return bytes;
    }

    /// Why a write cannot be carried out here, or nothing.
    std::optional<raft::Failure> check(const raft::Write& write) const {
        if (record_bytes(write) > max_write_bytes) {
            return storage_failure(StorageErrc::too_large, "append");
        }
        const raft::Index base = write.reset ? write.reset->index : base_.index;
        raft::Index last = write.reset ? write.reset->index : last_index();
        if (!write.entries.empty()) {
            raft::Index next = write.entries.front().index;
            if (next <= base || next > last + 1) return invalid(next);
            for (const raft::Entry& entry : write.entries) {
                if (entry.index != next || !raft::codec::known(entry.kind)) return invalid(next);
                ++next;
            }
            last = next - 1;
        }
        if (write.release && write.release->index > last) return invalid(write.release->index);
        return std::nullopt;
    }

    /// @pre !check(write)
    void apply(const raft::Write& write) {
        if (write.reset) restart(*write.reset);
        if (!write.entries.empty()) {
            truncate_from(write.entries.front().index);
            for (const raft::Entry& entry : write.entries) {
                push(static_cast<std::uint32_t>(raft::codec::persisted_size(entry)));
            }
        }
        if (write.hard_state) has_hard_state_ = true;
        if (write.release) release(*write.release);
    }

    void restart(raft::LogPosition base) {
        sizes_.clear();
        entry_bytes_ = 0;
        base_ = base;
    }
    /// The next entry's record takes this many bytes.
    void push(std::uint32_t size) {
        sizes_.push_back(size);
        entry_bytes_ += size;
    }
    void set_has_hard_state() { has_hard_state_ = true; }

    raft::LogPosition base() const { return base_; }
    raft::Index last_index() const { return base_.index + sizes_.size(); }
    bool contains(raft::Index index) const { return index > base_.index && index <= last_index(); }
    /// What the record of an entry takes. @pre contains(index)
    std::uint32_t size_of(raft::Index index) const {
        return sizes_[static_cast<std::size_t>(index - base_.index) - 1];
    }
    std::uint64_t persisted_bytes() const {
        return entry_bytes_ + (has_hard_state_ ? raft::codec::persisted_hard_state_size : 0);
    }

private:
    static raft::Failure invalid(raft::Index index) {
        return storage_failure(StorageErrc::invalid_write,
                               "append at index " + std::to_string(index.value));
    }
    void truncate_from(raft::Index index) {
        while (last_index() >= index) {
            entry_bytes_ -= sizes_.back();
            sizes_.pop_back();
        }
    }
    void release(raft::LogPosition through) {
        if (through.index <= base_.index) return;
        for (raft::Index index = base_.index; index < through.index; ++index) {
            entry_bytes_ -= sizes_.front();
            sizes_.pop_front();
        }
        base_ = through;
    }

    raft::LogPosition base_;
    std::deque<std::uint32_t> sizes_;
    std::uint64_t entry_bytes_ = 0;
    bool has_hard_state_ = false;
};

/// Whether a snapshot may bear this description: it replaces something, and its membership is
/// valid or, where there is no cluster yet, empty.
inline bool storable(const raft::SnapshotMeta& meta) {
    return !meta.empty() && (meta.membership.empty() || meta.membership.valid());
}

}  // namespace rsm::detail

#endif
