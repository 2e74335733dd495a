# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Whether the CMakeLists.txt that docs/examples.md gives for an example in a project of its own finds
# the installed library and the copied files. That such a project compiles, the tests of consumers
# show. Uses COMPILER, GENERATOR, SOURCE_DIR and BINARY_DIR of the main build.
cmake_minimum_required(VERSION 3.25)
set(work "${BINARY_DIR}/examples_copied_out")
file(REMOVE_RECURSE "${work}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BINARY_DIR}" --prefix "${work}/prefix"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(READ "${SOURCE_DIR}/docs/examples.md" page)
if(NOT page MATCHES "\n```cmake\n([^`]*)```\n")
    message(FATAL_ERROR "docs/examples.md has no CMakeLists.txt")
endif()
file(WRITE "${work}/locks/CMakeLists.txt" "${CMAKE_MATCH_1}")
if(NOT page MATCHES "\ncp -r ([^\n]*) locks\n")
    message(FATAL_ERROR "docs/examples.md does not say what to copy")
endif()
string(REPLACE " " ";" copied "${CMAKE_MATCH_1}")
list(TRANSFORM copied PREPEND "${SOURCE_DIR}/")
file(COPY ${copied} DESTINATION "${work}/locks")
execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${work}/locks" -B "${work}/build" -G "${GENERATOR}"
        "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_PREFIX_PATH=${work}/prefix"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
