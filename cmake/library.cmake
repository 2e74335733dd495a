# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# The library's targets, and what each needs. A guest in another project says nothing about what it
# finds, looks for nothing that is not asked for (RSM_COMPONENTS), lists its files once, and has its
# headers taken for those of the system, so that its host's warnings are about the host's own files.
set(rsm_known_components raft rsm tls sim)
if(PROJECT_IS_TOP_LEVEL)
    set(rsm_components ${rsm_known_components})
    set(rsm_quiet)
    set(rsm_look_again CONFIGURE_DEPENDS)
else()
    set(rsm_components ${RSM_COMPONENTS})
    set(rsm_quiet QUIET)
    set(rsm_look_again)
endif()
foreach(component IN LISTS rsm_components)
    if(NOT component IN_LIST rsm_known_components)
        message(FATAL_ERROR "RSM_COMPONENTS: rsm has no component ${component}; it has "
            "${rsm_known_components}")
    endif()
endforeach()

# rsm_add_interface(<component> <library>...)
function(rsm_add_interface component)
    add_library(rsm_${component} INTERFACE)
    add_library(rsm::${component} ALIAS rsm_${component})
    target_link_libraries(rsm_${component} INTERFACE ${ARGN})
    set_target_properties(rsm_${component} PROPERTIES EXPORT_NAME ${component})
    if(NOT PROJECT_IS_TOP_LEVEL)
        set_target_properties(rsm_${component} PROPERTIES SYSTEM ON)
    endif()
endfunction()

rsm_add_interface(raft)
set_target_properties(rsm_raft PROPERTIES
    RSM_VERSION "${PROJECT_VERSION}" EXPORT_PROPERTIES RSM_VERSION)
target_compile_features(rsm_raft INTERFACE cxx_std_20)
file(GLOB_RECURSE raft_headers ${rsm_look_again} "${PROJECT_SOURCE_DIR}/include/raft/*.hpp")
target_sources(rsm_raft INTERFACE
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${raft_headers})
if(rsm_components STREQUAL "raft")
    return()
endif()

# GLOBAL, because a project that adds this one as a subdirectory links to these targets from
# its own directory.
list(PREPEND CMAKE_MODULE_PATH "${PROJECT_SOURCE_DIR}/cmake")
find_package(Boost 1.81 REQUIRED GLOBAL ${rsm_quiet})
find_package(Threads REQUIRED GLOBAL ${rsm_quiet})
find_package(xxhash 0.8 REQUIRED MODULE GLOBAL ${rsm_quiet})
list(POP_FRONT CMAKE_MODULE_PATH)

rsm_add_interface(rsm rsm::raft Boost::headers Threads::Threads xxhash::headers)
file(GLOB_RECURSE rsm_headers ${rsm_look_again} "${PROJECT_SOURCE_DIR}/include/rsm/*.hpp")
# This one is a program's part rather than a header, and compiled as such (rsm_add_simulator).
list(FILTER rsm_headers EXCLUDE REGEX "rsm/sim/implementation\\.hpp$")
target_sources(rsm_rsm INTERFACE
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${rsm_headers}
    FILE_SET implementation TYPE HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
        FILES "${PROJECT_SOURCE_DIR}/include/rsm/sim/implementation.hpp")

if("tls" IN_LIST rsm_components)
    # Whoever builds the library by itself may do without: only what uses TLS is then left out.
    if(PROJECT_IS_TOP_LEVEL)
        find_package(OpenSSL 3.0 GLOBAL COMPONENTS SSL Crypto)
    else()
        find_package(OpenSSL 3.0 REQUIRED QUIET GLOBAL COMPONENTS SSL Crypto)
    endif()
    rsm_add_interface(tls rsm::rsm OpenSSL::SSL OpenSSL::Crypto)
endif()

include("${PROJECT_SOURCE_DIR}/cmake/simulator.cmake")
if("sim" IN_LIST rsm_components)
    find_package(CLI11 QUIET CONFIG GLOBAL)
    rsm_add_simulator(rsm_sim)
    add_library(rsm::sim ALIAS rsm_sim)
endif()
