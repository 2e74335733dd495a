# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# An overlay port of the tree that it lies in: vcpkg install rsm --overlay-ports=packaging/vcpkg/ports
cmake_path(SET SOURCE_PATH NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../../../..")

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DRSM_BUILD_BENCH=OFF
        -DRSM_BUILD_EXAMPLES=OFF
        -DRSM_BUILD_TESTS=OFF
        -DRSM_BUILD_TOOLS=OFF
        -DRSM_INSTALL=ON
        -DRSM_VERIFY_HEADERS=OFF
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/rsm)
vcpkg_fixup_pkgconfig()

# Headers and one source file: the two builds are the same, and there is no library.
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug" "${CURRENT_PACKAGES_DIR}/lib")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
