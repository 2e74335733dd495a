// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A node's disk in a simulation: it survives the node, forgets in a crash what a real one may
// forget, and fails in the ways in which real ones fail, when it is told to. sim::Files puts the
// production storage on it. One thread; one seed gives one history.
//
// What a crash may leave:
//   - of each 512-byte sector that was written since the file's last sync any version, whichever
//     versions the other sectors have; of the file's size any that it had since then;
//   - of the names made, changed or removed since the directory's last sync any subset of the
//     operations, in their order. A rename is atomic. Emptying a file that exists is such an
//     operation too, and the file's next sync makes it durable.
#ifndef RSM_SIM_DISK_HPP
#define RSM_SIM_DISK_HPP

#include <raft/types.hpp>
#include <rsm/sim/disk_fault.hpp>
#include <rsm/sim/sectors.hpp>
#include <rsm/storage/wal/format.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::sim {

class Files;

/// A failed sync of a file: what it should have made durable may or may not be, sector by sector,
/// and may or may not still be read back; it counts as written, so a later sync succeeds without
/// writing it. A failed sync of a directory makes some of the changes durable; the others wait for
/// the next one, because file systems do not drop metadata and go on.
///
/// Files are reached through sim::Files; what is here is the simulator's side.
class Disk {
public:
    explicit Disk(std::uint64_t seed) : random_(seed), ids_(random_.next()) {}

    // ---- crashes ----

    /// The machine stops, if it has not stopped before, and starts again: `random` decides what is
    /// left of what was not synced. Handles of before, locks and planned faults are gone.
    void crash(raft::Random& random) {
        // Independent choices alone would hardly ever keep or lose all of a long write.
        const auto choose = [&](std::size_t count) -> std::size_t {
            if (count == 0 || random.below(8) >= mood_) return 0;
            return 1 + static_cast<std::size_t>(random.below(count));
        };
        const auto begin = [&] {
            constexpr std::uint64_t moods[] = {0, 1, 4, 7, 8};
            mood_ = moods[random.below(5)];
        };
        end_life(choose, begin);
    }
    /// The worst crash: exactly what was synced is left.
    void crash_all_lost() {
        end_life([](std::size_t) { return std::size_t{0}; }, [] {});
    }
    /// The best one: as if all had been synced in the last moment.
    void crash_all_kept() {
        end_life([](std::size_t count) { return count; }, [] {});
    }
    /// An empty disk, after a crash.
    void wipe() {
        crash_all_lost();
        names_.clear();
        durable_names_.clear();
        directories_.clear();
    }

    /// A disk that holds exactly what is durable now, as after crash_all_lost(). It shares the
    /// pages, has no limit of capacity and no faults.
    Disk durable_image() const {
        Disk image(ids_.state());
        image.directories_ = directories_;
        for (const auto& [name, inode] : durable_names_) {
            image.names_.emplace_hint(image.names_.end(), name, inode->image(image.usage_));
        }
        image.durable_names_ = image.names_;
        return image;
    }
    /// Changes whenever that does (and may change when it does not).
    std::uint64_t durable_version() const { return durable_version_; }

    // ---- faults ----

    /// Plans a fault for the `count`-th operation from now on that it can befall, counted from 1:
    /// stop any that changes something, write_error and the two kinds of wrong writes a write of
    /// at least `min_bytes`, sync_error a sync of a file or a directory. A stop is for good, until
    /// crash(); the others happen once. hits() tells what has happened.
    void fail_after(std::uint64_t count, DiskFault fault, std::uint64_t min_bytes = 0) {
        plans_.push_back({fault, count, min_bytes});
    }
    /// The same, counted from the write on, itself included, with which the next log file is first
    /// put to use: the moment in which earlier ones lose their worth.
    void fail_in_next_log_file(std::uint64_t count, DiskFault fault) {
        plans_.push_back({fault, count, 0, true});
    }
    void clear_plans() {
        plans_.clear();
        refusal_ = 0;
    }
    /// The planned stop has come: every operation fails until crash().
    bool stopped() const { return stopped_; }
    /// How many crashes there were. Whatever began in an earlier life is over.
    std::uint64_t life() const { return life_; }
    /// Faults that took place, in order, since the disk was made.
    const std::vector<DiskHit>& hits() const { return hits_; }

