// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Attacks the leader of a small cluster with all that clients can do, all at once, and checks what
// another client sees of it:
//
//   test_programs abuse KV_SERVER
#include "attackers.hpp"
#include "customer.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/cli_service.hpp>
#include <kv/reply.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace system_test::abuse {

namespace {

using boost::asio::ip::tcp;
using Clock = std::chrono::steady_clock;

/// What is asked for beyond the usual settings.
struct Limits {
    std::uint64_t descriptors = 1024;
    std::uint64_t address_space = 0;  ///< KiB; 0: not limited
    std::string group;                ///< a control group that the servers go into; empty: none
    double seconds = 5;
    std::string only;  ///< one attack
};

class Latencies {
public:
    void add(Clock::duration latency) { all_.push_back(latency); }
    std::size_t count() const { return all_.size(); }
    /// In milliseconds.
    double share(double part) {
        std::ranges::sort(all_);
        const auto at = static_cast<std::size_t>(part * static_cast<double>(all_.size() - 1));
        return std::chrono::duration<double, std::milli>(all_[at]).count();
    }

private:
    std::vector<Clock::duration> all_;
};

struct Measured {
    Latencies reads;
    Latencies writes;

    void tell(const std::string& when) {
        for (const auto& [what, latencies] :
             {std::pair{"reads", &reads}, std::pair{"writes", &writes}}) {
            std::cout << when << ": " << latencies->count() << " " << what << ", median "
                      << latencies->share(0.5) << " ms, p99 " << latencies->share(0.99)
                      << " ms, longest " << latencies->share(1) << " ms\n";
        }
    }
};

/// A process that attacks, until this object goes.
class Attackers {
public:
    Attackers(const tcp::endpoint& target, const std::vector<Attack>& attacks) : pid_(::fork()) {
        demand(pid_ >= 0, "fork failed");
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::signal(SIGPIPE, SIG_IGN);
        // They would have machines of their own.
        static_cast<void>(::nice(15));
        attack(target, attacks);
    }
    Attackers(const Attackers&) = delete;
    Attackers& operator=(const Attackers&) = delete;
    ~Attackers() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    pid_t pid_;
};

class Abuse {
public:
    Abuse(std::string server, Limits limits)
        : server_(std::move(server)), limits_(std::move(limits)) {
        // The attackers need more of them than a server may have.
        rlimit descriptors{};
        ::getrlimit(RLIMIT_NOFILE, &descriptors);
        descriptors.rlim_cur = descriptors.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &descriptors);
        write_starter();
    }

