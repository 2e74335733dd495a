// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Completion handlers of any type, kept until their operations are done, and the queue on which a
// node calls those that leave it to the node where they run.
#ifndef RSM_NODE_COMPLETION_HPP
#define RSM_NODE_COMPLETION_HPP

#include <rsm/node/job_list.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

using Strand = boost::asio::strand<boost::asio::any_io_executor>;

/// Calls handlers on a strand. What becomes ready in one job of the strand is called by one other
/// job, in the order in which it became ready.
///
/// Jobs for the strand may come from any thread, through post_job(); they stay in the queue until
/// they run, so that abandon() finds them.
///
/// As long as handlers are kept that counts as work of the executor, so that run() does not return
/// before they have been called. A handler that throws does so out of run(); those behind it are
/// called when the executor goes on. What is ready when the execution context ends is destroyed.
///
/// Thread safety: strand() and post_job() from any thread, the rest on the strand only.
class CompletionQueue : public std::enable_shared_from_this<CompletionQueue> {
public:
    /// A handler with its arguments.
    class Ready {
    public:
        virtual ~Ready() = default;
        /// Calls the handler, after the memory that has kept it has been freed.
        virtual void call(std::unique_ptr<Ready> self) = 0;
    };

    explicit CompletionQueue(Strand strand) : strand_(std::move(strand)) {}

    const Strand& strand() const { return strand_; }

    using Jobs = JobList<std::shared_ptr<CompletionQueue>>;
    void post_job(std::unique_ptr<Jobs::Job> job) {
        jobs_.push(std::move(job));
        boost::asio::post(strand_, [self = shared_from_this()] { self->jobs_.run_next(self); });
    }

    /// Whether the strand's jobs do not run any more, as far as that can be known: only an
    /// io_context tells.
    bool stopped() const {
        using Context = boost::asio::io_context;
        const boost::asio::any_io_executor inner = strand_.get_inner_executor();
        if (const auto* plain = inner.target<Context::executor_type>()) {
            return plain->context().stopped();
        }
        using ContextStrand = boost::asio::strand<Context::executor_type>;
        const auto* strand = inner.target<ContextStrand>();
        return strand != nullptr && strand->get_inner_executor().context().stopped();
    }
    /// Destroys the jobs that have not run and the handlers that are ready and have not been
    /// called.
    void abandon() {
        jobs_.clear();
        const auto ready = std::exchange(ready_, {});
        const auto batch = std::exchange(batch_, {});
        next_ = 0;
        work_ = {};
    }

    /// A handler is kept from now on, until it is ready, or for ever: dropped() says so.
    void kept() {
        if (kept_++ == 0 && !work_) {
            work_ = boost::asio::prefer(strand_, boost::asio::execution::outstanding_work.tracked);
        }
    }
    void dropped() {
        if (--kept_ == 0 && !posted_) work_ = {};
    }

    void push(std::unique_ptr<Ready> ready) {
        ready_.push_back(std::move(ready));
        if (!std::exchange(posted_, true)) post();
    }

    /// Whether handlers are being called; on_called is called after the last.
    bool calling() const { return calling_; }
    std::function<void()> on_called;

private:
    void post() {
        boost::asio::post(strand_, [self = shared_from_this()] { self->call_ready(); });
    }

    void call_ready() {
        calling_ = true;
        // Those that become ready meanwhile come after what waits on the strand.
        if (next_ == batch_.size()) {
            batch_.clear();
            next_ = 0;
            batch_.swap(ready_);
        }
        try {
            while (next_ < batch_.size()) {
                std::unique_ptr<Ready> ready = std::move(batch_[next_++]);
                Ready& one = *ready;
                one.call(std::move(ready));
            }
        } catch (...) {
            called();
            if (!std::exchange(posted_, true)) post();  // for on_called
            throw;
        }
        called();
        if (on_called) on_called();
    }
    void called() {
        calling_ = false;
        posted_ = next_ < batch_.size() || !ready_.empty();
        if (posted_) post();
        if (kept_ == 0) work_ = {};
    }

    const Strand strand_;
    Jobs jobs_;
    std::vector<std::unique_ptr<Ready>> ready_;
    std::vector<std::unique_ptr<Ready>> batch_;  // being called
    std::size_t next_ = 0;                       // in batch_
    bool posted_ = false;
    bool calling_ = false;
    std::size_t kept_ = 0;               // and not ready
    boost::asio::any_io_executor work_;  // tracked while any are kept
};

