// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What rsm::tls gives: OpenSSL, linked. A file that is not there is refused by its name.
#include <rsm/transport/tls/context.hpp>

#include <stdexcept>
#include <string_view>

int main() {
    try {
        rsm::detail::load_context({.certificate = {}, .key = {}, .authorities = "/nowhere.pem"});
    } catch (const std::invalid_argument& error) {
        return std::string_view(error.what()).find("/nowhere.pem") == std::string_view::npos;
    }
    return 1;
}
