// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Replicated: a user's state machine, made replicated, durable and linearizable.
#ifndef RSM_REPLICATED_HPP
#define RSM_REPLICATED_HPP

#include <raft/engine.hpp>
#include <raft/membership.hpp>
#include <raft/types.hpp>
#include <rsm/clock.hpp>
#include <rsm/detail/completion.hpp>
#include <rsm/detail/entropy.hpp>
#include <rsm/detail/node.hpp>
#include <rsm/error.hpp>
#include <rsm/options.hpp>
#include <rsm/state_machine.hpp>
#include <rsm/status.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm {

/// What Replicated asks of a policy beyond its raft concept: to be told, once and first of all,
/// the executor on which everything happens. A transport that cannot listen throws here.
template <class P>
concept Attachable = requires(P policy, const boost::asio::any_io_executor& executor) {
    policy.attach(executor);
};
/// A transport knows who the node is and who the cluster is at its first start. If it has a
/// max_message_bytes(), larger messages than that are refused as options; its cluster(), if there
/// is one, is the cluster's name, which a storage may keep.
template <class T>
concept NodeTransport = raft::Transport<T> && Attachable<T> && requires(const T& transport) {
    { transport.self() } -> std::same_as<raft::NodeId>;
    { transport.members() } -> std::convertible_to<std::vector<raft::NodeId>>;
};
template <class S>
concept NodeStorage = raft::Storage<S> && Attachable<S>;
template <class C>
concept NodeClock = raft::Clock<C> && Attachable<C>;

/// One replica of a state machine. Every member of the cluster runs one; the members agree on one
/// sequence of operations and apply it each to its own machine.
///
/// Guarantees: an operation that async_submit completed without error is durable on a quorum and
/// is never lost as long as a quorum of disks survives; operations and reads are linearizable;
/// each submitted operation is applied at most once.
///
/// Thread safety: async_submit, async_read, async_stop and get_executor may be called from any
/// thread. status(), machine() and the policies may be used on get_executor() only. Construct it
/// before, or destroy it after, the executor's threads run, or do both on get_executor().
/// Destruction completes what is under way with Errc::interrupted or Errc::stopped and waits for
/// nothing; async_stop is the clean way.
template <StateMachine Machine, NodeTransport Transport, NodeStorage Storage,
          NodeClock Clock = SteadyClock>
class Replicated {
    using Node = detail::Node<Machine, Transport, Storage, Clock>;
    using SubmitSignature = typename Node::Signature::Type;

public:
    using Operation = typename Machine::Operation;
    using Result = ResultOf<Machine>;
    using executor_type = detail::Strand;

    /// Recovers what `storage` holds and begins to take part in the cluster. Blocks while it
    /// reads the log and restores the newest snapshot.
    ///
    /// @param executor  runs the node, in a strand of its own; it may have several threads
    /// @param machine   in its initial state
    /// @throws boost::system::system_error  with a code and what went wrong where: options that
    ///         contradict each other, a transport that cannot listen, a storage that is in use
    ///         by another process, damaged, of an unknown format or of another node, cluster or
    ///         list of members (StorageErrc::foreign), a snapshot that `machine` refuses.
    Replicated(const boost::asio::any_io_executor& executor, Machine machine, Transport transport,
               Storage storage, Options options = {}, Clock clock = {})
        : queue_(std::make_shared<detail::CompletionQueue>(boost::asio::make_strand(executor))) {
        transport.attach(queue_->strand());
        storage.attach(queue_->strand());
        clock.attach(queue_->strand());
        raft::NodeConfig config = configure(transport, options);
        claim(storage, transport, config);
        node_ = std::make_shared<Node>(queue_, std::move(machine), std::move(config),
                                       std::move(transport), std::move(storage),
                                       std::move(clock), std::move(options));
        const raft::Result<void> started = node_->start(node_);
        if (started) return;
        throw boost::system::system_error(boost::system::error_code(started.error().code),
                                          started.error().what);
    }

    /// The strand on which the node lives: handlers without an executor of their own run on it.
    executor_type get_executor() const noexcept { return queue_->strand(); }

