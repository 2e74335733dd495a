// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A simulated file: what of it is durable, and everything that was written since its last sync,
// sector by sector, because a crash may leave any version of each. Costs follow what was touched:
// a write copies its sectors, a sync visits those that were written, an image shares all pages.
#ifndef RSM_SIM_WORLD_DETAIL_SECTORS_HPP
#define RSM_SIM_WORLD_DETAIL_SECTORS_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What a disk writes wholly or not at all.
inline constexpr std::size_t sector_bytes = 512;

namespace detail {

inline constexpr std::array<std::byte, sector_bytes> zero_sector{};

/// Bytes without an end: what was never written reads as zeros. A copy shares its pages until one
/// of the two changes them.
class Content {
public:
    static constexpr std::size_t page_sectors = 8;
    static constexpr std::size_t page_bytes = page_sectors * sector_bytes;

    const std::byte* sector(std::uint32_t number) const {
        const std::size_t page = number / page_sectors;
        if (page >= pages_.size() || pages_[page] == nullptr) return zero_sector.data();
        return pages_[page]->data() + number % page_sectors * sector_bytes;
    }
    void put(std::uint32_t number, const std::byte* bytes) {
        const std::size_t page = number / page_sectors;
        const bool hole = page >= pages_.size() || pages_[page] == nullptr;
        if (hole && std::memcmp(bytes, zero_sector.data(), sector_bytes) == 0) return;
        std::memcpy(own(page).data() + number % page_sectors * sector_bytes, bytes, sector_bytes);
    }
    void flip(std::uint64_t offset, unsigned bit) {
        own(static_cast<std::size_t>(offset / page_bytes))[offset % page_bytes] ^= std::byte{1}
                                                                                   << bit;
    }
    /// Makes everything from `size` on zeros.
    void cut(std::uint64_t size) {
        const auto keep = static_cast<std::size_t>((size + page_bytes - 1) / page_bytes);
        if (pages_.size() > keep) pages_.resize(keep);
        const std::size_t rest = size % page_bytes;
        if (rest == 0 || pages_.size() < keep || pages_[keep - 1] == nullptr) return;
        std::ranges::fill(std::span(own(keep - 1)).subspan(rest), std::byte{0});
    }
    /// The pages that hold anything, ascending.
    std::vector<std::size_t> used_pages() const {
        std::vector<std::size_t> result;
        for (std::size_t i = 0; i < pages_.size(); ++i) {
            if (pages_[i] != nullptr) result.push_back(i);
        }
        return result;
    }

private:
    using Page = std::array<std::byte, page_bytes>;

    Page& own(std::size_t page) {
        if (page >= pages_.size()) pages_.resize(page + 1);
        auto& pointer = pages_[page];
        if (pointer == nullptr) {
            pointer = std::make_shared<Page>();
        } else if (pointer.use_count() > 1) {
            pointer = std::make_shared<Page>(*pointer);
        }
        return *pointer;
    }

    std::vector<std::shared_ptr<Page>> pages_;
};

/// The bytes of a vectored write, taken from the front.
class PartReader {
public:
    explicit PartReader(std::span<const std::span<const std::byte>> parts) : parts_(parts) {}

    /// @pre so many bytes are left. A null `target` skips them.
    void take(std::byte* target, std::size_t count) {
        while (count != 0) {
            const auto rest = parts_.front().subspan(used_);
            const std::size_t piece = std::min(count, rest.size());
            if (target != nullptr && piece != 0) {
                std::memcpy(target, rest.data(), piece);
                target += piece;
            }
            count -= piece;
            used_ += piece;
            if (used_ == parts_.front().size()) {
                parts_ = parts_.subspan(1);
                used_ = 0;
            }
        }
    }

private:
    std::span<const std::span<const std::byte>> parts_;
    std::size_t used_ = 0;
};

/// How many bytes the files of a disk take, shared by all of them.
using Usage = std::shared_ptr<std::uint64_t>;

/// One file, whatever its name.
class Inode {
public:
    explicit Inode(Usage usage) : Inode(std::move(usage), std::make_shared<Content>(), 0) {}
    /// A file of which all is durable.
    Inode(Usage usage, std::shared_ptr<Content> content, std::uint64_t size)
        : usage_(std::move(usage)), durable_(std::move(content)), size_(size), durable_size_(size) {
        allocate(size);
    }
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;
    ~Inode() { *usage_ -= allocated_; }

    std::uint64_t size() const { return size_; }
    std::uint64_t durable_size() const { return durable_size_; }
    const std::shared_ptr<Content>& durable() const { return durable_; }
    /// Bytes that a file of this size takes, its inode included.
    static std::uint64_t allocation(std::uint64_t size) {
        return (size + sector_bytes - 1) / sector_bytes * sector_bytes + sector_bytes;
    }
    std::uint64_t allocated() const { return allocated_; }

