// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// In a unity build the same file as the consumer.
#include <rsm/options.hpp>

#include <cstdint>

std::int64_t one();
std::int64_t number();

std::int64_t number() { return one() * rsm::kibibytes(1); }
