// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the programs that do something to real processes have in common: what they are told, and how
// they end.
#ifndef RSM_TESTS_SYSTEM_PROGRAM_HPP
#define RSM_TESTS_SYSTEM_PROGRAM_HPP

#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <random>
#include <string>
#include <utility>

namespace system_test {

/// What all of them are told.
struct Settings {
    std::string server;
    std::uint64_t rounds = 20;
    std::uint64_t seed = std::random_device{}();
    std::string history;
};

/// A command line that is read into settings, and a main that says what went wrong.
class Program {
public:
    /// @param does  in a sentence
    Program(std::string name, const std::string& does, Settings& settings)
        : name_(std::move(name)), settings_(settings), app_(does) {
        add_program("SERVER", settings.server, "The server's program");
    }

    void add_seed() {
        seeded_ = true;
        app_.add_option("--seed", settings_.seed,
                        "Of the choices and the clients; by default another in every run");
    }
    /// @param what  is counted
    void add_rounds(std::uint64_t usual, const std::string& what) {
        add_seed();
        settings_.rounds = usual;
        app_.add_option("--rounds", settings_.rounds, what)->capture_default_str();
    }
    void add_history() {
        app_.add_option("--history", settings_.history, "Where to write what the clerks saw");
    }
    /// Another file that there must be, behind those that were added before.
    void add_program(const std::string& name, std::string& path, const std::string& what) {
        app_.add_option(name, path, what)->required()->check(CLI::ExistingFile);
    }
    /// For what only one of them is told.
    CLI::App& options() { return app_; }

    /// @param act  returns whether all is well
    /// @return the exit status
    template <class Act>
    int run(int count, char** words, Act act) {
        CLI11_PARSE(app_, count, words);
        try {
            if (seeded_) std::cout << "seed " << settings_.seed << std::endl;
            return act() ? EXIT_SUCCESS : EXIT_FAILURE;
        } catch (const std::exception& error) {
            std::cout << name_ << ": " << error.what() << std::endl;
            return EXIT_FAILURE;
        }
    }

private:
    std::string name_;
    Settings& settings_;
    CLI::App app_;
    bool seeded_ = false;
};

/// Runs a test; where that fails its directory stays, and is named.
template <class Test>
void run_or_keep(Test& test) {
    try {
        test.run();
    } catch (...) {
        std::cout << "the files are in " << test.directory() << '\n';
        test.keep();
        throw;
    }
}

}  // namespace system_test

#endif
