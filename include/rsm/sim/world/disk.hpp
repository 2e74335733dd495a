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
//     operation too, and the file's next sync makes it durable. What is in a directory goes with
//     it.
#ifndef RSM_SIM_WORLD_DISK_HPP
#define RSM_SIM_WORLD_DISK_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/detail/disk_plans.hpp>
#include <rsm/sim/world/detail/names.hpp>
#include <rsm/sim/world/detail/sectors.hpp>
#include <rsm/sim/world/disk_fault.hpp>

#include <algorithm>
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

namespace rsm::inline v0::sim {

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
    /// Only the process ends that stopped in the midst of an operation: what it has written stays
    /// in the system's memory. Handles of before, locks and planned faults are gone.
    void end_process() { begin_life(); }
    /// An empty disk, after a crash.
    void wipe() {
        crash_all_lost();
        names_.clear();
        ++names_version_;
        durable_names_.clear();
        directories_ = durable_directories_ = roots();
    }

    /// After a crash: holds what is durable on that one.
    void become(const Disk& other) {
        crash_all_lost();
        names_.clear();
        for (const auto& [name, inode] : other.durable_names_) {
            names_.emplace_hint(names_.end(), name, inode->image(usage_));
        }
        durable_names_ = names_;
        directories_ = durable_directories_ = other.durable_directories_;
        ++names_version_;
        ++durable_version_;
    }

    /// A disk that holds exactly what is durable now, as after crash_all_lost(). It shares the
    /// pages, has no limit of capacity and no faults.
    Disk durable_image() const {
        Disk image(ids_.state());
        image.become(*this);
        return image;
    }
    /// Changes whenever that does (and may change when it does not).
    std::uint64_t durable_version() const { return durable_version_; }

    /// Changes whenever paths() does (and may change when it does not).
    std::uint64_t names_version() const { return names_version_; }

    // ---- faults ----

