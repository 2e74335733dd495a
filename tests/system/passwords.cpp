// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster that asks for a user and a password: what redis-cli and kv get from it with them and
// without, how a node joins it, and that the password appears nowhere:
//
//   test_programs passwords KV_SERVER KV REDIS_CLI
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/cli_service.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>

namespace system_test::passwords {

namespace {

class Passwords {
public:
    Passwords(std::string server, std::string tool, std::string redis_cli)
        : server_(std::move(server)), tool_(std::move(tool)), redis_cli_(std::move(redis_cli)) {
        rsm_test::write_file(file_, "ann " + password_ + "\n" + usual_ + "\n");
        std::filesystem::permissions(file_, std::filesystem::perms::owner_read);
        rsm_test::write_file(directory_ / "wrong", "ann not-that\n");
    }

    void run() {
        servers_.add_founders(nodes);
        for (Node node = 1; node <= nodes; ++node) servers_.found(node);
        wait_until("one leads", [this] { return leader_among(accounts()) != 0; });
        ask_with_redis_cli();
        ask_with_kv();
        join();
        for (Node node = 1; node <= nodes + 1; ++node) {
            for (const std::string& secret : {password_, usual_, std::string("not-that")}) {
                demand(servers_.log_of(node).find(secret) == std::string::npos,
                       "a server's log has a password");
                demand(command_line(servers_.process(node)).find(secret) == std::string::npos,
                       "a server's command line has a password");
            }
        }
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    static constexpr Node nodes = 3;

    void ask_with_redis_cli() {
        const std::string right = "OK";
        demand(redis({}, {"set", "k", "v"}).starts_with("NOAUTH"), "a stranger writes");
        demand(redis({"--user", "ann", "--pass", password_}, {"set", "k", "v"}) == right,
               "redis-cli --user cannot write");
        demand(redis({"-a", usual_}, {"get", "k"}) == "v", "redis-cli -a cannot read");
        demand(redis({"-3", "--user", "ann", "-a", password_}, {"get", "k"}) == "v",
               "redis-cli -3 cannot read");
        demand(redis({"-a", "not-that"}, {"get", "k"}).find("WRONGPASS") != std::string::npos,
               "a wrong password is not refused");
        const Node leader = leader_among(accounts());
        demand(servers_.log_of(leader).find("gave a wrong user or password") != std::string::npos,
               "nobody says that a password was wrong");
    }

    void ask_with_kv() {
        const Words with{"--auth-file", file_};
        demand(kv_asked({}, {"get", "k"}) == 2, "kv get works without a password");
        demand(said().find("NOAUTH") != std::string::npos, "kv get does not say why");
        demand(kv_asked({"--auth-file", directory_ / "wrong"}, {"member", "list"}) == 2,
               "kv member works with a wrong password");
        demand(said().find("does not let this client in: WRONGPASS") != std::string::npos,
               "kv member does not say why");
        demand(kv_asked({}, {"backup", directory_ / "none"}) == 2, "a stranger makes a backup");
        demand(kv_asked(with, {"put", "k", "w"}) == 0, "kv put failed");
        demand(kv_asked(with, {"status"}) == 0, "kv status failed");
        demand(kv_asked(with, {"transfer"}) == 0, "kv transfer failed");
        wait_until("one leads again", [this] { return leader_among(accounts()) != 0; });
        for (const char* from : {"leader", "follower"}) {
            demand(kv_asked(with, {"backup", directory_ / from, "--from", from}) == 0,
                   std::string("kv backup failed from the ") + from);
        }
        ::setenv("KV_PASSWORD", usual_.c_str(), 1);
        demand(kv_asked({}, {"get", "k"}) == 0, "kv get does not look at the environment");
        ::unsetenv("KV_PASSWORD");
    }

    void join() {
        const Node node = nodes + 1;
        servers_.add(node);
        Servers stranger(server_, directory_ / "stranger", {});
        std::filesystem::create_directory(directory_ / "stranger");
        stranger.add(node);
        stranger.start(node, {"--peer", stranger.peer(node), "--join", servers_.client(1)});
        demand(stranger.process(node).wait() == 1, "a stranger joins");
        demand(stranger.log_of(node).find("does not let this node in (--auth-file): NOAUTH") !=
                   std::string::npos,
               "a stranger is not told why it cannot join");
        servers_.join(node, 1);
        wait_until("the one that joins serves",
                   [&] { return account_of(accounts(), node) != nullptr; });
        const Words add{"member", "add", std::to_string(node), servers_.peer(node)};
        demand(kv_asked({"--auth-file", file_}, add) == 0, "a node cannot join");
    }

    /// The answer of the one that leads, without the line's end.
    std::string redis(const Words& who, const Words& command) {
        const Node leader = leader_among(accounts());
        demand(leader != 0, "nobody leads");
        const std::string& address = servers_.client(leader);
        const std::filesystem::path answer = directory_ / "answer";
        std::filesystem::remove(answer);
        Words words{redis_cli_, "-p", address.substr(address.rfind(':') + 1), "--no-auth-warning"};
        words.insert(words.end(), who.begin(), who.end());
        words.insert(words.end(), command.begin(), command.end());
        Process(words, answer).wait();
        std::string text = rsm_test::read_file(answer);
        while (text.ends_with('\n')) text.pop_back();
        return text;
    }
    /// The exit status of kv.
    int kv_asked(const Words& who, const Words& command) {
        std::filesystem::remove(said_);
        Words words = kv_command(tool_, servers_.clients(), command);
        words.insert(words.begin() + 1, who.begin(), who.end());
        return Process(words, said_).wait();
    }
    std::string said() const { return rsm_test::read_file(said_); }

    std::vector<kv::Row> accounts() const {
        return kv::ask_all({servers_.clients(), {"ann", password_}}, std::chrono::seconds(5));
    }
    static std::string command_line(const Process& process) {
        return rsm_test::read_file("/proc/" + std::to_string(process.id()) + "/cmdline");
    }

    rsm_test::TemporaryDirectory directory_;
    const std::string password_ = "correct horse battery";
    const std::string usual_ = "staple-of-the-default-user";
    const std::string file_ = directory_ / "accounts";
    const std::string said_ = directory_ / "kv.log";
    std::string server_;
    std::string tool_;
    std::string redis_cli_;
    Servers servers_{
        server_, directory_.path(), {"--election-timeout", "300", "--auth-file", file_}};
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    std::string tool;
    std::string redis_cli;
    Program program("passwords", "Asks a kv cluster with passwords for things.", settings);
    program.add_program("TOOL", tool, "The kv program");
    program.add_program("REDIS_CLI", redis_cli, "The redis-cli program");
    return program.run(count, words, [&] {
        Passwords test(settings.server, tool, redis_cli);
        run_or_keep(test);
        std::cout << "those who knew the password were served, and nobody else\n";
        return true;
    });
}

}  // namespace system_test::passwords
