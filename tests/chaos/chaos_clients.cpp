// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// chaos_clients: clerks that read and write until they are told to end, and what they saw. Time is
// cut into windows, each with keys of its own, so that the history of a window can be judged, and
// forgotten, while the others go on. What was acknowledged is asked for at the end of the window,
// some of it again later, and all of what is remembered in the end.
//
// Says on standard output, with times of the monotonic clock in nanoseconds:
//
//   silence BEGIN END      no put was acknowledged in between
//   slow BEGIN END         how long one operation took
//   acknowledged AT COUNT  puts up to now, a few times a second
//   window NUMBER FILE     a window is over, and its history (history_file.hpp) is in the file
//   problem TEXT           something that must not happen; the clients end
//   done OPERATIONS PUTS DOUBTS
//
// It ends at the end of standard input, once all is read back.
#include "kv/check/history_file.hpp"
#include "kv/check/model.hpp"
#include "system/load.hpp"

#include <kv/clerk.hpp>

#include <raft/base/random.hpp>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace system_test::chaos_clients {

namespace {

using kv::check::KvInput;
using kv::check::KvOp;
using Error = boost::system::error_code;

struct Settings {
    std::vector<std::string> servers;
    std::string directory;
    std::uint64_t clients = 6;
    std::uint64_t pace_ms = 10;
    std::uint64_t window_s = 20;
    std::uint64_t seed = 1;
};

constexpr std::int64_t told_silence = 50'000'000;
constexpr std::int64_t told_operation = 500'000'000;

struct Written {
    std::uint64_t version = 0;
    std::string value;
};

/// A stretch of time, and keys that are used in it only.
struct Window {
    std::uint64_t number = 0;
    kv::check::KvHistory history;
    std::map<std::string, Written> acknowledged;  // the highest version of each key
    std::size_t clients = 0;                      // that are at work in it
};
using WindowPtr = std::shared_ptr<Window>;

/// What all clients have in common.
class Load {
public:
    explicit Load(const Settings& given) : settings(given) {}

    const Settings& settings;
    WindowPtr current = std::make_shared<Window>();
    bool ending = false;
    std::size_t operations = 0;
    std::size_t puts = 0;
    std::size_t doubts = 0;

    void next_window() {
        const std::uint64_t number = current->number + 1;
        current = std::make_shared<Window>();
        current->number = number;
    }

    void acknowledge() {
        ++puts;
        const std::int64_t heard = now();
        if (last_ != 0 && heard - last_ >= told_silence) {
            std::cout << "silence " << last_ << ' ' << heard << std::endl;
        }
        last_ = heard;
    }

    [[noreturn]] static void fail(const std::string& what) { throw std::runtime_error(what); }

private:
    std::int64_t last_ = 0;  // when a put was acknowledged; 0: none was yet
};

/// A clerk whose operations are recorded.
class Recorder {
public:
    Recorder(const boost::asio::any_io_executor& executor, Load& load, std::uint64_t id)
        : load_(load), id_(id), random_(load.settings.seed * 7919 + id) {
        kv::ClerkOptions options;
        options.servers = load.settings.servers;
        const auto first = static_cast<std::ptrdiff_t>(random_.below(options.servers.size()));
        std::rotate(options.servers.begin(), options.servers.begin() + first,
                    options.servers.end());
        clerk_ = std::make_unique<kv::Clerk>(executor, options);
    }

    /// `done` is told what the key has; version 0: it is absent.
    void get(const WindowPtr& window, const std::string& key, std::function<void(Written)> done) {
        const auto begin = now();
        const auto token = window->history.begin(id_, KvInput{KvOp::get, key, {}, 0}, begin);
        clerk_->async_get(key, [=, this, done = std::move(done)](Error error, kv::Answer answer) {
            kv::check::KvOutput output{error_of(answer.err), {}, 0};
            if (answer.err == kv::Err::ok) output = {output.error, answer.value, answer.version};
            record(*window, token, begin, error, answer, std::move(output));
            done({answer.version, std::move(answer.value)});
        });
    }
    void put(const WindowPtr& window, const std::string& key, std::string value,
             std::uint64_t version, std::function<void(kv::Answer)> done) {
        const auto begin = now();
        const auto token = window->history.begin(id_, {KvOp::put, key, value, version}, begin);
        clerk_->async_put(
            key, value, version,
            [=, this, done = std::move(done)](Error error, const kv::Answer& answer) {
                record(*window, token, begin, error, answer, {error_of(answer.err), {}, 0});
                if (answer.err == kv::Err::maybe) ++load_.doubts;
                if (answer.err == kv::Err::ok) take(*window, key, value, answer.version);
                done(answer);
            });
    }