    /// Replicates an operation. Completes when it is committed and applied on this node, with
    /// what `apply` returned, or with an error; outcome(code) tells whether it took place:
    ///
    /// - committed: no error.
    /// - not committed, now or ever: not_leader (status().leader may name who to ask), overloaded,
    ///   no_space, too_large, user_exception, superseded, stopped.
    /// - unknown: timed_out, result_lost, interrupted.
    ///
    /// Completion signature: void(boost::system::error_code, Result), without the second where
    /// `apply` returns nothing. The Result that comes with an error is a default one.
    ///
    /// @param timeout  until Errc::timed_out; 0 or less: none
    ///
    /// With g++ 12, name the operation before a `co_await` and move it in: that compiler copies
    /// aggregates that are made inside the expression as raw bytes (GCC bug, clang is right).
    template <class CompletionToken>
    auto async_submit(Operation operation, std::chrono::nanoseconds timeout,
                      CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, SubmitSignature>(
            [where = here()](auto handler, Operation submitted, std::chrono::nanoseconds limit) {
                using Held = typename Node::Signature::Held;
                where.run([submitted = std::move(submitted),
                           kept = where.template keep<Held>(std::move(handler)),
                           limit](Node* node, const Queue& queue) mutable {
                    Held held = kept.take(queue);
                    if (node == nullptr) return Node::Signature::fail(held, Errc::stopped);
                    node->submit(std::move(submitted), std::move(held), limit);
                });
            },
            token, std::move(operation), timeout);
    }
    /// With Options::operation_timeout.
    template <class CompletionToken>
        requires(!std::convertible_to<CompletionToken, std::chrono::nanoseconds>)
    auto async_submit(Operation operation, CompletionToken&& token) {
        return async_submit(std::move(operation), node_->options().operation_timeout,
                            std::forward<CompletionToken>(token));
    }

    /// Calls `query(const Machine&)` on a state that contains every operation which had completed
    /// anywhere before this call, and completes with what it returned. Nothing is written to the
    /// log. The errors are not_leader, overloaded, timed_out, user_exception (the query threw) and
    /// stopped; a read that failed had no effect in any case.
    ///
    /// Completion signature: void(boost::system::error_code, decltype(query(machine))).
    template <class Query, class CompletionToken>
        requires std::invocable<Query&, const Machine&>
    auto async_read(Query query, std::chrono::nanoseconds timeout, CompletionToken&& token) {
        using Value = std::decay_t<std::invoke_result_t<Query&, const Machine&>>;
        static_assert(!std::is_void_v<Value>, "a read must return something");
        return boost::asio::async_initiate<CompletionToken,
                                           void(boost::system::error_code, Value)>(
            [where = here()](auto handler, Query asked, std::chrono::nanoseconds limit) {
                where.run([asked = std::move(asked),
                           kept = where.template keep<ReadHeld<Value>>(std::move(handler)),
                           limit](Node* node, const Queue& queue) mutable {
                    auto read = std::make_unique<Read<Query, Value>>(std::move(asked),
                                                                     kept.take(queue));
                    if (node == nullptr) return read->fail(Errc::stopped);
                    node->read(std::move(read), limit);
                });
            },
            token, std::move(query), timeout);
    }
    /// With Options::operation_timeout.
    template <class Query, class CompletionToken>
        requires(std::invocable<Query&, const Machine&> &&
                 !std::convertible_to<CompletionToken, std::chrono::nanoseconds>)
    auto async_read(Query query, CompletionToken&& token) {
        return async_read(std::move(query), node_->options().operation_timeout,
                          std::forward<CompletionToken>(token));
    }

    /// Stops taking part, finishes the writes that are under way and releases the storage; what
    /// is pending completes with Errc::interrupted or Errc::stopped. Completion signature:
    /// void(boost::system::error_code), never with an error.
    template <class CompletionToken>
    auto async_stop(CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(boost::system::error_code)>(
            [where = here()](auto handler) {
                using Held = detail::Completion<boost::system::error_code>;
                where.run([kept = where.template keep<Held>(std::move(handler))](
                              Node* node, const Queue& queue) mutable {
                    Held held = kept.take(queue);
                    if (node == nullptr) return held({});
                    node->stop(std::move(held));
                });
            },
            token);
    }

