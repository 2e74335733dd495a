// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Reduction: what is left out of the plan that a seed draws, so that a run shows no more than what
// breaks the rule.
#ifndef RSM_SIM_RUN_REDUCTION_HPP
#define RSM_SIM_RUN_REDUCTION_HPP

#include <rsm/sim/run/faults.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace rsm::inline v0::sim {

/// The value-initialised one leaves everything as it was drawn.
struct Reduction {
    std::uint64_t nodes = 0;         ///< so many; 0: as drawn
    std::uint64_t clients = 0;       ///< so many; 0: as drawn
    std::uint64_t milliseconds = 0;  ///< the faults last so long; 0: as drawn
    std::array<bool, fault_kinds> without{};
    bool calm_network = false;  ///< nothing is lost, doubled or late, but by faults
    bool calm_disks = false;    ///< disks do not hang, but by faults
    bool single = false;        ///< a client has one operation under way
    /// Another course of the same plan: what faults and clients draw is drawn anew.
    std::uint64_t course = 0;

    bool empty() const { return *this == Reduction{}; }

    /// What parse() reads: "nodes=3,without=pause+partition,calm-network".
    std::string text() const {
        std::string all;
        const auto add = [&all](const std::string& part) {
            all += (all.empty() ? "" : ",") + part;
        };
        if (nodes != 0) add("nodes=" + std::to_string(nodes));
        if (clients != 0) add("clients=" + std::to_string(clients));
        if (milliseconds != 0) add("ms=" + std::to_string(milliseconds));
        if (course != 0) add("course=" + std::to_string(course));
        if (calm_network) add("calm-network");
        if (calm_disks) add("calm-disks");
        if (single) add("single");
        // Whatever is shorter to name.
        const auto out = static_cast<std::size_t>(std::count(without.begin(), without.end(), true));
        const bool name_rest = 2 * out > fault_kinds;
        std::string faults;
        for (std::size_t i = 0; i < fault_kinds; ++i) {
            if (without[i] == name_rest) continue;
            faults += (faults.empty() ? "" : "+") + std::string(fault_names[i]);
        }
        if (name_rest) {
            add("only=" + faults);
        } else if (out != 0) {
            add("without=" + faults);
        }
        return all;
    }

    /// Nothing if `text` is none.
    static std::optional<Reduction> parse(std::string_view text) {
        Reduction result;
        while (!text.empty()) {
            const std::string_view part = text.substr(0, text.find(','));
            if (!result.take(part)) return std::nullopt;
            text.remove_prefix(std::min(text.size(), part.size() + 1));
        }
        return result;
    }

    friend bool operator==(const Reduction&, const Reduction&) = default;

private:
    bool take(std::string_view part) {
        const std::size_t equals = part.find('=');
        const std::string_view name = part.substr(0, equals);
        if (equals == std::string_view::npos) {
            bool* const flag = name == "calm-network" ? &calm_network
                               : name == "calm-disks" ? &calm_disks
                               : name == "single"     ? &single
                                                      : nullptr;
            if (flag != nullptr) *flag = true;
            return flag != nullptr;
        }
        const std::string_view value = part.substr(equals + 1);
        if (name == "without") return take_faults(value, true);
        if (name == "only") {
            without.fill(true);
            return take_faults(value, false);
        }
        std::uint64_t* const number = name == "nodes"     ? &nodes
                                      : name == "clients" ? &clients
                                      : name == "ms"      ? &milliseconds
                                      : name == "course"  ? &course
                                                          : nullptr;
        if (number == nullptr) return false;
        const char* const end = value.data() + value.size();
        const auto read = std::from_chars(value.data(), end, *number);
        return read.ec == std::errc{} && read.ptr == end;
    }
    bool take_faults(std::string_view names, bool left_out) {
        while (!names.empty()) {
            const std::string_view one = names.substr(0, names.find('+'));
            const auto found = std::find(fault_names.begin(), fault_names.end(), one);
            if (found == fault_names.end()) return false;
            without[static_cast<std::size_t>(found - fault_names.begin())] = left_out;
            names.remove_prefix(std::min(names.size(), one.size() + 1));
        }
        return true;
    }
};

}  // namespace rsm::sim

#endif
