# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Fails where a header below INCLUDE opens a namespace of the library past the inline namespace of
# the version MAJOR: what two versions of the library declare must never be taken for one another
# by a linker.
cmake_minimum_required(VERSION 3.25)

set(opened 0)
file(GLOB_RECURSE headers "${INCLUDE}/*.hpp")
foreach(header IN LISTS headers)
    file(STRINGS "${header}" lines REGEX "^ *(inline )?namespace +(rsm|raft)")
    foreach(line IN LISTS lines)
        if(NOT line MATCHES "^namespace (rsm|raft)::inline v${MAJOR}(::[a-z_:]+)? {$")
            message(SEND_ERROR "${header}: ${line}")
        endif()
        math(EXPR opened "${opened} + 1")
    endforeach()
endforeach()
if(opened LESS 100)
    message(SEND_ERROR "No more than ${opened} places were found where a namespace is opened")
endif()