    /// A write that was reported as synced and is not there.
    struct Loss {
        std::string path;
        const void* file = nullptr;
        std::uint64_t end = 0;
        /// Something was written behind it, in its file or in a later one of the log, and synced:
        /// whoever reads on finds that it is missing.
        bool shows = false;
        std::vector<const void*> behind{};  ///< files in which that was written and is not synced
    };
    const std::vector<Loss>& losses() const { return losses_; }

    /// How many bytes the files may take, each with a sector for itself. What there is stays.
    void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
    std::uint64_t used() const { return *usage_; }

    /// From now on files cannot be opened, for want of descriptors (EMFILE, ENFILE), or neither
    /// made nor made larger by preallocation nor given a name, for want of space (ENOSPC, EDQUOT).
    /// 0 ends it. What is open goes on.
    void refuse_openings(int error) { refusal_ = error; }
    bool refuses_openings() const { return refusal_ != 0; }
    /// How many were refused.
    std::uint64_t refused_openings() const { return refused_openings_; }

    /// Flips a bit of a durable file, mostly where something was written. Nothing: no file has any
    /// bytes. A sector that is dirty is not healed of it before its next sync.
    std::optional<DiskHit> rot(raft::Random& random) {
        if (random.below(3) == 0) {
            if (const auto place = end_of_log(random)) return flip(*place);
        }
        const bool prefers_snapshots = random.below(4) == 0;
        std::vector<Names::value_type*> files;
        std::vector<Names::value_type*> snapshots;
        for (auto& file : durable_names_) {
            if (file.second->durable_size() == 0) continue;
            files.push_back(&file);
            if (file.first.ends_with(".snapshot")) snapshots.push_back(&file);
        }
        if (prefers_snapshots && !snapshots.empty()) files = std::move(snapshots);
        if (files.empty()) return std::nullopt;
        const auto& [name, inode] = *files[random.below(files.size())];
        std::uint64_t begin = 0;
        std::uint64_t end = inode->durable_size();
        const auto pages = inode->durable()->used_pages();
        if (!pages.empty() && random.below(8) != 0) {
            begin = pages[random.below(pages.size())] * detail::Content::page_bytes;
            end = std::min<std::uint64_t>(end, begin + detail::Content::page_bytes);
        }
        if (begin >= end) begin = 0;
        const std::uint64_t offset = begin + random.below(end - begin);
        return flip(name, offset, static_cast<unsigned>(random.below(8)));
    }
    /// The files are those of a copy of the disk that was interrupted: one of them has lost its
    /// end, or is missing. Nothing: there are no files. @pre after a crash
    std::optional<DiskHit> copy_in_part(raft::Random& random) {
        if (durable_names_.empty()) return std::nullopt;
        const auto place = static_cast<std::ptrdiff_t>(random.below(durable_names_.size()));
        const auto file = std::next(durable_names_.begin(), place);
        DiskHit hit{.fault = DiskFault::copied_in_part, .path = file->first};
        hit.size = file->second->durable_size();
        if (random.below(2) == 0) {
            names_.erase(file->first);
            durable_names_.erase(file);
        } else {
            hit.offset = random.below(hit.size + 1);
            hit.size -= hit.offset;
            file->second->shorten(hit.offset);
        }
        ++durable_version_;
        return hits_.emplace_back(std::move(hit));
    }
    /// Flips one bit. Nothing: there is no such durable byte.
    std::optional<DiskHit> flip(std::string_view path, std::uint64_t offset, unsigned bit) {
        const auto found = durable_names_.find(path);
        if (found == durable_names_.end() || offset >= found->second->durable_size()) {
            return std::nullopt;
        }
        found->second->own().flip(offset, bit);
        ++durable_version_;
        return hits_.emplace_back(DiskHit{
            .fault = DiskFault::bit_rot, .path = found->first, .offset = offset, .size = 1});
    }

