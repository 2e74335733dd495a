# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Compiles each mistake of mistakes.cpp with COMPILER, and fails where the first error is not the
# sentence that stands there, or where there is none. COMPILER_NAME is "GNU 12.2.0", for example;
# INCLUDE is the folder of the headers, WORK one for files of this script.
cmake_minimum_required(VERSION 3.25)

set(ENV{LC_ALL} C)
file(MAKE_DIRECTORY "${WORK}")
string(REGEX REPLACE "^GNU ([0-9]+).*" "GCC \\1" compiler "${COMPILER_NAME}")
set(compile "${COMPILER}" -fsyntax-only -Wfatal-errors "-I${INCLUDE}")  # ends at the first

# expect_first_error(<what> <sentence> <argument>...): an empty sentence: no error.
function(expect_first_error what sentence)
    execute_process(COMMAND ${compile} ${ARGN}
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE output)
    string(REGEX MATCH "[^\n]*error:[^\n]*" first "${output}")
    string(FIND "${first}" "${sentence}" place)
    if(sentence STREQUAL "" AND failed)
        message(SEND_ERROR "${what}: must compile, but: ${first}")
    elseif(NOT sentence STREQUAL "" AND (NOT failed OR place EQUAL -1))
        message(SEND_ERROR "${what}: the first error must say \"${sentence}\", but is: ${first}")
    endif()
endfunction()

# The headers take most of the time: once.
set(common "${WORK}/common.hpp")
file(COPY "${CMAKE_CURRENT_LIST_DIR}/common.hpp" "${CMAKE_CURRENT_LIST_DIR}/mistakes.cpp"
    DESTINATION "${WORK}")
if(COMPILER_NAME MATCHES "^GNU")
    set(compiled "${common}.gch")
    set(use_compiled "-I${WORK}")
else()
    set(compiled "${WORK}/common.pch")
    set(use_compiled -include-pch "${compiled}")
endif()
execute_process(
    COMMAND "${COMPILER}" -std=c++20 "-I${INCLUDE}" -x c++-header "${common}" -o "${compiled}"
    COMMAND_ERROR_IS_FATAL ANY)

file(STRINGS "${WORK}/mistakes.cpp" mistakes REGEX "^// MISTAKE ")
foreach(mistake IN LISTS mistakes)
    string(REGEX MATCH "^// MISTAKE ([a-z_]+)(, ([^:]*))?: ?(.*)$" matched "${mistake}")
    set(name "${CMAKE_MATCH_1}")
    set(only "${CMAKE_MATCH_3}")
    set(sentence "${CMAKE_MATCH_4}")
    if(only AND NOT only STREQUAL compiler)
        set(sentence "")
    endif()
    file(STRINGS "${WORK}/mistakes.cpp" lines REGEX "MISTAKE|^struct Machine")
    string(REGEX MATCH "// MISTAKE ${name}[,:][^;]*;struct Machine" in_machine "${lines}")
    set(defines "-DMISTAKE_${name}")
    if(in_machine)
        list(APPEND defines -DMISTAKE_IN_MACHINE)
    endif()
    expect_first_error(${name} "${sentence}" -std=c++20 ${use_compiled} ${defines}
        "${WORK}/mistakes.cpp")
endforeach()

foreach(header IN ITEMS raft/raft.hpp rsm/rsm.hpp)
    file(WRITE "${WORK}/older.cpp" "#include <${header}>\n")
    expect_first_error("C++17 and ${header}" "needs C++20" -std=c++17 "${WORK}/older.cpp")
endforeach()
