# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# How the project's own programs are compiled. Nothing here reaches the users of the library.
add_library(rsm_developer INTERFACE)
target_compile_options(rsm_developer INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wdouble-promotion -Wimplicit-fallthrough -Wundef
    $<$<BOOL:${RSM_WARNINGS_AS_ERRORS}>:-Werror>)

# GCC's optimizer sees null dereferences inside Asio that do not exist, wherever a program inlines
# it. With GCC, the headers and the tests of raft/ are held to the warning, and programs are not.
add_library(rsm_null_dereference INTERFACE)
target_compile_options(rsm_null_dereference INTERFACE -Wnull-dereference)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_link_libraries(rsm_developer INTERFACE rsm_null_dereference)
endif()

# rsm_add_program(<name> <main file> [<library>...])
function(rsm_add_program name main)
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE rsm::rsm rsm_developer ${ARGN})
endfunction()