    raft::Random& random() { return random_; }
    std::uint64_t id() const { return id_; }

private:
    static kv::check::KvError error_of(kv::Err err) {
        switch (err) {
            case kv::Err::ok: return kv::check::KvError::ok;
            case kv::Err::no_key: return kv::check::KvError::no_key;
            case kv::Err::version: return kv::check::KvError::version;
            case kv::Err::maybe: break;
        }
        return kv::check::KvError::maybe;
    }

    void record(Window& window, kv::check::KvHistory::Token token, std::int64_t begin, Error error,
                const kv::Answer& answer, kv::check::KvOutput output) {
        ++load_.operations;
        if (error) Load::fail("a clerk failed: " + error.message() + " " + answer.value);
        const std::int64_t end = now();
        if (!window.history.end(token, std::move(output), end)) Load::fail("a reply out of turn");
        if (end - begin >= told_operation) std::cout << "slow " << begin << ' ' << end << std::endl;
    }

    void take(Window& window, const std::string& key, const std::string& value,
              std::uint64_t version) {
        load_.acknowledge();
        Written& written = window.acknowledged[key];
        if (written.version == version) {
            Load::fail("two puts of " + key + " made version " + std::to_string(version));
        }
        if (written.version < version) written = {version, value};
    }

    Load& load_;
    std::uint64_t id_;
    raft::Random random_;
    std::unique_ptr<kv::Clerk> clerk_;
};

/// Reads and writes the keys of the present window, one operation after the other.
class Client {
public:
    Client(const boost::asio::any_io_executor& executor, Load& load, std::uint64_t id)
        : load_(load), recorder_(executor, load, id), pause_(executor) {}

    void run() {
        if (window_ != load_.current || load_.ending) {
            if (window_ != nullptr) --window_->clients;
            window_ = load_.ending ? nullptr : load_.current;
            versions_.clear();
            if (window_ == nullptr) return;
            ++window_->clients;
        }
        const std::string prefix = "w" + std::to_string(window_->number) + "-";
        raft::Random& random = recorder_.random();
        const std::string key = prefix + std::to_string(random.below(5));
        const std::uint64_t choice = random.below(20);
        if (choice < 6) return get(key);
        if (choice < 8) {
            return put(prefix + std::to_string(recorder_.id()) + "-" + std::to_string(++count_), 0);
        }
        put(key, versions_[key]);
    }

private:
    void get(const std::string& key) {
        recorder_.get(window_, key, [this, key](const Written& found) {
            versions_[key] = found.version;
            rest();
        });
    }
    void put(const std::string& key, std::uint64_t version) {
        // The value takes some room, so that the log grows and is compacted.
        std::string value = std::to_string(recorder_.id()) + "-" + std::to_string(++count_) + "-";
        value.append(60, '.');
        recorder_.put(window_, key, std::move(value), version,
                      [this, key](const kv::Answer& answer) {
                          if (answer.err != kv::Err::ok) return get(key);
                          versions_[key] = answer.version;
                          rest();
                      });
    }
    void rest() {
        pause_.expires_after(std::chrono::milliseconds(load_.settings.pace_ms));
        pause_.async_wait([this](Error error) {
            if (!error) run();
        });
    }

    Load& load_;
    Recorder recorder_;
    boost::asio::steady_timer pause_;
    WindowPtr window_;                               // null: at rest
    std::map<std::string, std::uint64_t> versions_;  // as last seen; absent: 0
    std::uint64_t count_ = 0;
};

/// Asks for what was acknowledged in a window that is over, and for some of what was before.
class Auditor {
public:
    Auditor(const boost::asio::any_io_executor& executor, Load& load)
        : load_(load), recorder_(executor, load, 0) {}

    bool idle() const { return idle_; }

    void audit(WindowPtr window) {
        idle_ = false;
        window_ = std::move(window);
        for (const auto& item : window_->acknowledged) left_.push_back(item);
        for (int i = 0; i < 20 && !archive_.empty(); ++i) {
            left_.push_back(archive_[recorder_.random().below(archive_.size())]);
        }
        next();
    }
    /// All that is remembered of windows that are over.
    void audit_archive() {
        idle_ = false;
        window_ = nullptr;
        left_.assign(archive_.begin(), archive_.end());
        next();
    }

private:
    static constexpr std::size_t archive_max = 2000;

