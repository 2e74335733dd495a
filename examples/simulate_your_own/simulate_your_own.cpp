// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A state machine of one's own under the simulator. This one has a bug: its snapshot forgets a
// field. Run it:
//
//     build/release/bin/simulate_your_own
//
// It names a seed, what went wrong, and writes a page that shows how. `--seed N` replays it.
#include <rsm/sim/command_line.hpp>

#include <cstdint>
#include <map>
#include <string>

/// Seats of a theatre: who holds which. Numbers of tickets count upward.
class Theatre {
public:
    struct Operation {
        std::uint32_t seat = 0;
        std::string name;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& seat& name;
        }
    };

    /// The number of the ticket; 0: the seat is taken.
    std::uint64_t apply(const Operation& booking) {
        if (!holders_.try_emplace(booking.seat, booking.name).second) return 0;
        return ++tickets_;
    }
    void snapshot(rsm::SnapshotWriter& out) const { out << holders_; }  // where is tickets_?
    void restore(rsm::SnapshotReader& in) { in >> holders_; }

private:
    std::map<std::uint32_t, std::string> holders_;
    std::uint64_t tickets_ = 0;
};

/// What the simulator does with it.
struct Bookings {
    using Machine = Theatre;
    Theatre::Operation operation(raft::Random& random) {
        const auto seat = static_cast<std::uint32_t>(random.below(500));
        return {seat, "guest " + std::to_string(random.below(9))};
    }
    // For the report; without these it shows the bytes of an operation.
    static std::string describe(const Theatre::Operation& booking) {
        return "seat " + std::to_string(booking.seat) + " for " + booking.name;
    }
    static std::string describe(std::uint64_t ticket) {
        return ticket == 0 ? "taken" : "ticket " + std::to_string(ticket);
    }
};

int main(int argc, char** argv) { return rsm::sim::command_line<Bookings>(argc, argv); }
