// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Arbitrary bytes as values of nested containers: each is refused, or it is a value whose encoding
// is read as the same value again; and no count makes it take more memory than the bytes justify.
#include "support/allocations.hpp"
#include "support/finding.hpp"
#include "support/input.hpp"

#include <raft/base/bytes.hpp>
#include <raft/base/stream.hpp>
#include <rsm/archive.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace fuzz::archive_input {
namespace {

enum class Color : std::uint8_t { red, green };

/// Contains itself.
struct Tree {
    std::string name;
    std::vector<Tree> children;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& name& children;
    }
};

using Nested = std::vector<
    std::map<std::string, std::optional<std::variant<std::int64_t, std::string, std::vector<bool>,
                                                     std::pair<std::uint8_t, char32_t>>>>>;
using Hashed = std::unordered_map<std::uint32_t, std::set<std::string>>;
using Lists = std::deque<std::list<std::tuple<bool, std::int16_t, Color>>>;
using Empties = std::vector<std::array<std::monostate, 3>>;
using Multi = std::multimap<std::vector<std::uint16_t>, std::array<std::int32_t, 2>>;

/// Gives a few bytes at a time.
class ShortSource final : public raft::ByteSource {
public:
    ShortSource(std::string_view bytes, std::size_t most) : bytes_(bytes), most_(most) {}
    std::size_t read(std::span<std::byte> out) override {
        const std::size_t count = std::min({out.size(), most_, bytes_.size()});
        std::copy_n(raft::bytes_of(bytes_).begin(), count, out.begin());
        bytes_.remove_prefix(count);
        return count;
    }

private:
    std::string_view bytes_;
    std::size_t most_;
};

/// A number may be unequal to itself, and the order of a hash table is no part of its value.
template <class T>
bool is_same(const T& one, const T& other) {
    return rsm::encode(one) == rsm::encode(other);
}
bool is_same(const Hashed& one, const Hashed& other) { return one == other; }

/// Out of a source that gives little at a time the same comes as out of memory.
template <class T>
void read_in_pieces(std::string_view bytes, std::size_t most, const std::optional<T>& whole) {
    ShortSource source(bytes, most);
    std::optional<T> value(std::in_place);
    try {
        rsm::SnapshotReader reader(source, bytes.size(), most);
        reader >> *value;
        reader.finish();
    } catch (const rsm::ArchiveError&) {
        value.reset();
    }
    require(value.has_value() == whole.has_value() && (!value || is_same(*value, *whole)),
            "a value depends on how its bytes are cut");
}

template <class T>
void read(std::string_view bytes, std::size_t most) {
    std::optional<T> value;
    const LargestAllocation largest;
    try {
        value = rsm::decode<T>(raft::bytes_of(bytes));
    } catch (const rsm::ArchiveError&) {}
    // Rounded up to a power of two, and some for what is not the value's.
    constexpr std::size_t element_bytes = 256;
    require(largest.bytes() <= 2 * element_bytes * bytes.size() + 4096,
            "an allocation is larger than what was received justifies");
    read_in_pieces(bytes, most, value);
    if (!value) return;
    const std::vector<std::byte> again = rsm::encode(*value);
    require(is_same(rsm::decode<T>(again), *value), "a value is not what its encoding says");
}

void run(Input input) {
    const std::size_t kind = input.below(7);
    const std::size_t most = 1 + input.below(20);
    const std::string_view bytes = input.rest();
    switch (kind) {
        case 0: return read<Nested>(bytes, most);
        case 1: return read<Hashed>(bytes, most);
        case 2: return read<Lists>(bytes, most);
        case 3: return read<Empties>(bytes, most);
        case 4: return read<Multi>(bytes, most);
        case 5: return read<Tree>(bytes, most);
        default: return read<std::tuple<Nested, Tree, double>>(bytes, most);
    }
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::archive_input