    /// What a reader sees of one sector.
    const std::byte* current(std::uint32_t sector) const {
        const std::uint32_t slot = slot_of(sector);
        return slot == 0 ? durable_->sector(sector) : data(dirty_[slot - 1].newest);
    }
    /// Whether the disk gives all of these bytes back.
    bool is_readable(std::uint64_t offset, std::uint64_t size) const {
        if (unreadable_.empty() || size == 0 || offset >= size_) return true;
        size = std::min(size, size_ - offset);
        const auto first = unreadable_.lower_bound(sector_of(offset));
        return first == unreadable_.end() || *first > sector_of(offset + size - 1);
    }
    /// The disk does not give this sector back any more, until it is written again.
    void spoil(std::uint64_t offset) { unreadable_.insert(sector_of(offset)); }
    /// @pre is_readable()
    std::size_t read(std::uint64_t offset, std::span<std::byte> out) const {
        if (offset >= size_) return 0;
        const auto total =
            static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
        for (std::size_t done = 0; done < total;) {
            const std::size_t begin = (offset + done) % sector_bytes;
            const std::size_t count = std::min(sector_bytes - begin, total - done);
            std::memcpy(out.data() + done, current(sector_of(offset + done)) + begin, count);
            done += count;
        }
        return total;
    }

    /// Writes `size` bytes of `parts`, save for the sectors for which `arrives()` is false.
    template <class Arrives>
    void write(std::uint64_t offset, std::span<const std::span<const std::byte>> parts,
               std::uint64_t size, Arrives arrives) {
        PartReader source(parts);
        const std::uint64_t end = offset + size;
        for (std::uint64_t at = offset; at < end;) {
            const std::size_t begin = at % sector_bytes;
            const auto count =
                static_cast<std::size_t>(std::min<std::uint64_t>(sector_bytes - begin, end - at));
            if (arrives()) {
                std::byte* const target = stage(sector_of(at), count == sector_bytes);
                source.take(target + begin, count);
                commit(sector_of(at));
                unreadable_.erase(sector_of(at));
            } else {
                source.take(nullptr, count);
            }
            at += count;
        }
        if (size != 0) grow(end);
    }
    /// A size that was lost in a failed sync is on its way again once something is written there.
    void grow(std::uint64_t size) {
        if (size <= (sizes_.empty() ? durable_size_ : sizes_.back())) return;
        size_ = std::max(size_, size);
        sizes_.push_back(size);
        allocate(size);
    }

    /// False: there was nothing to do.
    bool sync() {
        bool changed = settle_size(sizes_.size());
        changed = settle_sectors([](const Dirty& dirty) { return dirty.count; }) || changed;
        return changed;
    }
    /// A sync that fails: of each sector that it should have written the newest version is durable,
    /// or it is lost and still read from the cache, or it is lost and not in the cache either.
    /// Whichever it is, the sector counts as written from now on.
    void fail_sync(raft::Random& random) {
        settle_size(random.below(2) == 0 ? 0 : sizes_.size());
        for (Dirty& dirty : dirty_) {
            if (dirty.count != 0 && random.below(3) == 0) dirty.count = 0;
        }
        settle_sectors([&](const Dirty& dirty) { return random.below(2) == 0 ? 0 : dirty.count; });
        beyond_ = beyond_ || durable_size_ < size_;
    }
    /// The sectors of this range stay in the cache and never reach the disk, unless they are
    /// written again.
    void lose(std::uint64_t offset, std::uint64_t size) {
        if (size == 0) return;
        for (std::uint32_t at = sector_of(offset); at <= sector_of(offset + size - 1); ++at) {
            if (const std::uint32_t slot = slot_of(at); slot != 0) dirty_[slot - 1].count = 0;
        }
    }
    /// The cache is gone: `choose(n)` says which of n later versions of a sector, or of the size,
    /// the disk has; 0 is the durable one.
    template <class Choose>
    void settle(Choose choose) {
        settle_size(sizes_.empty() ? 0 : choose(sizes_.size()));
        for (Dirty& dirty : dirty_) {
            if (dirty.count == 0) dirty.newest = none;
        }
        settle_sectors([&](const Dirty& dirty) { return choose(dirty.count); });
        size_ = durable_size_;
        own().cut(size_);
    }

    /// Cuts the file short, durably. @pre nothing is unsynced
    void shorten(std::uint64_t size) {
        size_ = durable_size_ = std::min(size, durable_size_);
        own().cut(size_);
    }

    /// A file that holds exactly what is durable; shares its pages.
    std::shared_ptr<Inode> image(Usage usage) const {
        auto content = durable_;
        if (beyond_) {
            content = std::make_shared<Content>(*content);
            content->cut(durable_size_);
        }
        auto image = std::make_shared<Inode>(std::move(usage), std::move(content), durable_size_);
        image->unreadable_ = unreadable_;
        return image;
    }
    /// Changes what is durable, past the cache.
    Content& own() {
        if (durable_.use_count() > 1) durable_ = std::make_shared<Content>(*durable_);
        return *durable_;
    }

private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Version {
        std::uint32_t data;      ///< its place in arena_, in sectors; none: zeros
        std::uint32_t previous;  ///< the version before it; none: the durable one
    };
    struct Dirty {
        std::uint32_t sector;
        std::uint32_t newest;  ///< a version; none: not in the cache
        std::size_t count;  ///< versions that may be durable; 0: only cached, and taken for clean
    };

