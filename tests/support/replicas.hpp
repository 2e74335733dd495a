// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The replicas of one cluster, some of which may be down: on whatever time, network and disks.
#ifndef RSM_TESTS_SUPPORT_REPLICAS_HPP
#define RSM_TESTS_SUPPORT_REPLICAS_HPP

#include <raft/base/types.hpp>
#include <rsm/status.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace rsm_test {

/// Replicas by their ids, of the type Replica, an rsm::Replicated.
template <class Replica>
class Replicas {
public:
    /// @param parts  what a Replica is made of
    /// @pre that one is down
    template <class... Parts>
    Replica& start(std::uint64_t id, Parts&&... parts) {
        auto made = std::make_unique<Replica>(std::forward<Parts>(parts)...);
        return *(replicas_[id] = std::move(made));
    }
    /// Without a word: what was not durable is lost.
    void crash(std::uint64_t id) { replicas_.erase(id); }
    void crash_all() { replicas_.clear(); }
    bool up(std::uint64_t id) const { return replicas_.contains(id); }
    /// @pre up(id)
    Replica& operator[](std::uint64_t id) const { return *replicas_.at(id); }

    /// The one that leads the highest term, as far as it knows itself; 0: none.
    std::uint64_t leader() const {
        std::uint64_t best = 0;
        raft::Term term;
        for (const auto& [id, replica] : replicas_) {
            const rsm::Status status = replica->status();
            if (status.role == raft::Role::leader && status.term > term) {
                best = id;
                term = status.term;
            }
        }
        return best;
    }
    /// Whether that is so of all that are up.
    template <class Condition>
    bool all(Condition holds) const {
        for (const auto& [id, replica] : replicas_) {
            if (!holds(*replica)) return false;
        }
        return true;
    }

private:
    std::map<std::uint64_t, std::unique_ptr<Replica>> replicas_;
};

}  // namespace rsm_test

#endif
