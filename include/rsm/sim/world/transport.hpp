// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The transport of a simulated node: messages one by one over a Network, or the production TCP
// transport over simulated sockets, as the run has drawn it.
#ifndef RSM_SIM_WORLD_TRANSPORT_HPP
#define RSM_SIM_WORLD_TRANSPORT_HPP

#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/plan.hpp>
#include <rsm/sim/world/network.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/stream_net.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/transport/tcp/running.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// The TCP transport of one node, and what the simulation wants to know of its messages: those
/// that leave are shown to the Network's watch, those that arrive to its `arrived`. When they will
/// arrive, or whether, nobody knows when they leave: the watch is told the earliest time.
class RunningStreamTransport {
public:
    RunningStreamTransport(Network& network, Process& process, TcpOptions options, StreamNet net)
        : network_(network),
          process_(process),
          tcp_(process.get_executor(), std::move(options), std::move(net)) {}

    void start(std::function<void(raft::Message)> receive, std::function<void()> received) {
        tcp_.start(
            [&network = network_, receive = std::move(receive)](raft::Message message) {
                network.note_delivery(message);
                receive(std::move(message));
            },
            std::move(received));
    }
    void send(raft::Message message) {
        if (network_.watch) {
            const Loss loss = tcp_.connected(message.to) ? Loss::none : Loss::cut;
            network_.watch(message, loss, process_.world().now() + network_.conditions.delay_min);
        }
        tcp_.send(std::move(message));
    }
    void flush() { tcp_.flush(); }
    void stop() { tcp_.stop(); }

private:
    Network& network_;
    Process& process_;
    BasicRunningTcpTransport<StreamNet> tcp_;
};

/// One of the two at work. Models raft::GroupingTransport.
class RunningTransport {
public:
    template <class Open>
    RunningTransport(std::in_place_t, Open open) : carrier_(open()) {}

    /// For whoever does not group: each message leaves at once.
    void start(std::function<void(raft::Message)> receive) {
        at_once_ = true;
        start(std::move(receive), [] {});
    }
    void start(std::function<void(raft::Message)> receive, std::function<void()> received) {
        carrier_->start(std::move(receive), std::move(received));
    }
    void send(raft::Message message) {
        carrier_->send(std::move(message));
        if (at_once_) flush();
    }
    void flush() { carrier_->flush(); }
    void stop() { carrier_->stop(); }

    struct Carrier {
        virtual ~Carrier() = default;
        virtual void start(std::function<void(raft::Message)> receive,
                           std::function<void()> received) = 0;
        virtual void send(raft::Message message) = 0;
        virtual void flush() = 0;
        virtual void stop() = 0;
    };

private:
    std::unique_ptr<Carrier> carrier_;
    bool at_once_ = false;
};

/// One node's transport: a plan (rsm/plan.hpp).
class Transport {
public:
    Transport(Network& network, raft::NodeId self, Process& process)
        : network_(&network), self_(self), process_(&process) {}
    /// Over sockets. @param seed  of what the transport draws
    Transport(Network& network, StreamNetwork& streams, raft::NodeId self, Process& process,
              TcpOptions options, std::uint64_t seed)
        : network_(&network),
          self_(self),
          process_(&process),
          over_streams_(OverStreams{&streams, std::move(options), seed}) {}

    RunningTransport open(const boost::asio::any_io_executor&) const {
        return RunningTransport(std::in_place, [this]() -> std::unique_ptr<Carrier> {
            if (!over_streams_) {
                return std::make_unique<Carried<RunningNetworkTransport>>(*network_, self_,
                                                                          *process_);
            }
            return std::make_unique<Carried<RunningStreamTransport>>(
                *network_, *process_, over_streams_->options,
                StreamNet({over_streams_->streams, self_, process_}, over_streams_->seed));
        });
    }
    raft::NodeId self() const { return self_; }
    std::vector<raft::NodeId> members() const {
        std::vector<raft::NodeId> nodes;
        for (std::uint64_t id = 1; id <= network_->size(); ++id) nodes.push_back({id});
        return nodes;
    }

private:
    using Carrier = RunningTransport::Carrier;
    template <class T>
    struct Carried final : Carrier {
        template <class... Args>
        explicit Carried(Args&&... args) : transport(std::forward<Args>(args)...) {}
        void start(std::function<void(raft::Message)> receive,
                   std::function<void()> received) override {
            transport.start(std::move(receive), std::move(received));
        }
        void send(raft::Message message) override { transport.send(std::move(message)); }
        void flush() override { transport.flush(); }
        void stop() override { transport.stop(); }
        T transport;
    };
    struct OverStreams {
        StreamNetwork* streams;
        TcpOptions options;
        std::uint64_t seed;
    };

    Network* network_;
    raft::NodeId self_;
    Process* process_;
    std::optional<OverStreams> over_streams_;
};

static_assert(raft::GroupingTransport<RunningTransport>);
static_assert(TransportPlan<Transport>);

}  // namespace rsm::sim

#endif
