// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster under TLS: it serves those who show a certificate, says why it refuses others, and is
// given new certificates while it runs; and one with a secret between its nodes:
//
//   test_programs secured KV_SERVER KV REDIS_CLI MAKE_CERTIFICATES
#include "certificates.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <cstddef>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>

namespace system_test::secured {

namespace {

class Secured {
public:
    explicit Secured(TlsPrograms programs) : programs_(std::move(programs)) {
        for (const char* name : {"tls", "secret"}) {
            std::filesystem::create_directory(directory_ / name);
        }
        ours_.certify({"1=localhost,127.0.0.1", "2", "3", "4", "client"});
        theirs_.certify({"3", "client"});
    }

    void run() {
        serve_those_who_are_known();
        refuse_clients();
        take_in_another();
        renew();
        refuse_peers();
        know_a_secret();
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    // ---- what is done ----

    void serve_those_who_are_known() {
        tls_.add_founders(3);
        for (Node node = 1; node <= 3; ++node) start(node);
        wait_until("the cluster serves", [&] { return kv({"put", "key", "value"}) == 0; });
        demand(kv({"status"}) == 0, "no status over TLS");
        const std::string read =
            "TLS: the certificate is that in " + ours_.file("node-1.crt") + ", valid until 20";
        demand(count_of(tls_.log_of(1), read) == 1,
               "a start does not say once until when its certificate is valid");
        std::string all;
        demand(redis({}, {"GET", "key"}, all) == 0, "redis-cli --tls fails");
        wait_until("redis-cli finds the leader", [&] {
            std::string value;
            redis({"-c"}, {"GET", "key"}, value);
            return value == "value\n";
        });
        // Many records, in both directions.
        const std::string large(3'000'000, 'x');
        rsm_test::write_file(directory_ / "large", large);
        std::string answer;
        redis({"-c", "-x"}, {"SET", "large"}, answer, directory_ / "large");
        demand(answer == "OK\n", "a large value is not written: " + answer);
        redis({"-c"}, {"GET", "large"}, answer);
        demand(answer == large + "\n", "a large value comes back as another one");
    }

    void refuse_clients() {
        const std::string at = tls_.client(1);
        Words plain{programs_.kv, "--timeout", "1", "--cluster", at, "status"};
        demand(said(plain).find("ERR this server speaks TLS only") != std::string::npos,
               "a client without TLS is not told so");
        await_line(1, "it speaks no TLS, and this server takes nothing else from clients");
        Words none{programs_.kv, "--timeout",          "1",     "--cluster", at,
                   "--tls-ca",   ours_.file("ca.crt"), "status"};
        demand(
            said(none).find("it asks for a certificate, and was shown none") != std::string::npos,
            "a client without a certificate is not told so");
        await_line(1, "no TLS: it shows no certificate");
        Words foreign{programs_.kv,
                      "--timeout",
                      "1",
                      "--cluster",
                      at,
                      "--tls-ca",
                      ours_.file("ca.crt"),
                      "--tls-cert",
                      theirs_.file("client.crt"),
                      "--tls-key",
                      theirs_.file("client.key"),
                      "status"};
        demand(
            said(foreign).find("it refuses the certificate that it was shown") != std::string::npos,
            "a foreign client is not told so");
        await_line(1, "no TLS: its certificate is not accepted: unable to get local issuer");
        Words distrusts{programs_.kv,           "--timeout", "1",  "--cluster", at, "--tls-ca",
                        theirs_.file("ca.crt"), "get",       "key"};
        demand(said(distrusts).find("no TLS: its certificate is not accepted") != std::string::npos,
               "a client does not say that it trusts nobody");
        demand(kv({"get", "key"}) == 0, "others are not served any more");
    }

    void take_in_another() {
        tls_.add(4);
        tls_.start(4, with({"--peer", tls_.peer(4), "--join", tls_.client(1)}, ours_.options(4)));
        demand(kv({"member", "add", "4", tls_.peer(4)}) == 0, "none joins over TLS");
    }

    void renew() {
        const std::string before = rsm_test::read_file(ours_.file("node-1.crt"));
        rsm_test::write_file(ours_.file("node-1.crt"), "half of a cert");
        wait_until("a broken certificate is said", [&] {
            kv({"get", "key"});
            return tls_.log_of(1).find("what was read before is used on") != std::string::npos;
        });
        ours_.certify({"1"});
        demand(rsm_test::read_file(ours_.file("node-1.crt")) != before,
               "there is no new certificate");
        const std::size_t served =
            count_of(tls_.log_of(1), "new connections use them, valid until");
        wait_until("a new certificate is used", [&] {
            kv({"get", "key"});
            return count_of(tls_.log_of(1), "new connections use them, valid until") > served;
        });
        demand(tls_.ended_by_itself() == 0, "a server has ended by itself");
    }

    void refuse_peers() {
        tls_.process(3).kill();
        tls_.reopen(3);  // without TLS
        await_line(1, "it speaks no TLS, and this node takes nothing else");
        await_line(3, "one of the two speaks TLS, and the other does not");
        tls_.process(3).kill();
        tls_.start(3, with({"--peer", tls_.peer(3)}, theirs_.options(3)));
        await_line(1,
                   "the TLS handshake failed (it refuses the certificate that it was shown: it "
                   "does not trust the one who has signed that)");
        await_line(3, "its certificate is not accepted: unable to get local issuer certificate");
        tls_.process(3).kill();
        Process refused = [&] {
            tls_.start(3, with({"--peer", tls_.peer(3)}, ours_.options(2)));
            return tls_.release(3);
        }();
        demand(refused.wait() == 1, "a node starts with another's certificate");
        await_line(3, "it is for rsm://kv/2 and not for rsm://kv/3");
        tls_.start(3, with({"--peer", tls_.peer(3)}, ours_.options(3)));
        wait_until("all are connected again", [&] {
            return output(kv_words({"status"})).find("is not connected") == std::string::npos;
        });
        demand(kv({"get", "key"}) == 0, "the cluster serves no more");
        std::string counted;
        redis({}, {"INFO", "peers"}, counted);
        for (const char* reason : {"peer_refused_speaks_no_tls", "peer_refused_tls_failed"}) {
            demand(kv::number(kv::parse_fields(counted), reason) > 0,
                   std::string(reason) + " does not count: " + counted);
        }
    }

    void know_a_secret() {
        rsm_test::write_file(directory_ / "known", "between all of ours\n");
        rsm_test::write_file(directory_ / "other", "between some others\n");
        rsm_test::write_file(directory_ / "short", "secret\n");
        plain_.add_founders(3);
        for (Node node = 1; node <= 2; ++node) found_with(node, "known");
        const Words put = kv_command(programs_.kv, plain_.clients(), {"put", "key", "value"});
        wait_until("two who know the secret serve", [&] { return status_of(put) == 0; });
        found_with(3, "other");
        const std::string other = "its peer secret is another one";
        wait_until("both say so", [&] {
            return plain_.log_of(1).find(other) != std::string::npos &&
                   plain_.log_of(3).find(other) != std::string::npos;
        });
        plain_.process(3).kill();
        plain_.reopen(3);
        wait_until("both say that there is none", [&] {
            return plain_.log_of(1).find("it has no peer secret, and this node has one") !=
                       std::string::npos &&
                   plain_.log_of(3).find("it asks for a peer secret, and this node has none") !=
                       std::string::npos;
        });
        plain_.process(3).kill();
        plain_.start(3, {"--peer", plain_.peer(3), "--peer-secret", directory_ / "short"});
        demand(plain_.process(3).wait() == 1, "a short secret is taken");
    }

    // ---- how ----

    void start(Node node) {
        tls_.start(node, with({"--cluster", tls_.founders()}, ours_.options(node)));
    }
    void found_with(Node node, const std::string& secret) {
        plain_.start(node, {"--cluster", plain_.founders(), "--peer-secret", directory_ / secret});
    }

    void await_line(Node node, const std::string& part) {
        wait_until("node " + std::to_string(node) + " says \"" + part + "\"",
                   [&] { return tls_.log_of(node).find(part) != std::string::npos; });
    }

    int status_of(const Words& words) const {
        return Process(words, directory_ / "commands.log").wait();
    }
    /// What it says, whatever its exit status is.
    std::string output(const Words& words) const {
        const std::string file = directory_ / "output";
        std::filesystem::remove(file);
        Process(words, file).wait();
        return rsm_test::read_file(file);
    }
    std::string said(const Words& words) const { return output(words); }

    Words kv_words(const Words& command) const {
        return kv_command(programs_.kv, tls_.clients(), with(ours_.options("client"), command));
    }
    int kv(const Words& command) const { return status_of(kv_words(command)); }

    int redis(const Words& options, const Words& command, std::string& says,
              const std::string& input = "/dev/null") const {
        Words words{"/bin/sh", "-c", "exec \"$@\" <\"$0\"", input, programs_.redis_cli};
        words = with(words, ours_.redis_options("client", tls_.client(1)));
        words = with(with(words, options), command);
        const std::string file = directory_ / "redis";
        std::filesystem::remove(file);
        const int status = Process(words, file).wait();
        says = rsm_test::read_file(file);
        return status;
    }

    rsm_test::TemporaryDirectory directory_;
    TlsPrograms programs_;
    const Authority ours_{programs_.make_certificates, directory_ / "ours"};
    const Authority theirs_{programs_.make_certificates, directory_ / "theirs"};
    const Words options_{"--election-timeout", "300"};
    Servers tls_{programs_.server, directory_ / "tls", options_};
    Servers plain_{programs_.server, directory_ / "secret", options_};
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    TlsPrograms programs;
    Program program("secured", "A kv cluster under TLS, and one with a secret.", settings);
    programs.declare(program);
    return program.run(count, words, [&] {
        programs.server = settings.server;
        Secured test(programs);
        run_or_keep(test);
        std::cout << "those who are known were served, and the others told why not\n";
        return true;
    });
}

}  // namespace system_test::secured
