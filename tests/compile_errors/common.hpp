// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What each mistake needs besides itself; compiled once for all of them.
#ifndef RSM_TESTS_COMPILE_ERRORS_COMMON_HPP
#define RSM_TESTS_COMPILE_ERRORS_COMMON_HPP

#include <rsm/replicated.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/transport/memory.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

struct Sound {
    struct Operation {
        std::string text;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& text;
        }
    };
    std::size_t apply(const Operation& operation) { return (text += operation.text).size(); }
    void snapshot(rsm::SnapshotWriter& out) const { out << text; }
    void restore(rsm::SnapshotReader& in) { in >> text; }
    std::string text;
};

template <class Machine, class Transport = rsm::MemoryTransport, class Storage = rsm::MemoryStorage>
using Replica = rsm::Replicated<Machine, Transport, Storage>;

template <class Machine>
void replicate(boost::asio::io_context& io, std::shared_ptr<rsm::MemoryNetwork> network) {
    Replica<Machine> replica{io.get_executor(), Machine{},
                             rsm::MemoryTransport{std::move(network), {1}}, rsm::MemoryStorage{}};
}

#endif
