# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Compiles the C++ of README and of PAGE, which goes on from it, with COMPILER, in the surroundings of readme.cpp. What a snippet defines
# goes to <number>_outside.inc, the statements below that to <number>_inside.inc, in WORK.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
file(READ "${README}" rest)
file(READ "${PAGE}" page)
string(APPEND rest "${page}")
set(number 0)
while(rest MATCHES "\n```cpp\n")
    string(FIND "${rest}" "\n```cpp\n" begin)
    math(EXPR begin "${begin} + 8")
    string(SUBSTRING "${rest}" ${begin} -1 rest)
    string(FIND "${rest}" "\n```\n" end)
    string(SUBSTRING "${rest}" 0 ${end} snippet)
    string(SUBSTRING "${rest}" ${end} -1 rest)
    math(EXPR number "${number} + 1")

    string(FIND "${snippet}" "\n};\n" definitions REVERSE)
    if(definitions EQUAL -1)
        set(definitions 0)
    else()
        math(EXPR definitions "${definitions} + 4")
    endif()
    string(SUBSTRING "${snippet}" 0 ${definitions} outside)
    string(SUBSTRING "${snippet}" ${definitions} -1 inside)
    file(WRITE "${WORK}/${number}_outside.inc" "${outside}")
    file(WRITE "${WORK}/${number}_inside.inc" "${inside}\n")
endwhile()
if(NOT number EQUAL 4)
    message(FATAL_ERROR "README and ${PAGE} have ${number} snippets, and tests/readme/readme.cpp takes in 4")
endif()

execute_process(
    COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -Wno-unused-variable
        "-I${INCLUDE}" "-I${WORK}" "${CMAKE_CURRENT_LIST_DIR}/readme.cpp"
    COMMAND_ERROR_IS_FATAL ANY)
