// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Linearizability: the order in which the replicas applied the operations fits what the clients
// saw.
//
// That order is known here (AppliedSequence), so it need not be searched for. It fits if every
// operation that returned is in it with the result that was returned, none that was reported as not
// committed is, none is twice, and no two of them, and no read, stand against the order in which
// one had returned before the other was called.
#ifndef RSM_SIM_RULES_LINEARIZABILITY_HPP
#define RSM_SIM_RULES_LINEARIZABILITY_HPP

#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// "operation 12", "read 13".
template <class Record>
std::string named(const Record& record) {
    return (record.kind == Record::Kind::read ? "read " : "operation ") + std::to_string(record.id);
}

namespace detail {

/// The place of each operation in the order of application, from 1 on, by its id.
using Places = std::map<std::uint64_t, std::uint64_t>;

inline Violation not_linearizable(std::string where) {
    return {"linearizability", std::move(where), {}};
}

template <class Record>
Broken outcomes_fit(const std::vector<Record>& history, const Places& places) {
    using End = typename Record::End;
    for (const Record& record : history) {
        if (record.kind == Record::Kind::read) continue;
        const auto place = places.find(record.id);
        const bool applied = place != places.end();
        if (record.end == End::not_committed && applied) {
            return not_linearizable(named(record) +
                                    " was reported as not committed, and was applied");
        }
        if (record.end != End::committed) continue;
        if (!applied) {
            return not_linearizable(named(record) + " was acknowledged and never applied");
        }
        if (place->second != record.number) {
            return not_linearizable(named(record) +
                                    " was acknowledged with the result of another operation");
        }
    }
    return {};
}

template <class Record>
Broken order_fits(const std::vector<Record>& history, const Places& places) {
    using End = typename Record::End;
    std::vector<const Record*> by_return;
    for (const Record& record : history) {
        if (record.end == End::committed) by_return.push_back(&record);
    }
    std::ranges::sort(by_return, {}, &Record::returned);
    // The latest place that had returned before the call at hand: history is ordered by call.
    std::uint64_t floor = 0;
    const Record* last = nullptr;
    auto returned = by_return.begin();
    for (const Record& record : history) {
        for (; returned != by_return.end() && (*returned)->returned < record.called; ++returned) {
            if ((*returned)->number < floor) continue;
            floor = (*returned)->number;
            last = *returned;
        }
        std::uint64_t place = record.number;
        if (record.kind == Record::Kind::submit) {
            const auto found = places.find(record.id);
            if (found == places.end()) continue;
            place = found->second;
            if (place > floor) continue;
        } else if (record.end != End::committed || place >= floor) {
            continue;
        }
        return not_linearizable(named(record) + " took effect before " + named(*last) +
                                ", which had returned before it was called");
    }
    return {};
}

}  // namespace detail

/// @param history  of a BasicClientRecord, ordered by call; the ids are 1, 2, 3 and so on
template <class Record>
Broken linearizability(const std::vector<Record>& history,
                       const std::vector<AppliedSequence::Applied>& applied) {
    detail::Places places;
    for (std::size_t i = 0; i < applied.size(); ++i) {
        const std::uint64_t id = applied[i].id;
        if (id == 0 || id > history.size()) {
            return detail::not_linearizable("an operation was applied that nobody submitted");
        }
        if (!places.try_emplace(id, i + 1).second) {
            return detail::not_linearizable("operation " + std::to_string(id) +
                                            " was applied twice");
        }
    }
    if (Broken broken = detail::outcomes_fit(history, places)) return broken;
    return detail::order_fits(history, places);
}

}  // namespace rsm::sim

#endif
