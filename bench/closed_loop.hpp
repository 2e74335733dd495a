// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A client that keeps a number of operations outstanding: when one is answered, the next begins.
#ifndef RSM_BENCH_CLOSED_LOOP_HPP
#define RSM_BENCH_CLOSED_LOOP_HPP

#include "measure.hpp"
#include "socket.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

namespace bench {

/// The operations under way, the oldest first; they end in this order.
class ClosedLoop {
public:
    /// @param operation  as it goes over the wire
    ClosedLoop(std::size_t window, std::span<const std::byte> operation, Recorder& recorder)
        : recorder_(recorder), began_(window), operation_bytes_(operation.size()) {
        for (std::size_t i = 0; i < window; ++i) {
            operations_.insert(operations_.end(), operation.begin(), operation.end());
        }
    }

    std::size_t window() const { return began_.size(); }
    /// The bytes of `count` operations that begin now.
    std::span<const std::byte> begin(std::size_t count) {
        const std::uint64_t now = now_ns();
        for (std::size_t i = 0; i < count; ++i) began_[next_++ % began_.size()] = now;
        return std::span(operations_).first(count * operation_bytes_);
    }
    /// False when the time is up.
    bool completed(std::size_t count) {
        const std::uint64_t now = now_ns();
        bool more = true;
        for (std::size_t i = 0; i < count; ++i) {
            more = recorder_.completed(began_[oldest_++ % began_.size()], now) && more;
        }
        return more;
    }

private:
    Recorder& recorder_;
    std::vector<std::uint64_t> began_;
    std::size_t operation_bytes_;
    std::vector<std::byte> operations_;
    std::size_t next_ = 0;
    std::size_t oldest_ = 0;
};

/// Answers are 8 bytes each, in the order of the operations; the largest number is a failure.
inline constexpr std::uint64_t failed_answer = ~std::uint64_t{0};

/// Runs the loop over one connection until the time is up.
inline void run_client(ClosedLoop& loop, std::uint16_t port) {
    const Descriptor server = connect_to(port);
    write_all(server.get(), loop.begin(loop.window()));
    std::vector<std::byte> buffer(loop.window() * 8);
    std::size_t filled = 0;
    for (;;) {
        const std::size_t count = read_some(server.get(), std::span(buffer).subspan(filled));
        if (count == 0) throw std::runtime_error("the server has gone");
        filled += count;
        const std::size_t whole = filled / 8;
        for (std::size_t i = 0; i < whole; ++i) {
            std::uint64_t answer = 0;
            std::memcpy(&answer, buffer.data() + i * 8, 8);
            if (answer == failed_answer) throw std::runtime_error("an operation failed");
        }
        filled %= 8;
        std::memmove(buffer.data(), buffer.data() + whole * 8, filled);
        if (!loop.completed(whole)) return;
        write_all(server.get(), loop.begin(whole));
    }
}

}  // namespace bench

#endif
