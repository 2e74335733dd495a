// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The main program of every test executable: doctest's, and three things besides.
//
// - `--reporters=ctest --list-test-cases` writes the cases as a script for ctest, one test per
//   case. Names are sentences; commas, brackets and quotes in them survive.
// - A run in which no case passes the filters fails: a test that ctest knows and the executable
//   does not must never look as if it had passed.
// - Two cases of one name fail the listing, because ctest could not tell them apart.
#include "arguments.hpp"

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// What the reporters below tell main().
unsigned cases_run = 0;
bool listing_failed = false;

/// A CMake argument in brackets that `text` does not contain.
std::string bracketed(const std::string& text) {
    std::string level = "=";
    while (text.find("]" + level) != std::string::npos) level += '=';
    return "[" + level + "[" + text + "]" + level + "]";
}

/// The filter that lets `name` pass: doctest splits at commas unless a backslash is before them.
/// A star or a question mark in the name matches itself.
std::string filter(std::string_view name) {
    std::string escaped;
    for (const char character : name) {
        if (character == ',' || character == '\\') escaped += '\\';
        escaped += character;
    }
    return escaped;
}

/// An observer of the run that has nothing to say; the base of those that do.
struct SilentReporter : doctest::IReporter {
    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_start(const doctest::TestCaseData&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_end(const doctest::CurrentTestCaseStats&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}
};

struct CaseCounter : SilentReporter {
    explicit CaseCounter(const doctest::ContextOptions&) {}

    void test_run_end(const doctest::TestRunStats& stats) override {
        cases_run = stats.numTestCasesPassingFilters;
    }
};

/// Writes `rsm_add_case(<name> <filter>)` for each case; see cmake/discover_tests.cmake.
class CtestReporter : public SilentReporter {
public:
    explicit CtestReporter(const doctest::ContextOptions& options) : out_(*options.cout) {}

    void report_query(const doctest::QueryData& query) override {
        std::set<std::string> names;
        for (unsigned i = 0; i < query.num_data; ++i) {
            const doctest::TestCaseData& test = *query.data[i];
            if (!names.insert(test.m_name).second) {
                listing_failed = true;
                std::cerr << test.m_file << ':' << test.m_line << ": error: another test case is "
                          << "called '" << test.m_name << "' too\n";
            }
            out_ << "rsm_add_case(" << bracketed(test.m_name) << ' '
                 << bracketed("--test-case=" + filter(test.m_name)) << ")\n";
        }
    }

private:
    std::ostream& out_;
};

}  // namespace

REGISTER_LISTENER("case-counter", 0, CaseCounter);
REGISTER_REPORTER("ctest", 0, CtestReporter);

std::vector<std::string>& test_arguments() {
    static std::vector<std::string> arguments;
    return arguments;
}

int main(int argc, char** argv) {
    test_arguments().assign(argv + 1, argv + argc);
    doctest::Context context(argc, argv);
    const int result = context.run();
    if (listing_failed) return 1;
    if (context.shouldExit()) return result;  // only a listing was asked for
    if (cases_run == 0) {
        std::cerr << "error: no test case passes the filters\n";
        return 1;
    }
    return result;
}
