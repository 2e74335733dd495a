// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The completion of an operation, which counts how it ends.
#ifndef RSM_NODE_COUNTED_COMPLETION_HPP
#define RSM_NODE_COUNTED_COMPLETION_HPP

#include <rsm/admin/metrics.hpp>
#include <rsm/node/completion.hpp>

#include <boost/system/error_code.hpp>

#include <utility>

namespace rsm::inline v0::detail {

template <class Ending>
struct CountedCompletion {
    typename Ending::Completion completion;
    Metrics* counts = nullptr;

    explicit operator bool() const { return static_cast<bool>(completion); }
    void operator()(boost::system::error_code why) {
        counts->operations_failed.count(why);
        Ending::fail(completion, why);
    }
    template <class... Value>
    void completed(Value&&... value) {
        ++counts->operations_completed;
        completion({}, std::forward<Value>(value)...);
    }
};

}  // namespace rsm::detail

#endif
