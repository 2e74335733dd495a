// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Replicated: a user's state machine, made replicated, durable and linearizable.
#ifndef RSM_REPLICATED_HPP
#define RSM_REPLICATED_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/engine.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/admin/metrics.hpp>
#include <rsm/backup.hpp>
#include <rsm/clock.hpp>
#include <rsm/detail/entropy.hpp>
#include <rsm/error.hpp>
#include <rsm/node/completion.hpp>
#include <rsm/node/node.hpp>
#include <rsm/node/requirements.hpp>
#include <rsm/node/restoring.hpp>
#include <rsm/node/temporaries.hpp>
#include <rsm/options.hpp>
#include <rsm/plan.hpp>
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
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// One replica of a state machine. Every member of the cluster runs one; the members agree on one
/// sequence of operations and apply it each to its own machine.
///
/// Guarantees: an operation that async_submit completed without error is durable on a quorum and
/// is never lost as long as a quorum of disks survives; operations and reads are linearizable;
/// each submitted operation is applied at most once.
///
/// What it is made of, and what it says first where something is missing: a StateMachine, and plans
/// of a transport, a storage and a clock (rsm/plan.hpp), which it opens for itself.
///
/// Thread safety: the async_ functions and get_executor may be called from any thread. status(),
/// machine() and the policies may be used on get_executor() only. Construct it
/// before, or destroy it after, the executor's threads run, or do both on get_executor().
/// Destruction completes what is under way with Errc::interrupted or Errc::stopped and waits for
/// nothing; async_stop is the clean way.
///
/// Handlers are called by the executor, so nothing completes while nobody runs it. Where it is that
/// of an io_context which has been stopped, destruction destroys the handlers instead of leaving
/// them behind: a future is then told of a broken promise.
template <class Machine, class Transport, class Storage, class Clock = SteadyClock>
class Replicated {
    static_assert(detail::MachineRequirements<Machine>::held &&
                  detail::PolicyRequirements<Transport, Storage, Clock>::held);

