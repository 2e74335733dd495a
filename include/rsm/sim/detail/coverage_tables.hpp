// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a campaign has met, as tables, and what it has not.
#ifndef RSM_SIM_DETAIL_COVERAGE_TABLES_HPP
#define RSM_SIM_DETAIL_COVERAGE_TABLES_HPP

#include <rsm/sim/rules/rule.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/themes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::sim::detail {

template <class Kind, std::size_t count>
void print_table(std::ostream& out, std::string_view head, const Coverage& coverage,
                 const std::array<std::string_view, count>& names) {
    out << "\n| " << head << " | times |\n| --- | --- |\n";
    for (std::size_t i = 0; i < count; ++i) {
        out << "| " << names[i] << " | " << coverage[static_cast<Kind>(i)] << " |\n";
    }
}

/// One row for each rare event: with how many of the others it has met, and with which it has not.
inline void print_pairs(std::ostream& out, const Coverage& coverage) {
    std::vector<Counter> rare;
    for (std::size_t i = 0; i < counter_names.size(); ++i) {
        if (is_rare(static_cast<Counter>(i))) rare.push_back(static_cast<Counter>(i));
    }
    const auto name = [](Counter one) { return counter_names[static_cast<std::size_t>(one)]; };
    out << "\n| event | has met others of " << rare.size() << " | rarest | never met |\n"
        << "| --- | --- | --- | --- |\n";
    for (const Counter one : rare) {
        std::size_t met = 0;
        std::uint64_t least = UINT64_MAX;
        Counter rarest = one;
        std::string never;
        for (const Counter other : rare) {
            const std::uint64_t times = coverage.met(one, other);
            if (times == 0) never += (never.empty() ? "" : ", ") + std::string(name(other));
            if (times == 0) continue;
            ++met;
            if (times >= least) continue;
            least = times;
            rarest = other;
        }
        out << "| " << name(one) << " | " << met << " | ";
        if (met != 0) out << name(rarest) << ", " << least;
        out << " | " << never << " |\n";
    }
}

/// How often each rare event has met those that are about members.
inline void print_member_pairs(std::ostream& out, const Coverage& coverage) {
    constexpr std::array members{Counter::membership_changes, Counter::version_raises,
                                 Counter::inherited_changes,  Counter::handovers,
                                 Counter::wiped_disks,        Counter::old_copies,
                                 Counter::exchanged_disks};
    const auto name = [](Counter one) { return counter_names[static_cast<std::size_t>(one)]; };
    out << "\n| beside |";
    for (const Counter one : members) out << ' ' << name(one) << " |";
    out << "\n| --- |";
    for (std::size_t i = 0; i < members.size(); ++i) out << " --- |";
    out << '\n';
    for (std::size_t i = 0; i < counter_names.size(); ++i) {
        const auto other = static_cast<Counter>(i);
        if (!is_rare(other)) continue;
        out << "| " << name(other) << " |";
        for (const Counter one : members) out << ' ' << coverage.met(one, other) << " |";
        out << '\n';
    }
}

inline void print_tables(std::ostream& out, const Coverage& coverage) {
    out << "\n| workload | runs |\n| --- | --- |\n";
    for (const auto& [name, runs] : coverage.workloads()) {
        out << "| " << name << " | " << runs << " |\n";
    }
    print_table<Theme>(out, "theme", coverage, theme_names);
    print_table<Fault>(out, "fault", coverage, fault_names);
    print_table<Rule>(out, "rule", coverage, rule_names);
    print_pairs(out, coverage);
    print_member_pairs(out, coverage);
    out << '\n';
}

}  // namespace rsm::sim::detail

#endif
