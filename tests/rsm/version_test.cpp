// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <rsm/rsm.hpp>
#include <rsm/version_text.hpp>

#include <doctest/doctest.h>

namespace version_test {

TEST_CASE("The version of the headers is the project's") {
    CHECK(rsm::version_text() == RSM_PROJECT_VERSION);
    CHECK(RSM_VERSION == RSM_VERSION_MAJOR * 10000 + RSM_VERSION_MINOR * 100 + RSM_VERSION_PATCH);
}

}  // namespace version_test