    void next() {
        if (left_.empty()) return finish();
        auto [key, written] = std::move(left_.front());
        left_.pop_front();
        const bool own = window_ != nullptr && window_->acknowledged.contains(key);
        const WindowPtr place = own ? window_ : std::make_shared<Window>();
        recorder_.get(place, key, [this, key, written](const Written& found) {
            // A later version can only be the work of a put whose clerk was not told.
            const bool holds = found.version > written.version ||
                               (found.version == written.version && found.value == written.value);
            if (!holds) {
                Load::fail("lost: " + key + " version " + std::to_string(written.version) +
                           ", there is version " + std::to_string(found.version));
            }
            next();
        });
    }

    void finish() {
        idle_ = true;
        if (window_ == nullptr) return;
        const std::string path =
            load_.settings.directory + "/window-" + std::to_string(window_->number) + ".jsonl";
        std::ofstream out(path);
        kv::check::write_kv_history(out, window_->history.operations());
        if (!out.flush()) Load::fail("cannot write " + path);
        std::cout << "window " << window_->number << ' ' << path << std::endl;
        for (auto& item : window_->acknowledged) remember(std::move(item));
        window_ = nullptr;
    }

    /// A sample of all.
    void remember(std::pair<std::string, Written> item) {
        ++seen_;
        if (archive_.size() < archive_max) return archive_.push_back(std::move(item));
        const std::uint64_t place = recorder_.random().below(seen_);
        if (place < archive_max) archive_[place] = std::move(item);
    }

    Load& load_;
    Recorder recorder_;
    WindowPtr window_;
    std::deque<std::pair<std::string, Written>> left_;
    std::vector<std::pair<std::string, Written>> archive_;
    std::uint64_t seen_ = 0;
    bool idle_ = true;
};

class Program {
public:
    explicit Program(const Settings& settings) : load_(settings), auditor_(executor(), load_) {
        for (std::uint64_t id = 1; id <= settings.clients; ++id) {
            clients_.push_back(std::make_unique<Client>(executor(), load_, id));
        }
    }

    void run() {
        for (const auto& client : clients_) client->run();
        await_end_of_input();
        turn_window();
        tell();
        io_.run();
        std::cout << "done " << load_.operations << ' ' << load_.puts << ' ' << load_.doubts
                  << std::endl;
    }

private:
    boost::asio::any_io_executor executor() { return io_.get_executor(); }

    void await_end_of_input() {
        input_.async_read_some(boost::asio::buffer(byte_), [this](Error error, std::size_t) {
            if (!error) return await_end_of_input();
            load_.ending = true;
            turn_.cancel();
            over_.push_back(load_.current);
        });
    }
    void turn_window() {
        turn_.expires_after(std::chrono::seconds(load_.settings.window_s));
        turn_.async_wait([this](Error error) {
            if (error || load_.ending) return;
            over_.push_back(load_.current);
            load_.next_window();
            turn_window();
        });
    }
    /// A few times a second: says how far all are, and goes on with what is over.
    void tell() {
        std::cout << "acknowledged " << now() << ' ' << load_.puts << std::endl;
        if (auditor_.idle() && !over_.empty() && over_.front()->clients == 0) {
            auditor_.audit(std::move(over_.front()));
            over_.pop_front();
        } else if (auditor_.idle() && over_.empty() && load_.ending) {
            if (std::exchange(archive_read_, true)) return;
            auditor_.audit_archive();
        }
        tick_.expires_after(std::chrono::milliseconds(100));
        tick_.async_wait([this](Error error) {
            if (!error) tell();
        });
    }

    boost::asio::io_context io_{1};
    Load load_;
    std::vector<std::unique_ptr<Client>> clients_;
    Auditor auditor_;
    std::deque<WindowPtr> over_;
    boost::asio::posix::stream_descriptor input_{io_, ::dup(STDIN_FILENO)};
    std::array<char, 64> byte_{};
    boost::asio::steady_timer turn_{io_};
    boost::asio::steady_timer tick_{io_};
    bool archive_read_ = false;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    CLI::App app{"Clerks that read and write until the end of standard input."};
    app.add_option("--servers", settings.servers, "HOST:PORT,...")->delimiter(',')->required();
    app.add_option("--directory", settings.directory, "Where histories are written")->required();
    app.add_option("--clients", settings.clients, "How many")->capture_default_str();
    app.add_option("--pace", settings.pace_ms, "Milliseconds between a client's operations")
        ->capture_default_str();
    app.add_option("--window", settings.window_s, "Seconds of each history")->capture_default_str();
    app.add_option("--seed", settings.seed, "Of what they do")->capture_default_str();
    CLI11_PARSE(app, count, words);
    try {
        Program(settings).run();
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cout << "problem " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}

}  // namespace system_test::chaos_clients