    /// On get_executor() only.
    Status status() const { return node_->status(); }
    /// This replica's machine as it is: possibly behind the cluster. On get_executor() only.
    const Machine& machine() const { return node_->machine(); }
    /// The algorithm's own state, for tests and for tools that look closer. On get_executor() only.
    const raft::Core& core() const { return node_->engine().core(); }
    /// On get_executor() only.
    const Transport& transport() const { return node_->engine().transport(); }
    Transport& transport() { return node_->engine().transport(); }
    const Storage& storage() const { return node_->engine().storage(); }

private:
    template <class Value>
    using ReadHeld = detail::Completion<boost::system::error_code, Value>;

    template <class Query, class Value>
    class Read final : public detail::PendingRead<Machine> {
    public:
        Read(Query query, ReadHeld<Value> held)
            : query_(std::move(query)), held_(std::move(held)) {}
        void answer(const Machine& machine) override {
            std::optional<Value> value;
            try {
                value.emplace(query_(machine));
            } catch (...) {
                return fail(Errc::user_exception);
            }
            held_({}, std::move(*value));
        }
        void fail(Errc why) override { held_(why, Value{}); }

    private:
        Query query_;
        ReadHeld<Value> held_;
    };

    using Queue = std::shared_ptr<detail::CompletionQueue>;

    /// A handler on its way to the strand. One that has an executor keeps it at work from the
    /// beginning; for the others the way itself is work enough.
    template <class Held, class Handler>
    struct Keep {
        std::conditional_t<Held::template has_executor<Handler>, Held, Handler> kept;

        Held take(const Queue& queue) {
            if constexpr (Held::template has_executor<Handler>) {
                return std::move(kept);
            } else {
                return Held(std::move(kept), queue);
            }
        }
    };

    /// How an operation finds its node, without keeping it: a `Replicated` that is destroyed
    /// takes its node with it, whoever still waits.
    struct Where {
        Queue queue;
        std::weak_ptr<Node> node;

        /// Calls f(node, queue), or f(nullptr, queue) if it is gone, on the strand: here and now
        /// where that is allowed.
        template <class Function>
        void run(Function f) const {
            if (queue->strand().running_in_this_thread()) return f(node.lock().get(), queue);
            boost::asio::post(queue->strand(), [self = *this, f = std::move(f)]() mutable {
                f(self.node.lock().get(), self.queue);
            });
        }

        template <class Held, class Handler>
        Keep<Held, Handler> keep(Handler handler) const {
            if constexpr (Held::template has_executor<Handler>) {
                return {Held(std::move(handler), queue)};
            } else {
                return {std::move(handler)};
            }
        }
    };
    Where here() const { return {queue_, node_}; }

    static raft::NodeConfig configure(const Transport& transport, const Options& options) {
        if constexpr (requires { transport.max_message_bytes(); }) {
            constexpr std::size_t headers = 4096;
            if (options.raft.max_message_bytes + headers > transport.max_message_bytes()) {
                throw boost::system::system_error(
                    make_error_code(boost::system::errc::invalid_argument),
                    "options: raft.max_message_bytes is more than the transport carries");
            }
        }
        raft::NodeConfig config;
        config.self = transport.self();
        config.membership = raft::Membership::of_voters(transport.members());
        config.options = options.raft;
        if (options.snapshot_threshold >= 0) {
            const auto quarter = static_cast<std::size_t>(options.snapshot_threshold / 4);
            config.options.retained_bytes = std::min(config.options.retained_bytes, quarter);
        }
        config.seed = options.seed ? *options.seed : detail::random_number();
        return config;
    }

    /// Whose state it is, so that a start under another name does not take it over.
    static void claim(Storage& storage, const Transport& transport,
                      const raft::NodeConfig& config) {
        if constexpr (raft::ClaimedStorage<Storage>) {
            raft::Identity identity{config.self, {}, config.membership.voters};
            if constexpr (requires { std::string(transport.cluster()); }) {
                identity.cluster = transport.cluster();
            }
            storage.claim(std::move(identity));
        }
    }

    Queue queue_;
    std::shared_ptr<Node> node_;
};

}  // namespace rsm

#endif
