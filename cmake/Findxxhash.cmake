# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Defines xxhash::headers. The library uses xxhash inlined from its header, so that there is
# nothing to link; and not every distribution's package brings a CMake file.
find_path(xxhash_INCLUDE_DIR xxhash.h)
mark_as_advanced(xxhash_INCLUDE_DIR)

# XXH3 became stable in 0.8.0.
if(xxhash_INCLUDE_DIR)
    file(STRINGS "${xxhash_INCLUDE_DIR}/xxhash.h" xxhash_version_lines
        REGEX "^#define XXH_VERSION_(MAJOR|MINOR|RELEASE) +[0-9]+")
    list(TRANSFORM xxhash_version_lines REPLACE "[^0-9]" "")
    list(JOIN xxhash_version_lines "." xxhash_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(xxhash
    REQUIRED_VARS xxhash_INCLUDE_DIR VERSION_VAR xxhash_VERSION)

if(xxhash_FOUND AND NOT TARGET xxhash::headers)
    add_library(xxhash::headers INTERFACE IMPORTED)
    target_include_directories(xxhash::headers INTERFACE "${xxhash_INCLUDE_DIR}")
endif()
