# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Shows that each header compiles alone, with the developers' warnings (scripts/lint --headers).
#
# One file for each header would compile the lower ones dozens of times. So a header may stand
# below others in one file, if it includes, itself or through what it includes, all that stands above
# it: then nothing that it lacks can come from there. The chains of this kind are found anew whenever
# a header changes.
add_library(verify_headers OBJECT)
target_link_libraries(verify_headers PRIVATE rsm::rsm rsm_developer rsm_unoptimized)
find_package(CLI11 QUIET CONFIG)
if(TARGET CLI11::CLI11)
    target_link_libraries(verify_headers PRIVATE CLI11::CLI11)
endif()

find_package(OpenSSL 3.0 QUIET)
if(TARGET OpenSSL::SSL)
    target_link_libraries(verify_headers PRIVATE OpenSSL::SSL)
endif()

# What each one includes.
set(all_headers)
foreach(path IN LISTS raft_headers rsm_headers)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/include" OUTPUT_VARIABLE header)
    if(header MATCHES "^rsm/transport/tls" AND NOT TARGET OpenSSL::SSL)
        continue()
    endif()
    list(APPEND all_headers ${header})
    file(STRINGS "${path}" lines REGEX "^#include <")
    list(TRANSFORM lines REPLACE "^#include <([^>]*)>.*" "\\1")
    set(includes_${header} ${lines})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${raft_headers} ${rsm_headers})

# reached_<header>: the same, and through others; begun with the number of it, for sorting.
set(sorted)
foreach(header IN LISTS all_headers)
    set(reached)
    set(waiting ${includes_${header}})
    while(waiting)
        list(APPEND reached ${waiting})
        set(next)
        foreach(include IN LISTS waiting)
            list(APPEND next ${includes_${include}})
        endforeach()
        list(REMOVE_DUPLICATES next)
        list(REMOVE_ITEM next ${reached})
        set(waiting ${next})
    endwhile()
    list(REMOVE_DUPLICATES reached)
    set(reached_${header} ${reached})
    list(LENGTH reached count)
    math(EXPR count "10000 + ${count}")
    list(APPEND sorted "${count} ${header}")
endforeach()
list(SORT sorted)
list(TRANSFORM sorted REPLACE "^[0-9]+ " "")

# The longest chain first that a header can be put below.
set(ends)
foreach(header IN LISTS sorted)
    set(above)
    foreach(end IN LISTS ends)
        if(end IN_LIST reached_${header} AND NOT header IN_LIST reached_${end})
            set(above ${end})
            break()
        endif()
    endforeach()
    set(chain_${header} ${chain_${above}} ${header})
    list(REMOVE_ITEM ends "${above}")
    list(PREPEND ends ${header})
endforeach()

foreach(end IN LISTS ends)
    set(text)
    foreach(header IN LISTS chain_${end})
        string(APPEND text "#include <${header}>\n")
    endforeach()
    file(CONFIGURE OUTPUT "verify_headers/${end}.cpp" CONTENT "${text}" @ONLY)
    target_sources(verify_headers PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/verify_headers/${end}.cpp")
endforeach()
