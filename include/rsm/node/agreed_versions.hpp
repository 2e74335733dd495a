// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which version of operations, results and snapshots is in force along the log, and that the
// machine hears of it.
#ifndef RSM_NODE_AGREED_VERSIONS_HPP
#define RSM_NODE_AGREED_VERSIONS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/archive/format_versions.hpp>
#include <rsm/node/newer_version.hpp>
#include <rsm/state_machine.hpp>

#include <cstdint>
#include <vector>

namespace rsm::inline v0::detail {

/// Invariant: ascending in index and version, and there is one; the last is in force.
template <class Machine>
class AgreedVersions {
public:
    static constexpr std::uint32_t known = format_version_of<Machine>;

    /// In force where the log has been applied up to.
    FormatVersions now() const { return {raises_.back().version, known}; }
    /// Whether what is written now is all that this program can say.
    bool is_newest() const { return raises_.back().version >= known; }
    /// For a state of that index. @pre it is not before the one of the last restart()
    FormatVersions at(raft::Index index) const {
        std::uint32_t version = raises_.front().version;
        for (const Raise& raise : raises_) {
            if (raise.index <= index) version = raise.version;
        }
        return {version, known};
    }

    /// Throws NewerVersion.
    static void check(raft::Index index, std::uint32_t version) {
        if (version > known) throw NewerVersion(index, version, known);
    }
    /// The state is that of a snapshot, or of a machine that has kept it. @pre check()
    void restart(raft::Index index, std::uint32_t version, Machine& machine) {
        raises_.assign(1, {index, version});
        tell(version, machine);
    }
    /// At that index this version is in force, or a higher one is already. `change()` gives the
    /// machine. Throws NewerVersion.
    template <class Change>
    void rise(raft::Index index, std::uint32_t version, const Change& change) {
        if (version <= raises_.back().version) return;
        check(index, version);
        raises_.push_back({index, version});
        tell(version, change());
    }
    /// A membership was applied.
    template <class Change>
    void pass(const raft::Entry& entry, const Change& change) {
        const auto membership = raft::codec::decode_membership(entry.payload);
        if (membership) rise(entry.index, membership->version, change);
    }

private:
    struct Raise {
        raft::Index index;
        std::uint32_t version = 0;
    };

    static void tell(std::uint32_t version, Machine& machine) {
        if constexpr (HearsVersion<Machine>) machine.version_agreed(version);
    }

    std::vector<Raise> raises_{Raise{}};
};

/// What was in force at an index that is in the log or that of its snapshot.
inline std::uint32_t version_at(const raft::Recovered& log, raft::Index index) {
    std::uint32_t version = log.snapshot.membership.version;
    for (const raft::Entry& entry : log.memberships) {
        if (entry.index > index) break;
        const auto membership = raft::codec::decode_membership(entry.payload);
        if (membership) version = membership->version;
    }
    return version;
}

}  // namespace rsm::detail

#endif
