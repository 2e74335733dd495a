// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How the containers and the composed types of the standard library are written and read. They are
// handled here and not by Boost's headers because those allocate for whatever count they read.
#ifndef RSM_ARCHIVE_STANDARD_TYPES_HPP
#define RSM_ARCHIVE_STANDARD_TYPES_HPP

#include <rsm/archive/encoding.hpp>
#include <rsm/archive/errors.hpp>
#include <rsm/archive/input.hpp>
#include <rsm/archive/output.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::inline v0::detail {

// Elements that lie side by side and exist already: no count.
template <class T>
void save_elements(OutputArchive& ar, std::span<const T> elements) {
    if constexpr (Bulk<T>) {
        ar.write(std::as_bytes(elements));
    } else {
        for (const T& element : elements) {
            ar << element;
        }
    }
}
template <class T>
void load_elements(InputArchive& ar, std::span<T> elements) {
    if constexpr (Bulk<T>) {
        ar.read(std::as_writable_bytes(elements));
    } else {
        for (T& element : elements) {
            ar >> element;
        }
    }
}

template <class T, std::size_t size>
struct Encoding<T[size]> {
    static void save(OutputArchive& ar, const T (&value)[size]) { save_elements<T>(ar, value); }
    static void load(InputArchive& ar, T (&value)[size]) { load_elements<T>(ar, value); }
};
template <class T, std::size_t size>
struct Encoding<std::array<T, size>> {
    static void save(OutputArchive& ar, const std::array<T, size>& value) {
        save_elements<T>(ar, value);
    }
    static void load(InputArchive& ar, std::array<T, size>& value) { load_elements<T>(ar, value); }
};

template <class Char, class Traits, class Allocator>
struct Encoding<std::basic_string<Char, Traits, Allocator>> {
    using String = std::basic_string<Char, Traits, Allocator>;

    static void save(OutputArchive& ar, const String& value) {
        ar.write_varint(value.size());
        save_elements<Char>(ar, value);
    }
    static void load(InputArchive& ar, String& value) {
        const std::size_t count = ar.read_count();
        value.clear();
        if constexpr (Bulk<Char>) {
            value.resize(count);
            load_elements<Char>(ar, value);
        } else {
            for (std::size_t i = 0; i < count; ++i) {
                Char element{};
                ar >> element;
                value.push_back(element);
            }
        }
    }
};

// The frame that all counted containers share: the count, the elements, and the filling that keeps
// the count below the number of bytes.
template <class Container, class SaveOne>
void save_counted(OutputArchive& ar, const Container& value, SaveOne save_one) {
    if constexpr (requires { typename Container::hasher; }) ar.say_any_order();
    ar.write_varint(value.size());
    const std::uint64_t start = ar.size();
    for (const auto& element : value) {
        save_one(element);
    }
    for (std::uint64_t taken = ar.size() - start; taken < value.size(); ++taken) {
        ar.write_byte(0);
    }
}
template <class LoadOne>
void load_counted(InputArchive& ar, std::size_t count, LoadOne load_one) {
    const std::uint64_t start = ar.offset();
    for (std::size_t i = 0; i < count; ++i) {
        load_one();
    }
    for (std::uint64_t taken = ar.offset() - start; taken < count; ++taken) {
        if (ar.read_byte() != 0) {
            ar.fail(ArchiveErrc::bad_value);
        }
    }
}

// Reserves no more memory than there are bytes left, for the in-memory size of an element may
// exceed its encoding.
template <class Container>
void reserve_for(const InputArchive& ar, Container& value, std::size_t count) {
    if constexpr (requires { value.reserve(count); }) {
        const std::uint64_t affordable = ar.remaining() / sizeof(typename Container::value_type);
        value.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, affordable)));
    }
}

// In place of what `value` held; what is counted begins with a `First` each.
template <class First, class Container, class LoadOne>
void load_container(InputArchive& ar, Container& value, LoadOne load_one) {
    const std::size_t count = ar.read_count(encoded_bytes_min<First>);
    value.clear();
    reserve_for(ar, value, count);
    load_counted(ar, count, std::move(load_one));
}

