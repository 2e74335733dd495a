// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which operations are to be left out because they throw, and which have been.
#ifndef RSM_NODE_SKIPPED_OPERATIONS_HPP
#define RSM_NODE_SKIPPED_OPERATIONS_HPP

#include <raft/base/types.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Leaving an operation out would make this replica another than the others.
struct SkipRefused : std::runtime_error {
    SkipRefused(raft::Index index, const char* why)
        : std::runtime_error("Options::skip_operations names index " + std::to_string(index.value) +
                             ", but " + why) {}
};

/// Both lists are sorted.
class SkippedOperations {
public:
    explicit SkippedOperations(std::vector<raft::Index> wanted) : wanted_(std::move(wanted)) {
        std::ranges::sort(wanted_);
    }

    bool wanted(raft::Index index) const { return std::ranges::binary_search(wanted_, index); }
    /// Those that the state lacks, as far as they were applied yet.
    const std::vector<raft::Index>& done() const { return done_; }
    /// @pre operations are applied in the order of their indexes
    void add(raft::Index index) { done_.push_back(index); }

    /// The state has come past index `last` in an earlier run, which had the same list.
    void were_skipped(raft::Index last) {
        for (const raft::Index index : wanted_) {
            if (index <= last) done_.push_back(index);
        }
    }

    /// A snapshot up to `last`, whose state lacks the operations `done`, takes the place of the
    /// state. Gives a sentence, and changes nothing, if it has an operation that is to be skipped.
    std::string restore(raft::Index last, std::vector<raft::Index> done) {
        for (const raft::Index index : wanted_) {
            if (index > last || std::ranges::binary_search(done, index)) continue;
            return "Options::skip_operations names index " + std::to_string(index.value) +
                   ", but the snapshot up to index " + std::to_string(last.value) +
                   " was made with that operation applied: replicas would differ";
        }
        done_ = std::move(done);
        return {};
    }

private:
    std::vector<raft::Index> wanted_;
    std::vector<raft::Index> done_;
};

}  // namespace rsm::detail

#endif
