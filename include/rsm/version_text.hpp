// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The library's version, for people.
#ifndef RSM_VERSION_TEXT_HPP
#define RSM_VERSION_TEXT_HPP

#include <rsm/version.hpp>

#include <string>

namespace rsm::inline v0 {

/// As in "0.2.0".
inline std::string version_text() {
    return std::to_string(RSM_VERSION_MAJOR) + '.' + std::to_string(RSM_VERSION_MINOR) + '.' +
           std::to_string(RSM_VERSION_PATCH);
}

}  // namespace rsm

#endif
