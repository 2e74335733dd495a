# Distributed under the Boost Software License, Version 1.0. See LICENSE.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Headers only: the same files serve every architecture, so nothing goes below lib/.
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/rsm")

install(TARGETS rsm_raft rsm_rsm EXPORT rsm-targets
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    FILE_SET implementation DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT rsm-targets NAMESPACE rsm:: DESTINATION "${package_dir}")

configure_package_config_file(cmake/rsm-config.cmake.in rsm-config.cmake
    INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(rsm-config-version.cmake
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/rsm-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/rsm-config-version.cmake"
    cmake/Findxxhash.cmake
    DESTINATION "${package_dir}")

# The file finds its prefix from where it lies, so an installed tree may be moved.
file(RELATIVE_PATH prefix_from_pkgconfig
    "/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" prefix_from_pkgconfig "${prefix_from_pkgconfig}")
configure_file(cmake/rsm.pc.in rsm.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/rsm.pc"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
