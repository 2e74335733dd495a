// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an exploration says on its way and at its end.
#ifndef RSM_TESTS_MODEL_REPORT_HPP
#define RSM_TESTS_MODEL_REPORT_HPP

#include "checker.hpp"
#include "describe.hpp"

#include <cmath>
#include <cstdint>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <string>

namespace model {

inline const char* text_of(End end) {
    switch (end) {
        case End::complete: return "complete: there are no more states within the bounds";
        case End::states: return "not complete: the bound on states is reached";
        case End::minutes: return "not complete: the time is over";
        case End::depth: return "not complete: the bound on depth is reached";
        case End::memory: return "not complete: the memory is used up";
        case End::violation: return "a property does not hold";
    }
    return "?";
}

inline std::string text_of(const Setup& setup) {
    std::ostringstream out;
    const auto some = [&out](std::uint32_t count, const char* what) {
        if (count != 0) out << ", " << what << ' ' << count;
    };
    out << "nodes " << setup.nodes << ", terms " << setup.terms;
    some(setup.founders, "founders");
    const char* separator = ", to ";
    for (const std::uint32_t node : setup.target) {
        out << separator << node;
        separator = "+";
    }
    some(setup.changes, "changes");
    if (setup.lapses == unbounded) {
        out << ", lapses any";
    } else {
        some(setup.lapses, "lapses");
    }
    const char* const starts[] = {"", ", from a leader on", ", from learners on"};
    out << starts[static_cast<std::size_t>(setup.start)];
    some(setup.operations, "operations");
    some(setup.reads, "reads");
    some(setup.crashes, "crashes");
    some(setup.snapshots, "snapshots");
    if (setup.heartbeats == unbounded) {
        out << ", heartbeats any";
    } else {
        some(setup.heartbeats, "heartbeats");
    }
    if (setup.keep_messages) {
        out << ", duplicates any";
    } else {
        some(setup.duplicates, "duplicates");
    }
    some(setup.in_flight, "messages");
    if (setup.newest_only) out << ", only the newest";
    if (setup.lose_stale) out << ", stale requests lost";
    const char* const disks[] = {"instant", "joined", "split"};
    out << ", disk " << disks[static_cast<std::size_t>(setup.disk)];
    if (setup.pre_vote) out << ", pre-vote";
    if (setup.check_quorum) out << ", check-quorum";
    if (!setup.barrier) out << ", no barrier";
    if (setup.one_entry_messages) out << ", one entry a message";
    return out.str();
}

/// "states 1200000, depth 17, 410000 states/s, frontier 300000, 80 MiB"
inline std::string numbers_of(const Report& report) {
    std::ostringstream out;
    out << "states " << report.states << ", depth " << report.depth << ", " << std::fixed
        << std::setprecision(0)
        << (report.seconds > 0 ? static_cast<double>(report.states) / report.seconds : 0.0)
        << " states/s, frontier " << report.frontier << ", " << (report.bytes >> 20U) << " MiB, "
        << std::setprecision(1) << report.seconds << " s";
    return out.str();
}

/// "an election at 5, a joint membership committed at 9"
inline std::string corners_of(const Report& report) {
    std::string text;
    for (const auto& [corner, name] : corner_names) {
        const std::uint32_t depth = report.corners[corner];
        if (depth == 0) continue;
        if (!text.empty()) text += ", ";
        text += name + (" at " + std::to_string(depth));
    }
    return text.empty() ? "nothing" : text;
}

/// How likely it is that any two of the states explored were taken for one: by the number of
/// pairs, for keys of 64 bits.
inline double chance_of_omission(const Report& report) {
    const auto states = static_cast<double>(report.states);
    return -std::expm1(-states * states / 2 / std::ldexp(1.0, 64));
}

inline void print(Checker& checker, const Report& report, std::ostream& out) {
    out << "  " << numbers_of(report) << ", steps " << report.steps << '\n'
        << "  came by: " << corners_of(report) << '\n'
        << "  nodes' own states " << checker.world().tables().node_count() << ", messages "
        << checker.world().tables().message_count() << ", steps of a core "
        << checker.world().tables().step_count() << ", chance that a state was overlooked "
        << std::scientific << std::setprecision(1) << chance_of_omission(report)
        << std::defaultfloat << '\n'
        << "  " << text_of(report.end) << '\n';
    if (report.end != End::violation) return;
    out << "violated: " << report.property << "\nthe shortest way there has " << report.trace.size()
        << " actions:\n";
    describe(checker.world(), report.trace, out);
}

}  // namespace model

#endif
