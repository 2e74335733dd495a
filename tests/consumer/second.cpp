// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A second translation unit with all headers: the program links only if they define nothing twice.
#include <rsm/rsm.hpp>

std::int64_t second() { return rsm::kibibytes(1); }
