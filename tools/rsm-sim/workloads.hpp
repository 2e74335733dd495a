// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The state machines that rsm-sim runs: together they use every refinement that a machine may have.
#ifndef RSM_TOOLS_SIM_WORKLOADS_HPP
#define RSM_TOOLS_SIM_WORKLOADS_HPP

#include "kv/check/model.hpp"

#include <rsm/check/linearizability.hpp>
#include <rsm/sim/simulate.hpp>

#include <kv/store.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sim_workloads {

/// The kv service's store under versioned puts and gets. Whether the clients' history is
/// linearizable is also searched for, without regard to the order in which the nodes applied it.
class KvPuts {
public:
    static constexpr std::string_view name = "versioned puts and gets";
    using Machine = kv::Store;
    struct View {
        bool found = false;
        std::string value;
        std::uint64_t version = 0;
    };
    using Record = rsm::sim::ClientRecord<kv::Store, std::string, View>;

    kv::Operation operation(raft::Random& random) {
        kv::Put put;
        put.key = key(random);
        put.value = std::to_string(++values_);
        put.value.resize(put.value.size() + random.below(random.below(4) == 0 ? 300 : 20), '.');
        put.version = known_[put.key];
        if (random.below(20) == 0) put.version += random.below(3);
        kv::Operation operation;
        operation.action = std::move(put);
        return operation;
    }
    std::string query(raft::Random& random) { return key(random); }
    View read(const kv::Store& store, const std::string& key) const {
        const kv::Store::Entry* entry = store.find(key);
        return entry == nullptr ? View{} : View{true, entry->value, entry->version};
    }
    void saw(const Record& record) {
        if (record.end != Record::End::committed) return;
        const bool is_read = record.kind == Record::Kind::read;
        const std::string& key = is_read ? record.query : put_of(record).key;
        known_[key] = std::max(known_[key], is_read ? record.view.version : record.result.version);
    }
    std::string check_history(std::span<const Record> history) const;

private:
    static std::string key(raft::Random& random) { return "k" + std::to_string(random.below(5)); }
    static const kv::Put& put_of(const Record& record) {
        return std::get<kv::Put>(record.operation.action);
    }

    std::uint64_t values_ = 0;
    std::map<std::string, std::uint64_t> known_;
};

/// All operations of the kv service's store.
class KvMixed {
public:
    static constexpr std::string_view name = "all operations of the kv service";
    using Machine = kv::Store;

    kv::Operation operation(raft::Random& random) {
        kv::Operation operation;
        const std::string key = "m" + std::to_string(random.below(20));
        switch (random.below(6)) {
            case 0: operation.action = kv::Put{key, "p", random.below(4)}; break;
            case 1: operation.action = kv::Set{key, value(random), kv::Set::When::always}; break;
            case 2: operation.action = kv::Set{key, "n", kv::Set::When::absent}; break;
            case 3: operation.action = kv::Delete{{key, "m1"}}; break;
            case 4: operation.action = kv::SetMany{{{key, "a"}, {"m2", value(random)}}}; break;
            default: operation.action = kv::Increment{"i" + key, 7}; break;
        }
        return operation;
    }

private:
    static std::string value(raft::Random& random) {
        // Sectors of the log with nothing in them, or with one bit.
        if (random.below(8) == 0) {
            std::string sparse(600 + random.below(1500), '\0');
            if (random.below(2) == 0) sparse[random.below(sparse.size())] = '\x10';
            return sparse;
        }
        const auto letter = static_cast<char>('a' + random.below(26));
        return std::string(random.below(100), letter);
    }
};

/// A machine that only has `serialize`.
class Counter {
public:
    struct Operation {
        std::int64_t add = 0;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& add;
        }
    };
    std::int64_t apply(const Operation& operation) { return value_ += operation.add; }
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& value_;
    }

private:
    std::int64_t value_ = 0;
};

struct Counting {
    static constexpr std::string_view name = "a counter";
    using Machine = Counter;
    Counter::Operation operation(raft::Random& random) {
        return {static_cast<std::int64_t>(random.below(1000)) - 300};
    }
};

