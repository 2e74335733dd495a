// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A completion handler of any type, kept until its operation is done.
#ifndef RSM_DETAIL_COMPLETION_HPP
#define RSM_DETAIL_COMPLETION_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <memory>
#include <tuple>
#include <utility>

namespace rsm::detail {

/// Move-only. Calling it posts the handler to its associated executor (the node's, by default)
/// and empties it: a handler never runs inside the call that completes it. The handler's executor
/// is kept from running out of work until then.
template <class... Args>
class Completion {
public:
    Completion() = default;

    template <class Handler>
    Completion(Handler handler, const boost::asio::any_io_executor& fallback)
        : held_(std::make_unique<Held<Handler>>(std::move(handler), fallback)) {}

    explicit operator bool() const { return held_ != nullptr; }

    /// @pre *this
    void operator()(Args... args) {
        std::exchange(held_, nullptr)->post(std::tuple<Args...>(std::move(args)...));
    }

private:
    struct Base {
        virtual ~Base() = default;
        virtual void post(std::tuple<Args...> args) = 0;
    };

    template <class Handler>
    struct Held final : Base {
        using Executor =
            boost::asio::associated_executor_t<Handler, boost::asio::any_io_executor>;
        using Tracked = std::decay_t<decltype(boost::asio::prefer(
            std::declval<Executor>(), boost::asio::execution::outstanding_work.tracked))>;

        Held(Handler given, const boost::asio::any_io_executor& fallback)
            : handler(std::move(given)),
              work(boost::asio::prefer(
                  boost::asio::get_associated_executor(handler, fallback),
                  boost::asio::execution::outstanding_work.tracked)) {}

        void post(std::tuple<Args...> args) override {
            boost::asio::post(work, [called = std::move(handler),
                                     values = std::move(args)]() mutable {
                std::apply(std::move(called), std::move(values));
            });
        }

        Handler handler;
        Tracked work;
    };

    std::unique_ptr<Base> held_;
};

}  // namespace rsm::detail

#endif
