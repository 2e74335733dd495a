// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user's own function has thrown.
#ifndef RSM_NODE_THROWN_HPP
#define RSM_NODE_THROWN_HPP

#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

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
/// The user's own function threw the exception that is being handled.
inline boost::system::error_code thrown_code() {
    return detailed_code(Errc::user_exception, {0, thrown_text()});
}

}  // namespace rsm::detail

#endif
