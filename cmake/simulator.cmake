# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# rsm_add_simulator(<name>): the part of rsm/sim that does not depend on the user's types, compiled
# in the project that uses it, so that it has the options of everything else there. Only what is
# linked to it is a reason to build it.
function(rsm_add_simulator name)
    add_library(${name} STATIC EXCLUDE_FROM_ALL "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/simulator.cpp")
    target_link_libraries(${name} PUBLIC rsm::rsm)
    # It may end in a shared library, and has no modules that a compiler would have to be asked for.
    set_target_properties(${name} PROPERTIES
        POSITION_INDEPENDENT_CODE ON CXX_SCAN_FOR_MODULES OFF)
    if(TARGET CLI11::CLI11)
        target_link_libraries(${name} PUBLIC CLI11::CLI11)
    endif()
endfunction()
