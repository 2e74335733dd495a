# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Makes the Debian package of headers, unpacks it, and finds the library in what comes out.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

run("${CMAKE_CPACK_COMMAND}" --config "${BINARY_DIR}/CPackConfig.cmake" -G DEB -B "${WORK}"
    -D "CPACK_COMPONENTS_ALL=dev\\;dev_documents")
set(package "${WORK}/librsm-dev_${VERSION}-1_all.deb")
run(dpkg-deb --field "${package}" Depends)
if(NOT output MATCHES "libboost.*, libxxhash-dev")
    message(FATAL_ERROR "The package depends on: ${output}")
endif()
run(dpkg-deb --extract "${package}" "${WORK}/root")
expect_all_headers("${WORK}/root/usr/include")
foreach(document IN ITEMS copyright changelog.Debian.gz)
    if(NOT EXISTS "${WORK}/root/usr/share/doc/librsm-dev/${document}")
        message(FATAL_ERROR "The package lacks its ${document}")
    endif()
endforeach()
configure("${CMAKE_CURRENT_LIST_DIR}" "-DCMAKE_PREFIX_PATH=${WORK}/root/usr")
