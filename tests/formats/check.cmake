# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# cmake -DPROGRAM=<test_programs> -DDIRECTORY=<new> -P check.cmake: whether the program writes a
# directory with the same kinds of files, of the same format versions, as the newest that is kept.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${DIRECTORY}")
execute_process(COMMAND "${PROGRAM}" write_formats "${DIRECTORY}" RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "${PROGRAM} fails: ${failed}")
endif()

# The format version of each kind of file: 4 bytes at offset 8.
function(versions_in directory result)
    set(found "")
    foreach(kind "*.wal" "*.snapshot" "identity")
        file(GLOB files "${directory}/${kind}")
        if(NOT files)
            message(FATAL_ERROR "${directory} has no ${kind}")
        endif()
        list(GET files 0 first)
        file(READ "${first}" version OFFSET 8 LIMIT 4 HEX)
        list(APPEND found "${kind} ${version}")
    endforeach()
    set(${result} "${found}" PARENT_SCOPE)
endfunction()

file(GLOB kept LIST_DIRECTORIES true "${CMAKE_CURRENT_LIST_DIR}/[0-9]*")
list(SORT kept COMPARE NATURAL)
list(GET kept -1 newest)
versions_in("${newest}" expected)
versions_in("${DIRECTORY}" written)
if(NOT written STREQUAL expected)
    message(FATAL_ERROR "the formats are ${written} now, and the newest directory that is kept, "
        "${newest}, has ${expected}: keep one of the new formats beside it")
endif()
