// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What rsm::rsm gives: the headers of rsm/, those of Boost and xxHash below them, and threads.
#include <rsm/detail/checksum.hpp>
#include <rsm/error.hpp>
#include <rsm/version.hpp>

#include <iostream>
#include <span>
#include <thread>

int main() {
    int result = 1;
    std::thread other([&result] {
        const boost::system::error_code error = rsm::Errc::not_leader;
        const bool has_words = !error.message().empty();
        const bool has_sum = rsm::detail::checksum(std::span<const std::byte>{}) != 0;
        result = has_words && has_sum ? 0 : 1;
    });
    other.join();
    std::cout << "rsm " << RSM_VERSION << '\n';
    return result;
}