    /// Plans a fault for the `count`-th operation from now on that it can befall, counted from 1:
    /// stop any that changes something, write_error and the two kinds of wrong writes a write of
    /// at least `min_bytes`, sync_error a sync of a file or a directory. A stop is for good, until
    /// crash(); the others happen once. hits() tells what has happened.
    void fail_after(std::uint64_t count, DiskFault fault, std::uint64_t min_bytes = 0) {
        plans_.add(fault, count, min_bytes);
    }
    /// The same, counted from the next write on of which that is so, itself included.
    void fail_from_write(WriteCondition awaited, std::uint64_t count, DiskFault fault) {
        plans_.add_from_write(fault, count, std::move(awaited));
    }
    void fail_call(CallFailure failure) { plans_.add(std::move(failure)); }
    /// Whether anything but a stop is planned and has not happened yet.
    bool failure_planned() const { return plans_.has_failures(); }
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
    struct LostWrite {
        std::string path;
        const void* file = nullptr;
        std::uint64_t end = 0;
        /// Something was written behind it in its file, and synced.
        bool shows = false;
        /// The files of later names in which something was written since, and synced.
        std::set<std::string> later{};
        /// What was written behind it and is not synced.
        struct Unsynced {
            const void* file;
            std::string path;
        };
        std::vector<Unsynced> behind{};
    };
    const std::vector<LostWrite>& lost_writes() const { return lost_writes_; }

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
            ++names_version_;
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
        return harm(DiskFault::bit_rot, path, offset,
                    [&](detail::Inode& file) { file.own().flip(offset, bit); });
    }
    /// The sector of that byte cannot be read any more. Nothing: there is no such durable byte.
    std::optional<DiskHit> spoil(std::string_view path, std::uint64_t offset) {
        return harm(DiskFault::unreadable, path, offset,
                    [&](detail::Inode& file) { file.spoil(offset); });
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
    /// A file as far as it is durable. Good until the disk changes.
    class DurableFile {
    public:
        /// Of what tells where anything was written.
        static constexpr std::uint64_t page_bytes = detail::Content::page_bytes;

        DurableFile(const std::string& path, const detail::Inode& inode)
            : path_(&path), inode_(&inode) {}
        const std::string& path() const { return *path_; }
        std::uint64_t size() const { return inode_->durable_size(); }
        /// Where the pages begin that hold anything, ascending; the last may end behind the file.
        std::vector<std::uint64_t> pages() const {
            std::vector<std::uint64_t> result;
            for (const std::size_t page : inode_->durable()->used_pages()) {
                result.push_back(page * page_bytes);
            }
            return result;
        }
        /// The sector that holds that place; zeros behind the end.
        std::span<const std::byte, sector_bytes> sector_at(std::uint64_t offset) const {
            const auto number = static_cast<std::uint32_t>(offset / sector_bytes);
            return std::span<const std::byte, sector_bytes>(inode_->durable()->sector(number),
                                                            sector_bytes);
        }

    private:
        const std::string* path_;
        const detail::Inode* inode_;
    };
    /// In the order of their names.
    std::vector<DurableFile> durable_files() const {
        std::vector<DurableFile> result;
        for (const auto& [name, inode] : durable_names_) result.emplace_back(name, *inode);
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
    /// Does something to the file that holds this durable byte, if there is one.
    template <class Change>
    std::optional<DiskHit> harm(DiskFault fault, std::string_view path, std::uint64_t offset,
                                Change change) {
        const auto found = durable_names_.find(path);
        if (found == durable_names_.end() || offset >= found->second->durable_size()) {
            return std::nullopt;
        }
        change(*found->second);
        ++durable_version_;
        return hits_.emplace_back(
            DiskHit{.fault = fault, .path = found->first, .offset = offset, .size = 1});
    }
    friend Files;
    using Inode = detail::Inode;
    using InodePointer = std::shared_ptr<Inode>;
    using Names = detail::Names;
    using Directories = detail::Directories;
    using Change = detail::NameChange;

    /// A call begins; what befalls it, if anything.
    std::optional<detail::Mishap> begin(const detail::BegunCall& call) {
        if (changes_something(call.kind)) ++operations_;
        const auto result = plans_.begin(call);
        if (result && result->fault == DiskFault::stop) {
            stopped_ = true;
            hits_.push_back({});
        }
        return result;
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
        ++names_version_;
        detail::apply(names_, directories_, change);
        changes_.push_back(std::move(change));
    }
    /// What a sync of the directory is about, see CallCondition.
    std::string_view newest_change(std::string_view directory) const {
        for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
            if (detail::directory_of(change->name) != directory) continue;
            return change->to.empty() ? change->name : change->to;
        }
        return directory;
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
            detail::replace(durable_names_, old, inode);
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
            if (detail::directory_of(change.name) != directory || !chosen()) return false;
            ++durable_version_;
            detail::apply(durable_names_, durable_directories_, change);
            return true;
        });
    }

    // ---- contents ----

    void sync(const InodePointer& inode) {
        ++syncs_;
        settle_emptied(inode);
        if (inode->sync()) ++durable_version_;
        for (LostWrite& lost : lost_writes_) {
            std::erase_if(lost.behind, [&](const LostWrite::Unsynced& write) {
                if (write.file != inode.get()) return false;
                if (write.file == lost.file) {
                    lost.shows = true;
                } else {
                    lost.later.insert(write.path);
                }
                return true;
            });
        }
    }
    void fail_sync(const InodePointer& inode, const std::string& path) {
        settle_emptied(inode);
        inode->fail_sync(random_);
        for (LostWrite& lost : lost_writes_) {
            std::erase_if(lost.behind, [&](const LostWrite::Unsynced& write) {
                return write.file == inode.get();
            });
        }
        ++durable_version_;
        hits_.push_back({.fault = DiskFault::sync_error, .path = path});
    }
    void wrote(const Inode& inode, const std::string& path, std::uint64_t offset) {
        for (LostWrite& lost : lost_writes_) {
            const bool behind = lost.file == &inode ? offset >= lost.end : path > lost.path;
            if (behind) lost.behind.push_back({&inode, path});
        }
    }
    /// The write is in the cache; it will not get to its place, and may go to another one.
    void lose(Inode& inode, DiskHit hit) {
        inode.lose(hit.offset, hit.size);
        lost_writes_.push_back({hit.path, &inode, hit.offset + hit.size});
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
            if (choose(1) != 0) detail::apply(durable_names_, durable_directories_, change);
        }
        changes_.clear();
        drop_what_has_no_directory();
        names_ = durable_names_;
        ++names_version_;
        directories_ = durable_directories_;
        for (const auto& file : names_) {
            begin();
            file.second->settle(choose);
        }
        ++durable_version_;
        for (LostWrite& lost : lost_writes_) lost.behind.clear();
        stalled_until_ = {};
        begin_life();
    }
    void begin_life() {
        ++life_;
        stopped_ = false;
        clear_plans();
        locks_.clear();
    }
    void drop_what_has_no_directory() {
        const auto is_lost = [this](std::string_view name) {
            return !durable_directories_.contains(detail::directory_of(name));
        };
        // A directory comes before what is in it.
        for (auto it = durable_directories_.begin(); it != durable_directories_.end();) {
            it = is_lost(*it) ? durable_directories_.erase(it) : std::next(it);
        }
        std::erase_if(durable_names_, [&](const auto& file) { return is_lost(file.first); });
    }
    /// Directories that are always there.
    static Directories roots() { return {".", "/"}; }

    using Content = detail::Content;

    raft::Random random_;
    raft::Random ids_;
    detail::Usage usage_ = std::make_shared<std::uint64_t>(0);
    std::uint64_t capacity_ = std::numeric_limits<std::uint64_t>::max();
    Directories directories_ = roots();
    Directories durable_directories_ = roots();
    Names names_;
    Names durable_names_;
    std::vector<Change> changes_;
    std::map<std::string, std::weak_ptr<void>, std::less<>> locks_;  ///< by directory

    detail::DiskPlans plans_;
    std::vector<DiskHit> hits_;
    std::vector<LostWrite> lost_writes_;
    std::uint64_t mood_ = 0;  ///< of 8 choices so many are not for what is durable
    bool stopped_ = false;
    int refusal_ = 0;
    std::uint64_t refused_openings_ = 0;
    std::uint64_t life_ = 0;
    std::uint64_t operations_ = 0;
    std::uint64_t syncs_ = 0;
    std::uint64_t durable_version_ = 0;
    std::uint64_t names_version_ = 0;
    raft::Time stalled_until_{};
};

}  // namespace rsm::sim

#endif
