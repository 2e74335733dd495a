# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# What `cmake --install` puts where, in two install components: `dev` (what programs are compiled
# with) and `tools` (the programs, where they are built).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Headers and one source file: the same files serve every architecture, so nothing of them goes
# below lib/.
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/rsm")
set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")

# Each in a file of its own, because a consumer that asks for raft alone has no Boost.
foreach(component IN ITEMS raft rsm tls)
    set(file_sets)
    if(component STREQUAL "raft")
        set(file_sets FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev)
    elseif(component STREQUAL "rsm")
        set(file_sets FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
            FILE_SET implementation DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev)
    endif()
    install(TARGETS rsm_${component} EXPORT rsm-${component}-targets ${file_sets})
    install(EXPORT rsm-${component}-targets NAMESPACE rsm:: DESTINATION "${package_dir}"
        COMPONENT dev)
endforeach()

configure_package_config_file(cmake/rsm-config.cmake.in rsm-config.cmake
    INSTALL_DESTINATION "${package_dir}"
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(rsm-config-version.cmake
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/rsm-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/rsm-config-version.cmake"
    cmake/Findxxhash.cmake cmake/simulator.cmake cmake/simulator.cpp
    DESTINATION "${package_dir}" COMPONENT dev)

# The files find their prefix from where they lie, so an installed tree may be moved.
file(RELATIVE_PATH prefix_from_pkgconfig "/${pkgconfig_dir}" "/")
string(REGEX REPLACE "/$" "" prefix_from_pkgconfig "${prefix_from_pkgconfig}")
foreach(name IN ITEMS rsm-raft rsm rsm-tls)
    configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc"
        DESTINATION "${pkgconfig_dir}" COMPONENT dev)
endforeach()
