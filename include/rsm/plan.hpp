// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Plan: how a user says which transport, storage and clock a node is to have.
#ifndef RSM_PLAN_HPP
#define RSM_PLAN_HPP

#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <concepts>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// A plain value that says what is to run, and holds nothing that runs: no socket, no file, no
/// thread. It may be copied and used again.
///
/// - `open(executor)` makes the running thing, on whose executor everything happens from then on:
///   a strand, or one that a single thread runs. It returns it by value, newly made, so that the
///   running thing need be neither copied nor moved and may be referred to by what it has under
///   way. It throws std::invalid_argument for a plan that cannot be carried out, or another
///   std::exception; then nothing has happened.
template <class P>
concept Plan = std::copyable<P> &&
    requires(const P& plan, const boost::asio::any_io_executor& executor) {
    plan.open(executor);
};

/// What a plan's open() makes.
template <Plan P>
using Running =
    decltype(std::declval<const P&>().open(std::declval<const boost::asio::any_io_executor&>()));

/// - `self()`, `members()`: who the node is, and who the cluster is at its first start.
///
/// Where there are such members, too: `max_message_bytes()` of the plan bounds what Options may
/// ask for; its `cluster()` is the cluster's name, which a storage may keep;
/// `peer_advertisement(node)` of what runs is told by Status and Errc::not_leader, and `peers()` by
/// Status.
template <class P>
concept TransportPlan = Plan<P> && raft::Transport<Running<P>> && requires(const P& plan) {
    { plan.self() } -> std::same_as<raft::NodeId>;
    { plan.members() } -> std::convertible_to<std::vector<raft::NodeId>>;
};
template <class P>
concept StoragePlan = Plan<P> && raft::Storage<Running<P>>;
template <class P>
concept ClockPlan = Plan<P> && raft::Clock<Running<P>>;

}  // namespace rsm

#endif