    using Node = detail::Node<Machine, Running<Transport>, Running<Storage>, Running<Clock>>;
    using SubmitEnding = typename Node::Ending;

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
    ///         contradict each other, an address that is none (std::errc::invalid_argument), a
    ///         transport that cannot listen, a storage that is in use by another process, damaged,
    ///         of an unknown format or of another node, cluster or list of members
    ///         (StorageErrc::foreign), a snapshot or a backup that `machine` refuses, a Persistent
    ///         machine that the log does not belong to, a backup that is damaged. Where it is the
    ///         backup, nothing has been made. Nothing else, but for
    ///         std::bad_alloc and what moving the arguments throws.
    Replicated(const boost::asio::any_io_executor& executor, Machine machine, Transport transport,
               Storage storage, Options options = {}, Clock clock = {})
        : queue_(std::make_shared<detail::CompletionQueue>(boost::asio::make_strand(executor))) {
        raft::NodeConfig config = configure(transport, options);
        raft::Identity identity = identify(config);
        std::optional<raft::Seed> seed = detail::seed_for(storage, options, identity, machine);
        node_ = std::make_shared<Node>(
            queue_, std::move(machine), std::move(config), std::move(options),
            [&] { return open(transport); }, [&] { return open(storage); },
            [&] { return open(clock); });
        if constexpr (raft::ClaimedStorage<Running<Storage>>) {
            node_->engine().storage().claim(std::move(identity));
        }
        if constexpr (raft::SeedableStorage<Running<Storage>>) {
            if (seed) node_->engine().storage().begin_with(*std::move(seed));
        }
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
    /// - not committed, now or ever: not_leader (leader_in(code) may name who to ask), overloaded,
    ///   no_space, log_full, too_large, user_exception, superseded, skipped, stopped.
    /// - unknown: timed_out, result_lost, interrupted.
    ///
    /// Completion signature: void(boost::system::error_code, Result), without the second where
    /// `apply` returns nothing. The Result that comes with an error is a default one; where it has
    /// no default, the second is a std::optional<Result>, empty exactly if there is an error.
    ///
    /// @param given  an Operation, or what converts to one; braces will do: {.add = 5}
    /// @param timeout  until Errc::timed_out; 0 or less: none
    ///
    /// In a coroutine, GCC 12 frees twice what an operation in braces owns (a string, say), so
    /// there such a temporary does not compile: name the operation before the co_await and pass it
    /// by its name. Nothing of this concerns Clang, later GCCs, and operations that own nothing.
    template <class CompletionToken>
    auto async_submit(Operation&& given, std::chrono::nanoseconds timeout,
                      CompletionToken&& token) {
        return submit<Operation>(std::move(given), timeout, std::forward<CompletionToken>(token));
    }
    template <class Given, class CompletionToken>
    auto async_submit(Given&& given, std::chrono::nanoseconds timeout, CompletionToken&& token) {
        return submit<Given>(std::forward<Given>(given), timeout,
                             std::forward<CompletionToken>(token));
    }
    /// With Options::operation_timeout.
    template <class CompletionToken>
        requires(!std::convertible_to<CompletionToken, std::chrono::nanoseconds>)
    auto async_submit(Operation&& given, CompletionToken&& token) {
        return async_submit(std::move(given), node_->options().operation_timeout,
                            std::forward<CompletionToken>(token));
    }
    template <class Given, class CompletionToken>
        requires(!std::convertible_to<CompletionToken, std::chrono::nanoseconds>)
    auto async_submit(Given&& given, CompletionToken&& token) {
        return async_submit(std::forward<Given>(given), node_->options().operation_timeout,
                            std::forward<CompletionToken>(token));
    }

    /// Calls `query(const Machine&)` on a state that contains every operation which had completed
    /// anywhere before this call, and completes with what it returned. Nothing is written to the
    /// log. The errors are not_leader, overloaded, timed_out, user_exception (the query threw) and
    /// stopped; a read that failed had no effect in any case.
    ///
    /// Completion signature: void(boost::system::error_code, Value), where Value is
    /// decltype(query(machine)), decayed, or a std::optional of it where it has no default, as for
    /// async_submit.
    ///
    /// In a coroutine with GCC 12, a query whose captures own something must have a name too.
    template <class Query, class CompletionToken>
    auto async_read(Query&& query, std::chrono::nanoseconds timeout, CompletionToken&& token) {
        static_assert(std::invocable<std::decay_t<Query>&, const Machine&>,
                      "rsm: a query must be callable with a const Machine&");
        using Reader = std::decay_t<Query>;
        using Value = std::decay_t<std::invoke_result_t<Reader&, const Machine&>>;
        static_assert(!std::is_void_v<Value>, "rsm: a query must return something");
        using Ending = detail::Ending<Value>;
        const auto begin = [where = here()](auto handler, Reader asked,
                                            std::chrono::nanoseconds limit) {
            where.run([asked = std::move(asked),
                       carried =
                           where.template carry<typename Ending::Completion>(std::move(handler)),
                       limit](Node* node, const Queue& queue) mutable {
                auto read =
                    std::make_unique<Read<Reader, Value>>(std::move(asked), carried.take(queue));
                if (node == nullptr) return read->fail(Errc::stopped);
                node->read(std::move(read), limit);
            });
        };
        using Initiated = decltype(initiate<typename Ending::Signature>(
            std::forward<CompletionToken>(token), begin, Reader(std::forward<Query>(query)),
            timeout));
        static_assert(detail::query_survives<Query, Initiated>,
                      "rsm: GCC 12 miscompiles a lambda with such captures inside a co_await "
                      "expression: name the query before, and pass it by its name");
        return initiate<typename Ending::Signature>(std::forward<CompletionToken>(token), begin,
                                                    Reader(std::forward<Query>(query)), timeout);
    }
    /// With Options::operation_timeout.
    template <class Query, class CompletionToken>
        requires(!std::convertible_to<CompletionToken, std::chrono::nanoseconds>)
    auto async_read(Query&& query, CompletionToken&& token) {
        return async_read(std::forward<Query>(query), node_->options().operation_timeout,
                          std::forward<CompletionToken>(token));
    }

    /// A state that contains every operation which had completed anywhere before this call, to be
    /// kept as a backup (Backup::save). It is of one moment, shares with the machine what may be
    /// shared, and is written when and where the caller likes; a machine that does not freeze is
    /// serialized here and now, into memory. The errors are those of async_read; none had an
    /// effect. Completion signature: void(boost::system::error_code, CapturedState).
    template <class CompletionToken>
    auto async_capture(std::chrono::nanoseconds timeout, CompletionToken&& token) {
        return ask_node<detail::PendingCaptures::Ending>(
            std::forward<CompletionToken>(token), [timeout](Node& node, auto completion) {
                node.capture(std::move(completion), timeout);
            });
    }
    /// The state of this node, whatever its role, once it contains all up to an index: that which
    /// a leader had applied at the end of a linearizable read makes it contain all that had
    /// completed before that read. The errors are overloaded, timed_out, user_exception, stopped.
    template <class CompletionToken>
    auto async_capture(raft::Index at_least, std::chrono::nanoseconds timeout,
                       CompletionToken&& token) {
        return ask_node<detail::PendingCaptures::Ending>(
            std::forward<CompletionToken>(token), [at_least, timeout](Node& node, auto completion) {
                node.capture(at_least, std::move(completion), timeout);
            });
    }

    /// Takes a snapshot of what this node has applied, whatever its role and however short the log
    /// is, and completes with it when it is durable and the log that it covers may go; at once with
    /// the newest one if nothing was applied since. One that is under way already does not count.
    /// Nothing else than the log's length changes, here or elsewhere. A machine that makes its
    /// state durable in groups (Persistent) gives what is durable, which may be less than what was
    /// applied. Errors: overloaded (too many ask for one), timed_out (it may still be taken),
    /// stopped, and those of the operating system, with which it could not be saved: nothing is
    /// lost, and the log stays. Completion signature:
    /// void(boost::system::error_code, SavedSnapshot).
    ///
    /// @param timeout  0: none
    template <class CompletionToken>
    auto async_snapshot(std::chrono::nanoseconds timeout, CompletionToken&& token) {
        return ask_node<detail::PendingSnapshots::Ending>(
            std::forward<CompletionToken>(token), [timeout](Node& node, auto completion) {
                node.snapshot(std::move(completion), timeout);
            });
    }

    /// What status() says, for any thread. Completion signature:
    /// void(boost::system::error_code, Status). The only error is Errc::stopped, where this object
    /// was destroyed first; a node that has stopped still answers.
    template <class CompletionToken>
    auto async_status(CompletionToken&& token) {
        return ask_node<detail::Ending<Status>>(
            std::forward<CompletionToken>(token),
            [](Node& node, auto completion) { completion({}, node.status()); });
    }

    /// What the node has counted and measured since it was started, for any thread; see Metrics.
    /// Completion signature: void(boost::system::error_code, Metrics). The only error is
    /// Errc::stopped, where this object was destroyed first; a node that has stopped still answers.
    template <class CompletionToken>
    auto async_metrics(CompletionToken&& token) {
        return ask_node<detail::Ending<Metrics>>(
            std::forward<CompletionToken>(token),
            [](Node& node, auto completion) { completion({}, node.metrics()); });
    }

    /// Makes `target` the members: any change of who votes and who learns, and of where they are,
    /// in one step. Completes when the cluster has them for good, or with an error:
    ///
    /// - not made: not_leader, busy, invalid_members, unreachable, given_up, stopped.
    /// - unknown: interrupted (this node leads no more; the next leader finishes it if it was being
    ///   decided, else it is not made, and who had been taken in is a learner).
    ///
    /// Newcomers are taken in as learners and vote when they have caught up; the old voters and the
    /// new ones then decide together (joint consensus: Raft paper, section 6). Meanwhile the
    /// cluster serves. A leader that is no voter any more leads until that is decided, and gives
    /// way. A member whose instance is given and is another than before begins as a learner, too.
    /// Completion signature: void(boost::system::error_code).
    template <class CompletionToken>
    auto async_change_members(Members target, ChangeOptions how, CompletionToken&& token) {
        return ask_node<detail::Ending<void>>(
            std::forward<CompletionToken>(token),
            [target = std::move(target), how](Node& node, auto completion) mutable {
                node.change_members(std::move(target), how, std::move(completion));
            });
    }
    template <class CompletionToken>
    auto async_change_members(Members target, CompletionToken&& token) {
        return async_change_members(std::move(target), ChangeOptions{},
                                    std::forward<CompletionToken>(token));
    }
    /// Gives up the change of members that was asked for here and is under way, if the members have
    /// not begun to decide it; async_change_members then completes with Errc::given_up. From any
    /// thread.
    void cancel_change() {
        here().run([](Node* node, const Queue&) {
            if (node != nullptr) node->cancel_change();
        });
    }

    /// Passes leadership to another node, which is brought up to date first; new operations are
    /// refused meanwhile (Errc::handing_over). Completes when another term has begun, at once where
    /// the target leads already, or with an error: not_leader, busy, invalid_members (the target
    /// does not vote, or no longer), unreachable, stopped, interrupted (this node leads no more,
    /// and has not heard of a successor), and timed_out, after which this node goes on leading
    /// (thesis, section 3.10). Completion signature: void(boost::system::error_code).
    ///
    /// @param target    0: the one that is best prepared
    /// @param patience  more than 0; an election timeout is a good one
    template <class CompletionToken>
    auto async_transfer_leadership(raft::NodeId target, std::chrono::nanoseconds patience,
                                   CompletionToken&& token) {
        return ask_node<detail::Ending<void>>(
            std::forward<CompletionToken>(token), [target, patience](Node& node, auto completion) {
                node.hand_over(target, patience, std::move(completion));
            });
    }

    /// Stops taking part, finishes the writes that are under way and releases the storage; what
    /// is pending completes with Errc::interrupted or Errc::stopped. Completion signature:
    /// void(boost::system::error_code), never with an error.
    template <class CompletionToken>
    auto async_stop(CompletionToken&& token) {
        using Ending = detail::Ending<void>;
        const auto begin = [where = here()](auto handler) {
            where.run([carried = where.template carry<typename Ending::Completion>(
                           std::move(handler))](Node* node, const Queue& queue) mutable {
                typename Ending::Completion completion = carried.take(queue);
                if (node == nullptr) return completion({});
                node->stop(std::move(completion));
            });
        };
        return initiate<typename Ending::Signature>(std::forward<CompletionToken>(token), begin);
    }

    /// On get_executor() only.
    Status status() const { return node_->status(); }
    /// On get_executor() only.
    Metrics metrics() const { return node_->metrics(); }
    /// This replica's machine as it is: possibly behind the cluster. On get_executor() only.
    const Machine& machine() const { return node_->machine(); }
    /// The algorithm's own state, for tests and for tools that look closer. On get_executor() only.
    const raft::Core& core() const { return node_->engine().core(); }
    /// What runs by the plans that were passed. On get_executor() only.
    const Running<Transport>& transport() const { return node_->engine().transport(); }
    Running<Transport>& transport() { return node_->engine().transport(); }
    const Running<Storage>& storage() const { return node_->engine().storage(); }

private:
    template <class Signature, class CompletionToken, class Initiation, class... Args>
    static auto initiate(CompletionToken&& token, Initiation begin, Args&&... args) {
#if defined(BOOST_ASIO_HAS_CONCEPTS)
        static_assert(boost::asio::completion_token_for<CompletionToken, Signature>,
                      "rsm: the handler cannot be called with what this operation completes with: "
                      "an error_code, and then the Result of `apply` or the Value of the query");
#endif
        return boost::asio::async_initiate<CompletionToken, Signature>(std::move(begin), token,
                                                                       std::forward<Args>(args)...);
    }

    /// Asks the node, on its executor, for what ends as Ending says. There is none any more:
    /// stopped.
    template <class Ending, class CompletionToken, class Ask>
    auto ask_node(CompletionToken&& token, Ask ask) {
        const auto begin = [where = here()](auto handler, Ask asked) {
            using Completion = typename Ending::Completion;
            where.run([asked = std::move(asked),
                       carried = where.template carry<Completion>(std::move(handler))](
                          Node* node, const Queue& queue) mutable {
                Completion completion = carried.take(queue);
                if (node == nullptr) return Ending::fail(completion, Errc::stopped);
                asked(*node, std::move(completion));
            });
        };
        return initiate<typename Ending::Signature>(std::forward<CompletionToken>(token), begin,
                                                    std::move(ask));
    }

    template <class Given, class CompletionToken>
    auto submit(Given&& given, std::chrono::nanoseconds timeout, CompletionToken&& token) {
        static_assert(std::convertible_to<Given, Operation>,
                      "rsm: what is submitted must be an Operation of the state machine, or "
                      "convert to one");
        const auto begin = [where = here()](auto handler, Operation submitted,
                                            std::chrono::nanoseconds limit) {
            using Completion = typename SubmitEnding::Completion;
            where.run([submitted = std::move(submitted),
                       carried = where.template carry<Completion>(std::move(handler)),
                       limit](Node* node, const Queue& queue) mutable {
                Completion completion = carried.take(queue);
                if (node == nullptr) return SubmitEnding::fail(completion, Errc::stopped);
                node->submit(std::move(submitted), std::move(completion), limit);
            });
        };
        Operation operation = std::forward<Given>(given);
        using Signature = typename SubmitEnding::Signature;
        using Initiated = decltype(initiate<Signature>(std::forward<CompletionToken>(token), begin,
                                                       std::move(operation), timeout));
        static_assert(detail::operation_survives<Given, Initiated>,
                      "rsm: GCC 12 miscompiles an operation in braces inside a co_await "
                      "expression: name the operation before, and pass it by its name");
        return initiate<Signature>(std::forward<CompletionToken>(token), begin,
                                   std::move(operation), timeout);
    }

    template <class Query, class Value>
    class Read final : public detail::PendingRead<Machine> {
        using Ending = detail::Ending<Value>;

    public:
        Read(Query query, typename Ending::Completion completion)
            : query_(std::move(query)), completion_(std::move(completion)) {}
        bool answer(const Machine& machine) override {
            std::optional<Value> value;
            try {
                value.emplace(query_(machine));
            } catch (...) {
                fail(detail::thrown_code());
                return false;
            }
            completion_({}, std::move(*value));
            return true;
        }
        void fail(boost::system::error_code why) override { Ending::fail(completion_, why); }

    private:
        Query query_;
        typename Ending::Completion completion_;
    };

    using Queue = std::shared_ptr<detail::CompletionQueue>;

    /// A handler on its way to the strand. One that has an executor keeps it at work from the
    /// beginning; for the others the way itself is work enough.
    template <class Completion, class Handler>
    struct Carried {
        std::conditional_t<Completion::template has_executor<Handler>, Completion, Handler> carried;

        Completion take(const Queue& queue) {
            if constexpr (Completion::template has_executor<Handler>) {
                return std::move(carried);
            } else {
                return Completion(std::move(carried), queue);
            }
        }
    };

    /// An operation on its way from another thread. The queue owns it, and it not the queue.
    template <class Function>
    class Job final : public detail::CompletionQueue::Jobs::Job {
    public:
        Job(std::weak_ptr<Node> node, Function function)
            : node_(std::move(node)), function_(std::move(function)) {}
        void run(const Queue& queue) override { function_(node_.lock().get(), queue); }

    private:
        std::weak_ptr<Node> node_;
        Function function_;
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
            queue->post_job(std::make_unique<Job<Function>>(node, std::move(f)));
        }

        template <class Completion, class Handler>
        Carried<Completion, Handler> carry(Handler handler) const {
            if constexpr (Completion::template has_executor<Handler>) {
                return {Completion(std::move(handler), queue)};
            } else {
                return {std::move(handler)};
            }
        }
    };
    Where here() const { return {queue_, node_}; }

