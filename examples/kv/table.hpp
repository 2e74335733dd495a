// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A hash table of which an immutable image can be had at once, however large it is.
#ifndef RSM_EXAMPLES_KV_TABLE_HPP
#define RSM_EXAMPLES_KV_TABLE_HPP

#include <boost/unordered/unordered_flat_map.hpp>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kv {

/// XXH3 of some bytes.
inline std::uint64_t hash(std::string_view bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// From keys to values.
///
/// While an image lives the table leaves alone what the image shows: changes go to a second, small
/// map that lies over the first. When the image is gone, each later change carries some of them
/// over. So nothing ever waits for a copy of the whole (but, as in every such table, for its
/// growth), and an image costs the memory of what changes while it lives.
///
/// Thread safety: const functions may run side by side, except freeze(), which runs alone like all
/// others. An image may be read and destroyed by another thread whatever becomes of the table.
template <class Value>
class Table {
    // Asks for all keys of a hash: it is equal to none, and notes those that it is compared with.
    struct Probe {
        std::uint64_t hash;
        std::vector<const std::string*>& met;
    };
    struct KeyHash {
        using is_transparent = void;
        using is_avalanching = void;
        std::size_t operator()(std::string_view key) const {
            return static_cast<std::size_t>(hash_of(key));
        }
        std::size_t operator()(const Probe& probe) const {
            return static_cast<std::size_t>(probe.hash);
        }
    };
    struct KeyEqual {
        using is_transparent = void;
        bool operator()(std::string_view left, std::string_view right) const {
            return left == right;
        }
        bool operator()(const Probe& probe, const std::string& key) const {
            if (hash_of(key) == probe.hash) probe.met.push_back(&key);
            return false;
        }
        bool operator()(const std::string& key, const Probe& probe) const {
            return (*this)(probe, key);
        }
    };
    // The order in which it iterates must show nowhere. Open addressing: most of what an operation
    // on a large table costs is waiting for memory, and nodes of their own would double that.
    using Map = boost::unordered_flat_map<std::string, Value, KeyHash, KeyEqual>;
    using Changes = std::unordered_map<std::string, std::optional<Value>, KeyHash, KeyEqual>;
    using Images = std::atomic<std::size_t>;

    // Counts an image while it lives. Who finds the count at 0 knows that all reading is over.
    class Counted {
    public:
        explicit Counted(std::shared_ptr<Images> images) : images_(std::move(images)) {
            images_->fetch_add(1, std::memory_order_relaxed);
        }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        ~Counted() { images_->fetch_sub(1, std::memory_order_release); }

    private:
        std::shared_ptr<Images> images_;
    };

public:
    class Image {
    public:
        std::size_t size() const noexcept { return map_->size(); }

        /// Calls f(key, value), the keys in ascending order.
        template <class F>
        void for_each_sorted(F f) const {
            Table::for_each_sorted(*map_, f);
        }

    private:
        friend class Table;
        explicit Image(const Table& table) : counted_(table.count_image()), map_(table.map_) {}

        std::shared_ptr<const Counted> counted_;  // goes after the map
        std::shared_ptr<const Map> map_;
    };

    /// What a table has held, to be freed little by little.
    class Remains {
    public:
        /// Frees up to `count` entries, none while an image shows them. @return whether none is
        /// left
        bool free_some(std::size_t count) {
            if (images_->load(std::memory_order_acquire) != 0) return false;
            for (; count != 0 && !changes_.empty(); --count) changes_.erase(changes_.begin());
            if (!next_) next_ = map_->begin();
            for (; count != 0 && *next_ != map_->end(); --count) map_->erase((*next_)++);
            return changes_.empty() && *next_ == map_->end();
        }

    private:
        friend class Table;
        explicit Remains(Table& table)
            : map_(std::move(table.map_)),
              changes_(std::move(table.changes_)),
              images_(std::move(table.images_)) {}

        std::shared_ptr<Map> map_;
        Changes changes_;
        std::shared_ptr<Images> images_;
        std::optional<typename Map::iterator> next_;
    };

    Table() = default;
    Table(const Table& other) : map_(other.merged()), size_(other.size_) {}
    Table& operator=(const Table& other) {
        if (this != &other) *this = Table(other);
        return *this;
    }
    Table(Table&&) = default;
    Table& operator=(Table&&) = default;
    ~Table() = default;

    std::size_t size() const noexcept { return size_; }

    /// Null if the key is absent. Valid until the next change.
    const Value* find(std::string_view key) const {
        if (!changes_.empty()) {
            const auto changed = changes_.find(key);
            if (changed != changes_.end()) return changed->second ? &*changed->second : nullptr;
        }
        const auto found = std::as_const(*map_).find(key);
        return found == map_->cend() ? nullptr : &found->second;
    }

    /// The key's value, to be changed, and whether it is a new one. Valid until the next change.
    std::pair<Value&, bool> change(const std::string& key) {
        const bool imaged = imaged_or_carry_over(carried_at_once);
        auto place = changes_.find(key);
        if (place == changes_.end() && imaged) {
            place = changes_.try_emplace(key).first;
            const auto found = std::as_const(*map_).find(key);
            if (found != map_->cend()) place->second = found->second;
        }
        if (place != changes_.end()) {
            std::optional<Value>& value = place->second;
            const bool created = !value;
            if (created) value.emplace();
            size_ += created ? 1 : 0;
            return {*value, created};
        }
        const auto [held, created] = map_->try_emplace(key);
        size_ += created ? 1 : 0;
        return {held->second, created};
    }

    /// @pre the key is there
    void erase(const std::string& key) {
        const bool imaged = imaged_or_carry_over(carried_at_once);
        --size_;
        if (!imaged) {
            changes_.erase(key);
            map_->erase(key);
        } else if (std::as_const(*map_).contains(key)) {
            changes_[key].reset();
        } else {
            changes_.erase(key);
        }
    }

    /// Leaves an empty table behind. Takes next to no time, however large it is.
    Remains take_all() {
        Remains all(*this);
        *this = Table();
        return all;
    }

    /// The hash by which for_each_of_hash() finds a key.
    static std::uint64_t hash_of(std::string_view key) { return hash(key, 0); }

    /// Calls f(key, value) for the keys that have this hash, of which there is hardly ever a second
    /// one.
    template <class F>
    void for_each_of_hash(std::uint64_t hash, F f) const {
        std::vector<const std::string*> met;
        static_cast<void>(changes_.find(Probe{hash, met}));
        std::vector<const std::string*> below;
        static_cast<void>(std::as_const(*map_).find(Probe{hash, below}));
        std::copy_if(below.begin(), below.end(), std::back_inserter(met),
                     [this](const std::string* key) { return !changes_.contains(*key); });
        for (const std::string* key : met) {
            if (const Value* value = find(*key)) f(*key, *value);
        }
    }

    /// Makes room for `count` keys in all.
    void reserve(std::size_t count) {
        if (!imaged()) map_->reserve(count);
    }

    /// The content as it is now. Takes next to no time if no image lives and the changes during the
    /// life of the last have been carried over; otherwise that has to be made up for.
    Image freeze() const {
        if (imaged_or_carry_over(changes_.size())) {
            map_ = merged();
            changes_.clear();
            images_ = std::make_shared<Images>(0);
        }
        return Image(*this);
    }

    /// Calls f(key, value) in no particular order.
    template <class F>
    void for_each(F f) const {
        for (const auto& [key, value] : std::as_const(*map_)) {
            if (changes_.empty() || !changes_.contains(key)) f(key, value);
        }
        for (const auto& [key, value] : changes_) {
            if (value) f(key, *value);
        }
    }
    /// The same, the keys in ascending order.
    template <class F>
    void for_each_sorted(F f) const {
        if (changes_.empty()) return for_each_sorted(*map_, f);
        for_each_sorted(*merged(), f);
    }

    friend bool operator==(const Table& left, const Table& right) {
        if (left.size_ != right.size_) return false;
        bool equal = true;
        left.for_each([&](const std::string& key, const Value& value) {
            const Value* other = right.find(key);
            equal = equal && other != nullptr && *other == value;
        });
        return equal;
    }

private:
    // More than one, so that the changes come to an end although new keys keep coming.
    static constexpr std::size_t carried_at_once = 8;

    // Acquire: what comes after it may write what images have read before.
    bool imaged() const { return images_->load(std::memory_order_acquire) != 0; }
    std::shared_ptr<const Counted> count_image() const {
        return std::make_shared<const Counted>(images_);
    }

    // True: an image lives, which is asked only once because it may end at any time. False: up to
    // `count` changes have been carried over.
    bool imaged_or_carry_over(std::size_t count) const {
        if (imaged()) return true;
        for (; count != 0 && !changes_.empty(); --count) {
            auto change = changes_.extract(changes_.begin());
            if (change.mapped()) {
                map_->insert_or_assign(std::move(change.key()), *std::move(change.mapped()));
            } else {
                map_->erase(change.key());
            }
        }
        return false;
    }

    std::shared_ptr<Map> merged() const {
        auto all = std::make_shared<Map>();
        all->reserve(size_);
        for_each([&](const std::string& key, const Value& value) { all->emplace(key, value); });
        return all;
    }

    template <class F>
    static void for_each_sorted(const Map& map, F& f) {
        struct Place {
            KeyPrefix prefix;
            const typename Map::value_type* item;
        };
        std::vector<Place> sorted;
        sorted.reserve(map.size());
        for (const auto& item : map) sorted.push_back({prefix_of(item.first), &item});
        std::sort(sorted.begin(), sorted.end(), [](const Place& a, const Place& b) {
            if (a.prefix != b.prefix) return a.prefix < b.prefix;
            return a.item->first < b.item->first;
        });
        for (const Place& place : sorted) f(place.item->first, place.item->second);
    }

    // A key's first bytes as numbers that compare as they do: short keys are sorted without being
    // fetched from memory again and again.
    using KeyPrefix = std::array<std::uint64_t, 2>;
    static KeyPrefix prefix_of(std::string_view key) {
        KeyPrefix prefix{};
        for (std::size_t i = 0; i < 16; ++i) {
            const auto byte = i < key.size() ? static_cast<unsigned char>(key[i]) : 0U;
            prefix[i / 8] = prefix[i / 8] << 8 | byte;
        }
        return prefix;
    }

    // Mutable where freeze() changes who holds what, not what the content is.
    mutable std::shared_ptr<Map> map_ = std::make_shared<Map>();
    mutable Changes changes_;  // lie over map_; no value: the key is absent
    mutable std::shared_ptr<Images> images_ = std::make_shared<Images>(0);
    std::size_t size_ = 0;
};

}  // namespace kv

#endif
