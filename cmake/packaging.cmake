# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Debian packages by CPack (scripts/package makes them): librsm-dev, which programs are compiled
# with, for any architecture, and rsm-tools, the programs with their manual pages. Each is an
# install component with another one, of documents that `cmake --install` alone puts nowhere.
set(debian_revision 1)
set(RSM_PACKAGE_CONTACT "The authors of rsm <rsm@localhost.localdomain>" CACHE STRING
    "Who answers for the packages: NAME <ADDRESS>")
mark_as_advanced(RSM_PACKAGE_CONTACT)
set(packaging "${CMAKE_CURRENT_BINARY_DIR}/packaging")

string(TIMESTAMP debian_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(CONFIGURE OUTPUT "${packaging}/changelog.Debian" @ONLY CONTENT
"rsm (@PROJECT_VERSION@-@debian_revision@) unstable; urgency=medium

  * Version @PROJECT_VERSION@: CHANGELOG.md in the sources says what is new.

 -- @RSM_PACKAGE_CONTACT@  @debian_date@
")
find_program(RSM_GZIP gzip)
mark_as_advanced(RSM_GZIP)
if(RSM_GZIP)
    execute_process(COMMAND "${RSM_GZIP}" -9nkf "${packaging}/changelog.Debian")
endif()

# The manual pages say what --help says.
set(rsm_tools kv kv-server rsm-wal rsm-sim check-history)
set(about_kv "asks a key/value service of rsm")
set(about_kv-server "one replica of a linearizable key/value service for Redis clients")
set(about_rsm-wal "looks into the data directory of a node of rsm")
set(about_rsm-sim "simulates clusters of rsm under faults, each from one seed")
set(about_check-history "says whether a history of operations is linearizable")
find_program(RSM_HELP2MAN help2man)
mark_as_advanced(RSM_HELP2MAN)
add_custom_target(man_pages)
foreach(program IN LISTS rsm_tools)
    if(NOT TARGET ${program})
        continue()
    endif()
    install(TARGETS ${program} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
        COMPONENT tools OPTIONAL)
    set(page "${packaging}/${program}.1")
    # By its name alone, so that no folder of the build is in the page.
    add_custom_command(TARGET man_pages POST_BUILD VERBATIM
        COMMAND "${CMAKE_COMMAND}" -E env --modify "PATH=path_list_prepend:$<TARGET_FILE_DIR:${program}>"
            "${RSM_HELP2MAN}" --no-info "--name=${about_${program}}"
            "--version-string=${PROJECT_VERSION}" "--output=${page}" ${program}
        COMMAND "${RSM_GZIP}" -9nf "${page}")
    add_dependencies(man_pages ${program})
    install(FILES "${page}.gz" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1"
        COMPONENT tools OPTIONAL)
endforeach()

set(package_dev librsm-dev)
set(package_tools rsm-tools)
foreach(component IN ITEMS dev tools)
    install(FILES packaging/debian/copyright "${packaging}/changelog.Debian.gz"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${package_${component}}"
        COMPONENT ${component}_documents EXCLUDE_FROM_ALL)
    string(TOUPPER ${component} upper)
    set(CPACK_COMPONENT_${upper}_GROUP ${component})
    set(CPACK_COMPONENT_${upper}_DOCUMENTS_GROUP ${component})
    set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package_${component}})
    list(APPEND CPACK_COMPONENTS_ALL ${component} ${component}_documents)
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "${RSM_PACKAGE_CONTACT}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${debian_revision})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE rsm)

set(CPACK_DEBIAN_DEV_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libboost1.81-dev | libboost-dev (>= 1.81), libxxhash-dev (>= 0.8)")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "libssl-dev (>= 3.0), libcli11-dev")
set(CPACK_COMPONENT_DEV_DESCRIPTION
"Headers: what makes any deterministic state machine of a program replicated,
durable and linearizable, in C++20, and the simulator to try it with.
.
libssl-dev is for TLS between the nodes, libcli11-dev for the command line of
programs that simulate.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION database)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION
"Programs: a durable, linearizable key/value service that speaks the Redis
protocol, its command line, and what looks into data directories, simulates
clusters and checks histories.")
include(CPack)
