// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// full_rounds: fills the disks of three kv-server processes and frees them again, ten times, while
// three clerks read and write: that of the leader, that of a follower, or all of them. Each has its
// data on a small file system in memory. Then it asks for an account: every acknowledged write must
// be there, the history of the clerks must be linearizable.
//
// Nobody may stop. While only the leader is full another one must take over, while a follower is
// full the leader must know it, and while all are full reads must go on, and writes as soon as
// there is room again. It says for how long no write was acknowledged.
//
//   full_rounds PATH/TO/kv-server [--rounds N] [--seed N] [--history FILE]
//
// It mounts file systems where nobody else sees them, which needs root.
#include "support/temporary_directory.hpp"
#include "trio.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>

#include <raft/base/random.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <filesystem>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace {

using namespace system_test;

struct Settings {
    std::string server;
    std::uint64_t rounds = 10;
    std::uint64_t seed = 0;
    std::string history;
};

[[noreturn]] void refuse(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// Mounts of this process and its children only.
void leave_the_others_alone() {
    if (::unshare(CLONE_NEWNS) != 0) refuse("cannot have mounts of its own (is this root?)");
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        refuse("cannot keep mounts to itself");
    }
}

/// A small file system in memory, and the file that takes its room away.
class SmallDisk {
public:
    explicit SmallDisk(const std::filesystem::path& place) : place_(place) {
        std::filesystem::create_directories(place_);
        if (::mount("rsm", place_.c_str(), "tmpfs", 0, "size=3m,mode=700") != 0) {
            refuse("cannot mount a file system at " + place_.string());
        }
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() { ::umount2(place_.c_str(), MNT_DETACH); }

    /// Takes what room there is.
    void fill() {
        const int file = ::open(ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file < 0 && errno == ENOSPC) return;
        if (file < 0) refuse("cannot make " + ballast().string());
        static constexpr std::array<char, 4096> block{};
        while (::write(file, block.data(), block.size()) > 0) {}
        const int why = errno;
        ::close(file);
        if (why != ENOSPC) throw std::system_error(why, std::generic_category(), "ballast");
    }
    void free() { std::filesystem::remove(ballast()); }

private:
    std::filesystem::path ballast() const { return place_ / "ballast"; }
    std::filesystem::path place_;
};

class Run {
public:
    Run(const Settings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          random_(settings.seed),
          // So small that a disk is full soon after its room is taken, and so that a snapshot is
          // wanted all the time.
          trio_(settings.server, directory,
                {"--snapshot-threshold", "192KiB", "--segment-size", "64KiB", "--election-timeout",
                 std::to_string(election_timeout.count())},
                settings.seed) {
        for (const Node node : Trio::all()) disks_.emplace_back(trio_.servers().directory(node));
    }

    void run() {
        for (const Node node : Trio::all()) trio_.servers().found(node);
        trio_.begin();
        for (std::uint64_t round = 0; round < settings_.rounds; ++round) {
            std::cout << "round " << round + 1 << ":" << std::flush;
            switch (round % 3) {
                case 0: fill_leader(); break;
                case 1: fill_all(); break;
                default: fill_follower(); break;
            }
            trio_.measure("all have room",
                          [this] { trio_.clerks().wait_for_operations(300, "all serve"); });
            std::cout << std::endl;
        }
        trio_.clerks().end();
        trio_.search_logs();
        judge_gaps();
    }

    const Load& load() const { return trio_.clerks().load(); }
    const Gaps& gaps() { return trio_.gaps(); }
    std::string summary() const {
        return std::to_string(settings_.rounds) + " rounds, " + std::to_string(handovers_) +
               " handovers by a full leader, " + std::to_string(reads_) +
               " reads while all were full, the longest of" + Gaps::in_ms(longest_read_);
    }

private:
    static constexpr const char* leader_full = "only the leader is full";
    static constexpr const char* follower_full = "only a follower is full";
    static constexpr const char* room_again = "all were full, and have room again";
    /// A handover by a node that has had to hand over lately may wait for a minute.
    static constexpr std::chrono::seconds patience{150};

    void fill_leader() {
        const Node node = trio_.await_leader();
        std::cout << " " << Trio::name(node) << " leads," << std::flush;
        trio_.measure(leader_full, [&] {
            keep_full({node}, "another one leads", [&] {
                const Node leader = trio_.leader();
                return leader != 0 && leader != node;
            });
            ++handovers_;
            demand(said(node, "DISK FULL"), Trio::name(node) + " does not say that it is full");
        });
        const std::size_t enough = load().operations + 500;
        keep_full({node}, "the others serve", [&] { return load().operations >= enough; });
        give_back({node});
    }

    void fill_follower() {
        const Node leader = trio_.await_leader();
        const Node node = trio_.follower(leader, random_.next());
        std::cout << " " << Trio::name(node) << " follows," << std::flush;
        trio_.measure(follower_full, [&] {
            keep_full({node}, "the leader knows that a follower is full",
                      [&] { return trio_.leader_says(node, ",disk_full=1"); });
            const std::size_t enough = load().operations + 500;
            keep_full({node}, "two serve", [&] { return load().operations >= enough; });
        });
        give_back({node});
    }

    void fill_all() {
        keep_full(Trio::all(), "all say that they have no room", [this] {
            return std::ranges::none_of(Trio::all(), [this](Node node) { return has_room(node); });
        });
        read_while_full();
        trio_.measure(room_again, [this] {
            // What was not acknowledged before does not count.
            trio_.clerks().load().silence.heard();
            trio_.clerks().load().silence.begin();
            give_back(Trio::all());
        });
    }
    void read_while_full() {
        const Node leader = trio_.await_leader();
        const std::string term = kv::field(trio_.account(leader), "term");
        const std::vector<std::string_view> get{"GET", "key-0"};
        for (int i = 0; i < 50; ++i) {
            const std::int64_t begin = now();
            const auto outcome = trio_.clerks().ask({trio_.servers().client(leader)}, get).front();
            demand(!outcome.error && outcome.reply.type == kv::Reply::Type::bulk,
                   "a read fails while all disks are full: " + outcome.error.message() + " " +
                       outcome.reply.text);
            longest_read_ = std::max(longest_read_, now() - begin);
            ++reads_;
        }
        demand(kv::field(trio_.account(leader), "term") == term,
               "an election was held while all disks were full");
    }

    /// Takes the room away, again and again, until `reached`.
    template <class Condition>
    void keep_full(const std::vector<Node>& nodes, const std::string& what, Condition reached) {
        trio_.clerks().wait(
            what,
            [&] {
                for (const Node node : nodes) disks_[node - 1].fill();
                return reached();
            },
            patience);
    }
    void give_back(const std::vector<Node>& nodes) {
        for (const Node node : nodes) disks_[node - 1].free();
        for (const Node node : nodes) {
            trio_.clerks().wait(Trio::name(node) + " has room again",
                                [&] { return has_room(node); });
            trio_.await_all(node);
        }
    }

    bool has_room(Node node) { return kv::field(trio_.account(node), "storage") == "ok"; }
    bool said(Node node, const char* what) const {
        return trio_.servers().log_of(node).find(what) != std::string::npos;
    }

    /// A handover costs a moment, and a leader that has had to hand over lately waits for up to 16
    /// election timeouts; what a busy machine adds is not the service's fault.
    void judge_gaps() {
        using std::chrono::nanoseconds;
        constexpr nanoseconds shortly = 10 * 2 * election_timeout;
        for (const char* kind : {leader_full, follower_full, room_again}) {
            demand(nanoseconds(trio_.gaps().longest(kind)) <= shortly,
                   std::string("too long without a write: ") + kind);
        }
        demand(handovers_ > 0, "no full leader has handed over");
    }

    const Settings& settings_;
    raft::Random random_;
    std::deque<SmallDisk> disks_;
    Trio trio_;
    std::uint64_t handovers_ = 0;
    std::uint64_t reads_ = 0;
    std::int64_t longest_read_ = 0;
};

bool run(const Settings& settings) {
    std::cout << "seed " << settings.seed << std::endl;
    leave_the_others_alone();
    rsm_test::TemporaryDirectory directory;
    Run run(settings, directory.path());
    const bool good = tell(run, directory, settings.history);
    run.gaps().print();
    return good;
}

}  // namespace

int main(int count, char** words) {
    Settings settings;
    settings.seed = std::random_device{}();
    CLI::App app("Fills the disks of a kv cluster under load and checks what clients saw.");
    app.add_option("SERVER", settings.server, "The kv-server program")
        ->required()
        ->check(CLI::ExistingFile);
    app.add_option("--rounds", settings.rounds, "How often a disk is filled, or all are")
        ->capture_default_str();
    app.add_option("--seed", settings.seed, "Of the choices; by default another in every run");
    app.add_option("--history", settings.history, "Where to write what the clerks saw");
    CLI11_PARSE(app, count, words);
    try {
        return run(settings) ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception& error) {
        std::cout << "full_rounds: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
