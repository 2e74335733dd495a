// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv top: all servers in a table that is drawn anew each second.
#ifndef RSM_EXAMPLES_KV_CLI_TOP_HPP
#define RSM_EXAMPLES_KV_CLI_TOP_HPP

#include "cli_service.hpp"
#include "terminal.hpp"
#include "top_table.hpp"

#include <CLI/CLI.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

struct TopWish {
    double interval_seconds = 1;
    bool once = false;
};

/// Asks, shows, waits, until it is told to stop.
class Top {
    using Error = boost::system::error_code;

public:
    Top(const Addressees& servers, const TopWish& wish)
        : interval_(static_cast<std::int64_t>(wish.interval_seconds * 1e9)), once_(wish.once) {
        const std::string_view word = "INFO";
        append_request(request_, {&word, 1});
        for (const std::string& server : servers.servers) {
            now_.rows.push_back({server, {}, {}, false});
            callers_.push_back(std::make_unique<Caller>(
                io_.get_executor(), CallerOptions{.credentials = servers.credentials}));
        }
    }

    int run() {
        if (!once_ && Terminal::is_there()) open_terminal();
        await_signal();
        ask();
        io_.run();
        return once_ && leader_of(now_.rows) == nullptr ? no : done;
    }

private:
    void open_terminal() {
        terminal_.emplace();
        resized_.add(SIGWINCH);
        await_resize();
        if (!terminal_->has_keys()) return;
        // A copy, so that closing it leaves the standard input open.
        keys_.assign(::dup(STDIN_FILENO));
        await_key();
    }

    void await_signal() {
        signals_.async_wait([this](Error error, int) {
            if (!error) stop();
        });
    }
    void await_resize() {
        resized_.async_wait([this](Error error, int) {
            if (error) return;
            draw();
            await_resize();
        });
    }
    void await_key() {
        keys_.async_read_some(boost::asio::buffer(&key_, 1), [this](Error error, std::size_t) {
            if (error) return;  // no keyboard any more; signals still end it
            if (key_ == 'q' || key_ == 'Q') return stop();
            await_key();
        });
    }
    /// What is under way is abandoned.
    void stop() {
        terminal_.reset();
        io_.stop();
    }

    void ask() {
        before_ = has_sample_ ? std::optional(now_) : std::nullopt;
        waiting_ = callers_.size();
        for (std::size_t i = 0; i < callers_.size(); ++i) {
            const std::string server = now_.rows[i].asked_at;
            callers_[i]->call(server, request_, patience(), [this, i, server](CallOutcome outcome) {
                now_.rows[i] = {server, {}, {}, false};
                take_account(now_.rows[i], outcome);
                if (--waiting_ == 0) take_sample();
            });
        }
    }
    /// One that hangs holds the others up for no longer.
    std::chrono::nanoseconds patience() const {
        return std::max<std::chrono::nanoseconds>(interval_, std::chrono::seconds(1));
    }
    void take_sample() {
        using Seconds = std::chrono::duration<double>;
        now_.at_seconds = Seconds(std::chrono::steady_clock::now().time_since_epoch()).count();
        has_sample_ = true;
        // Rates need two.
        if (!once_ || before_) draw();
        if (once_ && before_) return stop();
        timer_.expires_after(interval_);
        timer_.async_wait([this](Error error) {
            if (!error) ask();
        });
    }

    void draw() {
        if (!has_sample_) return;
        const std::vector<TopLine> lines = TopTable(now_, before_ ? &*before_ : nullptr).lines();
        if (terminal_) {
            if (!terminal_->show(lines)) stop();
            return;
        }
        for (const TopLine& line : lines) std::cout << line.text << '\n';
        if (!once_) std::cout << '\n';
        if (!std::cout.flush()) stop();
    }

    const std::chrono::nanoseconds interval_;
    const bool once_;
    std::string request_;
    boost::asio::io_context io_{1};
    std::vector<std::unique_ptr<Caller>> callers_;
    boost::asio::steady_timer timer_{io_};
    boost::asio::signal_set signals_{io_, SIGINT, SIGTERM, SIGHUP};
    boost::asio::signal_set resized_{io_};
    boost::asio::posix::stream_descriptor keys_{io_};
    char key_ = 0;
    std::optional<Terminal> terminal_;
    TopSample now_;
    std::optional<TopSample> before_;
    std::size_t waiting_ = 0;
    bool has_sample_ = false;
};

/// kv top, as the command line has it.
inline CLI::App* declare_top(CLI::App& app, TopWish& wish) {
    CLI::App* const top = app.add_subcommand(
        "top", "Shows all servers at work; q ends it. Without a terminal: a table each time");
    top->fallthrough();
    top->add_option("--interval", wish.interval_seconds, "Seconds between two looks")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    top->add_flag("--once", wish.once, "One table, with the rates of one interval, and no more");
    return top;
}

}  // namespace kv

#endif
