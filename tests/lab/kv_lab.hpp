// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 4B and 4C: the kv service on the labs' network, its clerks, and the record of what they saw.
#ifndef RSM_TESTS_LAB_KV_LAB_HPP
#define RSM_TESTS_LAB_KV_LAB_HPP

#include "group_lab.hpp"
#include "kv/check/model.hpp"

#include <rsm/check/history.hpp>
#include <rsm/check/linearizability.hpp>

#include <kv/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace lab {

using kv::check::KvError;
using kv::check::KvHistory;
using kv::check::KvInput;
using kv::check::KvOp;
using kv::check::KvOutput;

class KvLab : public GroupLab<kv::Store> {
public:
    using GroupLab::GroupLab;

    KvHistory& history() { return history_; }
    std::int64_t clock() const { return now().time_since_epoch().count(); }
    std::uint64_t next_client() { return ++clients_; }

    /// Linearizable, values and versions alike; an undecided check is a failure.
    void check_history() {
        const auto report = rsm::check::check_linearizability(kv::check::KvModel{},
                                                              std::span(history_.operations()));
        require(report.verdict != rsm::check::Verdict::undecided,
                "the linearizability of the history could not be decided");
        require(report.verdict == rsm::check::Verdict::linearizable,
                "the history is not linearizable");
    }

private:
    KvHistory history_;
    std::uint64_t clients_ = 0;
};

/// The labs' client: tries server after server until one answers.
class Clerk {
public:
    /// @param reachable  the servers to which it has ends; empty: all
    explicit Clerk(KvLab& lab, std::vector<ServerId> reachable = {})
        : lab_(lab), id_(lab.next_client()) {
        if (reachable.empty()) {
            for (ServerId i = 0; i < lab.size(); ++i) reachable.push_back(i);
        }
        reachable_ = std::make_shared<std::set<ServerId>>(reachable.begin(), reachable.end());
    }

    void reach_all() {
        for (ServerId i = 0; i < lab_.size(); ++i) reachable_->insert(i);
    }
    void reach(const std::vector<ServerId>& servers) {
        *reachable_ = std::set<ServerId>(servers.begin(), servers.end());
    }

    Task<KvOutput> get(std::string key) {
        KvInput input;
        input.op = KvOp::get;
        input.key = std::move(key);
        return recorded(std::move(input));
    }
    Task<KvOutput> put(std::string key, std::string value, std::uint64_t version) {
        KvInput input;
        input.op = KvOp::put;
        input.key = std::move(key);
        input.value = std::move(value);
        input.version = version;
        return recorded(std::move(input));
    }

    /// Until the value is in: with the version that a refusal makes necessary.
    Task<std::uint64_t> put_at_least_once(std::string key, std::string value,
                                          std::uint64_t version) {
        for (;;) {
            const KvOutput output = co_await put(key, value, version);
            if (output.error == KvError::ok) co_return version;
            ++version;
        }
    }

private:
    struct Attempt {
        bool returned = false;
        bool answered = false;  // with something of use
        KvOutput output;
    };

    Task<KvOutput> recorded(KvInput input) {
        const auto token = lab_.history().begin(id_, input, lab_.clock());
        KvOutput output = co_await until_answered(std::move(input));
        const bool kept = lab_.history().end(token, output, lab_.clock());
        require(kept, "an operation could not be recorded");
        co_return output;
    }

    // ErrVersion for a put that was sent more than once says nothing about the first time.
    Task<KvOutput> until_answered(KvInput input) {
        bool first = true;
        for (std::size_t tried = 0;; ++tried) {
            if (tried > 0 && tried % lab_.size() == 0) co_await lab_.sleep(10ms);
            const Attempt attempt = co_await try_once(leader_, input);
            if (attempt.answered) {
                KvOutput output = attempt.output;
                if (!first && output.error == KvError::version) output.error = KvError::maybe;
                co_return output;
            }
            first = false;
            leader_ = (leader_ + 1) % lab_.size();
        }
    }

    Task<Attempt> try_once(ServerId server, const KvInput& input) {
        const auto attempt = std::make_shared<Attempt>();
        const auto done = [attempt](bool success) {
            attempt->returned = true;
            attempt->answered = attempt->answered && success;
        };
        const auto enabled = [reachable = reachable_, server] {
            return reachable->contains(server);
        };
        lab_.network().call(
            server, enabled,
            [this, server, input, attempt](Network::Reply reply) {
                if (input.op == KvOp::get) {
                    serve_get(server, input, attempt, std::move(reply));
                } else {
                    serve_put(server, input, attempt, std::move(reply));
                }
            },
            done);
        while (!attempt->returned) co_await lab_.sleep(1ms);
        co_return *attempt;
    }

    // ---- the server's side ----

    void serve_get(ServerId server, const KvInput& input, std::shared_ptr<Attempt> attempt,
                   Network::Reply reply) {
        lab_.replica(server).async_read(
            [key = input.key](const kv::Store& store) {
                KvOutput output;
                const auto* entry = store.find(key);
                if (entry == nullptr) {
                    output.error = KvError::no_key;
                } else {
                    output.value = entry->value;
                    output.version = entry->version;
                }
                return output;
            },
            [attempt, reply](auto error, KvOutput output) {
                attempt->answered = !error;
                attempt->output = std::move(output);
                reply();
            });
    }

    void serve_put(ServerId server, const KvInput& input, std::shared_ptr<Attempt> attempt,
                   Network::Reply reply) {
        kv::Put put;
        put.key = input.key;
        put.value = input.value;
        put.version = input.version;
        kv::Operation operation;
        operation.action = std::move(put);
        lab_.replica(server).async_submit(std::move(operation),
                                          [attempt, reply](auto error, const kv::Result& result) {
                                              attempt->answered = !error;
                                              switch (result.status) {
                                                  case kv::Status::ok:
                                                      attempt->output.error = KvError::ok;
                                                      break;
                                                  case kv::Status::no_key:
                                                      attempt->output.error = KvError::no_key;
                                                      break;
                                                  default:
                                                      attempt->output.error = KvError::version;
                                                      break;
                                              }
                                              reply();
                                          });
    }

    KvLab& lab_;
    std::uint64_t id_;
    std::shared_ptr<std::set<ServerId>> reachable_;
    ServerId leader_ = 0;
};

}  // namespace lab

#endif