    /// No job of a lane of this disk ends before that.
    void stall_until(raft::Time time) { stalled_until_ = std::max(stalled_until_, time); }
    raft::Time stalled_until() const { return stalled_until_; }

    // ---- what there is ----

    /// Operations that changed something, or would have, had the disk not stopped or failed.
    std::uint64_t operations() const { return operations_; }
    std::uint64_t syncs() const { return syncs_; }
    /// The files as a running node sees them, in the order of their names.
    std::vector<std::string> paths() const {
        std::vector<std::string> result;
        for (const auto& file : names_) result.push_back(file.first);
        return result;
    }
    /// Nothing: there is no such file.
    std::optional<std::vector<std::byte>> content(std::string_view path) const {
        const auto found = names_.find(path);
        if (found == names_.end()) return std::nullopt;
        std::vector<std::byte> bytes(static_cast<std::size_t>(found->second->size()));
        found->second->read(0, bytes);
        return bytes;
    }

private:
    friend Files;
    using Inode = detail::Inode;
    using InodePointer = std::shared_ptr<Inode>;
    using Names = std::map<std::string, InodePointer, std::less<>>;
    enum class Operation : std::uint8_t { write, sync, other };

    /// An operation on names that is not durable yet.
    struct Change {
        enum class Kind : std::uint8_t { create, empty, rename, remove };
        Kind kind;
        std::string name;
        std::string to{};      ///< rename
        InodePointer inode{};  ///< the file
        InodePointer old{};    ///< empty: in whose place it is
    };
    struct Plan {
        DiskFault fault;
        std::uint64_t count;
        std::uint64_t min_bytes;
        bool sleeps = false;  ///< until a log file is put to use
        bool concerns(Operation operation, std::uint64_t bytes) const {
            if (fault == DiskFault::stop) return true;
            if (fault == DiskFault::sync_error) return operation == Operation::sync;
            return operation == Operation::write && bytes >= min_bytes;
        }
    };

    struct BitPlace {
        std::string path;
        std::uint64_t offset = 0;
        unsigned bit = 0;
    };
    std::optional<DiskHit> flip(const BitPlace& place) {
        return flip(place.path, place.offset, place.bit);
    }
    /// A bit of the newest log file that was written late.
    std::optional<BitPlace> end_of_log(raft::Random& random) const {
        constexpr std::uint64_t lately = 400;
        const auto bit = static_cast<unsigned>(random.below(8));
        const bool lone = random.below(2) == 0;
        for (auto file = durable_names_.rbegin(); file != durable_names_.rend(); ++file) {
            if (!file->first.ends_with(".wal")) continue;
            const auto pages = file->second->durable()->used_pages();
            if (pages.empty()) continue;
            const std::uint64_t first = pages.back() * Content::page_bytes;
            std::uint64_t end = first + Content::page_bytes;
            const auto is_zero = [&](std::uint64_t at) {
                const auto number = static_cast<std::uint32_t>(at / sector_bytes);
                return file->second->durable()->sector(number)[at % sector_bytes] == std::byte{};
            };
            while (end > first && is_zero(end - 1)) --end;
            end = std::min(end, file->second->durable_size());
            if (end <= log_file_header_bytes) continue;
            if (auto place = lone ? lone_bit(*file, first, end) : std::nullopt) return place;
            return BitPlace{file->first, end - 1 - random.below(std::min(end, lately)), bit};
        }
        return std::nullopt;
    }
    /// The last bit in [begin, end) that is the only one of its sector. Without it nothing is left
    /// in the sector that was written.
    static std::optional<BitPlace> lone_bit(const Names::value_type& file, std::uint64_t begin,
                                            std::uint64_t end) {
        std::optional<BitPlace> found;
        for (std::uint64_t at = begin; at < end; at += sector_bytes) {
            const auto number = static_cast<std::uint32_t>(at / sector_bytes);
            const std::span sector(file.second->durable()->sector(number), sector_bytes);
            const auto is_set = [](std::byte byte) { return byte != std::byte{}; };
            if (std::ranges::count_if(sector, is_set) != 1) continue;
            const auto set = std::ranges::find_if(sector, is_set);
            const auto value = static_cast<unsigned>(*set);
            if (!std::has_single_bit(value)) continue;
            found = {file.first, at + static_cast<std::uint64_t>(set - sector.begin()),
                     static_cast<unsigned>(std::countr_zero(value))};
        }
        return found;
    }