    void run() {
        servers_.add_founders(nodes);
        for (Node node = 1; node <= nodes; ++node) servers_.found(node);
        wait_until("one leads", [this] { return leader_among(accounts()) != 0; });
        leader_ = leader_among(accounts());
        const std::string term = kv::field(account(), "term");
        const tcp::endpoint target = endpoint_of(servers_.client(leader_));
        Customer customer(target);
        prepare(customer);
        Measured before = measure(customer);
        before.tell("alone");
        Measured during;
        {
            const Attackers attackers(target, attacks());
            std::this_thread::sleep_for(std::chrono::seconds(1));
            during = measure(customer);
        }
        during.tell("under attack");
        std::cout << "p99 times: reads " << during.reads.share(0.99) / before.reads.share(0.99)
                  << ", writes " << during.writes.share(0.99) / before.writes.share(0.99) << '\n';
        const kv::Fields stats = kv::parse_fields(customer.ask({"INFO"}).text);
        for (const char* name :
             {"connected_clients", "maxclients", "client_memory_peak_bytes",
              "client_memory_limit_bytes", "total_connections_received", "rejected_connections",
              "clients_closed_for_memory", "clients_closed_for_time", "total_commands_processed"}) {
            std::cout << name << ' ' << kv::field(stats, name) << '\n';
        }
        for (Node node = 1; node <= nodes; ++node) {
            std::cout << "peak memory of " << (node == leader_ ? "the leader" : "a follower")
                      << ": " << peak_kibibytes(node) / 1024 << " MiB\n";
        }
        judge(stats, term, during);
        if (limits_.only.empty()) crowd_out(customer, target);
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    static constexpr Node nodes = 3;

    /// In place of the server's program: sets the limits for it.
    void write_starter() {
        std::string text = "ulimit -n " + std::to_string(limits_.descriptors) + " || exit 9\n";
        if (limits_.address_space != 0) {
            text += "ulimit -v " + std::to_string(limits_.address_space) + " || exit 9\n";
        }
        if (!limits_.group.empty()) {
            text += "echo $$ > '" + limits_.group + "/cgroup.procs' || exit 9\n";
        }
        write_script(starter_, text + "exec '" + server_ + "' \"$@\"\n");
    }

    std::vector<Attack> attacks() const {
        std::vector<Attack> all = all_attacks();
        if (!limits_.only.empty()) {
            std::erase_if(all, [this](const Attack& one) { return one.name != limits_.only; });
        }
        return all;
    }

    static void prepare(Customer& customer) {
        demand(customer.ask({"SET", "large", std::string(1'000'000, 'l')}).text == "OK",
               "nothing can be written");
        for (int i = 0; i < 1000; ++i) {
            customer.ask({"SET", "k" + std::to_string(i), std::string(100, 'v')});
        }
    }

    Measured measure(Customer& customer) const {
        Measured measured;
        const auto end = Clock::now() + std::chrono::duration<double>(limits_.seconds);
        const auto time = [&](Latencies& latencies, const std::vector<std::string_view>& words) {
            const auto begin = Clock::now();
            kv::Reply reply = customer.ask(words);
            latencies.add(Clock::now() - begin);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            return reply.text;
        };
        for (std::uint64_t i = 0; Clock::now() < end; ++i) {
            const std::string value = std::to_string(i);
            const std::string wrote = time(measured.writes, {"SET", "mine", value});
            demand(wrote == "OK", "a write is refused: " + wrote);
            const std::string read = time(measured.reads, {"GET", "mine"});
            demand(read == value, "a read is refused, or wrong: " + read);
        }
        return measured;
    }

    /// What holds on a busy machine, too. That nobody waits for more than one other is shown where
    /// turns are counted, in the tests of kv::WorkQueue and kv::WriteAdmission.
    void judge(const kv::Fields& stats, const std::string& term, Measured& during) {
        demand(servers_.ended_by_itself() == 0, "a server has ended");
        demand(kv::field(account(), "term") == term, "the leader was lost");
        demand(during.reads.share(0.99) < 500 && during.writes.share(0.99) < 1000,
               "the customer waits too long");
        // Small replies are counted when they are there, and not asked for before.
        const std::uint64_t limit = kv::number(stats, "client_memory_limit_bytes");
        demand(kv::number(stats, "client_memory_peak_bytes") <= limit + limit / 64,
               "clients hold more memory than they may");
        demand(peak_kibibytes(leader_) < std::uint64_t{512} << 10, "the leader needs 512 MiB");
    }

    /// More clients than there are places, each of which has asked something, so that none has to
    /// make way. How many the attackers hold at a time is for the machine to say; these stay.
    void crowd_out(Customer& customer, const tcp::endpoint& target) {
        const auto number = [&](std::string_view name) {
            return kv::number(kv::parse_fields(customer.ask({"INFO"}).text), name);
        };
        const std::uint64_t before = number("rejected_connections");
        {
            const Attackers crowd(target, {{"crowd", number("maxclients") + 50,
                                            request_of({"PING"}), "", false, true}});
            wait_until("clients are refused",
                       [&] { return number("rejected_connections") > before; });
            demand(customer.ask({"GET", "k0"}).text == std::string(100, 'v'),
                   "who has a place is not served");
        }
        wait_until("there are places again", [&] { return number("connected_clients") < 10; });
        const std::string log = servers_.log_of(leader_);
        demand(count_of(log, "CLIENTS REFUSED") > 0, "nobody says that clients are refused");
        demand(log.size() < 1'000'000, "the log grows without bound");
    }

    std::vector<kv::Row> accounts() const {
        return kv::ask_all(servers_.clients(), std::chrono::seconds(10));
    }
    kv::Fields account() const {
        const std::vector<kv::Row> rows = accounts();
        const kv::Row* const row = account_of(rows, leader_);
        demand(row != nullptr, "the leader does not answer");
        return row->fields;
    }
    std::uint64_t peak_kibibytes(Node node) {
        const std::string text =
            rsm_test::read_file("/proc/" + std::to_string(servers_.process(node).id()) + "/status");
        const std::size_t at = text.find("VmHWM:");
        demand(at != std::string::npos, "a server is gone");
        return std::stoull(text.substr(at + 6));
    }

    rsm_test::TemporaryDirectory directory_;
    std::string server_;
    Limits limits_;
    const std::string starter_ = directory_ / "starter";
    Servers servers_{starter_, directory_.path(), {"--snapshot-threshold", "64MiB"}};
    Node leader_ = 0;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Limits limits;
    Program program("abuse", "Attacks a kv cluster in all ways at once.", settings);
    program.options().add_option("--descriptors", limits.descriptors, "Of each server");
    program.options().add_option("--address-space", limits.address_space, "Of each server, in KiB");
    program.options().add_option("--group", limits.group, "A control group for the servers");
    program.options().add_option("--seconds", limits.seconds, "To measure, before and during");
    program.options().add_option("--only", limits.only, "One of the attacks");
    return program.run(count, words, [&] {
        Abuse test(settings.server, limits);
        run_or_keep(test);
        return true;
    });
}

}  // namespace system_test::abuse
