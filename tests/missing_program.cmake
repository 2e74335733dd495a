# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Asks for things as tests/CMakeLists.txt does, two of which no machine has.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/test_programs.cmake")
rsm_find_for_tests(PROGRAM there cmake cmake)
rsm_find_for_tests(PROGRAM first first-package rsm-has-no-such-program rsm-nor-such)
rsm_find_for_tests(FILE second second-package /nowhere/rsm-has-no-such-file)
rsm_require_test_programs()