    static constexpr std::uint64_t log_file_header_bytes = rsm::detail::wal::segment_header_bytes;

    static std::string_view directory_of(std::string_view path) {
        const std::size_t slash = path.rfind('/');
        return slash == std::string_view::npos ? std::string_view(".") : path.substr(0, slash);
    }

    /// An operation begins; what befalls it, if anything.
    std::optional<DiskFault> begin(Operation operation, std::uint64_t bytes = 0) {
        ++operations_;
        std::optional<DiskFault> result;
        std::erase_if(plans_, [&](Plan& plan) {
            if (plan.sleeps) return false;
            if (!plan.concerns(operation, bytes) || --plan.count != 0) return false;
            if (!result || plan.fault == DiskFault::stop) result = plan.fault;
            return true;
        });
        if (result == DiskFault::stop) {
            stopped_ = true;
            hits_.push_back({});
        }
        return result;
    }
    void about_to_write(std::string_view path, std::uint64_t offset) {
        if (offset != log_file_header_bytes || !path.ends_with(".wal")) return;
        for (Plan& plan : plans_) plan.sleeps = false;
    }
    bool coin() { return random_.below(2) == 0; }
    /// The error with which what needs space, or else a descriptor, is refused at present; 0: none.
    int refusal(bool needs_space) {
        const bool lacks_space = refusal_ == ENOSPC || refusal_ == EDQUOT;
        if (refusal_ == 0 || lacks_space != needs_space) return 0;
        ++refused_openings_;
        return refusal_;
    }

    // ---- names ----

    void record(Change change) {
        apply(names_, change);
        changes_.push_back(std::move(change));
    }
    static void apply(Names& names, const Change& change) {
        switch (change.kind) {
            case Change::Kind::create: names[change.name] = change.inode; break;
            case Change::Kind::empty: replace(names, change.old, change.inode); break;
            case Change::Kind::rename:
                take_away(names, change);
                names[change.to] = change.inode;
                break;
            case Change::Kind::remove: take_away(names, change); break;
        }
    }
    /// Not a newer file of the name: a change may come late, by a sync after a failed one.
    static void take_away(Names& names, const Change& change) {
        const auto found = names.find(change.name);
        if (found != names.end() && found->second == change.inode) names.erase(found);
    }
    static void replace(Names& names, const InodePointer& old, const InodePointer& inode) {
        for (auto& file : names) {
            if (file.second == old) file.second = inode;
        }
    }
    /// The file itself is durable as it is now, so it was emptied durably.
    void settle_emptied(const InodePointer& inode) {
        for (;;) {
            const auto found = std::ranges::find_if(changes_, [&](const Change& change) {
                return change.kind == Change::Kind::empty && change.inode == inode;
            });
            if (found == changes_.end()) return;
            const InodePointer old = found->old;
            changes_.erase(found);
            replace(durable_names_, old, inode);
            ++durable_version_;
            for (Change& change : changes_) {
                if (change.inode == old) change.inode = inode;
            }
        }
    }
    /// Makes those of a directory's changes durable that `chosen()` says; the others stay to be.
    template <class Chosen>
    void settle_names(std::string_view directory, Chosen chosen) {
        std::erase_if(changes_, [&](const Change& change) {
            if (directory_of(change.name) != directory || !chosen()) return false;
            ++durable_version_;
            apply(durable_names_, change);
            return true;
        });
    }

    // ---- contents ----

