// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a backup has to pass before a cluster is founded from it.
#ifndef RSM_NODE_RESTORING_HPP
#define RSM_NODE_RESTORING_HPP

#include <raft/base/result.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/backup.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/options.hpp>
#include <rsm/plan.hpp>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Whether a storage has been given its identity, so that it begins with nothing any more. One
/// whose plan does not say is asked when it is there.
template <class Storage>
bool is_born(const Storage& storage) {
    if constexpr (requires { storage.identity(); }) {
        const auto stored = storage.identity();
        return stored.has_value() && stored->has_value();
    } else {
        return false;
    }
}

/// Reads all of a backup into the machine, which is in its initial state and will be given it once
/// more by the storage: one of another machine is found out before anything is made of it.
/// Errors: corrupted; illegal_byte_sequence where the machine refuses it; the system's own.
template <class Machine>
raft::Result<raft::Seed> seed_from(const Backup& backup, const raft::Membership& founding,
                                   Machine& machine, std::size_t buffer_bytes) {
    if (auto whole = backup.verify(); !whole) return whole.error();
    const auto source = backup.source();
    const auto restored = restore_state(*source, backup.meta(), machine, buffer_bytes);
    if (!restored) {
        return raft::Failure{restored.error().code, backup.path() + ": " + restored.error().what};
    }
    raft::Membership members = founding;
    members.version = backup.meta().membership.version;  // in which the state is written
    return raft::Seed{backup.meta().last, std::move(members), backup.producer()};
}

/// What a storage is to begin with, if it is new and the options say a backup.
/// Throws boost::system::system_error where it is not to be had, or the storage cannot.
template <class Storage, class Machine>
std::optional<raft::Seed> seed_for(const Storage& storage, const Options& options,
                                   const raft::Identity& identity, Machine& machine) {
    if (!options.birth || !options.birth->backup) return std::nullopt;
    const auto refuse = [](const raft::Failure& why) {
        throw boost::system::system_error(boost::system::error_code(why.code), why.what);
    };
    if constexpr (raft::SeedableStorage<Running<Storage>>) {
        if (is_born(storage)) return std::nullopt;
        auto seed = seed_from(*options.birth->backup, identity.founding, machine,
                              options.snapshot_buffer_bytes);
        if (!seed) refuse(seed.error());
        return *std::move(seed);
    } else {
        refuse({std::make_error_code(std::errc::invalid_argument),
                "options: birth.backup needs a storage that can begin with a state"});
    }
    return std::nullopt;
}

}  // namespace rsm::detail

#endif
