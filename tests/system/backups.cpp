// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backups of a cluster under load, the clusters that are founded from them, and what is rescued of
// one whose majority is gone:
//
//   test_programs backups KV_SERVER KV
#include "clerks.hpp"
#include "load.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/clerk.hpp>
#include <kv/cli_service.hpp>
#include <kv/store.hpp>

#include <rsm/backup.hpp>
#include <rsm/node/saved_state.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace system_test::backups {

namespace {

using Acknowledged = std::map<std::string, Load::Written>;

kv::Store content_of(const std::filesystem::path& file) {
    const auto backup = rsm::Backup::open(file.string());
    demand(backup.has_value(), "no backup: " + file.string());
    demand(backup->verify().has_value(), "a backup that was made is damaged");
    kv::Store store;
    const auto source = backup->source();
    const auto restored =
        rsm::detail::restore_state(*source, backup->meta(), store, rsm::snapshot_buffer_bytes);
    demand(restored.has_value(), "a backup cannot be restored");
    return store;
}

/// What was acknowledged is there, or what has replaced it.
void demand_all(const kv::Store& store, const Acknowledged& acknowledged, const std::string& in) {
    demand(!acknowledged.empty(), "the test has written nothing");
    for (const auto& [key, written] : acknowledged) {
        const kv::Store::Entry* const entry = store.find(key);
        demand(entry != nullptr, in + " lacks " + key);
        demand(entry->version >= written.version, in + " has an older version of " + key);
        const bool is_same = entry->version == written.version;
        demand(!is_same || entry->value == written.value, in + " has another value of " + key);
    }
}

class Backups {
public:
    Backups(std::string server, std::string tool)
        : server_(std::move(server)), tool_(std::move(tool)) {
        for (const char* name : {"old", "new", "last"}) {
            std::filesystem::create_directory(directory_ / name);
        }
    }

