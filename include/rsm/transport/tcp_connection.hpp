// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What both ends of a connection have in common: the state that all connections of a transport
// share, and whole reads and writes on a socket.
#ifndef RSM_TRANSPORT_TCP_CONNECTION_HPP
#define RSM_TRANSPORT_TCP_CONNECTION_HPP

#include <raft/message.hpp>
#include <raft/types.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::detail {

/// What is known of a peer.
struct TcpPeer {
    TcpAddress address;
    std::string advertisement;
    std::string last_failure;
};

/// Owned together by the parts of one transport and used on its executor only.
struct TcpShared {
    TcpOptions options;
    boost::asio::any_io_executor executor;
    std::map<raft::NodeId, TcpPeer> peers;
    TcpCounters counters;
    /// Shared so that a receiver that stops the transport does not destroy itself while it runs.
    std::shared_ptr<const std::function<void(raft::Message)>> receive;
    /// Called after the messages of one read, if set; then the user calls flush(), too.
    std::shared_ptr<const std::function<void()>> received;

    TcpPeer* peer(raft::NodeId node) {
        const auto found = peers.find(node);
        return found == peers.end() ? nullptr : &found->second;
    }
};

#ifdef TCP_NOTSENT_LOWAT
/// How many bytes the system holds that it has not put on the wire yet (Linux, macOS).
class UnsentLimit {
public:
    template <class Protocol>
    int level(const Protocol&) const {
        return IPPROTO_TCP;
    }
    template <class Protocol>
    int name(const Protocol&) const {
        return TCP_NOTSENT_LOWAT;
    }
    template <class Protocol>
    const void* data(const Protocol&) const {
        return &bytes_;
    }
    template <class Protocol>
    std::size_t size(const Protocol&) const {
        return sizeof bytes_;
    }

private:
    int bytes_ = 256 << 10;
};
#endif

/// A socket and what is being written to it.
struct TcpStream {
    explicit TcpStream(boost::asio::ip::tcp::socket connected) : socket(std::move(connected)) {}

    boost::asio::ip::tcp::socket socket;
    std::vector<boost::asio::const_buffer> parts;
    std::size_t first_part = 0;  ///< those before it have been written
    std::uint64_t written = 0;   ///< bytes

    void close() {
        boost::system::error_code ignored;
        socket.close(ignored);
    }

    /// Small messages leave at once; a peer that has vanished is noticed some time; and the system
    /// does not take up so much that what is written next would wait behind it for long.
    /// Failures to set any of these do no harm.
    void tune() {
        boost::system::error_code ignored;
        socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
        socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
#ifdef TCP_NOTSENT_LOWAT
        socket.set_option(UnsentLimit{}, ignored);
#endif
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
    const auto rest = std::span<const boost::asio::const_buffer>(stream->parts)
                          .subspan(stream->first_part);
    TcpStream& writer = *stream;
    writer.socket.async_write_some(
        rest, [stream = std::move(stream), done = std::move(done)](
                  boost::system::error_code error, std::size_t count) mutable {
            stream->consume(count);
            if (error || stream->first_part == stream->parts.size()) return done(error);
            write_parts(std::move(stream), std::move(done));
        });
}

/// Fills `target`, which `stream` owns, then calls done(error_code). @pre !target.empty()
template <class Stream, class Done>
void read_exactly(std::shared_ptr<Stream> stream, std::span<std::byte> target, Done done) {
    TcpStream& reader = *stream;
    reader.socket.async_read_some(
        boost::asio::buffer(target.data(), target.size()),
        [stream = std::move(stream), target, done = std::move(done)](
            boost::system::error_code error, std::size_t count) mutable {
            target = target.subspan(count);
            if (error || target.empty()) return done(error);
            read_exactly(std::move(stream), target, std::move(done));
        });
}

}  // namespace rsm::detail

#endif