/// Move-only. Calling it empties it, and never calls the handler from inside.
///
/// A handler that has an executor of its own is posted there; until then that executor is kept
/// from running out of work. Any other goes by way of the queue, or of the executor that was given
/// in its place.
template <class... Args>
class Completion {
    // Not the executor of any handler.
    struct None : boost::asio::system_executor {};

public:
    template <class Handler>
    static constexpr bool has_executor =
        !std::is_same_v<boost::asio::associated_executor_t<Handler, None>, None>;

    Completion() = default;

    template <class Handler>
    Completion(Handler handler, const boost::asio::any_io_executor& fallback)
        : handler_(std::make_unique<Posted<Handler>>(std::move(handler), fallback)) {}

    /// On the queue's strand, unless the handler has an executor.
    template <class Handler>
    Completion(Handler handler, const std::shared_ptr<CompletionQueue>& queue) {
        if constexpr (has_executor<Handler>) {
            handler_ = std::make_unique<Posted<Handler>>(std::move(handler), queue->strand());
        } else {
            handler_ = std::make_unique<Queued<Handler>>(std::move(handler), queue);
        }
    }

    explicit operator bool() const { return handler_ != nullptr; }

    /// @pre *this
    void operator()(Args... args) {
        AnyHandler& handler = *handler_;
        handler.complete(std::move(handler_), std::tuple<Args...>(std::move(args)...));
    }

private:
    struct AnyHandler : CompletionQueue::Ready {
        virtual void complete(std::unique_ptr<AnyHandler> self, std::tuple<Args...> args) = 0;
    };

    template <class Handler>
    struct Posted final : AnyHandler {
        using Executor = boost::asio::associated_executor_t<Handler, boost::asio::any_io_executor>;
        using Tracked = std::decay_t<decltype(boost::asio::prefer(
            std::declval<Executor>(), boost::asio::execution::outstanding_work.tracked))>;

        Posted(Handler given, const boost::asio::any_io_executor& fallback)
            : handler(std::move(given)),
              work(boost::asio::prefer(boost::asio::get_associated_executor(handler, fallback),
                                       boost::asio::execution::outstanding_work.tracked)) {}

        void complete(std::unique_ptr<AnyHandler>, std::tuple<Args...> args) override {
            boost::asio::post(work,
                              [called = std::move(handler), values = std::move(args)]() mutable {
                                  std::apply(std::move(called), std::move(values));
                              });
        }
        void call(std::unique_ptr<CompletionQueue::Ready>) override {}  // never queued

        Handler handler;
        Tracked work;
    };

    template <class Handler>
    struct Queued final : AnyHandler {
        Queued(Handler given, std::shared_ptr<CompletionQueue> where)
            : handler(std::move(given)), queue(std::move(where)) {
            queue->kept();
        }
        ~Queued() override {
            if (queue != nullptr) queue->dropped();
        }

        void complete(std::unique_ptr<AnyHandler> self, std::tuple<Args...> args) override {
            values.emplace(std::move(args));
            // The queue now owns this, and must not be owned in turn.
            const std::shared_ptr<CompletionQueue> owner = std::exchange(queue, nullptr);
            owner->push(std::move(self));
            owner->dropped();
        }
        void call(std::unique_ptr<CompletionQueue::Ready> self) override {
            Handler called = std::move(handler);
            std::tuple<Args...> given = std::move(*values);
            self.reset();
            std::apply(std::move(called), std::move(given));
        }

        Handler handler;
        std::shared_ptr<CompletionQueue> queue;  // until complete()
        std::optional<std::tuple<Args...>> values;
    };

    std::unique_ptr<AnyHandler> handler_;
};

/// How an operation that ends with a Value completes, with it or with an error. A Value that has no
/// default comes in an optional, since there is nothing to give with an error.
template <class Value>
struct Ending {
    static constexpr bool has_default = std::is_default_constructible_v<Value>;
    using Given = std::conditional_t<has_default, Value, std::optional<Value>>;
    using Signature = void(boost::system::error_code, Given);
    using Completion = detail::Completion<boost::system::error_code, Given>;
    static void fail(Completion& completion, boost::system::error_code why) {
        completion(why, Given{});
    }
};
template <>
struct Ending<void> {
    using Signature = void(boost::system::error_code);
    using Completion = detail::Completion<boost::system::error_code>;
    static void fail(Completion& completion, boost::system::error_code why) { completion(why); }
};

}  // namespace rsm::detail

#endif
