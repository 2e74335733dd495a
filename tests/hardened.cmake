# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# Whether programs are built as SECURITY.md says: cmake -DREADELF=... -DPROGRAMS=a,b -P hardened.cmake
# -DFORTIFIED=OFF: not optimized, so without fortified functions.
string(REPLACE "," ";" PROGRAMS "${PROGRAMS}")
foreach(program IN LISTS PROGRAMS)
    execute_process(COMMAND "${READELF}" --file-header --program-headers --dynamic --wide "${program}"
        OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND "${READELF}" --dyn-syms --wide "${program}"
        OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    set(missing "")
    if(NOT said MATCHES "Type:[ ]+DYN" OR NOT said MATCHES "FLAGS_1\\)[^\n]*PIE")
        list(APPEND missing "a place of its own choice (PIE)")
    endif()
    if(NOT said MATCHES "GNU_RELRO" OR NOT said MATCHES "FLAGS_1\\)[^\n]*NOW")
        list(APPEND missing "tables that are read-only once it runs (relro, now)")
    endif()
    if(said MATCHES "GNU_STACK[^\n]*RWE")
        list(APPEND missing "a stack that is not executed")
    endif()
    if(NOT symbols MATCHES "__stack_chk_fail")
        list(APPEND missing "a protected stack")
    endif()
    if(FORTIFIED AND NOT symbols MATCHES "_chk@")
        list(APPEND missing "fortified functions")
    endif()
    if(missing)
        list(JOIN missing ", " missing)
        message(SEND_ERROR "${program} lacks ${missing}")
    endif()
endforeach()
