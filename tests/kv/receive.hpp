// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bytes that arrive.
#ifndef RSM_TESTS_KV_RECEIVE_HPP
#define RSM_TESTS_KV_RECEIVE_HPP

#include <kv/resp.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace kv_test {

/// As often as a buffer has no room for all of it, in pieces.
inline void receive(kv::InputBuffer& buffer, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto room = buffer.prepare();
        const std::size_t count = std::min(room.size(), bytes.size());
        std::memcpy(room.data(), bytes.data(), count);
        buffer.commit(count);
        bytes.remove_prefix(count);
    }
}

}  // namespace kv_test

#endif
