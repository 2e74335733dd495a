// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "program.hpp"
namespace system_test::expired {
int run(int, char**) { return 0; }
}
