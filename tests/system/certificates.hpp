// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Certificates for the nodes and clients of a cluster.
#ifndef RSM_TESTS_SYSTEM_CERTIFICATES_HPP
#define RSM_TESTS_SYSTEM_CERTIFICATES_HPP

#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"

#include <filesystem>
#include <string>
#include <utility>

namespace system_test {

/// A command line with more words at its end.
inline Words with(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

/// What tests of servers under TLS run.
struct TlsPrograms {
    std::string server;
    std::string kv;
    std::string redis_cli;
    std::string make_certificates;

    /// The server is one of the settings already.
    void declare(Program& program) {
        program.add_program("TOOL", kv, "The kv program");
        program.add_program("REDIS_CLI", redis_cli, "A Redis client with TLS");
        program.add_program("MAKE_CERTIFICATES", make_certificates, "The script");
    }
};

/// An authority, and the certificates that it has given.
class Authority {
public:
    /// @param script     scripts/make-certificates
    /// @param directory  for all files; made when it is needed
    Authority(std::string script, std::filesystem::path directory)
        : script_(std::move(script)), directory_(std::move(directory)) {}

    /// Makes them, or makes them anew.
    void certify(const Words& whom, int days = 365) const {
        const Words words = with({script_, "--days", std::to_string(days), directory_}, whom);
        demand(Process(words, directory_.string() + ".log").wait() == 0,
               "no certificates were made");
    }

    std::string file(const std::string& name) const { return directory_ / name; }
    /// What a server or kv is told.
    Words options(const std::string& name) const {
        return {"--tls-cert",        file(name + ".crt"), "--tls-key",
                file(name + ".key"), "--tls-ca",          file("ca.crt")};
    }
    Words options(Node node) const { return options("node-" + std::to_string(node)); }
    /// What redis-cli is told, to talk to a server.
    Words redis_options(const std::string& name, const std::string& address) const {
        return {"-p",
                address.substr(address.find(':') + 1),
                "--tls",
                "--cacert",
                file("ca.crt"),
                "--cert",
                file(name + ".crt"),
                "--key",
                file(name + ".key")};
    }

private:
    std::string script_;
    std::filesystem::path directory_;
};

}  // namespace system_test

#endif