    static std::uint32_t sector_of(std::uint64_t offset) {
        return static_cast<std::uint32_t>(offset / sector_bytes);
    }
    std::uint32_t slot_of(std::uint32_t sector) const {
        return sector < slots_.size() ? slots_[sector] : 0;
    }
    const std::byte* data(std::uint32_t version) const {
        const std::uint32_t place = versions_[version].data;
        return place == none ? zero_sector.data() : arena_.data() + place * sector_bytes;
    }
    void allocate(std::uint64_t size) {
        const std::uint64_t needed = std::max(allocated_, allocation(size));
        *usage_ += needed - std::exchange(allocated_, needed);
    }

    /// Room for a new version at the end of the arena, which begins as what is there now.
    std::byte* stage(std::uint32_t sector, bool whole) {
        const std::size_t at = arena_.size();
        arena_.resize(at + sector_bytes);
        if (!whole) std::memcpy(arena_.data() + at, current(sector), sector_bytes);
        return arena_.data() + at;
    }
    void commit(std::uint32_t sector) {
        const std::size_t at = arena_.size() - sector_bytes;
        const std::byte* const bytes = arena_.data() + at;
        std::uint32_t slot = slot_of(sector);
        if (slot == 0 && std::memcmp(bytes, durable_->sector(sector), sector_bytes) == 0) {
            arena_.resize(at);  // whichever version a crash leaves, it is this one
            return;
        }
        auto place = static_cast<std::uint32_t>(at / sector_bytes);
        if (std::memcmp(bytes, zero_sector.data(), sector_bytes) == 0) {
            arena_.resize(at);
            place = none;
        }
        if (slot == 0) {
            if (sector >= slots_.size()) slots_.resize(sector + 1);
            dirty_.push_back({sector, none, 0});
            slot = slots_[sector] = static_cast<std::uint32_t>(dirty_.size());
        }
        Dirty& dirty = dirty_[slot - 1];
        versions_.push_back({place, dirty.count == 0 ? none : dirty.newest});
        dirty.newest = static_cast<std::uint32_t>(versions_.size() - 1);
        ++dirty.count;
    }

    /// 0 chooses the durable size, n the n-th that the file had since.
    bool settle_size(std::size_t chosen) {
        const std::uint64_t before = durable_size_;
        if (chosen != 0) durable_size_ = sizes_[chosen - 1];
        sizes_.clear();
        return durable_size_ != before;
    }
    /// Makes the chosen version of each dirty sector durable. What is only cached stays cached.
    template <class Choose>
    bool settle_sectors(Choose choose) {
        if (dirty_.empty()) return false;
        bool changed = false;
        std::size_t kept = 0;
        Content& content = own();
        for (std::size_t i = 0; i < dirty_.size(); ++i) {
            const Dirty dirty = dirty_[i];
            if (dirty.count == 0 && dirty.newest != none) {
                dirty_[kept++] = dirty;
                slots_[dirty.sector] = static_cast<std::uint32_t>(kept);
                continue;
            }
            slots_[dirty.sector] = 0;
            const std::size_t chosen = dirty.count == 0 ? 0 : choose(dirty);
            if (chosen == 0) continue;
            std::uint32_t version = dirty.newest;
            for (std::size_t back = dirty.count - chosen; back != 0; --back) {
                version = versions_[version].previous;
            }
            content.put(dirty.sector, data(version));
            changed = true;
        }
        dirty_.resize(kept, {});
        compact();
        return changed;
    }
    /// Lets go of the versions that nothing refers to.
    void compact() {
        std::vector<std::byte> arena;
        std::vector<Version> versions;
        for (Dirty& dirty : dirty_) {
            const std::byte* const bytes = data(dirty.newest);
            versions.push_back({static_cast<std::uint32_t>(versions.size()), none});
            arena.insert(arena.end(), bytes, bytes + sector_bytes);
            dirty.newest = static_cast<std::uint32_t>(versions.size() - 1);
        }
        if (!dirty_.empty() || arena_.capacity() > kept_arena_bytes) {
            arena_ = std::move(arena);
            versions_ = std::move(versions);
        } else {
            arena_.clear();
            versions_.clear();
        }
    }

    static constexpr std::size_t kept_arena_bytes = std::size_t{64} << 10;

    Usage usage_;
    std::uint64_t allocated_ = 0;
    std::shared_ptr<Content> durable_;
    bool beyond_ = false;  ///< durable_ may hold something behind durable_size_
    std::uint64_t size_;
    std::uint64_t durable_size_;
    std::vector<std::uint64_t> sizes_;  ///< that it had since the last sync
    std::set<std::uint32_t> unreadable_;
    std::vector<Dirty> dirty_;          ///< sectors that differ from the durable ones
    std::vector<std::uint32_t> slots_;  ///< by sector: 1 + its place in dirty_, or 0
    std::vector<Version> versions_;
    std::vector<std::byte> arena_;  ///< their bytes
};

}  // namespace detail
}  // namespace rsm::sim

#endif
