# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# What tests need that the project does not build. None of it is optional: a test that is absent
# where its program happens to be missing looks like one that has passed.
option(RSM_REQUIRE_TEST_PROGRAMS
    "Refuse to configure where a program is missing that tests run; else those tests fail" ON)

# rsm_find_for_tests(PROGRAM <variable> <package> <name>...)
# rsm_find_for_tests(FILE <variable> <package> <path>): the path of the first program that is there,
# or of the file. Where none is, <variable> ends in NOTFOUND, and rsm_require_test_programs() tells
# the package.
function(rsm_find_for_tests kind variable package)
    if(${variable} AND NOT EXISTS "${${variable}}")
        unset(${variable} CACHE)  # it has been removed since
    endif()
    if(kind STREQUAL "PROGRAM")
        find_program(${variable} NAMES ${ARGN})
    else()
        cmake_path(GET ARGN PARENT_PATH folder)
        cmake_path(GET ARGN FILENAME name)
        find_file(${variable} NAMES "${name}" PATHS "${folder}" NO_DEFAULT_PATH)
    endif()
    mark_as_advanced(${variable})
    if(NOT ${variable})
        list(GET ARGN 0 name)
        set_property(GLOBAL APPEND PROPERTY RSM_MISSING_FOR_TESTS "${name} (${package})")
    endif()
endfunction()

# rsm_require_test_programs(): an error that names all that is missing.
function(rsm_require_test_programs)
    get_property(missing GLOBAL PROPERTY RSM_MISSING_FOR_TESTS)
    if(NOT missing OR NOT RSM_REQUIRE_TEST_PROGRAMS)
        return()
    endif()
    list(JOIN missing "\n  " missing)
    message(FATAL_ERROR "The tests need what is missing here (in parentheses: Debian's package):\n"
        "  ${missing}\n"
        "scripts/install-deps --tests installs it. With -DRSM_BUILD_TESTS=OFF there are no tests; "
        "with -DRSM_REQUIRE_TEST_PROGRAMS=OFF they are built, and those that miss something fail.")
endfunction()
