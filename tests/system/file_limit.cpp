// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a server does that may not write files of the size that it wants (ulimit -f):
//
//   test_programs file_limit KV_SERVER
#include "customer.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/cli_service.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include <sys/resource.h>

namespace system_test::file_limit {

namespace {

class FileLimit {
public:
    explicit FileLimit(std::string server) : server_(std::move(server)) {
        servers_.add_founders(1);
    }

    void run() {
        refuse_to_start();
        lack_room_for_snapshots();
        stop_in_a_write();
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    static constexpr Node one = 1;
    static constexpr rlim_t segment = 65536;

    /// In blocks of 512 bytes, as the shell has it.
    void start_with(const std::string& limit) {
        write_script(starter_, "ulimit -S -f " + limit + "\nexec '" + server_ + "' \"$@\"\n");
        servers_.found(one);
    }
    void allow(rlim_t bytes) {
        const rlimit limit{bytes, RLIM_INFINITY};
        demand(::prlimit(servers_.process(one).id(), RLIMIT_FSIZE, &limit, nullptr) == 0,
               "the limit cannot be set");
    }

    void refuse_to_start() {
        start_with("64");
        demand(servers_.process(one).wait() == 1, "a server starts that cannot have a log");
        demand(servers_.log_of(one).find("cannot start: allocate ") != std::string::npos &&
                   servers_.log_of(one).find(": File too large") != std::string::npos,
               "it does not say why");
    }

    /// The log's files fit, and those of the state do not: then the log grows to its limit.
    void lack_room_for_snapshots() {
        start_with("128");
        await_leader();
        Customer customer(endpoint_of(servers_.client(one)));
        std::string answer = "OK";
        while (answer == "OK") answer = write(customer);
        demand(answer.starts_with("BUSY no room for the log"), "another refusal: " + answer);
        demand(customer.ask({"GET", "k1"}).text == value_, "what was written cannot be read");
        demand(servers_.log_of(one).find("File too large") != std::string::npos,
               "nobody says that a snapshot cannot be written");
        allow(RLIM_INFINITY);
        wait_until("the server goes on by itself", [&] { return write(customer) == "OK"; });
    }

    /// A write that had begun is the end, and what was acknowledged before is there afterwards.
    void stop_in_a_write() {
        {
            Customer customer(endpoint_of(servers_.client(one)));
            allow(4096);
            try {
                while (write(customer) == "OK") {}
            } catch (const std::exception&) {
                // It has gone.
            }
        }
        demand(servers_.process(one).wait() == 2, "a server goes on after a failed write");
        demand(servers_.log_of(one).find("stopped for good: write ") != std::string::npos,
               "it does not say why it stops");
        start_with("unlimited");
        await_leader();
        Customer customer(endpoint_of(servers_.client(one)));
        for (std::uint64_t i = 1; i <= written_; ++i) {
            demand(customer.ask({"GET", "k" + std::to_string(i)}).text == value_,
                   "an acknowledged write is gone");
        }
    }

    std::string write(Customer& customer) {
        const std::string key = "k" + std::to_string(written_ + 1);
        std::string answer = customer.ask({"SET", key, value_}).text;
        if (answer == "OK") ++written_;
        return answer;
    }
    void await_leader() {
        wait_until("the server leads", [this] {
            return leader_among(kv::ask_all(servers_.clients(), std::chrono::seconds(5))) == one;
        });
    }

    rsm_test::TemporaryDirectory directory_;
    const std::string value_ = std::string(1000, 'v');
    std::uint64_t written_ = 0;  // k1 and so on
    std::string server_;
    const std::string starter_ = directory_ / "starter";
    Servers servers_{starter_,
                     directory_.path(),
                     {"--election-timeout", "300", "--segment-size", std::to_string(segment),
                      "--snapshot-threshold", "100000", "--max-log", "300000"}};
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Program program("file_limit", "Limits the size of a kv server's files.", settings);
    return program.run(count, words, [&] {
        FileLimit test(settings.server);
        run_or_keep(test);
        std::cout << "a start was refused, snapshots were waited for, a failed write was the end\n";
        return true;
    });
}

}  // namespace system_test::file_limit
