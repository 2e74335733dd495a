// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A screen of lines in a terminal, which is as it was before when the object is gone.
#ifndef RSM_EXAMPLES_KV_TERMINAL_HPP
#define RSM_EXAMPLES_KV_TERMINAL_HPP

#include "top_table.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace kv {

/// Thread safety: one object of a process, used from one thread.
class Terminal {
public:
    /// Whether there is one to be had.
    static bool is_there() { return ::isatty(STDOUT_FILENO) == 1 && !is_dumb(); }

    /// @pre is_there()
    Terminal() : has_keys_(::isatty(STDIN_FILENO) == 1) {
        if (has_keys_ && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
            termios quiet = before_;
            quiet.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
            quiet.c_cc[VMIN] = 1;
            quiet.c_cc[VTIME] = 0;
            // Nobody would put the terminal right while the program is stopped.
            quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
            is_quiet_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
        }
        put("\x1b[?1049h\x1b[?25l");  // another screen, no cursor
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() {
        put("\x1b[0m\x1b[?25h\x1b[?1049l");
        if (is_quiet_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }

    /// Whether keys can be read from standard input.
    bool has_keys() const { return has_keys_; }

    /// Shows as much of the lines as there is room for. False: the terminal is gone.
    bool show(std::span<const TopLine> lines) const {
        winsize size{};
        const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
        const std::size_t columns = known ? size.ws_col : 80;
        const std::size_t rows = known ? size.ws_row : 24;
        std::string text = "\x1b[H";
        for (std::size_t i = 0; i < std::min(rows, lines.size()); ++i) {
            if (i != 0) text += "\r\n";
            text += style(lines[i].style);
            text += std::string_view(lines[i].text).substr(0, columns);
            text += "\x1b[0m\x1b[K";
        }
        text += "\x1b[J";
        return put(text);
    }

private:
    static bool is_dumb() {
        const char* const name = std::getenv("TERM");
        return name == nullptr || std::string_view(name) == "dumb";
    }
    static std::string_view style(TopLine::Style style) {
        static const bool colours = std::getenv("NO_COLOR") == nullptr;
        switch (style) {
            case TopLine::Style::plain: return {};
            case TopLine::Style::title:
            case TopLine::Style::leader: return "\x1b[1m";
            case TopLine::Style::head: return "\x1b[7m";
            case TopLine::Style::trouble: return colours ? "\x1b[1;31m" : "\x1b[1m";
        }
        return {};
    }
    static bool put(std::string_view text) {
        while (!text.empty()) {
            const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }

    bool has_keys_;
    bool is_quiet_ = false;
    termios before_{};
};

}  // namespace kv

#endif