    void sync(const InodePointer& inode) {
        ++syncs_;
        settle_emptied(inode);
        if (inode->sync()) ++durable_version_;
        for (Loss& loss : losses_) {
            if (std::erase(loss.behind, inode.get()) != 0) loss.shows = true;
        }
    }
    void fail_sync(const InodePointer& inode, const std::string& path) {
        settle_emptied(inode);
        inode->fail_sync(random_);
        for (Loss& loss : losses_) std::erase(loss.behind, inode.get());
        ++durable_version_;
        hits_.push_back({.fault = DiskFault::sync_error, .path = path});
    }
    void wrote(const Inode& inode, const std::string& path, std::uint64_t offset) {
        for (Loss& loss : losses_) {
            const bool behind = loss.file == &inode ? offset >= loss.end
                                                    : path > loss.path && path.ends_with(".wal");
            if (behind) loss.behind.push_back(&inode);
        }
    }
    /// The write is in the cache; it will not get to its place, and may go to another one.
    void lose(Inode& inode, DiskHit hit) {
        inode.lose(hit.offset, hit.size);
        losses_.push_back({hit.path, &inode, hit.offset + hit.size});
        if (hit.fault == DiskFault::misdirected_write && hit.size != 0) misdirect(inode, hit);
        hits_.push_back(std::move(hit));
    }
    void misdirect(const Inode& from, DiskHit& hit) {
        const std::uint64_t first = hit.offset / sector_bytes;
        const std::uint64_t count = (hit.offset + hit.size - 1) / sector_bytes + 1 - first;
        std::vector<Names::value_type*> files;
        for (auto& file : durable_names_) {
            if (file.second->durable_size() >= count * sector_bytes) files.push_back(&file);
        }
        if (files.empty()) return;
        const auto& [name, target] = *files[random_.below(files.size())];
        const std::uint64_t places = target->durable_size() / sector_bytes - count + 1;
        std::uint64_t place = random_.below(places);
        if (target.get() == &from && place == first) {
            if (places == 1) return;
            place = (place + 1) % places;
        }
        Content& content = target->own();
        for (std::uint64_t i = 0; i < count; ++i) {
            content.put(static_cast<std::uint32_t>(place + i),
                        from.current(static_cast<std::uint32_t>(first + i)));
        }
        ++durable_version_;
        hit.landed_path = name;
        hit.landed_offset = place * sector_bytes;
        hit.landed_size = count * sector_bytes;
    }

    // ---- the end of a life ----

    /// `choose(n)` picks one of n later versions, or 0 for what is durable; `begin()` comes before
    /// each group of choices.
    template <class Choose, class Begin>
    void end_life(Choose choose, Begin begin) {
        begin();
        for (const Change& change : changes_) {
            if (choose(1) != 0) apply(durable_names_, change);
        }
        changes_.clear();
        names_ = durable_names_;
        for (const auto& file : names_) {
            begin();
            file.second->settle(choose);
        }
        ++durable_version_;
        ++life_;
        stopped_ = false;
        clear_plans();
        locks_.clear();
        for (Loss& loss : losses_) loss.behind.clear();
        stalled_until_ = {};
    }

    using Content = detail::Content;

    raft::Random random_;
    raft::Random ids_;
    detail::Usage usage_ = std::make_shared<std::uint64_t>(0);
    std::uint64_t capacity_ = std::numeric_limits<std::uint64_t>::max();
    std::set<std::string, std::less<>> directories_;  ///< durable as soon as they are there
    Names names_;
    Names durable_names_;
    std::vector<Change> changes_;
    std::map<std::string, std::weak_ptr<void>, std::less<>> locks_;  ///< by directory

    std::vector<Plan> plans_;
    std::vector<DiskHit> hits_;
    std::vector<Loss> losses_;
    std::uint64_t mood_ = 0;  ///< of 8 choices so many are not for what is durable
    bool stopped_ = false;
    int refusal_ = 0;
    std::uint64_t refused_openings_ = 0;
    std::uint64_t life_ = 0;
    std::uint64_t operations_ = 0;
    std::uint64_t syncs_ = 0;
    std::uint64_t durable_version_ = 0;
    raft::Time stalled_until_{};
};

}  // namespace rsm::sim

#endif
