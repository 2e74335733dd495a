// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// expired: lets the certificates of a node and of a client expire while connections under them are
// open, which is the clock of all hosts set forward by two days. These connections must go on, new
// ones must be refused with the reason at both ends, and new files in their place must mend it,
// with no server started anew:
//
//   test_programs expired KV_SERVER KV REDIS_CLI MAKE_CERTIFICATES DISK_AND_CLOCK_LIBRARY
#include "certificates.hpp"
#include "preloaded.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/cli_status.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace system_test::expired {

namespace {

struct Programs : TlsPrograms {
    std::string library;
};

const std::string refuses_it = "its certificate is not accepted: certificate has expired";
const std::string is_refused = "it refuses the certificate that it was shown: that has expired";

/// A redis-cli that keeps its connection and is asked one thing after the other.
class Conversation {
public:
    /// @param words  the program and its options
    explicit Conversation(const Words& words) {
        demand(::pipe2(to_.data(), O_CLOEXEC) == 0 && ::pipe2(from_.data(), O_CLOEXEC) == 0,
               "no pipes");
        process_ = Process(words, to_[0], from_[1]);
        ::close(std::exchange(to_[0], -1));
        ::close(std::exchange(from_[1], -1));
    }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;
    ~Conversation() {
        for (const int file : {to_[0], to_[1], from_[0], from_[1]}) {
            if (file >= 0) ::close(file);
        }
    }

    /// What the server answers to a command, without the line's end.
    std::string ask(const std::string& command) {
        // Behind it an answer whose end is known.
        const std::string end = "no answer has this";
        const std::string text = command + "\nECHO \"" + end + "\"\n";
        demand(::write(to_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()),
               "redis-cli takes nothing");
        std::string said;
        wait_until("redis-cli tells what the server answers to " + command, [&] {
            std::array<char, 65536> piece{};
            pollfd waits{from_[0], POLLIN, 0};
            if (::poll(&waits, 1, 100) <= 0) return false;
            const ssize_t count = ::read(from_[0], piece.data(), piece.size());
            demand(count > 0, "redis-cli has ended: " + said);
            said.append(piece.data(), static_cast<std::size_t>(count));
            return said.ends_with(end + "\n");
        });
        said.resize(said.size() - end.size() - 1);
        said.erase(said.find_last_not_of("\r\n") + 1);
        return said;
    }

private:
    std::array<int, 2> to_{-1, -1};
    std::array<int, 2> from_{-1, -1};
    Process process_;
};

/// Node 3 and a client have certificates that are valid for a day; the others, for a month.
class Expired {
public:
    explicit Expired(Programs programs) : programs_(std::move(programs)) {
        std::filesystem::create_directory(directory_ / "servers");
        authority_.certify({"1", "2", "client"}, 30);
        authority_.certify({"3", "guest"}, 1);
        servers_.add_founders(3);
    }

