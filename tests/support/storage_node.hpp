// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A storage whose calls a test waits for, and what it is asked for.
#ifndef RSM_TESTS_SUPPORT_STORAGE_NODE_HPP
#define RSM_TESTS_SUPPORT_STORAGE_NODE_HPP

#include "records.hpp"

#include <raft/base/result.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/plan.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm_test {

inline std::uint64_t bytes_of(const std::vector<raft::Entry>& list) {
    std::uint64_t bytes = 0;
    for (const raft::Entry& one : list) bytes += raft::codec::persisted_size(one);
    return bytes;
}
inline raft::SnapshotProducer produce(std::string text) {
    return [text = std::move(text)](raft::ByteSink& sink) {
        sink.write(std::as_bytes(std::span(text)));
    };
}

/// A storage with an executor; every call waits for its completion.
template <class Plan>
class StorageNode {
public:
    using Storage = rsm::Running<Plan>;

    explicit StorageNode(const Plan& plan) : storage_(new Storage(plan.open(io.get_executor()))) {}
    StorageNode(const Plan& plan, raft::Identity claimed) : StorageNode(plan) {
        storage_->claim(std::move(claimed));
    }
    raft::Result<raft::Recovered> recover() { return storage_->recover(); }
    /// Recovers, and fails the test where that fails.
    raft::Recovered start() {
        auto recovered = recover();
        if (!recovered) FAIL(recovered.error().message());
        return *recovered;
    }
    Storage& storage() { return *storage_; }
    void run() {
        io.restart();
        io.run();
    }
    void destroy() { storage_.reset(); }
    /// Whether an operation that waits for room fails instead.
    bool gives_up_without_room = false;

    template <class Value, class Start>
    raft::Result<Value> wait(Start start) {
        std::optional<raft::Result<Value>> outcome;
        start([&](raft::Result<Value> result) { outcome = std::move(result); });
        CHECK_FALSE(outcome.has_value());
        if constexpr (raft::LimitedStorage<Storage>) {
            if (gives_up_without_room) {
                io.restart();
                io.poll();
                if (!outcome && storage_->refuses()) return *storage_->refuses();
            }
        }
        run();
        REQUIRE(outcome.has_value());
        return *outcome;
    }
    raft::Result<void> write(raft::Write write) {
        return wait<void>([&](auto done) { storage_->append(std::move(write), done); });
    }
    raft::Result<void> renounce() {
        return wait<void>([&](auto done) { storage_->renounce(done); });
    }
    raft::Result<std::vector<raft::Entry>> read(std::uint64_t first, std::size_t max_bytes) {
        return wait<std::vector<raft::Entry>>(
            [&](auto done) { storage_->read({first}, max_bytes, done); });
    }
    raft::Result<std::vector<raft::Entry>> read_detached(std::uint64_t first,
                                                         std::size_t max_bytes) {
        return wait<std::vector<raft::Entry>>(
            [&](auto done) { storage_->read_detached({first}, max_bytes, done); });
    }
    raft::Result<raft::SnapshotMeta> save(raft::LogPosition last, std::string text) {
        return wait<raft::SnapshotMeta>([&](auto done) {
            storage_->save_snapshot(last, raft::test::voters(3), produce(std::move(text)), done);
        });
    }
    raft::Result<raft::ChunkOutcome> receive(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                             std::string_view text) {
        return wait<raft::ChunkOutcome>([&](auto done) {
            storage_->receive_chunk(meta, offset, raft::Bytes::copy_of(text), done);
        });
    }
    raft::Result<raft::Bytes> chunk(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                    std::size_t max_bytes) {
        return wait<raft::Bytes>(
            [&](auto done) { storage_->read_chunk(meta, offset, max_bytes, done); });
    }
    void close() {
        bool closed = false;
        storage_->close([&] { closed = true; });
        CHECK_FALSE(closed);
        run();
        REQUIRE(closed);
    }

    boost::asio::io_context io;

private:
    std::unique_ptr<Storage> storage_;
};

/// The whole content of a kept snapshot, or what could be read of it.
template <class Storage>
std::string content(Storage& storage, const raft::SnapshotMeta& meta) {
    auto source = storage.open_snapshot(meta);
    if (!source) return "(" + source.error().message() + ")";
    std::string text;
    std::byte piece[7];
    while (const std::size_t count = (*source)->read(piece)) {
        text.append(reinterpret_cast<const char*>(piece), count);
    }
    return text;
}

}  // namespace rsm_test

#endif
