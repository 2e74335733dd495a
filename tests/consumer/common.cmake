# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# What the checks of this folder have in common. They are given COMPILER, LAUNCHER, GENERATOR,
# SOURCE_DIR and BINARY_DIR of the main build, VERSION of the library, and where they may WORK.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

# run(<command>...): an error, with all it said, if it fails.
function(run)
    execute_process(COMMAND ${ARGN}
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${ARGN}: ${result}\n${output}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

# configure(<folder> <option>...): with the options of the main build, into WORK/build, anew.
function(configure folder)
    file(REMOVE_RECURSE "${WORK}/build")
    run("${CMAKE_COMMAND}" -S "${folder}" -B "${WORK}/build" -G "${GENERATOR}"
        "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}"
        -DCMAKE_CXX_FLAGS=-O0 "-DRSM_SOURCE_DIR=${SOURCE_DIR}" "-DRSM_VERSION=${VERSION}" ${ARGN})
    set(output "${output}" PARENT_SCOPE)
endfunction()

# expect_all_headers(<include folder>): in it is what is in the sources, byte by byte. So what one
# of the ways to get the library compiles, all of them do.
function(expect_all_headers folder)
    file(GLOB_RECURSE expected RELATIVE "${SOURCE_DIR}/include" "${SOURCE_DIR}/include/*.hpp")
    file(GLOB_RECURSE found RELATIVE "${folder}" "${folder}/*")
    if(NOT found STREQUAL expected)
        list(REMOVE_ITEM expected ${found})
        message(FATAL_ERROR "Not what is in include/: ${folder}; it lacks: ${expected}")
    endif()
    foreach(header IN LISTS expected)
        file(SHA256 "${SOURCE_DIR}/include/${header}" expected_sum)
        file(SHA256 "${folder}/${header}" sum)
        if(NOT sum STREQUAL expected_sum)
            message(FATAL_ERROR "Not what is in include/: ${folder}/${header}")
        endif()
    endforeach()
endfunction()

# use_pkg_config(<prefix>): programs that are compiled by its flags alone run.
function(use_pkg_config prefix)
    set(ENV{PKG_CONFIG_PATH} "${prefix}/share/pkgconfig")
    foreach(component IN ITEMS raft rsm tls)
        set(package rsm-${component})
        if(component STREQUAL "rsm")
            set(package rsm)
        endif()
        run(pkg-config --exact-version=${VERSION} ${package})
        foreach(linking IN ITEMS --print-errors --static)
            run(pkg-config ${linking} --cflags --libs ${package})
            if(output MATCHES "(^| )-l" AND NOT component STREQUAL "tls")
                message(FATAL_ERROR "Headers need no library, but pkg-config says ${output}")
            endif()
        endforeach()
        separate_arguments(flags UNIX_COMMAND "${output}")
        run("${COMPILER}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/${component}_part.cpp" ${flags}
            -o "${WORK}/${component}_part")
        run("${WORK}/${component}_part")
    endforeach()
endfunction()
