// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Where clients come in: the listening sockets of a server.
#ifndef RSM_EXAMPLES_KV_DOOR_HPP
#define RSM_EXAMPLES_KV_DOOR_HPP

#include "reply_writer.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace kv {

/// A descriptor that is kept for a bad moment: when there is no other, it makes place for a client
/// that is to be told so.
class SpareDescriptor {
public:
    SpareDescriptor() { take(); }
    SpareDescriptor(const SpareDescriptor&) = delete;
    SpareDescriptor& operator=(const SpareDescriptor&) = delete;
    ~SpareDescriptor() { give(); }

    void take() {
        if (descriptor_ < 0) descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    /// @return whether there was one to give
    bool give() {
        const int descriptor = std::exchange(descriptor_, -1);
        return descriptor >= 0 && ::close(descriptor) == 0;
    }

private:
    int descriptor_ = -1;
};

/// Tells a client that there is no place for it, without waiting for anything, and closes.
inline void turn_away(boost::asio::ip::tcp::socket socket, std::string_view why) {
    std::string reply;
    ReplyWriter(reply).error(why);
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(boost::asio::buffer(reply), ignored);
    socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    // What is unread when a socket is closed may take the reply with it.
    std::array<char, 4096> unread;
    socket.read_some(boost::asio::buffer(unread), ignored);
}

/// Accepts on all of its sockets. Nobody is left waiting in the queue of the system because
/// descriptors are missing: such a client is turned away.
///
/// Thread safety: everything on the executor. Destruction waits for nothing.
class Door {
public:
    using Tcp = boost::asio::ip::tcp;
    using Welcome = std::function<void(Tcp::socket)>;

    static constexpr std::string_view full_text = "ERR max number of clients reached";

    /// @param acceptors   listening; at least one
    /// @param turned_away  called for every client that was turned away here
    Door(const boost::asio::any_io_executor& executor, std::vector<Tcp::acceptor> acceptors,
         Welcome welcome, std::function<void()> turned_away) {
        for (Tcp::acceptor& acceptor : acceptors) {
            leaves_.push_back(std::make_shared<Leaf>(executor, std::move(acceptor), welcome,
                                                     turned_away, spare_));
        }
    }
    Door(const Door&) = delete;
    Door& operator=(const Door&) = delete;
    ~Door() { close(); }

    void open() {
        for (const auto& leaf : leaves_) Leaf::accept(leaf);
    }
    void close() {
        for (const auto& leaf : leaves_) leaf->close();
        leaves_.clear();
    }

private:
    using Error = boost::system::error_code;

    struct Leaf {
        Leaf(const boost::asio::any_io_executor& on, Tcp::acceptor listening, Welcome on_client,
             std::function<void()> on_turned_away, std::shared_ptr<SpareDescriptor> kept)
            : executor(on),
              acceptor(std::move(listening)),
              pause(executor),
              welcome(std::move(on_client)),
              turned_away(std::move(on_turned_away)),
              spare(std::move(kept)) {
            Error ignored;
            acceptor.non_blocking(true, ignored);
        }

        static void accept(const std::shared_ptr<Leaf>& self) {
            self->acceptor.async_accept(
                self->executor,
                boost::asio::bind_executor(self->executor, [self](Error error, Tcp::socket socket) {
                    if (self->closed) return;
                    if (error) return self->accept_later(self, error);
                    self->welcome(std::move(socket));
                    if (!self->closed) accept(self);
                }));
        }

        static bool none_left(Error error) {
            return error == boost::system::errc::too_many_files_open ||
                   error == boost::system::errc::too_many_files_open_in_system;
        }

        void accept_later(const std::shared_ptr<Leaf>& self, Error error) {
            if (none_left(error) && accept_or_turn_away()) return accept(self);
            // To ask again at once would only burn time.
            pause.expires_after(std::chrono::milliseconds(100));
            pause.async_wait([self](Error cancelled) {
                if (!cancelled && !self->closed) accept(self);
            });
        }

        /// @return whether there was a client
        bool accept_or_turn_away() {
            Error failed;
            // The failure may be an old one: the system gives it although nobody is waiting.
            Tcp::socket socket = acceptor.accept(executor, failed);
            if (!failed) welcome(std::move(socket));
            if (!none_left(failed)) return !failed;
            if (spare->give()) {
                socket = acceptor.accept(executor, failed);
                if (!failed) {
                    turned_away();
                    turn_away(std::move(socket), full_text);
                }
            }
            spare->take();
            return !failed;
        }

        void close() {
            closed = true;
            Error ignored;
            acceptor.close(ignored);
            pause.cancel();
        }

        boost::asio::any_io_executor executor;
        Tcp::acceptor acceptor;
        boost::asio::steady_timer pause;
        Welcome welcome;
        std::function<void()> turned_away;
        std::shared_ptr<SpareDescriptor> spare;
        bool closed = false;
    };

    std::shared_ptr<SpareDescriptor> spare_ = std::make_shared<SpareDescriptor>();
    std::vector<std::shared_ptr<Leaf>> leaves_;
};

}  // namespace kv

#endif
