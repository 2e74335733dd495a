# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
#   cmake -P cmake/trace_page.cmake             writes the header that carries the trace's page
#   cmake -DCHECK=ON -P cmake/trace_page.cmake  fails if the header is not what its parts say
#
# The parts are the files of include/rsm/sim/trace/page. Of each, the first line stays away: it is
# the license's.
cmake_minimum_required(VERSION 3.25)

set(trace "${CMAKE_CURRENT_LIST_DIR}/../include/rsm/sim/trace")
set(header "${trace}/detail/page_parts.hpp")
set(parts style.css body.html model.js draw.js marks.js input.js panel.js)
# What some compilers take at most of a literal is 16 KB.
set(part_bytes_max 16000)

set(text [[
// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The fixed parts of a trace's page. Written by cmake/trace_page.cmake from the files in
// rsm/sim/trace/page: change those, and run it again.
#ifndef RSM_SIM_TRACE_DETAIL_PAGE_PARTS_HPP
#define RSM_SIM_TRACE_DETAIL_PAGE_PARTS_HPP

#include <string_view>

namespace rsm::inline v0::sim::detail {

// clang-format off
]])
foreach(part IN LISTS parts)
    file(READ "${trace}/page/${part}" content)
    string(FIND "${content}" "\n" first_end)
    math(EXPR begin "${first_end} + 1")
    string(SUBSTRING "${content}" ${begin} -1 content)
    string(LENGTH "${content}" length)
    if(length GREATER part_bytes_max)
        message(FATAL_ERROR "${part} has ${length} bytes; make two parts of it")
    endif()
    string(REPLACE "." "_" name "page_${part}")
    string(APPEND text
        "inline constexpr std::string_view ${name} = R\"page(${content})page\";\n\n")
endforeach()
string(APPEND text [[
// clang-format on

}  // namespace rsm::sim::detail

#endif
]])

if(CHECK)
    file(READ "${header}" known)
    if(NOT known STREQUAL text)
        message(FATAL_ERROR "The trace's page is not what its parts say: ${header}\n"
            "Run: cmake -P cmake/trace_page.cmake")
    endif()
else()
    file(MAKE_DIRECTORY "${trace}/detail")
    file(WRITE "${header}" "${text}")
endif()
