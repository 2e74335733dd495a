// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// LockService: locks that are held for a time, each time with a greater number.
#ifndef RSM_EXAMPLES_LOCK_SERVICE_HPP
#define RSM_EXAMPLES_LOCK_SERVICE_HPP

#include <rsm/archive/snapshot.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

namespace lock_service {

/// Seconds, from whatever beginning.
using Time = std::uint64_t;
/// Which holding of a lock this is: each one has a greater token than all before it.
using Token = std::uint64_t;

/// Takes the lock if nobody else holds it; who holds it already keeps its token. So `owner` is a
/// name that no other client has, and that is not used again by the next life of this one.
struct Acquire {
    std::string lock;
    std::string owner;
    Time lease = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& lock& owner& lease;
    }
};
/// Holds it for longer, counted from now. Not possible once the lease has run out.
struct Renew {
    std::string lock;
    Token token = 0;
    Time lease = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& lock& token& lease;
    }
};
struct Release {
    std::string lock;
    Token token = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& lock& token;
    }
};

/// `now` is the clock of the node that submits. A machine that asked a clock of its own would
/// come to another state on every node, and again at every restart.
struct Operation {
    Time now = 0;
    std::variant<Acquire, Renew, Release> action;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& now& action;
    }
};

enum class Status : std::uint8_t {
    held,      ///< by who asked, with `token`, until `until`
    taken,     ///< by another, `owner`
    lost,      ///< the lease had run out
    released,  ///< not held with that token, in any case
    full,      ///< too many locks are held
};
struct Result {
    Status status = Status::held;
    Token token = 0;
    std::string owner;
    Time at = 0;  ///< when this was decided, by the service's clock
    Time until = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& status& token& owner& at& until;
    }
};

/// A lock is held for a lease, because a holder that has died releases nothing. So a holder that
/// was merely slow may believe in a lock that another one has by now, and no lock service can help
/// that: between its last look at the clock and its write anything may pass. What can help is the
/// resource that the lock protects: it gets the token with each write and refuses the lesser one
/// (Burrows, "The Chubby lock service", section 2.4: sequencers; Kleppmann, "How to do distributed
/// locking": fencing tokens).
///
/// Every operation may be repeated: who is not sure whether it took place submits it again.
class LockService {
public:
    using Operation = lock_service::Operation;

    static constexpr std::size_t max_locks = 10'000;

    Result apply(const Operation& operation) {
        // The next leader's clock may be behind that of the last one. Time must not be: a lease
        // that has run out would be in force again.
        clock_ = std::max(clock_, operation.now);
        return std::visit([this](const auto& action) { return carry_out(action); },
                          operation.action);
    }

    void snapshot(rsm::SnapshotWriter& out) const { out << clock_ << last_token_ << held_; }
    void restore(rsm::SnapshotReader& in) { in >> clock_ >> last_token_ >> held_; }

private:
    struct Holding {
        std::string owner;
        Token token = 0;
        Time until = 0;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& owner& token& until;
        }
    };

    Result carry_out(const Acquire& wanted) {
        if (Holding* holding = find(wanted.lock)) {
            if (holding->owner != wanted.owner) return say(Status::taken, *holding);
            return hold(*holding, wanted.lease);
        }
        if (held_.size() >= max_locks) {
            std::erase_if(held_, [this](const auto& entry) { return !in_force(entry.second); });
            if (held_.size() >= max_locks) return say(Status::full, {});
        }
        Holding& holding = held_[wanted.lock];
        holding = {wanted.owner, ++last_token_, 0};
        return hold(holding, wanted.lease);
    }
    Result carry_out(const Renew& renewal) {
        Holding* holding = find(renewal.lock);
        if (holding == nullptr || holding->token != renewal.token) return say(Status::lost, {});
        return hold(*holding, renewal.lease);
    }
    Result carry_out(const Release& release) {
        const Holding* holding = find(release.lock);
        if (holding != nullptr && holding->token == release.token) held_.erase(release.lock);
        return say(Status::released, {});
    }

    bool in_force(const Holding& holding) const { return clock_ < holding.until; }
    Holding* find(const std::string& lock) {
        const auto found = held_.find(lock);
        return found == held_.end() || !in_force(found->second) ? nullptr : &found->second;
    }
    Result hold(Holding& holding, Time lease) const {
        holding.until = std::max(holding.until, clock_ + lease);
        return say(Status::held, holding);
    }
    Result say(Status status, const Holding& holding) const {
        return {status, holding.token, holding.owner, clock_, holding.until};
    }

    Time clock_ = 0;
    Token last_token_ = 0;
    std::map<std::string, Holding> held_;  ///< some of which may have run out
};

}  // namespace lock_service

#endif
