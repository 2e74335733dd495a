// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Committed entries are taken in by the state machine, and who waits for them is told.
#ifndef RSM_NODE_APPLICATION_HPP
#define RSM_NODE_APPLICATION_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/archive.hpp>
#include <rsm/detail/thrown.hpp>
#include <rsm/error.hpp>
#include <rsm/node/applied_digest.hpp>
#include <rsm/node/measurements.hpp>
#include <rsm/node/newer_version.hpp>
#include <rsm/node/replica_state.hpp>
#include <rsm/node/skipped_operations.hpp>
#include <rsm/state_machine.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace rsm::inline v0::detail {

/// @tparam Operations  PendingOperations of the machine's
template <class Machine, class Operations>
class Application {
public:
    /// @param now  when the entries' turn has come
    Application(ReplicaState<Machine>& state, Operations& operations, Measurements& measurements,
                raft::Time now)
        : state_(state), operations_(operations), measurements_(measurements), now_(now) {}

    struct Taken {
        std::size_t count = 0;                    ///< of the entries, from the first on
        std::optional<std::string> failure = {};  ///< why the node has to stop, if so
    };
    /// Takes entries in, one at least, until there are no more or is_over() says that it is enough.
    /// @pre there are any
    template <class IsOver>
    Taken take_in(std::span<const raft::Entry> entries, IsOver is_over) {
        Taken taken;
        raft::Index at;
        try {
            do {
                const raft::Entry& entry = entries[taken.count];
                at = entry.index;
                apply_entry(entry);
                state_.digest().passed(at);
                ++taken.count;
            } while (taken.count < entries.size() && !is_over());
            state_.applied(entries[taken.count - 1].position());
        } catch (const SkipRefused& refused) {
            taken.failure = refused.what();
        } catch (const typename ReplicaState<Machine>::NotNoted& wrong) {
            taken.failure = wrong.what();
        } catch (const NewerVersion& newer) {
            taken.failure = newer.what();
        } catch (...) {
            taken.failure = "the state machine threw at the operation of index " +
                            std::to_string(at.value) + " (" + thrown_text() +
                            "), as it will on every node and after every restart unless "
                            "Options::skip_operations leaves that operation out on all nodes";
        }
        return taken;
    }

private:
    using Operation = typename Machine::Operation;
    using Result = ResultOf<Machine>;

    void apply_entry(const raft::Entry& entry) {
        std::optional<typename Operations::Pending> own = operations_.apply(entry.position());
        if (own) measurements_.committed(own->begun, now_);
        const bool is_operation = entry.kind == raft::EntryKind::operation;
        const bool skip = state_.skipped().wanted(entry.index);
        if (skip && !is_operation) throw SkipRefused(entry.index, "that entry is no operation");
        if (entry.kind == raft::EntryKind::membership) state_.pass_membership(entry);
        if (!is_operation) return;
        if (state_.holds(entry.index)) {
            if (own && own->complete) own->complete(Errc::result_lost);
            return;
        }
        try {
            skip ? skip_operation(entry, own) : apply_operation(entry, own);
        } catch (...) {
            if (own && own->complete) own->complete(Errc::interrupted);
            throw;
        }
    }

    /// Tries it: only what throws here may have thrown everywhere.
    void skip_operation(const raft::Entry& entry,
                        std::optional<typename Operations::Pending>& own) {
        if (!state_.throws([&] { apply_operation(entry, own); })) {
            throw SkipRefused(entry.index,
                              "the state machine does not throw at that operation: replicas would "
                              "differ");
        }
        state_.skipped().add(entry.index);
        if (own && own->complete) own->complete(Errc::skipped);
    }

    void apply_operation(const raft::Entry& entry,
                         std::optional<typename Operations::Pending>& own) {
        // The node that took the operation in has it at hand; others decode it.
        std::optional<Operation> decoded;
        const bool at_hand = own && own->operation;
        if (!at_hand) decoded = decode<Operation>(entry.payload.view(), state_.versions());
        const Operation& operation = at_hand ? *own->operation : *decoded;
        const bool wanted = own && own->complete;
        if constexpr (std::is_void_v<Result>) {
            state_.apply(operation, entry.position());
            state_.digest().add(entry.payload.view());
            if (wanted) own->complete.completed();
        } else {
            Result result = state_.apply(operation, entry.position());
            state_.digest().add(entry.payload.view());
            if constexpr (compares_results<Machine>()) {
                state_.digest().add_result(result, state_.versions());
            }
            if (wanted) own->complete.completed(std::move(result));
        }
    }

    ReplicaState<Machine>& state_;
    Operations& operations_;
    Measurements& measurements_;
    raft::Time now_;
};

}  // namespace rsm::detail

#endif