    void run() {
        make_under_load();
        found_anew();
        refuse_others();
        lose_the_majority();
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    static constexpr Node nodes = 3;
    const Words options_{"--election-timeout", "300", "--snapshot-threshold", "20000"};

    // ---- what is done ----

    void make_under_load() {
        old_.add_founders(nodes);
        for (Node node = 1; node <= nodes; ++node) old_.found(node);
        kv::ClerkOptions clerk;
        clerk.servers = old_.clients();
        clerk.attempt_timeout = std::chrono::seconds(1);
        Clerks clerks(clerk, 1, [this] {
            demand(old_.ended_by_itself() == 0, "a server has ended by itself");
        });
        clerks.begin();
        clerks.wait_for_operations(300, "the cluster serves");
        std::size_t made = 0;
        for (const Words& from : {Words{}, Words{"--from", "follower"},
                                  Words{"--server", old_.client(2)}, Words{"--from", "leader"}}) {
            const Acknowledged before = clerks.load().acknowledged;
            const std::filesystem::path file = directory_ / ("backup" + std::to_string(made++));
            Words words{"backup", file};
            words.insert(words.end(), from.begin(), from.end());
            Process command(kv_command(tool_, old_.clients(), words), directory_ / "kv.log");
            std::optional<int> ended;
            const std::size_t operations = clerks.load().operations;
            clerks.wait("a backup is made", [&] { return (ended = command.poll()).has_value(); });
            demand(*ended == 0, "kv backup failed");
            demand_all(content_of(file), before, file.string());
            demand(!std::filesystem::exists(file.string() + ".tmp"), "a backup leaves a file");
            clerks.wait_for_operations(100, "the cluster serves on");
            demand(clerks.load().operations > operations, "nothing was served meanwhile");
        }
        for (Node node = 1; node <= nodes; ++node) {
            for (const auto& item : std::filesystem::directory_iterator(old_.directory(node))) {
                demand(!item.path().filename().string().starts_with("backup"),
                       "a server keeps what it made for a client");
            }
        }
        clerks.end();
        acknowledged_ = clerks.load().acknowledged;
        demand(backup(old_, "whole") == 0, "kv backup failed");
        demand_all(content_of(directory_ / "whole"), acknowledged_, "a backup");
    }

    void found_anew() {
        new_.add_founders(nodes);
        for (Node node = 1; node <= nodes; ++node) restore(new_, node, "whole");
        demand_served(new_);
        demand(ask(new_, {"put", "new", "1"}) == 0, "the new cluster takes no write");
        // Later starts need no backup, but know another one.
        const Node one = 1;
        demand(new_.process(one).terminate() == 0, "a server does not end well");
        restore(new_, one, "backup0");
        demand(new_.process(one).wait() == 1, "a directory begins twice");
        demand(new_.log_of(one).find("from backup") != std::string::npos,
               "nobody says from which backup a directory is");
        new_.reopen(one);
        // One that joins learns which cluster it is.
        new_.add(4);
        new_.join(4, 2);
        wait_until("the one that joins serves",
                   [&] { return account_of(accounts(new_), 4) != nullptr; });
        demand(ask(new_, {"member", "add", "4", new_.peer(4)}) == 0, "a new node cannot join");
        wait_until("the one that joined has it all", [&] { return has_all(accounts(new_), 4); });
    }

    void refuse_others() {
        // A founder with another backup, or with none, finds nobody.
        new_.wipe(3);
        restore(new_, 3, "backup0");
        wait_until("a founder with another backup is refused", [&] { return refused(3) >= 1; });
        new_.wipe(3);
        const std::size_t before = refused(3);
        new_.found(3);
        wait_until("a founder without a backup is refused", [&] { return refused(3) > before; });
        demand(leader_among(accounts(new_)) != 3, "a stranger leads");
        // Nor is one that begins anew what it was before, with whatever backup.
        new_.wipe(3);
        restore(new_, 3, "whole");
        std::optional<int> ended;
        wait_until("a founder that begins a second time is found out",
                   [&] { return (ended = new_.process(3).poll()).has_value(); });
        demand(*ended == 2, "a founder that begins a second time does not say why it stops");
        new_.wipe(3);
        new_.join(3, 1);
        wait_until("the one that was wiped is taken in again",
                   [&] { return has_all(accounts(new_), 3); });
        for (Node node = 1; node <= 4; ++node) new_.process(node).kill();

        const std::filesystem::path bad = directory_ / "bad";
        std::string bytes = rsm_test::read_file(directory_ / "whole");
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
        rsm_test::write_file(bad.string(), bytes);
        last_.add_founders(1);
        restore(last_, 1, "bad");
        demand(last_.process(1).wait() == 1, "a damaged backup founds a cluster");
        demand(!std::filesystem::exists(last_.directory(1)), "a refused start leaves a mark");
    }

    void lose_the_majority() {
        for (Node node = 1; node <= nodes; ++node) {
            wait_until("all have everything", [&] { return has_all(accounts(old_), node); });
        }
        const std::filesystem::path file = directory_ / "rescued";
        Words words{server_, "rescue", old_.directory(3), "--to", file};
        demand(run_and_log(words) == 1, "a directory is read while a server works on it");
        for (Node node = 1; node <= nodes; ++node) old_.process(node).kill();
        old_.wipe(1);
        const std::map<std::string, std::string> before = files_of(old_.directory(3));
        demand(run_and_log(words) == 1, "a rescue is not to be confirmed");
        demand(!std::filesystem::exists(file), "a rescue that is not confirmed writes");
        const std::string said = rsm_test::read_file(directory_ / "kv.log");
        const std::size_t at = said.rfind("--confirm ");
        demand(at != std::string::npos, "a rescue does not say how to confirm it");
        words.insert(words.end(), {"--confirm", said.substr(at + 10, said.size() - at - 11)});
        demand(run_and_log(words) == 0, "a rescue failed");
        demand(files_of(old_.directory(3)) == before, "a rescue changes the directory");
        demand_all(content_of(file), acknowledged_, "what was rescued");
        restore(last_, 1, "rescued");
        demand_served(last_);
    }

    // ---- how ----

    void restore(Servers& servers, Node node, const std::string& name) {
        servers.start(node, {"--cluster", servers.founders(), "--restore", directory_ / name});
    }
    int backup(const Servers& servers, const std::string& name) {
        return ask(servers, {"backup", directory_ / name});
    }
    int ask(const Servers& servers, const Words& command) {
        return run_and_log(kv_command(tool_, servers.clients(), command));
    }
    int run_and_log(const Words& words) { return Process(words, directory_ / "kv.log").wait(); }

    /// Everything that was ever acknowledged is read through the service.
    void demand_served(const Servers& servers) {
        std::size_t asked = 0;
        for (const auto& [key, written] : acknowledged_) {
            // The keys that all clients write, and some of the many that were written once.
            if (!key.starts_with("key-") && ++asked > 10) continue;
            const std::filesystem::path said = directory_ / "said";
            std::filesystem::remove(said);
            const Words words = kv_command(tool_, servers.clients(), {"get", key});
            demand(Process(words, said).wait() == 0, "a restored cluster lacks " + key);
            demand(rsm_test::read_file(said) == written.value + "\n",
                   "a restored cluster has another value of " + key);
        }
    }
    static std::map<std::string, std::string> files_of(const std::filesystem::path& directory) {
        std::map<std::string, std::string> files;
        for (const auto& item : std::filesystem::directory_iterator(directory)) {
            files[item.path().filename()] = rsm_test::read_file(item.path());
        }
        return files;
    }
    static std::vector<kv::Row> accounts(const Servers& servers) {
        return kv::ask_all(servers.clients(), std::chrono::seconds(5));
    }
    /// How often a node of the new cluster has said that another one is of another cluster.
    std::size_t refused(Node node) const { return count_of(new_.log_of(node), "another cluster"); }

    rsm_test::TemporaryDirectory directory_;
    std::string server_;
    std::string tool_;
    Servers old_{server_, directory_ / "old", options_};
    Servers new_{server_, directory_ / "new", options_};
    Servers last_{server_, directory_ / "last", options_};
    Acknowledged acknowledged_;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    std::string tool;
    Program program("backups", "Backs a kv cluster up, founds others from that, and rescues one.",
                    settings);
    program.add_program("TOOL", tool, "The kv program");
    return program.run(count, words, [&] {
        Backups test(settings.server, tool);
        run_or_keep(test);
        std::cout << "backups were made, restored and rescued\n";
        return true;
    });
}

}  // namespace system_test::backups
