// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Reaches the headers of raft/ and rsm/, and those of Boost below them.
#include <rsm/error.hpp>
#include <rsm/version.hpp>

#include <iostream>

int main() {
    const boost::system::error_code error = rsm::Errc::not_leader;
    std::cout << "rsm " << RSM_VERSION << ": " << error.message() << '\n';
    return error.message().empty() ? 1 : 0;
}