// What sequences and sets share.
template <class Container>
struct ElementsEncoding {
    using Element = typename Container::value_type;
    static_assert(std::default_initializable<Element>,
                  "elements must be default constructible to be loaded");

    static void save(OutputArchive& ar, const Container& value) {
        save_counted(ar, value, [&ar](const Element& element) { ar << element; });
    }
};

template <class Container>
struct SequenceEncoding : ElementsEncoding<Container> {
    static void load(InputArchive& ar, Container& value) {
        load_container<typename Container::value_type>(ar, value, [&] {
            value.emplace_back();
            ar >> value.back();
        });
    }
};
template <class T, class Allocator>
struct Encoding<std::deque<T, Allocator>> : SequenceEncoding<std::deque<T, Allocator>> {};
template <class T, class Allocator>
struct Encoding<std::list<T, Allocator>> : SequenceEncoding<std::list<T, Allocator>> {};
template <class T, class Allocator>
struct Encoding<std::vector<T, Allocator>> : SequenceEncoding<std::vector<T, Allocator>> {};

template <Bulk T, class Allocator>
struct Encoding<std::vector<T, Allocator>> {
    static void save(OutputArchive& ar, const std::vector<T, Allocator>& value) {
        ar.write_varint(value.size());
        save_elements<T>(ar, value);
    }
    static void load(InputArchive& ar, std::vector<T, Allocator>& value) {
        const std::size_t count = ar.read_count(sizeof(T));
        value.resize(count);
        load_elements<T>(ar, value);
    }
};

// The elements of vector<bool> are proxies, not objects.
template <class Allocator>
struct Encoding<std::vector<bool, Allocator>> {
    static void save(OutputArchive& ar, const std::vector<bool, Allocator>& value) {
        save_counted(ar, value, [&ar](bool element) { ar << element; });
    }
    static void load(InputArchive& ar, std::vector<bool, Allocator>& value) {
        const std::size_t count = ar.read_count();
        value.clear();
        value.reserve(count);
        load_counted(ar, count, [&] {
            bool element = false;
            ar >> element;
            value.push_back(element);
        });
    }
};

// An encoder writes no key twice, and the keys of ordered containers in their order. `size` is what
// the container holds once the element at `place` is new.
template <class Container, class Iterator>
void require_added(const InputArchive& ar, const Container& value, Iterator place,
                   std::size_t size) {
    bool added = value.size() == size;
    if constexpr (requires { typename Container::key_compare; }) {
        added = added && std::next(place) == value.end();
    }
    if (!added) {
        ar.fail(ArchiveErrc::bad_value);
    }
}

template <class Set>
struct SetEncoding : ElementsEncoding<Set> {
    static void load(InputArchive& ar, Set& value) {
        using Element = typename Set::value_type;
        load_container<Element>(ar, value, [&, size = std::size_t{0}]() mutable {
            Element element{};
            ar >> element;
            const auto place = value.emplace_hint(value.end(), std::move(element));
            require_added(ar, value, place, ++size);
        });
    }
};
template <class T, class Less, class Allocator>
struct Encoding<std::set<T, Less, Allocator>> : SetEncoding<std::set<T, Less, Allocator>> {};
template <class T, class Less, class Allocator>
struct Encoding<std::multiset<T, Less, Allocator>>
    : SetEncoding<std::multiset<T, Less, Allocator>> {};
template <class T, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_set<T, Hash, Equal, Allocator>>
    : SetEncoding<std::unordered_set<T, Hash, Equal, Allocator>> {};
template <class T, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_multiset<T, Hash, Equal, Allocator>>
    : SetEncoding<std::unordered_multiset<T, Hash, Equal, Allocator>> {};

