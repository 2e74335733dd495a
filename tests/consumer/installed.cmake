# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Installs the library and uses it from there, with CMake and by pkg-config's flags.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

run("${CMAKE_COMMAND}" --install "${BINARY_DIR}" --component dev --prefix "${WORK}/prefix")
# Where the tree lies must not matter: nothing in it may name the folder it was installed to.
file(RENAME "${WORK}/prefix" "${WORK}/moved")
expect_all_headers("${WORK}/moved/include")
use_pkg_config("${WORK}/moved")

configure("${CMAKE_CURRENT_LIST_DIR}" "-DCMAKE_PREFIX_PATH=${WORK}/moved"
    "-DCONSUMER_SIMULATES=${SIMULATES}" "-DEXAMPLES=${SOURCE_DIR}/examples")
run("${CMAKE_COMMAND}" --build "${WORK}/build")
foreach(component IN ITEMS raft rsm tls)
    run("${WORK}/build/${component}_part")
endforeach()
if(SIMULATES)
    run("${WORK}/build/sim_part" --help)
endif()
