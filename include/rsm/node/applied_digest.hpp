// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A number for all that a state machine has made of the log, by which replicas are compared.
#ifndef RSM_NODE_APPLIED_DIGEST_HPP
#define RSM_NODE_APPLIED_DIGEST_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/archive.hpp>
#include <rsm/archive/encodable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/state_machine.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace rsm::inline v0::detail {

/// The digests of the latest indexes: of each of the last few, and ever fewer of those before them.
/// Replicas remember the same indexes, however unlike their pace: multiples of the same strides.
class StateMemory {
public:
    /// @pre `index` is by 1 higher than the one before, or the first
    void add(raft::Index index, std::uint64_t digest) {
        newest_ = index;
        std::uint64_t count = index.value;
        for (std::array<raft::StateMark, width>& level : levels_) {
            level[count % width] = {index, digest};
            if (count % width != 0) return;
            count /= width;
        }
    }
    void clear() { *this = {}; }

    /// After the entry of that index; nothing if it is not remembered.
    std::optional<std::uint64_t> at(raft::Index index) const {
        std::uint64_t count = index.value;
        for (const std::array<raft::StateMark, width>& level : levels_) {
            const raft::StateMark& mark = level[count % width];
            if (mark.index == index && index.value != 0) return mark.digest;
            if (count % width != 0) break;
            count /= width;
        }
        return std::nullopt;
    }
    /// The newest of each stride, ascending.
    std::vector<raft::StateMark> newest() const {
        std::vector<raft::StateMark> marks;
        std::uint64_t stride = 1;
        for (std::size_t i = 1; i < levels_.size(); ++i) stride *= width;
        for (; stride != 0; stride /= width) {
            const raft::Index index{newest_.value / stride * stride};
            const auto digest = at(index);
            const bool known = !marks.empty() && marks.back().index == index;
            if (digest && !known) marks.push_back({index, *digest});
        }
        return marks;
    }
    /// Everything, ascending.
    std::vector<raft::StateMark> all() const;

private:
    static constexpr std::uint64_t width = 64;
    std::array<std::array<raft::StateMark, width>, 3> levels_{};
    raft::Index newest_;

    static_assert(width * 3 <= raft::max_state_marks);
};

inline std::vector<raft::StateMark> StateMemory::all() const {
    std::vector<raft::StateMark> marks;
    // A level's marks lie in a circle that begins behind its newest one. Those that the next finer
    // level has too are newer than the rest.
    std::uint64_t stride = width * width;
    for (auto level = levels_.rbegin(); level != levels_.rend(); ++level, stride /= width) {
        const std::uint64_t end = newest_.value / stride;
        for (std::uint64_t back = width; back-- > 0;) {
            if (back >= end) continue;
            const raft::Index index{(end - back) * stride};
            const raft::StateMark& mark = (*level)[(end - back) % width];
            if (mark.index != index) continue;
            while (!marks.empty() && marks.back().index >= index) marks.pop_back();
            marks.push_back(mark);
        }
    }
    return marks;
}

/// Whether results count: where an archive can carry them, unless the machine says that they are
/// none of its deterministic part by `static constexpr bool compares_results = false`.
template <class Machine>
constexpr bool compares_results() {
    if constexpr (requires { Machine::compares_results; }) {
        if (!Machine::compares_results) return false;
    }
    return encodable<ResultOf<Machine>>;
}

/// Of the operations' bytes and of the results', in the order in which they were applied. An
/// operation that was left out is as if it had never been.
class AppliedDigest {
public:
    void add(std::span<const std::byte> operation) { mix(checksum(operation)); }
    /// A result that cannot be written, or not in one way only, does not count. Throws bad_alloc:
    /// want of memory is this replica's own, and would make it look like another one.
    template <class Result>
    void add_result(const Result& result, const FormatVersions& versions = {}) {
        writer_.clear();
        writer_.use_versions(versions);
        try {
            writer_ << result;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (...) {
            return;
        }
        if (!writer_.any_order()) mix(checksum(writer_.view()));
    }
    /// All up to the entry of that index was applied.
    void passed(raft::Index index) {
        if (known_) memory_.add(index, digest_);
    }
    /// The state is that of a snapshot, whose maker knew its digest or not.
    void restore(raft::Index index, std::optional<std::uint64_t> digest) {
        memory_.clear();
        known_ = digest.has_value();
        digest_ = digest.value_or(0);
        passed(index);
    }

    /// Nothing where the state came from a snapshot that does not say it.
    std::optional<std::uint64_t> value() const {
        return known_ ? std::optional(digest_) : std::nullopt;
    }
    const StateMemory& memory() const { return memory_; }

private:
    void mix(std::uint64_t value) {
        digest_ = (digest_ ^ (digest_ >> 29)) * 0x9fb21c651e98df25ULL + value;
    }

    std::uint64_t digest_ = 0;
    bool known_ = true;
    StateMemory memory_;
    BufferWriter writer_;
};

}  // namespace rsm::detail

#endif
