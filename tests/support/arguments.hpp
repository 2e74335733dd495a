// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The command line of a test executable, for tests that have options of their own.
#ifndef RSM_TESTS_SUPPORT_ARGUMENTS_HPP
#define RSM_TESTS_SUPPORT_ARGUMENTS_HPP

#include <string>
#include <vector>

std::vector<std::string>& test_arguments();

#endif
