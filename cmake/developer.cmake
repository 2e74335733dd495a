# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# How the project's own programs are compiled. Nothing here reaches the users of the library.
add_library(rsm_developer INTERFACE)
target_compile_options(rsm_developer INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wdouble-promotion -Wimplicit-fallthrough -Wundef
    $<$<BOOL:${RSM_WARNINGS_AS_ERRORS}>:-Werror>)

# GCC's optimizer sees null dereferences inside Asio that do not exist, wherever a program inlines
# it. With GCC, the algorithm of raft/ by itself is held to the warning, and programs are not.
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

# For programs that stand in a network, where the compiler has it: what makes a mistake in memory an
# end rather than a way in. Overflows of the stack and of known buffers are noticed, addresses cannot
# be known before, and the tables of the linker cannot be written once the program runs. A sanitizer
# has its own ways, and no fortified functions without optimization.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)
set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,-z,relro,-z,now)
check_cxx_compiler_flag(-fstack-protector-strong RSM_HAS_RELRO_AND_STACK_PROTECTOR)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
string(FIND "${CMAKE_CXX_FLAGS}" -fsanitize= sanitizer)
add_library(rsm_hardened INTERFACE)
if(sanitizer EQUAL -1 AND RSM_HAS_RELRO_AND_STACK_PROTECTOR)
    target_compile_options(rsm_hardened INTERFACE
        -fstack-protector-strong $<$<CONFIG:Release>:-U_FORTIFY_SOURCE>
        $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
    target_link_options(rsm_hardened INTERFACE -Wl,-z,relro,-z,now)
    set(RSM_IS_HARDENED ON)
endif()

# rsm_harden(<program>...)
function(rsm_harden)
    set_target_properties(${ARGN} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    foreach(program IN LISTS ARGN)
        target_link_libraries(${program} PRIVATE rsm_hardened)
    endforeach()
endfunction()

# rsm_add_program(<name> <main file> [<library>...])
function(rsm_add_program name main)
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE rsm::rsm rsm_developer ${ARGN})
endfunction()

# rsm_compile_together(<target> <count>): its files, so many at a time, because the templates that
# they have in common take longer than the rest. -DCMAKE_UNITY_BUILD=OFF compiles each by itself.
function(rsm_compile_together target count)
    if(NOT DEFINED CMAKE_UNITY_BUILD)
        set_target_properties(${target} PROPERTIES UNITY_BUILD ON)
    endif()
    set_target_properties(${target} PROPERTIES UNITY_BUILD_BATCH_SIZE ${count})
endfunction()
