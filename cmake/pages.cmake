# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
#   cmake -P cmake/pages.cmake             writes the headers that carry pages
#   cmake -DCHECK=ON -P cmake/pages.cmake  fails if a header is not what its page's files say
#
# Pages are files: HTML, CSS and JavaScript. Of each, the first line stays away: it is the license's.
cmake_minimum_required(VERSION 3.25)

set(headers "${CMAKE_CURRENT_LIST_DIR}/../include/rsm")
# What some compilers take at most of a literal is 16 KB.
set(literal_bytes_max 16000)

# read_part(<variable> <file>): what is in it.
function(read_part variable file)
    file(READ "${file}" content)
    string(FIND "${content}" "\n" first_end)
    math(EXPR begin "${first_end} + 1")
    string(SUBSTRING "${content}" ${begin} -1 content)
    set(${variable} "${content}" PARENT_SCOPE)
endfunction()

# append_literal(<variable> <name> <content>): as C++ has it; the name is for complaints.
function(append_literal variable name content)
    string(LENGTH "${content}" length)
    if(length GREATER literal_bytes_max)
        message(FATAL_ERROR "${name} has ${length} bytes; make two parts of it")
    endif()
    set(${variable} "${${variable}}R\"page(${content})page\"" PARENT_SCOPE)
endfunction()

# write_header(<header> <guard> <purpose> <namespace> <definitions>): or compares it.
function(write_header header guard purpose namespace definitions)
    string(REGEX REPLACE "::inline [a-z0-9]+" "" closed "${namespace}")
    set(text "// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
${purpose}
#ifndef ${guard}
#define ${guard}

#include <string_view>

namespace ${namespace} {

// clang-format off
${definitions}// clang-format on

}  // namespace ${closed}

#endif
")
    if(NOT CHECK)
        file(WRITE "${header}" "${text}")
        return()
    endif()
    file(READ "${header}" known)
    if(NOT known STREQUAL text)
        message(FATAL_ERROR "The page is not what its files say: ${header}\n"
            "Run: cmake -P cmake/pages.cmake")
    endif()
endfunction()

# A trace's page is put together when a trace is written: each file is a constant.
set(definitions "")
foreach(part IN ITEMS style.css body.html model.js draw.js marks.js input.js panel.js)
    read_part(content "${headers}/sim/trace/page/${part}")
    string(REPLACE "." "_" name "page_${part}")
    string(APPEND definitions "inline constexpr std::string_view ${name} = ")
    append_literal(definitions "${part}" "${content}")
    string(APPEND definitions ";\n\n")
endforeach()
write_header("${headers}/sim/trace/detail/page_parts.hpp" RSM_SIM_TRACE_DETAIL_PAGE_PARTS_HPP
"// The fixed parts of a trace's page. Written by cmake/pages.cmake from the files in
// rsm/sim/trace/page: change those, and run it again."
    "rsm::inline v0::sim::detail" "${definitions}")

# The status page is whole: what page.html marks is replaced by the files.
set(page "${headers}/admin/page")
read_part(rest "${page}/page.html")
set(definitions "inline constexpr std::string_view status_page_html =")
foreach(part IN ITEMS style.css words.js model.js verdict.js chart.js view.js poll.js)
    string(FIND "${rest}" "@${part}@\n" place)
    if(place EQUAL -1)
        message(FATAL_ERROR "page.html has no place for ${part}")
    endif()
    string(SUBSTRING "${rest}" 0 ${place} before)
    string(LENGTH "@${part}@\n" length)
    math(EXPR place "${place} + ${length}")
    string(SUBSTRING "${rest}" ${place} -1 rest)
    read_part(content "${page}/${part}")
    if(before)
        string(APPEND definitions "\n    ")
        append_literal(definitions page.html "${before}")
    endif()
    string(APPEND definitions "\n    ")
    append_literal(definitions "${part}" "${content}")
endforeach()
string(APPEND definitions "\n    ")
append_literal(definitions page.html "${rest}")
string(APPEND definitions ";\n\n")
write_header("${headers}/admin/status_page.hpp" RSM_ADMIN_STATUS_PAGE_HPP
"// The status page of a node: one HTML document that loads nothing but status.json, each second.
// Written by cmake/pages.cmake from the files in rsm/admin/page: change those, and run it again."
    "rsm::inline v0" "${definitions}")
