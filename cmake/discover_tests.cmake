# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# rsm_discover_tests(<target> <prefix> [<argument>...]): makes each doctest case of an executable
# a test of its own, called with the arguments, so that ctest counts cases. The executable itself
# writes the list (tests/support/main.cpp) after each build; doctest's own CMake module trips over
# semicolons and brackets in names.
function(rsm_discover_tests target prefix)
    set(cases "${CMAKE_CURRENT_BINARY_DIR}/${target}_cases.cmake")
    set(script "${CMAKE_CURRENT_BINARY_DIR}/${target}_tests.cmake")
    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND ${target} --reporters=ctest --list-test-cases "--out=${cases}"
        BYPRODUCTS "${cases}" VERBATIM)
    list(JOIN ARGN " " arguments)
    file(GENERATE OUTPUT "${script}" CONTENT
"function(rsm_add_case name filter)
    add_test(\"${prefix}: \${name}\" \"$<TARGET_FILE:${target}>\" \"\${filter}\" ${arguments})
    set_tests_properties(\"${prefix}: \${name}\" PROPERTIES
        TIMEOUT ${RSM_TEST_TIMEOUT} LABELS ${prefix})
endfunction()
if(EXISTS \"${cases}\")
    include(\"${cases}\")
else()
    add_test(${target}_not_built ${target}_not_built)
endif()
")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${script}")
endfunction()
