// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Servers that find a library in their environment, which changes what the system does for them.
#ifndef RSM_TESTS_SYSTEM_PRELOADED_HPP
#define RSM_TESTS_SYSTEM_PRELOADED_HPP

#include "chaos/control.hpp"
#include "processes.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <stdlib.h>

namespace system_test {

/// A variable of the environment, which has its former value again when this object goes.
class Variable {
public:
    Variable(std::string name, const std::string& value) : name_(std::move(name)) {
        if (const char* const former = std::getenv(name_.c_str())) former_ = former;
        set(value);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() {
        if (former_) {
            ::setenv(name_.c_str(), former_->c_str(), 1);
        } else {
            ::unsetenv(name_.c_str());
        }
    }
    void set(const std::string& value) {
        demand(::setenv(name_.c_str(), value.c_str(), 1) == 0, "no memory");
    }
    /// What it was, to be put before something else; empty: nothing.
    std::string former(const std::string& separator) const {
        return former_ ? *former_ + separator : std::string();
    }

private:
    std::string name_;
    std::optional<std::string> former_;
};

/// What is started while this object is there finds a library, and what that is told.
class Preloaded {
public:
    Preloaded(const std::string& library, std::string variable, const std::string& value)
        : library_("LD_PRELOAD", library), told_(std::move(variable), value), checks_(asan, "") {
        // A sanitizer wants to be loaded before the library, or to be told not to.
        checks_.set(checks_.former(":") + "verify_asan_link_order=0");
    }

private:
    static constexpr const char* asan = "ASAN_OPTIONS";

    Variable library_;
    Variable told_;
    Variable checks_;
};

/// Disks and wall clocks of servers, which can be made wrong while these run.
class Controls {
public:
    /// @param library    of chaos/disk_and_clock.cpp
    /// @param directory  for a file of each server
    Controls(std::string library, std::filesystem::path directory)
        : library_(std::move(library)), directory_(std::move(directory)) {}

    /// What this starts obeys the controls of a node.
    template <class Start>
    void start(Node node, Start start) {
        set(node, controls_[node]);
        const Preloaded now(library_, chaos::control_variable, file(node));
        start();
    }
    const chaos::Control& of(Node node) { return controls_[node]; }
    void set(Node node, const chaos::Control& control) {
        controls_[node] = control;
        const std::string path = file(node);
        // One that runs has mapped it: what is there must not become shorter.
        const auto as_it_is = std::filesystem::exists(path) ? std::ios::in : std::ios::trunc;
        std::ofstream out(path, std::ios::binary | std::ios::out | as_it_is);
        out.write(reinterpret_cast<const char*>(&control), sizeof control);
        if (!out.flush()) throw rsm_test::cannot_make(path);
    }

private:
    std::string file(Node node) const { return directory_ / ("control-" + std::to_string(node)); }

    std::string library_;
    std::filesystem::path directory_;
    std::map<Node, chaos::Control> controls_;
};

}  // namespace system_test

#endif
