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
//   test_programs full_rounds PATH/TO/kv-server [--rounds N] [--seed N] [--history FILE]
//
// It mounts file systems where nobody else sees them, which needs root.
#include "cluster.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>

#include <raft/base/random.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace system_test::full_rounds {

namespace {

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
          cluster_(settings.server, directory,
                   {"--snapshot-threshold", "192KiB", "--segment-size", "64KiB",
                    "--election-timeout", std::to_string(election_timeout.count())},
                   settings.seed) {
        leave_the_others_alone();
        for (const Node node : cluster_.founders()) {
            disks_.emplace_back(cluster_.servers().directory(node));
        }
    }

    void run() {
        cluster_.found();
        cluster_.begin();
        for (std::uint64_t round = 0; round < settings_.rounds; ++round) {
            std::cout << "round " << round + 1 << ":" << std::flush;
            switch (round % 3) {
                case 0: fill_leader(); break;
                case 1: fill_all(); break;
                default: fill_follower(); break;
            }
            cluster_.measure_aloud("all have room", [this] {
                cluster_.clerks().wait_for_operations(300, "all serve");
            });
            std::cout << std::endl;
        }
        cluster_.clerks().end();
        cluster_.search_logs(3);
        judge_gaps();
    }

    const Cluster& cluster() const { return cluster_; }
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
        const Node node = cluster_.await_leader();
        std::cout << " " << Cluster::name(node) << " leads," << std::flush;
        cluster_.measure_aloud(leader_full, [&] {
            keep_full({node}, "another one leads", [&] {
                const Node leader = cluster_.leader();
                return leader != 0 && leader != node;
            });
            ++handovers_;
            demand(said(node, "DISK FULL"), Cluster::name(node) + " does not say that it is full");
        });
        const std::size_t enough = cluster_.load().operations + 500;
        keep_full({node}, "the others serve", [&] { return cluster_.load().operations >= enough; });
        give_back({node});
    }

    void fill_follower() {
        const Node leader = cluster_.await_leader();
        const Node node = cluster_.another_than(leader, random_.next());
        std::cout << " " << Cluster::name(node) << " follows," << std::flush;
        cluster_.measure_aloud(follower_full, [&] {
            keep_full({node}, "the leader knows that a follower is full",
                      [&] { return cluster_.leader_says(node, ",disk_full=1"); });
            const std::size_t enough = cluster_.load().operations + 500;
            keep_full({node}, "two serve", [&] { return cluster_.load().operations >= enough; });
        });
        give_back({node});
    }

    void fill_all() {
        keep_full(cluster_.founders(), "all say that they have no room", [this] {
            return std::ranges::none_of(cluster_.founders(),
                                        [this](Node node) { return has_room(node); });
        });
        refuse_a_write();
        read_while_full();
        cluster_.measure_aloud(room_again, [this] {
            // What was not acknowledged before does not count.
            cluster_.clerks().load().silence.heard();
            cluster_.clerks().load().silence.begin();
            give_back(cluster_.founders());
        });
        for (const Node node : cluster_.founders()) {
            cluster_.clerks().wait(Cluster::name(node) + " says which file had no room", [&] {
                return said(node, "storage: no room for more of the log: ",
                            cluster_.servers().directory(node).string() + "/");
            });
            cluster_.clerks().wait(Cluster::name(node) + " says that it has room again",
                                   [&] { return said(node, "disk: there is room again"); });
        }
    }
    /// A snapshot may give a segment back for a moment: until the next one is full.
    void refuse_a_write() {
        keep_full(cluster_.founders(), "a write is refused for want of room", [this] {
            const auto outcome = cluster_.clerks()
                                     .ask({cluster_.servers().client(cluster_.await_leader())},
                                          {"SET", "refused", "value"})
                                     .front();
            return outcome.reply.text.starts_with("BUSY no room for the log (");
        });
    }
    void read_while_full() {
        const Node leader = cluster_.await_leader();
        const std::string term = kv::field(cluster_.account(leader), "term");
        const std::vector<std::string_view> get{"GET", "key-0"};
        for (int i = 0; i < 50; ++i) {
            const std::int64_t begin = now();
            const auto outcome =
                cluster_.clerks().ask({cluster_.servers().client(leader)}, get).front();
            demand(!outcome.error && outcome.reply.type == kv::Reply::Type::bulk,
                   "a read fails while all disks are full: " + outcome.error.message() + " " +
                       outcome.reply.text);
            longest_read_ = std::max(longest_read_, now() - begin);
            ++reads_;
        }
        demand(kv::field(cluster_.account(leader), "term") == term,
               "an election was held while all disks were full");
    }

    /// Takes the room away, again and again, until `reached`.
    template <class Condition>
    void keep_full(const std::vector<Node>& nodes, const std::string& what, Condition reached) {
        cluster_.clerks().wait(
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
            cluster_.clerks().wait(Cluster::name(node) + " has room again",
                                   [&] { return has_room(node); });
            cluster_.await_all(node);
        }
    }

    bool has_room(Node node) { return kv::field(cluster_.account(node), "storage") == "ok"; }
    /// Whether a line has both.
    bool said(Node node, const std::string& what, const std::string& behind = {}) const {
        std::istringstream log(cluster_.servers().log_of(node));
        for (std::string line; std::getline(log, line);) {
            const std::size_t at = line.find(what);
            if (at == std::string::npos) continue;
            if (line.find(behind, at + what.size()) != std::string::npos) return true;
        }
        return false;
    }

    /// A handover costs a moment, and a leader that has had to hand over lately waits for up to 16
    /// election timeouts; what a busy machine adds is not the service's fault.
    void judge_gaps() {
        using std::chrono::nanoseconds;
        constexpr nanoseconds shortly = 10 * 2 * election_timeout;
        for (const char* kind : {leader_full, follower_full, room_again}) {
            demand(nanoseconds(cluster_.gaps().longest(kind)) <= shortly,
                   std::string("too long without a write: ") + kind);
        }
        demand(handovers_ > 0, "no full leader has handed over");
    }

    const Settings& settings_;
    raft::Random random_;
    std::deque<SmallDisk> disks_;
    Cluster cluster_;
    std::uint64_t handovers_ = 0;
    std::uint64_t reads_ = 0;
    std::int64_t longest_read_ = 0;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Program program("full_rounds",
                    "Fills the disks of a kv cluster under load and checks what clients saw.",
                    settings);
    program.add_rounds(10, "How often a disk is filled, or all are");
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::full_rounds
