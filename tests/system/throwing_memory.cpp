// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A library to be preloaded: a program finds no memory where it asks for exactly as many bytes at
// once as the environment says in RSM_NO_MEMORY_OF. Nothing else changes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

std::size_t refused_size() {
    const char* const text = std::getenv("RSM_NO_MEMORY_OF");
    return text == nullptr ? SIZE_MAX : std::strtoul(text, nullptr, 10);
}

}  // namespace

void* operator new(std::size_t size) {
    static const std::size_t refused = refused_size();
    if (size == refused) throw std::bad_alloc();
    if (void* const found = std::malloc(size == 0 ? 1 : size)) return found;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
