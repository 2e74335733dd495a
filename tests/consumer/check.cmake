# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Builds and runs the project beside this file. WAY is find_package or pkg_config (both after an
# installation into a folder of its own), or add_subdirectory. Uses COMPILER, LAUNCHER, GENERATOR, SOURCE_DIR and
# BINARY_DIR of the main build.
cmake_minimum_required(VERSION 3.25)

set(work "${BINARY_DIR}/consumer/${WAY}")
file(REMOVE_RECURSE "${work}")

if(NOT WAY STREQUAL "add_subdirectory")
    execute_process(
        COMMAND "${CMAKE_COMMAND}" --install "${BINARY_DIR}" --prefix "${work}/prefix"
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    # Where the tree lies must not matter: nothing in it may name the folder it was installed to.
    file(RENAME "${work}/prefix" "${work}/moved")
    set(from "-DCMAKE_PREFIX_PATH=${work}/moved")
else()
    set(from "-DRSM_SOURCE_DIR=${SOURCE_DIR}")
endif()

if(WAY STREQUAL "pkg_config")
    set(ENV{PKG_CONFIG_PATH} "${work}/moved/share/pkgconfig")
    foreach(linking IN ITEMS --print-errors --static)
        execute_process(
            COMMAND pkg-config ${linking} --cflags --libs rsm
            OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
            COMMAND_ERROR_IS_FATAL ANY)
        if(flags MATCHES "(^| )-l")
            message(FATAL_ERROR "Headers alone need no library, but pkg-config says ${flags}")
        endif()
    endforeach()
    separate_arguments(flags UNIX_COMMAND "${flags}")
    foreach(program IN ITEMS raft_consumer consumer)
        set(sources "${CMAKE_CURRENT_LIST_DIR}/${program}.cpp")
        if(program STREQUAL "consumer")
            list(APPEND sources "${CMAKE_CURRENT_LIST_DIR}/second.cpp")
        endif()
        execute_process(
            COMMAND "${COMPILER}" -std=c++20 ${sources} ${flags} -o "${work}/${program}"
            COMMAND_ERROR_IS_FATAL ANY)
        execute_process(COMMAND "${work}/${program}" COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
    return()
endif()

execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${work}/build" -G "${GENERATOR}"
        -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_COMPILER=${COMPILER}"
        "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" ${from}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(
    COMMAND "${CMAKE_COMMAND}" --build "${work}/build"
    COMMAND_ERROR_IS_FATAL ANY)

if(WAY STREQUAL "add_subdirectory")
    # A guest builds nothing but itself.
    file(GLOB programs "${work}/build/rsm/*_tests" "${work}/build/rsm/bin/*")
    if(programs)
        message(FATAL_ERROR "As a subdirectory the project builds ${programs}")
    endif()
endif()

foreach(program IN ITEMS raft_consumer consumer)
    execute_process(COMMAND "${work}/build/${program}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
