# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Fails where a rule of RULES (rsm/sim/rules/rule.hpp) has no row in the table of PAGE
# (docs/simulation.md) that says something of it. Rows may name several, with commas.
cmake_minimum_required(VERSION 3.25)

file(READ "${RULES}" rules)
string(REGEX REPLACE "^.*rule_names{" "" names "${rules}")
string(REGEX MATCHALL "\"[^\"]+\"" names "${names}")
file(STRINGS "${PAGE}" rows REGEX "^\\| [a-z][^|]*\\| [^0-9]")
set(told "")
foreach(row IN LISTS rows)
    string(REGEX REPLACE "^\\| ([^|]+) \\|.*" "\\1" cell "${row}")
    string(REPLACE ", " ";" cell "${cell}")
    list(APPEND told ${cell})
endforeach()
list(LENGTH names count)
if(count LESS 20)
    message(SEND_ERROR "No more than ${count} rules were found in ${RULES}")
endif()
foreach(name IN LISTS names)
    string(REPLACE "\"" "" name "${name}")
    if(NOT name IN_LIST told)
        message(SEND_ERROR "${PAGE} does not say what the rule \"${name}\" says")
    endif()
endforeach()
