# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Builds and runs the project in host/, whose guest the library is.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

configure("${CMAKE_CURRENT_LIST_DIR}/host" -DCMAKE_BUILD_TYPE=None)
if(NOT output MATCHES "-- the guests come\n-- the guests are there\n")
    message(FATAL_ERROR "The library is not silent:\n${output}")
endif()
file(READ "${WORK}/build/_deps/rsm-build/cmake_install.cmake" rules)
if(rules MATCHES "file\\(INSTALL")
    message(FATAL_ERROR "The library installs something into its host's tree")
endif()
run("${CMAKE_COMMAND}" --build "${WORK}/build")
if(output MATCHES "warning")
    message(FATAL_ERROR "${output}")
endif()
run("${WORK}/build/two/consumer")

# Another version than the one that is there already is refused with both named.
execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/other_version" -B "${WORK}/other"
        "-DRSM_SOURCE_DIR=${SOURCE_DIR}"
    RESULT_VARIABLE result ERROR_VARIABLE error OUTPUT_QUIET)
if(result EQUAL 0 OR NOT error MATCHES "has rsm 0.0.1 already, and now gets *\n? *another version")
    message(FATAL_ERROR "Two versions in one project: ${result}\n${error}")
endif()
