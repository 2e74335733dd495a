// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Asks real servers over HTTP how they are, while they are well, while they are not, and while
// others ask for what is no request:
//
//   test_programs admin KV_SERVER PROMTOOL
#include "customer.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <rsm/admin/status_page.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace system_test::admin {

namespace {

using boost::asio::ip::tcp;

struct Answer {
    int status = 0;  ///< 0: none came
    std::string body;
};

/// A connection to an admin port.
class Asker {
public:
    explicit Asker(const tcp::endpoint& server) { socket_.connect(server); }
    void send(const std::string& bytes) {
        boost::system::error_code ignored;  // it may have been refused already
        boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
    }
    /// All that comes until the server closes.
    Answer rest() {
        std::string all;
        std::array<char, 4096> piece{};
        boost::system::error_code error;
        while (!error) {
            all.append(piece.data(), socket_.read_some(boost::asio::buffer(piece), error));
        }
        if (!all.starts_with("HTTP/1.1 ")) return {};
        return {std::stoi(all.substr(9, 3)), all.substr(all.find("\r\n\r\n") + 4)};
    }

private:
    boost::asio::io_context io_;
    tcp::socket socket_{io_};
};

/// Writes at a server in a thread of its own, until it goes.
class Writing {
public:
    explicit Writing(const tcp::endpoint& server) : thread_([this, server] { write(server); }) {}
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() {
        ending_ = true;
        thread_.join();
    }
    std::size_t written() const { return written_; }

private:
    void write(const tcp::endpoint& server) {
        try {
            Customer customer(server);
            const std::string value(100, 'v');
            while (!ending_) {
                customer.ask({"SET", "key", value});
                customer.ask({"GET", "key"});
                ++written_;
            }
        } catch (const std::exception&) {
            // Whoever waits for writes finds that there are none.
        }
    }

    std::atomic<bool> ending_ = false;
    std::atomic<std::size_t> written_ = 0;
    std::thread thread_;
};

class Admin {
public:
    Admin(std::string server, std::string promtool)
        : promtool_(std::move(promtool)), servers_(std::move(server), directory_.path(), {}) {}

    void run() {
        servers_.add_founders(3);
        start(1, {"--cluster", servers_.founders()});
        wait_until("one that is alone works", [&] { return get(1, "/healthz").status == 200; });
        expect(get(1, "/readyz"), 503, "no leader is known");
        for (const Node node : {Node{2}, Node{3}}) start(node, {"--cluster", servers_.founders()});
        wait_until("all are ready", [&] {
            return get(1, "/readyz").status == 200 && get(2, "/readyz").status == 200 &&
                   get(3, "/readyz").status == 200;
        });
        under_load();
        newcomer();
        strangers();
        demand(get(1, "/").body == rsm::status_page_html, "the page is another one");
        servers_.process(2).kill();
        servers_.process(3).kill();
        wait_until("the one that is left is not ready", [&] {
            const Answer ready = get(1, "/readyz");
            return ready.status == 503 && ready.body == "no leader is known\n";
        });
        expect(get(1, "/healthz"), 200, "the node works");
        demand(servers_.process(1).terminate() == 0, "a server does not end well");
    }

