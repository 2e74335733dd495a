// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster on a transport and a storage that are not the library's: messages are datagrams between
// sockets in a directory, the log is a plain file (examples/policies, docs/policies.md).
//
//   own_policies
//
// Three replicas write a journal; one is stopped, misses some of it, comes back with what is in its
// directory and gets the rest from the others. Exits with 1 if they end with different journals.
#include "../cluster.hpp"
#include "../policies/plain_storage.hpp"
#include "../policies/unix_transport.hpp"
#include "../scratch_directory.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace own_policies {

struct Journal {
    struct Operation {
        std::string line;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& line;
        }
    };
    std::uint64_t apply(const Operation& operation) {
        lines.push_back(operation.line);
        return lines.size();
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& lines;
    }
    std::vector<std::string> lines;
};

/// The transport and the storage are types that Replicated is made of: these are two others.
using Replica = rsm::Replicated<Journal, policies::UnixTransport, policies::PlainStorage>;
using Cluster = examples::Cluster<Replica>;
template <class Value>
using Awaitable = examples::Awaitable<Value>;

/// A datagram carries a message as a whole or not at all, so there is a largest message. Replicated
/// refuses options by which some would be larger.
rsm::Options for_datagrams() {
    rsm::Options options;
    options.raft.max_message_bytes = options.raft.max_entry_bytes = std::size_t{64} << 10;
    options.raft.snapshot_chunk_bytes = std::size_t{32} << 10;
    return options;
}

/// A line may be written twice, where an answer was lost: this journal does not mind.
Awaitable<void> write(Cluster& cluster, int first, int last) {
    for (int number = first; number <= last; ++number) {
        const Journal::Operation operation{"line " + std::to_string(number)};
        co_await cluster.submit(operation);
    }
}

Awaitable<void> story(Cluster& cluster, const std::vector<raft::NodeId>& members) {
    co_await write(cluster, 1, 50);
    co_await cluster.stop({2});
    std::cout << "50 lines are written, and replica 2 is stopped\n";
    co_await write(cluster, 51, 100);
    cluster.start({2});
    std::cout << "50 more are written without it; it comes back and has "
              << cluster[{2}].status().last.value << " entries in its directory\n";

    const auto lines = co_await cluster.read<std::vector<std::string>>(
        [](const Journal& journal) { return journal.lines; });
    if (lines.size() < 100) throw std::logic_error("lines are lost");
    for (const raft::NodeId id : members) {
        co_await examples::until(
            [&] { return cluster[id].machine().lines.size() >= lines.size(); });
        if (cluster[id].machine().lines != lines) throw std::logic_error("journals differ");
        std::cout << "replica " << id.value << " has " << lines.size() << " lines, the last is \""
                  << cluster[id].machine().lines.back() << "\"\n";
    }
    co_await cluster.stop_all();
}

}  // namespace own_policies

int main() try {
    using namespace own_policies;
    const examples::ScratchDirectory directory;
    const std::vector<raft::NodeId> members{{1}, {2}, {3}};
    boost::asio::io_context io;
    Cluster cluster([&](raft::NodeId id) {
        return std::make_unique<Replica>(
            io.get_executor(), Journal{}, policies::UnixTransport{id, members, directory.path()},
            policies::PlainStorage{directory.path() + "/node-" + std::to_string(id.value)},
            for_datagrams());
    });
    for (const raft::NodeId id : members) cluster.start(id);
    examples::run(io, story(cluster, members));
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << "own_policies: " << error.what() << '\n';
    return EXIT_FAILURE;
}
