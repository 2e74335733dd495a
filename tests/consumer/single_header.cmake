# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# The header that scripts/single-header writes: the same each time, and compiled alone in two files
# of one program, of which one also includes the headers that it was made of.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

set(script "${SOURCE_DIR}/scripts/single-header")
run("${script}" "${WORK}/raft.hpp")
run("${script}")
file(WRITE "${WORK}/again.hpp" "${output}")
file(READ "${WORK}/raft.hpp" header)
if(NOT header STREQUAL output OR NOT header MATCHES "raft of rsm ${VERSION}, all in one header")
    message(FATAL_ERROR "The single header is not of ${VERSION}, or another one each time")
endif()

if(header MATCHES "#include [<\"](raft|rsm|boost)/[^\n]*")
    message(FATAL_ERROR "The single header includes another one: ${CMAKE_MATCH_0}")
endif()

set(flags -O0 -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
    "-I${WORK}" -c)
set(folder "${CMAKE_CURRENT_LIST_DIR}/single_header")
run("${COMPILER}" -std=c++20 ${flags} "${folder}/alone.cpp" -o "${WORK}/alone.o")
run("${COMPILER}" -std=c++2b ${flags} "-I${SOURCE_DIR}/include" "${folder}/beside.cpp"
    -o "${WORK}/beside.o")
run("${COMPILER}" "${WORK}/alone.o" "${WORK}/beside.o" -o "${WORK}/program")
run("${WORK}/program")