    std::string directory() const { return directory_.path(); }
    void keep() { directory_.keep = true; }

private:
    void start(Node node, Words how) {
        admin_[node] = free_port(ports_);
        how.push_back("--admin");
        // One says where, the others take the default.
        how.push_back((node == 1 ? "127.0.0.1:" : "") + std::to_string(admin_[node]));
        servers_.start(node, how);
    }
    tcp::endpoint at(Node node) const {
        return {boost::asio::ip::address_v4::loopback(), admin_.at(node)};
    }
    Answer ask(Node node, const std::string& bytes) const try {
        Asker asker(at(node));
        asker.send(bytes);
        return asker.rest();
    } catch (const boost::system::system_error&) {
        return {};  // it does not listen yet, or any more
    }
    Answer get(Node node, const std::string& path) const {
        return ask(node,
                   "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    }
    static void expect(const Answer& answer, int status, const std::string& sentence) {
        demand(answer.status == status && answer.body == sentence + "\n",
               "not " + std::to_string(status) + " " + sentence + ", but " +
                   std::to_string(answer.status) + " " + answer.body);
    }
    nlohmann::json status(Node node) const {
        const Answer answer = get(node, "/status.json");
        demand(answer.status == 200, "no status, but " + std::to_string(answer.status));
        return nlohmann::json::parse(answer.body);
    }

    void check_metrics(Node node) {
        const Answer metrics = get(node, "/metrics");
        demand(metrics.status == 200, "there are no metrics");
        const std::string text = directory_ / "metrics";
        const std::string said = directory_ / "promtool.log";
        rsm_test::write_file(text, metrics.body);
        const std::string command = "'" + promtool_ + "' check metrics <'" + text + "'";
        const int status = Process({"/bin/sh", "-c", command}, said).wait();
        demand(status == 0, "promtool finds fault with the metrics: " + rsm_test::read_file(said));
    }

    void under_load() {
        Node leader = 0;
        wait_until("one leads", [&] {
            leader = status(1)["leader"];
            return leader != 0;
        });
        const Writing writing(endpoint_of(servers_.client(leader)));
        wait_until("the history has writes", [&] {
            const nlohmann::json known = status(leader);
            for (const auto& count : known["history"]["operations"]) {
                if (count > 0) return writing.written() > 0;
            }
            return false;
        });
        for (const Node node : {Node{1}, Node{2}, Node{3}}) check_metrics(node);
        demand(get(leader, "/readyz").status == 200, "a leader under load is not ready");
        const nlohmann::json account = status(leader);
        demand(account["role"] == "leader", "the leader says that it does not lead");
        demand(account["members"].size() == 3, "not all members are told");
        for (const auto& member : account["members"]) {
            demand(member["connected"] == true, "a member is not connected");
            demand(member["self"] == true || member["state"] == "replicate",
                   "a follower is in another state: " + member.dump());
        }
    }

    /// Nobody has taken it in, so it knows neither leader nor members.
    void newcomer() {
        servers_.add(4);
        start(4, {"--peer", servers_.peer(4), "--join", servers_.client(1)});
        wait_until("a newcomer works", [&] { return get(4, "/healthz").status == 200; });
        demand(get(4, "/readyz").status == 503, "a newcomer is ready");
        servers_.process(4).kill();
    }

    void strangers() {
        demand(ask(1, std::string(100, '\0') + "\r\n\r\n").status == 400, "nonsense is no error");
        demand(ask(1, "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 405,
               "a POST is no error");
        demand(ask(1, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").status == 421,
               "a foreign name is no error");
        demand(ask(1, "GET /" + std::string(1 << 20, 'x')).status == 431, "a long line is none");
        // More than may be connected at once, each of which asks a little and then no more.
        std::vector<std::unique_ptr<Asker>> slow;
        for (int i = 0; i < 200; ++i) {
            slow.push_back(std::make_unique<Asker>(at(1)));
            slow.back()->send("GET /metrics HT");
        }
        for (int i = 0; i < 10; ++i) expect(get(1, "/healthz"), 200, "the node works");
        demand(slow.front()->rest().status == 0, "the first of many has not made way");
    }

    rsm_test::TemporaryDirectory directory_;
    std::string promtool_;
    Servers servers_;
    std::set<std::uint16_t> ports_;
    std::map<Node, std::uint16_t> admin_;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    std::string promtool;
    Program program("admin", "Asks kv servers over HTTP how they are.", settings);
    program.add_program("PROMTOOL", promtool, "The promtool program");
    return program.run(count, words, [&] {
        Admin test(settings.server, promtool);
        run_or_keep(test);
        std::cout << "the servers told how they were to who asked well, and no one else\n";
        return true;
    });
}

}  // namespace system_test::admin
