// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Arbitrary bytes as a server's replies, to the reader that the Clerk and the command line use:
// what is found does not depend on how they are cut, and costs no more memory than they do.
#include "support/allocations.hpp"
#include "support/finding.hpp"
#include "support/input.hpp"

#include <kv/reply.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz::replies_input {
namespace {

struct Read {
    std::vector<kv::Reply> replies;
    std::string error;
    friend bool operator==(const Read&, const Read&) = default;
};

Read read(std::string_view bytes, std::size_t most) {
    Read result;
    kv::ReplyParser parser({100, 1000, 50, 20, 3});
    std::string here;
    while (result.error.empty()) {
        const kv::ParseStatus status = parser.parse(here);
        require(parser.consumed() <= here.size(), "more is consumed than there is");
        here.erase(0, parser.consumed());
        if (status == kv::ParseStatus::complete) {
            result.replies.push_back(parser.take());
        } else if (status == kv::ParseStatus::failed) {
            result.error = parser.error();
            require(!result.error.empty(), "a refusal does not say what it refuses");
        } else if (bytes.empty()) {
            break;
        } else {
            here += bytes.substr(0, most);
            bytes.remove_prefix(std::min(most, bytes.size()));
        }
    }
    return result;
}

void run(Input input) {
    const std::size_t most = 1 + input.below(40);
    const std::string_view bytes = input.rest();
    const LargestAllocation largest;
    const Read whole = read(bytes, bytes.size() + 1);
    require(largest.bytes() <= 200 * bytes.size() + 4096,
            "an allocation is larger than what was received justifies");
    require(read(bytes, most) == whole, "what is found depends on how the bytes are cut");
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::replies_input
