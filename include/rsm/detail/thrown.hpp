// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an exception of the user's own code says.
#ifndef RSM_DETAIL_THROWN_HPP
#define RSM_DETAIL_THROWN_HPP

#include <exception>
#include <string>

namespace rsm::inline v0::detail {

/// What the exception that is being handled says. @pre there is one
inline std::string thrown_text() {
    try {
        throw;
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an exception of an unknown type";
    }
}

}  // namespace rsm::detail

#endif
