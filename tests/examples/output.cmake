# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Whether an example ends well and says what docs/examples.md shows below the line "$ examples NAME".
# cmake -DPROGRAM=<program> -DNAME=<example> -DPAGE=<page> -P output.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND "${PROGRAM}" "${NAME}" OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
message("${said}")
file(READ "${PAGE}" page)
set(command "\n\$ examples ${NAME}\n")
string(FIND "${page}" "${command}" begin)
if(begin EQUAL -1)
    message(FATAL_ERROR "${PAGE} does not show what ${NAME} says")
endif()
string(LENGTH "${command}" length)
math(EXPR begin "${begin} + ${length}")
string(SUBSTRING "${page}" ${begin} -1 shown)
string(FIND "${shown}" "```" end)
string(SUBSTRING "${shown}" 0 ${end} shown)
# Who leads, and how many entries a log has, is another one each time.
string(REGEX REPLACE "[0-9]+" "N" shown "${shown}")
string(REGEX REPLACE "[0-9]+" "N" said "${said}")
if(NOT said STREQUAL shown)
    message(FATAL_ERROR "${PAGE} shows something else")
endif()
