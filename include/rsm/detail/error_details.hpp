// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an error code knows beyond its number: who leads, or what was thrown.
//
// A code is a number and a category, and only the category can say more. So there is a twin of the
// category for each thing that has been said: equal to it, because its id is, but with a text of
// its own. As a code may outlive everything, twins are kept for ever, each once, up to a bound;
// beyond it codes come without details. Leaders and exceptions have a bound each, since the texts
// of exceptions may be many.
#ifndef RSM_DETAIL_ERROR_DETAILS_HPP
#define RSM_DETAIL_ERROR_DETAILS_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

namespace rsm::inline v0::detail {

struct ErrorDetails {
    std::uint64_t leader = 0;  ///< 0: none
    std::string text;          ///< the leader's address, or what was thrown
    friend bool operator<(const ErrorDetails& one, const ErrorDetails& other) {
        return std::tie(one.leader, one.text) < std::tie(other.leader, other.text);
    }
};

inline constexpr std::size_t error_details_max = 1024;
inline constexpr std::size_t error_text_bytes_max = 1024;

/// Makes Category's twins. It has the constructor Category(const ErrorDetails*).
///
/// Thread safety: all members may be called from any thread.
template <class Category>
class ErrorDetailsRegistry {
public:
    /// The program's, which are never destroyed.
    static ErrorDetailsRegistry& of_leaders() {
        static auto* const registry = new ErrorDetailsRegistry;
        return *registry;
    }
    static ErrorDetailsRegistry& of_exceptions() {
        static auto* const registry = new ErrorDetailsRegistry;
        return *registry;
    }

    /// Null beyond the bound.
    const Category* find(ErrorDetails details) {
        if (details.text.size() > error_text_bytes_max) details.text.resize(error_text_bytes_max);
        const std::scoped_lock lock(mutex_);
        const auto found = twins_.find(details);
        if (found != twins_.end()) return found->second.get();
        if (twins_.size() >= error_details_max) return nullptr;
        const auto added = twins_.emplace(std::move(details), nullptr).first;
        added->second = std::make_unique<Category>(&added->first);
        return added->second.get();
    }

private:
    std::mutex mutex_;
    std::map<ErrorDetails, std::unique_ptr<Category>> twins_;
};

}  // namespace rsm::detail

#endif
