# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Builds and runs the project beside this file. WAY is find_package (after an installation into a
# folder of its own) or add_subdirectory. Uses COMPILER, LAUNCHER, GENERATOR, SOURCE_DIR and
# BINARY_DIR of the main build.
cmake_minimum_required(VERSION 3.25)

set(work "${BINARY_DIR}/consumer/${WAY}")
file(REMOVE_RECURSE "${work}")

if(WAY STREQUAL "find_package")
    execute_process(
        COMMAND "${CMAKE_COMMAND}" --install "${BINARY_DIR}" --prefix "${work}/prefix"
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    # Where the tree lies must not matter: nothing in it may name the folder it was installed to.
    file(RENAME "${work}/prefix" "${work}/moved")
    set(from "-DCMAKE_PREFIX_PATH=${work}/moved")
else()
    set(from "-DRSM_SOURCE_DIR=${SOURCE_DIR}")
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