template <class Map>
struct MapEncoding {
    using Key = typename Map::key_type;
    using Mapped = typename Map::mapped_type;
    static_assert(std::default_initializable<Key> && std::default_initializable<Mapped>,
                  "keys and values must be default constructible to be loaded");

    static void save(OutputArchive& ar, const Map& value) {
        save_counted(ar, value,
                     [&ar](const auto& element) { ar << element.first << element.second; });
    }
    static void load(InputArchive& ar, Map& value) {
        load_container<Key>(ar, value, [&, size = std::size_t{0}]() mutable {
            Key key{};
            ar >> key;
            const auto place =
                value.emplace_hint(value.end(), std::piecewise_construct,
                                   std::forward_as_tuple(std::move(key)), std::tuple<>{});
            require_added(ar, value, place, ++size);
            ar >> place->second;
        });
    }
};
template <class K, class V, class Less, class Allocator>
struct Encoding<std::map<K, V, Less, Allocator>> : MapEncoding<std::map<K, V, Less, Allocator>> {};
template <class K, class V, class Less, class Allocator>
struct Encoding<std::multimap<K, V, Less, Allocator>>
    : MapEncoding<std::multimap<K, V, Less, Allocator>> {};
template <class K, class V, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_map<K, V, Hash, Equal, Allocator>>
    : MapEncoding<std::unordered_map<K, V, Hash, Equal, Allocator>> {};
template <class K, class V, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_multimap<K, V, Hash, Equal, Allocator>>
    : MapEncoding<std::unordered_multimap<K, V, Hash, Equal, Allocator>> {};

template <class T>
struct Encoding<std::optional<T>> {
    static void save(OutputArchive& ar, const std::optional<T>& value) {
        ar << value.has_value();
        if (value) {
            ar << *value;
        }
    }
    static void load(InputArchive& ar, std::optional<T>& value) {
        bool has_value = false;
        ar >> has_value;
        value.reset();
        if (has_value) {
            ar >> value.emplace();
        }
    }
};

template <class First, class Second>
struct Encoding<std::pair<First, Second>> {
    static void save(OutputArchive& ar, const std::pair<First, Second>& value) {
        ar << value.first << value.second;
    }
    static void load(InputArchive& ar, std::pair<First, Second>& value) {
        ar >> value.first >> value.second;
    }
};
template <class... Parts>
struct Encoding<std::tuple<Parts...>> {
    static void save(OutputArchive& ar, const std::tuple<Parts...>& value) {
        std::apply([&ar](const Parts&... parts) { (void)(ar << ... << parts); }, value);
    }
    static void load(InputArchive& ar, std::tuple<Parts...>& value) {
        std::apply([&ar](Parts&... parts) { (void)(ar >> ... >> parts); }, value);
    }
};

template <>
struct Encoding<std::monostate> {
    static void save(OutputArchive&, std::monostate) noexcept {}
    static void load(InputArchive&, std::monostate&) noexcept {}
};
template <class... Alternatives>
struct Encoding<std::variant<Alternatives...>> {
    using Variant = std::variant<Alternatives...>;

    static void save(OutputArchive& ar, const Variant& value) {
        if (value.valueless_by_exception()) {
            ar.fail(ArchiveErrc::bad_value);
        }
        ar.write_varint(value.index());
        std::visit([&ar](const auto& alternative) { ar << alternative; }, value);
    }
    static void load(InputArchive& ar, Variant& value) {
        const std::uint64_t index = ar.read_varint();
        if (index >= sizeof...(Alternatives)) {
            ar.fail(ArchiveErrc::bad_value);
        }
        load_alternative(ar, value, index, std::index_sequence_for<Alternatives...>());
    }

private:
    template <std::size_t... indexes>
    static void load_alternative(InputArchive& ar, Variant& value, std::uint64_t index,
                                 std::index_sequence<indexes...>) {
        (void)((index == indexes && (ar >> value.template emplace<indexes>(), true)) || ...);
    }
};

}  // namespace rsm::detail

#endif
