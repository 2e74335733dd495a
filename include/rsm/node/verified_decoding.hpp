// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether an operation survives its own `serialize`.
#ifndef RSM_NODE_VERIFIED_DECODING_HPP
#define RSM_NODE_VERIFIED_DECODING_HPP

#include <raft/base/bytes.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/thrown.hpp>

#include <algorithm>
#include <concepts>
#include <string>

namespace rsm::inline v0::detail {

/// Whether values can be compared. Some templates of the standard library claim that whatever they
/// hold, and do not compile then: so all that they are made of must be comparable.
template <class T>
inline constexpr bool comparable = std::equality_comparable<T>;
template <template <class...> class Template, class... T>
inline constexpr bool comparable<Template<T...>> =
    (comparable<T> && ...) && std::equality_comparable<Template<T...>>;

/// Why an operation is not the same after it was decoded; empty: it is, as far as that shows. One
/// that is not written in the newest version may lack something.
template <class Operation>
std::string lost_in_encoding(const Operation& operation, const raft::Bytes& payload,
                             const FormatVersions& versions) {
    try {
        const auto decoded = decode<Operation>(payload.view(), versions);
        BufferWriter again;
        again.use_versions(versions);
        again << decoded;
        if (!again.any_order() && !std::ranges::equal(again.view(), payload.view())) {
            return "serialize writes other bytes for the operation that it has read";
        }
        if constexpr (comparable<Operation>) {
            if (versions.written >= versions.known && !(decoded == operation)) {
                return "the operation is another one after serialize has written and read it: "
                       "does it leave out a field?";
            }
        }
    } catch (...) {
        return "serialize cannot read what it has written (" + thrown_text() + ")";
    }
    return {};
}

}  // namespace rsm::detail

#endif
