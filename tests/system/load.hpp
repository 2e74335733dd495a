// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Clients that read and write all the time, and remember what they were told.
#ifndef RSM_TESTS_SYSTEM_LOAD_HPP
#define RSM_TESTS_SYSTEM_LOAD_HPP

#include "kv/check/model.hpp"

#include <kv/clerk.hpp>

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/check/history.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace system_test {

inline std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// For how long nothing was acknowledged, in nanoseconds.
class Silence {
public:
    void heard() {
        longest_ = longest();
        last_ = now();
    }
    /// Forgets all but the silence that lasts.
    void begin() { longest_ = 0; }
    /// The longest one since begin(), one that has begun before or that lasts included.
    std::int64_t longest() const { return last_ == 0 ? 0 : std::max(longest_, now() - last_); }

private:
    std::int64_t last_ = 0;  // 0: nothing has been heard yet
    std::int64_t longest_ = 0;
};

/// What all clients have in common.
struct Load {
    kv::check::KvHistory history;
    /// The highest version that a put of this key is known to have created, with its value.
    struct Written {
        std::uint64_t version = 0;
        std::string value;
    };
    std::map<std::string, Written> acknowledged;
    std::size_t operations = 0;  ///< that were answered
    std::size_t puts_ok = 0;
    std::size_t puts_maybe = 0;
    Silence silence;      ///< of acknowledged puts
    std::string problem;  ///< the first thing that must not happen; empty: none
    bool ending = false;  ///< clients end after the operation they are at
    /// Whether clients write keys of their own: one that is made after another key has gone has a
    /// first version that the model does not know.
    bool makes_keys = true;

    static constexpr std::size_t shared_keys = 5;
    static std::string shared_key(std::size_t number) { return "key-" + std::to_string(number); }
    bool has_shared_keys() const {
        for (std::size_t i = 0; i < shared_keys; ++i) {
            if (!acknowledged.contains(shared_key(i))) return false;
        }
        return true;
    }
};

/// One clerk that does one operation after the other: mostly on a few keys that all clients write,
/// sometimes a key of its own, written once.
class Client {
public:
    Client(const boost::asio::any_io_executor& executor, kv::ClerkOptions options, Load& load,
           std::uint64_t id, std::uint64_t seed)
        : executor_(executor),
          options_(std::move(options)),
          clerk_(std::make_unique<kv::Clerk>(executor, options_)),
          load_(load),
          id_(id),
          random_(seed) {}

    bool idle() const { return idle_; }

    /// Which servers there are now: a clerk keeps to those that it was made with, so the one that
    /// asks next is a new one.
    void use(std::vector<std::string> servers) {
        options_.servers = std::move(servers);
        is_outdated_ = true;
    }

    /// Goes on until load.ending.
    void run() {
        idle_ = load_.ending || !load_.problem.empty();
        if (idle_) return;
        if (std::exchange(is_outdated_, false)) forget_leader();
        const std::uint64_t choice = random_.below(20);
        if (choice == 0 && load_.makes_keys) {
            put("once-" + std::to_string(id_) + "-" + std::to_string(++count_), 0);
            return;
        }
        const std::string key = Load::shared_key(random_.below(Load::shared_keys));
        if (choice < 8) {
            // A clerk that knows nothing asks any server first, which may be one that is behind.
            if (choice < 4) forget_leader();
            get(key);
        } else {
            put(key, versions_[key]);
        }
    }

    /// Reads each of these keys once, then is idle.
    void read(std::vector<std::string> keys) {
        left_ = std::move(keys);
        read_next();
    }

    /// What read() found.
    const std::map<std::string, Load::Written>& found() const { return found_; }

private:
    using Input = kv::check::KvInput;
    using Op = kv::check::KvOp;

    void forget_leader() {
        const auto first = static_cast<std::ptrdiff_t>(random_.below(options_.servers.size()));
        std::rotate(options_.servers.begin(), options_.servers.begin() + first,
                    options_.servers.end());
        clerk_ = std::make_unique<kv::Clerk>(executor_, options_);
    }

    void get(const std::string& key) {
        const auto token = load_.history.begin(id_, Input{Op::get, key, {}, 0}, now());
        clerk_->async_get(
            key, [this, key, token](boost::system::error_code error, const kv::Answer& answer) {
                if (!record(token, error, answer)) return;
                versions_[key] = answer.version;
                run();
            });
    }

    void put(const std::string& key, std::uint64_t version) {
        // The value takes some room, so that the log grows and is compacted.
        std::string value = std::to_string(id_) + "-" + std::to_string(++count_) + "-";
        value.append(40, '.');
        const auto token = load_.history.begin(id_, Input{Op::put, key, value, version}, now());
        clerk_->async_put(
            key, value, version,
            [this, key, value, token](boost::system::error_code error, const kv::Answer& answer) {
                if (!record(token, error, answer)) return;
                took(key, value, answer);
                run();
            });
    }

    void took(const std::string& key, const std::string& value, const kv::Answer& answer) {
        if (answer.err == kv::Err::maybe) ++load_.puts_maybe;
        if (answer.err != kv::Err::ok) return get_soon(key);
        ++load_.puts_ok;
        load_.silence.heard();
        versions_[key] = answer.version;
        Load::Written& written = load_.acknowledged[key];
        if (answer.version == written.version) {
            load_.problem =
                "two puts of " + key + " made version " + std::to_string(answer.version);
        }
        if (answer.version > written.version) written = {answer.version, value};
    }
    // Another client was faster: the version is learned with the next get of the key.
    void get_soon(const std::string& key) { versions_.erase(key); }

    /// @return whether to go on
    bool record(kv::check::KvHistory::Token token, boost::system::error_code error,
                const kv::Answer& answer) {
        ++load_.operations;
        if (error) {
            load_.problem = "a clerk failed: " + error.message() + " " + answer.value;
            idle_ = true;
            return false;
        }
        kv::check::KvOutput output;
        switch (answer.err) {
            case kv::Err::ok: output.error = kv::check::KvError::ok; break;
            case kv::Err::no_key: output.error = kv::check::KvError::no_key; break;
            case kv::Err::version: output.error = kv::check::KvError::version; break;
            case kv::Err::maybe: output.error = kv::check::KvError::maybe; break;
        }
        const bool is_get = load_.history.operations()[token].input.op == Op::get;
        if (is_get && answer.err == kv::Err::ok) {
            output.value = answer.value;
            output.version = answer.version;
        }
        if (!load_.history.end(token, std::move(output), now())) {
            load_.problem = "the history refused a reply";
        }
        return true;
    }

    void read_next() {
        idle_ = left_.empty();
        if (idle_) return;
        const std::string key = std::move(left_.back());
        left_.pop_back();
        const auto token = load_.history.begin(id_, Input{Op::get, key, {}, 0}, now());
        clerk_->async_get(
            key, [this, key, token](boost::system::error_code error, const kv::Answer& answer) {
                if (!record(token, error, answer)) return;
                if (answer.err == kv::Err::ok) found_[key] = {answer.version, answer.value};
                read_next();
            });
    }

    boost::asio::any_io_executor executor_;
    kv::ClerkOptions options_;
    std::unique_ptr<kv::Clerk> clerk_;
    Load& load_;
    std::uint64_t id_;
    raft::Random random_;
    std::uint64_t count_ = 0;
    std::map<std::string, std::uint64_t> versions_;  // as last seen; absent: 0
    std::vector<std::string> left_;
    std::map<std::string, Load::Written> found_;
    bool idle_ = true;
    bool is_outdated_ = false;  // clerk_, whose servers are no longer those of options_
};

}  // namespace system_test

#endif
