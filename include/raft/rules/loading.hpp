// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Entries that were read back from storage, for a follower or for the state machine.
#ifndef RSM_RAFT_RULES_LOADING_HPP
#define RSM_RAFT_RULES_LOADING_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/application.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/log_repair.hpp>
#include <raft/rules/replication.hpp>

#include <cstddef>

namespace raft::inline v0 {

/// What was read may have been replaced since it was asked for.
inline void drop_replaced(const Log& log, EntriesLoaded& loaded) {
    for (std::size_t i = 0; i < loaded.entries.size(); ++i) {
        const bool same = log.matches(loaded.entries[i].position());
        if (!same) loaded.entries.resize(i);
    }
}

inline void take_loaded(const Step& step, Office& office, Log& log, EntriesLoaded& loaded) {
    drop_replaced(log, loaded);
    if (loaded.repairs) {
        send_lacking(step, log, loaded);
    } else if (loaded.reader) {
        send_loaded(step, office, log, loaded);
    } else {
        hand_over_loaded(step, log, loaded);
    }
}

}  // namespace raft

#endif
