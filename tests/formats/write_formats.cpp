// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// write_formats DIRECTORY: writes what rsm/formats_test.cpp expects into a new directory, in the
// formats of this library: a log of several segments, a snapshot, an identity. Whoever changes a
// format keeps the directories that there are and adds one of the new formats.
#include "support/ledger.hpp"

#include <rsm/rsm.hpp>
#include <rsm/transport/memory.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace system_test::write_formats {

namespace {

using Replica = rsm::Replicated<ledger::Ledger, rsm::MemoryTransport, rsm::WalStorage>;

template <class Condition>
void run_until(boost::asio::io_context& io, Condition holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    io.restart();
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) throw std::runtime_error("it takes too long");
        io.run_one_until(end);
    }
}

/// Submits the operation until it is committed.
void submit(boost::asio::io_context& io, Replica& node, std::uint64_t number) {
    for (bool done = false; !done;) {
        std::optional<boost::system::error_code> ended;
        node.async_submit(ledger::operation(number),
                          [&](boost::system::error_code error, auto&&) { ended = error; });
        run_until(io, [&] { return ended.has_value(); });
        done = !*ended;
    }
}

void write(const std::string& directory) {
    boost::asio::io_context io{1};
    rsm::Options options;
    options.birth = rsm::found(ledger::founders());
    options.snapshot_threshold = 3600;
    options.raft.retained_bytes = 700;
    rsm::WalOptions wal;
    wal.directory = directory;
    wal.segment_bytes = wal.pieces.first_segment_bytes = 4096;
    wal.spare_segments = 0;
    Replica node{io.get_executor(), ledger::Ledger{},
                 rsm::MemoryTransport{std::make_shared<rsm::MemoryNetwork>(), {7}},
                 rsm::WalStorage{std::move(wal)}, std::move(options)};
    for (std::uint64_t i = 1; i <= ledger::operations; ++i) submit(io, node, i);
    if (node.machine() != ledger::expected()) throw std::runtime_error("another state");
    bool stopped = false;
    node.async_stop([&](auto) { stopped = true; });
    run_until(io, [&] { return stopped; });
}

}  // namespace

int run(int count, char** words) try {
    if (count != 2 || std::filesystem::exists(words[1])) {
        std::fprintf(stderr, "write_formats DIRECTORY, which is not there yet\n");
        return EXIT_FAILURE;
    }
    write(words[1]);
    std::filesystem::remove(std::filesystem::path(words[1]) / "lock");
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "write_formats: %s\n", error.what());
    return EXIT_FAILURE;
}

}  // namespace system_test::write_formats
