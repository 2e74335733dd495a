// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which temporaries a caller may pass to an operation that a coroutine awaits.
//
// GCC 12 moves an object that braces make inside a co_await expression (an aggregate, or a lambda
// with captures) into the coroutine's frame byte by byte, and destroys both: what it owns is freed
// twice. No signature of the callee can mend that, so such temporaries are refused there.
#ifndef RSM_NODE_TEMPORARIES_HPP
#define RSM_NODE_TEMPORARIES_HPP

#include <boost/asio/async_result.hpp>

#include <type_traits>

namespace rsm::inline v0::detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool moves_temporaries_as_bytes = true;
#else
inline constexpr bool moves_temporaries_as_bytes = false;
#endif

/// Braces make it, or a part that the caller may have made in the same expression. Bytes are enough
/// for what is trivially copyable.
template <class T>
inline constexpr bool braces_make = std::is_aggregate_v<T> && !std::is_trivially_copyable_v<T>;
template <template <class...> class Whole, class... Parts>
inline constexpr bool braces_make<Whole<Parts...>> =
    !std::is_trivially_copyable_v<Whole<Parts...>> &&
    (std::is_aggregate_v<Whole<Parts...>> || ... || braces_make<Parts>);

/// What initiating gave is for a coroutine to wait for.
template <class Initiated>
concept Awaited = requires(Initiated& initiated) {
    initiated.await_ready();
}
|| requires(Initiated& initiated) { initiated.operator co_await(); }
|| boost::asio::is_async_operation<Initiated>::value;

/// @tparam Given  deduced from a forwarding reference: not a reference for a temporary
template <class Given, class Initiated>
inline constexpr bool operation_survives =
    !moves_temporaries_as_bytes || std::is_lvalue_reference_v<Given> ||
    !braces_make<std::remove_cv_t<Given>> || !Awaited<Initiated>;
/// The same for a query, since a lambda's captures cannot be told from other members.
template <class Given, class Initiated>
inline constexpr bool query_survives =
    !moves_temporaries_as_bytes || std::is_lvalue_reference_v<Given> ||
    std::is_trivially_copyable_v<std::remove_cv_t<Given>> || !Awaited<Initiated>;

}  // namespace rsm::detail

#endif
