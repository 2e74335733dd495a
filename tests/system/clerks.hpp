// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Three clerks that read and write while something is done to their servers, and the account that
// is asked for in the end.
#ifndef RSM_TESTS_SYSTEM_CLERKS_HPP
#define RSM_TESTS_SYSTEM_CLERKS_HPP

#include "load.hpp"

#include <kv/caller.hpp>
#include <kv/clerk.hpp>
#include <kv/cli_service.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace system_test {

/// All that waits here runs the clerks meanwhile, and throws if something happens that must not.
class Clerks {
    using Clock = std::chrono::steady_clock;

public:
    static constexpr std::size_t count = 3;

    /// @param options  of each clerk
    /// @param watch    called all the time; throws if the servers are not as they should be
    Clerks(const kv::ClerkOptions& options, std::uint64_t seed, std::function<void()> watch)
        : watch_(std::move(watch)) {
        for (std::uint64_t id = 1; id <= count; ++id) {
            clients_.push_back(
                std::make_unique<Client>(io_.get_executor(), options, load_, id, seed * 31 + id));
        }
    }

    Load& load() { return load_; }
    const Load& load() const { return load_; }

    void begin() {
        for (const auto& client : clients_) client->run();
    }
    void use(const std::vector<std::string>& servers) {
        for (const auto& client : clients_) client->use(servers);
    }
    /// Lets them end, and demands every acknowledged write of the service.
    void end() {
        load_.ending = true;
        wait("the clients end", [this] { return idle(); });
        read_back();
    }

    void wait_for_operations(std::size_t number, const std::string& what) {
        const std::size_t enough = load_.operations + number;
        wait(what, [this, enough] { return load_.operations >= enough; });
    }

    /// Until `reached()`, which may itself run the clerks.
    template <class Condition>
    void wait(const std::string& what, Condition reached,
              std::chrono::seconds limit = std::chrono::seconds(60)) {
        const auto deadline = Clock::now() + limit;
        while (!reached()) {
            if (Clock::now() > deadline) throw std::runtime_error("in vain waited until " + what);
            // Not too often: who asks the servers all the time holds them up.
            for (const auto next = Clock::now() + std::chrono::milliseconds(10);
                 Clock::now() < next;) {
                step(next - Clock::now());
            }
        }
    }

    /// What each server says when it is asked this; those that do not answer in time say nothing.
    std::vector<kv::CallOutcome> ask(const std::vector<std::string>& servers,
                                     std::string_view word) {
        return ask(servers, std::vector{word});
    }
    std::vector<kv::CallOutcome> ask(const std::vector<std::string>& servers,
                                     const std::vector<std::string_view>& words,
                                     std::chrono::seconds timeout = std::chrono::seconds(1)) {
        std::string request;
        kv::append_request(request, words);
        std::vector<kv::CallOutcome> outcomes(servers.size());
        std::vector<std::unique_ptr<kv::Caller>> callers;
        std::size_t missing = servers.size();
        for (std::size_t i = 0; i < servers.size(); ++i) {
            callers.push_back(std::make_unique<kv::Caller>(io_.get_executor()));
            callers.back()->call(servers[i], request, timeout,
                                 [&missing, &outcome = outcomes[i]](kv::CallOutcome given) {
                                     outcome = std::move(given);
                                     --missing;
                                 });
        }
        while (missing != 0) step(std::chrono::milliseconds(100));
        return outcomes;
    }
    std::vector<kv::Row> accounts(const std::vector<std::string>& servers) {
        const std::vector<kv::CallOutcome> outcomes = ask(servers, "RAFT.STATUS");
        std::vector<kv::Row> rows;
        for (std::size_t i = 0; i < servers.size(); ++i) {
            rows.push_back({servers[i], {}, {}});
            kv::take_account(rows.back(), outcomes[i]);
        }
        return rows;
    }

private:
    bool idle() const {
        for (const auto& client : clients_) {
            if (!client->idle()) return false;
        }
        return true;
    }

    void step(Clock::duration time) {
        if (!load_.problem.empty()) throw std::runtime_error(load_.problem);
        watch_();
        if (io_.stopped()) io_.restart();
        io_.run_one_for(time);
    }

    void read_back() {
        std::vector<std::vector<std::string>> shares(clients_.size());
        std::size_t next = 0;
        for (const auto& [key, written] : load_.acknowledged) {
            shares[next++ % shares.size()].push_back(key);
        }
        for (std::size_t i = 0; i < clients_.size(); ++i) clients_[i]->read(shares[i]);
        wait("all keys are read back", [this] { return idle(); });
        for (const auto& [key, written] : load_.acknowledged) {
            if (!holds(key, written)) {
                throw std::runtime_error("lost: " + key + " version " +
                                         std::to_string(written.version));
            }
        }
    }

    bool holds(const std::string& key, const Load::Written& written) const {
        for (const auto& client : clients_) {
            const auto found = client->found().find(key);
            if (found == client->found().end()) continue;
            const Load::Written& there = found->second;
            // A later version can only be the work of a put whose clerk was not told.
            return there.version > written.version ||
                   (there.version == written.version && there.value == written.value);
        }
        return false;
    }

    boost::asio::io_context io_{1};
    Load load_;
    std::function<void()> watch_;
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace system_test

#endif
