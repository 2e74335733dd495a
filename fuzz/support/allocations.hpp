// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How large the allocations are that an input leads to.
#ifndef RSM_FUZZ_SUPPORT_ALLOCATIONS_HPP
#define RSM_FUZZ_SUPPORT_ALLOCATIONS_HPP

#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <cstddef>

namespace fuzz {

/// The largest one since it was made. One at a time.
class LargestAllocation {
public:
    LargestAllocation() {
        static const int hooked = __sanitizer_install_malloc_and_free_hooks(
            [](const volatile void*, std::size_t size) { largest = std::max(largest, size); },
            [](const volatile void*) {});
        static_cast<void>(hooked);
        largest = 0;
    }
    static std::size_t bytes() { return largest; }

private:
    static inline std::size_t largest = 0;
};

}  // namespace fuzz

#endif