/// Accounts between which money moves: the sum stays. Its image is frozen, so snapshots are written
/// while operations go on.
class Bank {
public:
    static constexpr std::size_t accounts = 40;
    using Accounts = std::array<std::int64_t, accounts>;

    struct Operation {
        std::uint32_t from = 0;
        std::uint32_t to = 0;
        std::int64_t amount = 0;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& from& to& amount;
        }
    };
    /// Whether the account held that much.
    bool apply(const Operation& operation) {
        std::int64_t& from = accounts_[operation.from % accounts];
        if (from + 100 < operation.amount) return false;
        from -= operation.amount;
        accounts_[operation.to % accounts] += operation.amount;
        return true;
    }

    struct Image {
        Accounts accounts;
        void snapshot(rsm::SnapshotWriter& out) const { out << accounts; }
    };
    Image freeze() const { return {accounts_}; }
    void snapshot(rsm::SnapshotWriter& out) const { freeze().snapshot(out); }
    void restore(rsm::SnapshotReader& in) { in >> accounts_; }

    std::int64_t sum() const {
        return std::accumulate(accounts_.begin(), accounts_.end(), std::int64_t{});
    }

private:
    Accounts accounts_{};
};

struct Transfers {
    static constexpr std::string_view name = "transfers between accounts";
    using Machine = Bank;
    Bank::Operation operation(raft::Random& random) {
        Bank::Operation operation;
        operation.from = static_cast<std::uint32_t>(random.below(Bank::accounts));
        operation.to = static_cast<std::uint32_t>(random.below(Bank::accounts));
        operation.amount = static_cast<std::int64_t>(random.below(60));
        return operation;
    }
    std::string check(const Bank& bank) const {
        return bank.sum() == 0 ? "" : "the accounts sum up to " + std::to_string(bank.sum());
    }
};

inline std::string KvPuts::check_history(std::span<const Record> history) const {
    using kv::check::KvError;
    std::vector<kv::check::KvOperation> seen;
    for (const Record& record : history) {
        if (record.end == Record::End::not_committed) continue;
        kv::check::KvOperation one;
        one.client = record.client;
        one.call = static_cast<std::int64_t>(record.called);
        const bool returned = record.end == Record::End::committed;
        if (returned) one.ret = static_cast<std::int64_t>(record.returned);
        kv::check::KvOutput output;
        if (record.kind == Record::Kind::read) {
            if (!returned) continue;
            one.input.op = kv::check::KvOp::get;
            one.input.key = record.query;
            output.error = record.view.found ? KvError::ok : KvError::no_key;
            output.value = record.view.value;
            output.version = record.view.version;
        } else {
            const kv::Put& put = put_of(record);
            one.input = {kv::check::KvOp::put, put.key, put.value, put.version};
            output.error = record.result.status == kv::Status::ok       ? KvError::ok
                           : record.result.status == kv::Status::no_key ? KvError::no_key
                                                                        : KvError::version;
        }
        if (returned) one.output = std::move(output);
        seen.push_back(std::move(one));
    }
    const auto report = rsm::check::check_linearizability(
        kv::check::KvModel{}, std::span<const kv::check::KvOperation>(seen));
    if (report.verdict == rsm::check::Verdict::linearizable) return {};
    if (report.verdict == rsm::check::Verdict::undecided) return "the checker could not decide";
    return "no order of the operations explains what the clients saw";
}

}  // namespace sim_workloads

// Each is compiled once, in a file of its own.
#define RSM_SIM_WORKLOAD(load)                                                              \
    template rsm::sim::RunReport rsm::sim::simulate<load>(std::uint64_t, rsm::sim::Tracing, \
                                                          const rsm::sim::Reduction&)
extern RSM_SIM_WORKLOAD(sim_workloads::KvPuts);
extern RSM_SIM_WORKLOAD(sim_workloads::KvMixed);
extern RSM_SIM_WORKLOAD(sim_workloads::Counting);
extern RSM_SIM_WORKLOAD(sim_workloads::Transfers);

#endif