    template <class Planned>
    Running<Planned> open(const Planned& plan) const try {
        return plan.open(queue_->strand());
    } catch (const std::invalid_argument& error) {
        throw boost::system::system_error(make_error_code(boost::system::errc::invalid_argument),
                                          error.what());
    }

    static raft::NodeConfig configure(const Transport& transport, const Options& options) {
        if (const raft::Result<void> valid = options.validate(); !valid) {
            throw boost::system::system_error(
                make_error_code(boost::system::errc::invalid_argument), valid.error().what);
        }
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
        if constexpr (requires { std::string(transport.cluster()); }) {
            config.cluster = transport.cluster();
        }
        config.founding = founding(transport, options);
        config.founder = !options.birth || options.birth->founder;
        if (options.birth) {
            const auto& backup = options.birth->backup;
            config.origin = backup ? backup->id() : options.birth->origin;
        }
        config.options = options.raft;
        config.options.readable_version =
            std::min(format_version_of<Machine>, options.max_format_version);
        if constexpr (Persistent<Machine>) config.options.apply_durable_only = true;
        if (options.snapshot_threshold >= 0) {
            const auto quarter = static_cast<std::size_t>(options.snapshot_threshold / 4);
            config.options.retained_bytes = std::min(config.options.retained_bytes, quarter);
        }
        config.seed = options.seed ? *options.seed : detail::random_number();
        if constexpr (raft::ClaimedStorage<Running<Storage>>) {
            config.instance = detail::draw_instance(options.seed);
        }
        return config;
    }

    static raft::Membership founding(const Transport& transport, const Options& options) {
        raft::Membership membership;
        if (options.birth) {
            membership.members = options.birth->founding;
        } else {
            for (const raft::NodeId node : transport.members()) {
                membership.members.push_back({node, raft::Standing::voter, {}, {}});
                if constexpr (requires { std::string(transport.contact(node)); }) {
                    membership.members.back().contact = transport.contact(node);
                }
            }
        }
        membership.sort();
        return membership;
    }

    /// Whose state it is, so that a start under another name does not take it over.
    static raft::Identity identify(const raft::NodeConfig& config) {
        return {config.self,     config.cluster, config.founding,
                config.instance, config.founder, config.origin};
    }

    Queue queue_;
    std::shared_ptr<Node> node_;
};

}  // namespace rsm

#endif
