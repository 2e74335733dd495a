# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# How the project's own programs are compiled. Nothing here reaches the users of the library.
add_library(rsm_developer INTERFACE)
target_compile_options(rsm_developer INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wdouble-promotion -Wimplicit-fallthrough -Wundef
    $<$<BOOL:${RSM_WARNINGS_AS_ERRORS}>:-Werror>)

# GCC's optimizer sees null dereferences inside Asio that do not exist, wherever a program inlines
# it. With GCC, the tests of raft/ are held to the warning, and other programs are not.
add_library(rsm_null_dereference INTERFACE)
target_compile_options(rsm_null_dereference INTERFACE -Wnull-dereference)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_link_libraries(rsm_developer INTERFACE rsm_null_dereference)
endif()

# Most tests wait or do little: the compiler's work at them would take longer than it saves. Those
# that do more than a little are optimized, but hardly.
add_library(rsm_unoptimized INTERFACE)
target_compile_options(rsm_unoptimized INTERFACE $<$<CONFIG:Release>:-O0>)
add_library(rsm_hardly_optimized INTERFACE)
target_compile_options(rsm_hardly_optimized INTERFACE $<$<CONFIG:Release>:-O1>)

# GCC collects its garbage all the time in files that use Asio, unless it may take some memory.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(rsm_developer INTERFACE "SHELL:--param ggc-min-heapsize=1000000")
endif()

# rsm_add_program(<name> <main file> [<library>...])
function(rsm_add_program name main)
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE rsm::rsm rsm_developer ${ARGN})
endfunction()
