# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Fails where a header of raft/ includes anything but raft/ and the standard library: by what the
# compiler COMPILER opens for raft/raft.hpp, and by what each header says. INCLUDE is the folder
# of the headers.
cmake_minimum_required(VERSION 3.25)

execute_process(
    COMMAND "${COMPILER}" -std=c++20 -M -x c++ "-I${INCLUDE}" "${INCLUDE}/raft/raft.hpp"
    OUTPUT_VARIABLE rule
    COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\\\n" " " rule "${rule}")
string(REGEX REPLACE "^[^:]*:" "" rule "${rule}")
separate_arguments(files UNIX_COMMAND "${rule}")

set(own 0)
set(others 0)
foreach(file IN LISTS files)
    cmake_path(ABSOLUTE_PATH file NORMALIZE)
    cmake_path(IS_PREFIX INCLUDE "${file}" NORMALIZE is_ours)
    if(is_ours)
        cmake_path(RELATIVE_PATH file BASE_DIRECTORY "${INCLUDE}" OUTPUT_VARIABLE file)
    endif()
    if(is_ours AND file MATCHES "^raft/")
        math(EXPR own "${own} + 1")
    elseif(is_ours OR file MATCHES "/(boost|rsm)/|/xxhash\\.h$")
        message(SEND_ERROR "raft/raft.hpp reaches ${file}")
    else()
        math(EXPR others "${others} + 1")
    endif()
endforeach()
if(own LESS 10 OR others LESS 10)
    message(SEND_ERROR "The compiler's list of dependencies cannot be right: ${rule}")
endif()

file(GLOB_RECURSE headers "${INCLUDE}/raft/*.hpp")
foreach(header IN LISTS headers)
    file(STRINGS "${header}" includes REGEX "^ *# *include")
    foreach(line IN LISTS includes)
        if(NOT line MATCHES "^#include <(raft/[a-z_/]+\\.hpp|[a-z_]+)>$")
            message(SEND_ERROR "${header}: ${line}")
        endif()
    endforeach()
endforeach()

message(STATUS "${own} headers of raft/, ${others} of the compiler's")
