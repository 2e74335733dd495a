// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What both ends of a connection have in common: whole reads and writes on a socket.
#ifndef RSM_TRANSPORT_TCP_CONNECTION_HPP
#define RSM_TRANSPORT_TCP_CONNECTION_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// A socket and what is being written to it.
template <class Net>
struct TcpStream {
    using Socket = typename Net::Socket;
    explicit TcpStream(Socket connected) : socket(std::move(connected)) {}

    Socket socket;
    std::vector<boost::asio::const_buffer> parts;
    std::size_t first_part = 0;  ///< those before it have been written
    std::uint64_t written = 0;   ///< bytes

    void close() {
        boost::system::error_code ignored;
        socket.close(ignored);
    }

    /// Writes what the system takes without waiting. True: that was everything. A socket that is in
    /// the blocking mode takes nothing here.
    bool write_now(boost::system::error_code& error) {
        if (!socket.non_blocking()) return false;
        const auto rest = std::span<const boost::asio::const_buffer>(parts).subspan(first_part);
        const std::size_t count = socket.write_some(rest, error);
        if (error == boost::asio::error::would_block || error == boost::asio::error::try_again) {
            error = {};
        }
        consume(count);
        return !error && first_part == parts.size();
    }

    /// Takes `count` written bytes off the front of the parts.
    void consume(std::size_t count) {
        written += count;
        while (first_part < parts.size() && count >= parts[first_part].size()) {
            count -= parts[first_part++].size();
        }
        if (count != 0) parts[first_part] += count;
    }
};

/// Writes all parts of `stream`, then calls done(error_code). One call of the system takes as much
/// as it will; boost::asio::async_write would cut the data into pieces of 64 KiB.
template <class Stream, class Done>
void write_parts(std::shared_ptr<Stream> stream, Done done) {
    const auto rest =
        std::span<const boost::asio::const_buffer>(stream->parts).subspan(stream->first_part);
    auto& socket = stream->socket;
    socket.async_write_some(rest, [stream = std::move(stream), done = std::move(done)](
                                      boost::system::error_code error, std::size_t count) mutable {
        stream->consume(count);
        if (error || stream->first_part == stream->parts.size()) return done(error);
        write_parts(std::move(stream), std::move(done));
    });
}

/// Fills `target`, which `stream` owns, then calls done(error_code). @pre !target.empty()
template <class Stream, class Done>
void read_exactly(std::shared_ptr<Stream> stream, std::span<std::byte> target, Done done) {
    auto& socket = stream->socket;
    socket.async_read_some(boost::asio::buffer(target.data(), target.size()),
                           [stream = std::move(stream), target, done = std::move(done)](
                               boost::system::error_code error, std::size_t count) mutable {
                               target = target.subspan(count);
                               if (error || target.empty()) return done(error);
                               read_exactly(std::move(stream), target, std::move(done));
                           });
}

}  // namespace rsm::detail

#endif
