// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the snippets of README take for granted around them.
#include "1_outside.inc"
#include "4_inside.inc"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
#include <string>

struct Journal {
    struct Operation {
        std::string text;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& text;
        }
    };
    void apply(const Operation& operation) { text_ += operation.text; }
    void snapshot(rsm::SnapshotWriter& out) const { out << text_; }
    void restore(rsm::SnapshotReader& in) { in >> text_; }

private:
    std::string text_;
};

template <class Machine>
using Service = rsm::Replicated<Machine, rsm::TcpTransport, rsm::WalStorage>;

void whole_example() {
    const auto token = boost::asio::detached;
#include "1_inside.inc"
}

boost::asio::awaitable<void> in_a_coroutine(Service<Journal>& journal, Service<Counter>& counter) {
#include "2_inside.inc"
}

void after_an_error(const boost::system::error_code& error, void (*redirect)(const std::string&)) {
#include "3_inside.inc"
}

static_assert(rsm::StateMachine<Ledger> && rsm::Persistent<Ledger>);