    void run() {
        for (Node node = 1; node <= nodes; ++node) start(node, {"--cluster", servers_.founders()});
        wait_until("the cluster serves", [&] { return put("before"); });
        let_another_lead();
        demand(count_of(servers_.log_of(3), "THE CERTIFICATE EXPIRES SOON, on 20") == 1,
               "a start does not say that its certificate expires soon");
        Conversation guest(redis_words("guest", leader_));
        Conversation at_expired(redis_words("client", 3));
        demand(guest.ask("SET guest before") == "OK", "a client is not served");
        demand(is_connected(at_expired, other_), "node 3 is not connected to the others");
        pass_two_days();
        go_on(guest, at_expired);
        refuse_clients();
        refuse_peers(guest, at_expired);
        renew(at_expired);
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    static constexpr Node nodes = 3;

    // ---- what is done ----

    /// Than node 3.
    void let_another_lead() {
        wait_until("another one than node 3 leads", [&] {
            leader_ = leader();
            if (leader_ == 3) ended(kv_words("client", {"transfer", "1"}));
            return leader_ == 1 || leader_ == 2;
        });
        other_ = 3 - leader_;
        wait_until("all are connected",
                   [&] { return status().find("is not connected") == std::string::npos; });
    }

    /// On all hosts, that of the clients, too.
    void pass_two_days() {
        constexpr std::int64_t two_days = std::int64_t{2} * 86400;
        for (Node node = 0; node <= nodes; ++node) {
            controls_.set(node, {.clock_offset_s = two_days});
        }
    }

    void go_on(Conversation& guest, Conversation& at_expired) {
        for (int i = 0; i < 20; ++i) {
            const std::string value = std::to_string(i);
            demand(guest.ask("SET guest " + value) == "OK" && guest.ask("GET guest") == value,
                   "a connection ends whose client's certificate has expired");
        }
        const kv::Fields account = account_in(at_expired);
        for (const Node node : {leader_, other_}) {
            demand(is_connected(account, node),
                   "a peer's connection ends whose certificate has expired");
        }
        wait_until("node 3 has all that was written", [&] {
            const std::string applied = kv::field(account_in(at_expired), "applied");
            return applied == kv::field(account_in(guest), "applied");
        });
    }

    void refuse_clients() {
        const std::string at = servers_.client(leader_);
        demand(said(kv_words("guest", {"status"}, {at})).find(is_refused) != std::string::npos,
               "a client is not told that its certificate has expired");
        await_line(leader_, "no TLS: " + refuses_it);
        demand(said(kv_words("client", {"status"}, {servers_.client(3)}))
                       .find("no TLS: " + refuses_it) != std::string::npos,
               "a client does not say that the server's certificate has expired");
        await_line(3, "no TLS: " + is_refused);
        demand(put("refused"), "others are not served any more");
    }

    /// The other follower and node 3 have to connect anew; the leader and node 3 have not.
    void refuse_peers(Conversation& guest, Conversation& at_expired) {
        servers_.process(other_).kill();
        start(other_, {"--peer", servers_.peer(other_)});
        await_line(other_, refuses_it);
        await_line(3, is_refused);
        const std::string missing =
            "node " + std::to_string(other_) + " is not connected to node 3: ";
        std::string shown;
        wait_until("kv status shows who refuses", [&] {
            shown = status();
            const std::size_t line = shown.find(missing);
            const std::size_t reason = shown.find(refuses_it, line);
            return line != std::string::npos && reason < shown.find('\n', line);
        });
        demand(shown.find("unreachable: no TLS: " + refuses_it) != std::string::npos,
               "kv status does not show why node 3 gives no account: " + shown);
        wait_until("the one that is refused shows it", [&] {
            const std::string peer =
                kv::field(account_in(at_expired), "peer_" + std::to_string(other_));
            return peer.find("connected=0") == 0 && peer.find(is_refused) != std::string::npos;
        });
        demand(is_connected(at_expired, leader_) && guest.ask("SET guest alone") == "OK",
               "connections end that were there");
    }

    void renew(Conversation& at_expired) {
        const pid_t process = servers_.process(3).id();
        authority_.certify({"3", "guest"}, 30);
        wait_until("node 3 is connected again",
                   [&] { return status().find("is not connected") == std::string::npos; });
        demand(servers_.ended_by_itself() == 0 && servers_.process(3).id() == process,
               "a server has ended by itself");
        await_line(3, "TLS: the files have changed, and new connections use them, valid until 20");
        demand(is_connected(at_expired, other_), "node 3 does not know of it");
        demand(status().find("unreachable") == std::string::npos, "kv status misses a server");
        demand(ended(kv_words("guest", {"put", "guest", "after"})) == 0,
               "a client with a new certificate is not served");
        for (const char* key : {"before", "refused"}) {
            demand(said(kv_words("client", {"get", key})).starts_with("value"),
                   std::string("lost: ") + key);
        }
    }

    // ---- how ----

    void start(Node node, const Words& how) {
        controls_.start(node, [&] { servers_.start(node, with(how, authority_.options(node))); });
    }
    void await_line(Node node, const std::string& part) {
        wait_until("node " + std::to_string(node) + " says \"" + part + "\"",
                   [&] { return servers_.log_of(node).find(part) != std::string::npos; });
    }

    /// @param servers  that are asked; by default all
    Words kv_words(const std::string& who, const Words& command, Words servers = {}) const {
        if (servers.empty()) servers = servers_.clients();
        return kv_command(programs_.kv, servers, with(authority_.options(who), command));
    }
    Words redis_words(const std::string& who, Node node) const {
        return with({programs_.redis_cli}, authority_.redis_options(who, servers_.client(node)));
    }
    /// A client on a host whose clock is that of the servers' hosts. @return its exit status
    int ended(const Words& words, const std::string& file = "commands.log") {
        Process process;
        controls_.start(0, [&] { process = Process(words, directory_ / file); });
        return process.wait();
    }
    std::string said(const Words& words) {
        std::filesystem::remove(directory_ / "said");
        ended(words, "said");
        return rsm_test::read_file(directory_ / "said");
    }
    bool put(const std::string& key) {
        return ended(kv_words("client", {"put", key, "value"})) == 0;
    }
    std::string status() { return said(kv_words("client", {"status"})); }
    /// By its own account; 0: nobody.
    Node leader() {
        std::istringstream lines(status());
        for (std::string line; std::getline(lines, line);) {
            std::istringstream cells(line);
            Node node = 0;
            std::string address;
            std::string role;
            if (cells >> node >> address >> role && role == "leader") return node;
        }
        return 0;
    }

    // ---- what servers say of themselves ----

    static kv::Fields account_in(Conversation& conversation) {
        return kv::parse_fields(conversation.ask("RAFT.STATUS"));
    }
    static bool is_connected(const kv::Fields& account, Node node) {
        return kv::field(account, "peer_" + std::to_string(node)).starts_with("connected=1");
    }
    static bool is_connected(Conversation& conversation, Node node) {
        return is_connected(account_in(conversation), node);
    }

    rsm_test::TemporaryDirectory directory_;
    Programs programs_;
    const Authority authority_{programs_.make_certificates, directory_ / "certificates"};
    Controls controls_{programs_.library, directory_.path()};  // 0: the clients' host
    Servers servers_{programs_.server, directory_ / "servers", {"--election-timeout", "1000"}};
    Node leader_ = 0;
    Node other_ = 0;  // neither the leader nor node 3
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Programs programs;
    Program program("expired", "Lets certificates expire in a kv cluster under TLS.", settings);
    programs.declare(program);
    program.add_program("LIBRARY", programs.library, "What sets clocks, to be preloaded");
    return program.run(count, words, [&] {
        programs.server = settings.server;
        Expired test(programs);
        run_or_keep(test);
        std::cout << "connections went on, new ones were refused, and new files mended it\n";
        return true;
    });
}

}  // namespace system_test::expired
