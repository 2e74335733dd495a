// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A client that asks one thing after the other, and what starts a server under limits.
#ifndef RSM_TESTS_SYSTEM_CUSTOMER_HPP
#define RSM_TESTS_SYSTEM_CUSTOMER_HPP

#include "processes.hpp"
#include "support/temporary_directory.hpp"

#include <kv/input_buffer.hpp>
#include <kv/reply.hpp>
#include <kv/resp.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace system_test {

/// Of "127.0.0.1:<port>".
inline boost::asio::ip::tcp::endpoint endpoint_of(const std::string& address) {
    const int port = std::stoi(address.substr(address.rfind(':') + 1));
    return {boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)};
}

/// A program in the language of the shell.
inline void write_script(const std::string& path, const std::string& text) {
    rsm_test::write_file(path, "#!/bin/sh\n" + text);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

/// One that waits for each answer.
class Customer {
public:
    explicit Customer(const boost::asio::ip::tcp::endpoint& server) {
        socket_.connect(server);
        socket_.set_option(boost::asio::ip::tcp::no_delay(true));
    }
    kv::Reply ask(const std::vector<std::string_view>& words) {
        std::string request;
        kv::append_request(request, words);
        boost::asio::write(socket_, boost::asio::buffer(request));
        while (true) {
            const kv::ParseStatus status = parser_.parse(input_.data());
            input_.consume(parser_.consumed());
            demand(status != kv::ParseStatus::failed, "the server does not keep to the protocol");
            if (status == kv::ParseStatus::complete) return parser_.take();
            const auto room = input_.prepare();
            input_.commit(socket_.read_some(boost::asio::buffer(room.data(), room.size())));
        }
    }

private:
    boost::asio::io_context io_;
    boost::asio::ip::tcp::socket socket_{io_};
    kv::InputBuffer input_;
    kv::ReplyParser parser_;
};

}  // namespace system_test

#endif
