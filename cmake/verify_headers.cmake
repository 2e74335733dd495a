# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Compiles each header alone, with the developers' warnings, as a part of the default build.
#
# CMake makes the targets for this at the end of its run, out of the options of this directory.
# Subdirectories that come later would inherit the options, so this comes after them.
get_target_property(developer_options rsm_developer INTERFACE_COMPILE_OPTIONS)
set_property(DIRECTORY APPEND PROPERTY COMPILE_OPTIONS ${developer_options} -Wnull-dereference)
add_custom_target(verify_headers ALL)
add_dependencies(verify_headers all_verify_interface_header_sets)
