// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user's own function has thrown.
#ifndef RSM_NODE_THROWN_HPP
#define RSM_NODE_THROWN_HPP

#include <rsm/detail/thrown.hpp>
#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

namespace rsm::inline v0::detail {

inline boost::system::error_code thrown_code() {
    return detailed_code(Errc::user_exception, {0, thrown_text()});
}

}  // namespace rsm::detail

#endif
