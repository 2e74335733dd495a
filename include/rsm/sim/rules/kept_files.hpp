// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Kept files: at every moment of a run a node has no more on its disk than it has use for: the
// segments from its log's first entry on, the newest snapshot and those that are on their way to
// followers, the spare segments that it may have, and one unfinished file of each kind. What it has
// done with may stay until the lane has come to it.
#ifndef RSM_SIM_RULES_KEPT_FILES_HPP
#define RSM_SIM_RULES_KEPT_FILES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rsm::inline v0::sim {

/// What of its files a node has use for.
struct FileNeeds {
    raft::Index base;     ///< the log is what comes behind it
    raft::Index last;     ///< of the log
    raft::Index written;  ///< up to here it is known to be in durable segments
    raft::Index snapshot;
    std::vector<raft::Index> sent{};  ///< snapshots on their way to followers
    bool receives = false;            ///< a snapshot
};
inline FileNeeds file_needs(const raft::Core& core) {
    const raft::Log& log = core.log();
    // What counts as durable may be so by a snapshot only, while the log's lane is behind.
    const raft::Index written = log.oldest_write() ? raft::Index{} : log.begun();
    FileNeeds needs{log.base().index, log.last_index(), written, core.snapshot().last.index};
    needs.receives = core.receives_snapshot();
    for (const raft::Progress& follower : core.followers()) {
        const bool sends = follower.state == raft::ProgressState::snapshot;
        if (sends && !follower.transfer.source) {
            needs.sent.push_back(follower.transfer.meta.last.index);
        }
    }
    for (const raft::Errand& errand : core.errands()) {
        needs.sent.push_back(errand.meta.last.index);
    }
    return needs;
}

/// What a log keeps in its directory, by kind.
struct FilesByKind {
    std::vector<std::uint64_t> segments{};  ///< ascending
    std::vector<raft::Index> snapshots{};
    std::size_t spares = 0;
    std::size_t drafts = 0;
    bool saving = false;
    bool incoming = false;
};
inline FilesByKind files_by_kind(const std::vector<std::string>& paths) {
    using wal_files::Kind;
    FilesByKind files;
    for (const std::string& path : paths) {
        switch (wal_files::kind_of(path)) {
            case Kind::segment: files.segments.push_back(wal_files::segment_number(path)); break;
            case Kind::snapshot: files.snapshots.push_back(wal_files::snapshot_index(path)); break;
            case Kind::spare: ++files.spares; break;
            case Kind::draft: ++files.drafts; break;
            case Kind::saving: files.saving = true; break;
            case Kind::incoming:
            case Kind::marks: files.incoming = true; break;
            default: break;
        }
    }
    return files;
}

/// The files of one node, through all its lives.
class KeptFiles {
public:
    explicit KeptFiles(std::size_t spare_segments) : spares_max_(spare_segments) {}

    /// It has recovered: what the life before had left to be removed is gone.
    void restarted(const FileNeeds& needs) {
        newest_ = needs.snapshot;
        last_ = needs.last;
        superseded_.clear();
        incoming_since_.reset();
        old_segments_.reset();
    }

    /// Whether to look now: something has got or lost a name since the last look, or it is one of
    /// so many times that this was asked.
    bool due(std::uint64_t names_version) {
        constexpr std::uint64_t every = 16;
        if (++asked_ % every != 0 && names_version == names_version_) return false;
        is_new_ = names_version != names_version_;
        names_version_ = names_version;
        return true;
    }
    /// @pre due()
    template <class Paths>
    Broken look(raft::NodeId node, const FileNeeds& needs, const LaneJobs& jobs, Paths paths) {
        note_appended(needs.last);
        if (is_new_) files_ = files_by_kind(paths());
        if (needs.snapshot != newest_) {
            superseded_.try_emplace(newest_);
            newest_ = needs.snapshot;
        }
        const std::string excess = find_excess(needs, jobs);
        if (excess.empty()) return {};
        return Violation{"kept files", detail::node_text(node) + " keeps " + excess, {node}};
    }

private:
    /// Entries from `first` on are in no earlier segment than this.
    struct Placed {
        raft::Index first;
        std::uint64_t segment = 0;
    };
    /// Segments that hold nothing of the log.
    struct OldSegments {
        std::uint64_t end = 0;  ///< their numbers are lower
        raft::Index last;       ///< of the log, when that was seen
        /// The jobs since the log has made anything later durable, so that the last of them has
        /// removed the segments.
        std::optional<std::uint64_t> jobs{};
    };

    std::string find_excess(const FileNeeds& needs, const LaneJobs& jobs) {
        if (files_.spares > spares_max_) return std::to_string(files_.spares) + " spare segments";
        if (files_.drafts > 1) return std::to_string(files_.drafts) + " drafts of segments";
        // It is saved in one job, and has its name or is gone at the end of it.
        if (files_.saving) return "a snapshot that could not be saved";
        if (keeps_incoming(needs, jobs)) return "a part of a snapshot that it does not receive";
        const raft::Index snapshot = outdated_snapshot(needs, jobs);
        if (snapshot.value != 0) return "the outdated snapshot of " + detail::text(snapshot);
        const std::uint64_t segment = needless_segment(needs, jobs);
        return segment == 0 ? "" : "segment " + std::to_string(segment) + " without need";
    }

    bool keeps_incoming(const FileNeeds& needs, const LaneJobs& jobs) {
        if (!files_.incoming || needs.receives) {
            incoming_since_.reset();
            return false;
        }
        if (!incoming_since_) incoming_since_ = jobs.given();
        return jobs.done(*incoming_since_);
    }

    /// One that was the newest, in this life, and is needed no more; 0: none. One that was saved
    /// too late to be the newest may not be known to the node yet.
    raft::Index outdated_snapshot(const FileNeeds& needs, const LaneJobs& jobs) {
        const auto has = [](const std::vector<raft::Index>& indexes, raft::Index index) {
            return std::ranges::find(indexes, index) != indexes.end();
        };
        std::erase_if(superseded_,
                      [&](const auto& seen) { return !has(files_.snapshots, seen.first); });
        for (auto& [index, given] : superseded_) {
            if (has(needs.sent, index)) {
                given.reset();
                continue;
            }
            if (!given) given = jobs.given();
            if (jobs.done(*given)) return index;
        }
        return {};
    }

    /// The first one whose time is over; 0: none.
    std::uint64_t needless_segment(const FileNeeds& needs, const LaneJobs& jobs) {
        if (files_.segments.empty()) return 0;
        const std::uint64_t oldest = files_.segments.front();
        if (old_segments_ && oldest >= old_segments_->end) old_segments_.reset();
        if (!old_segments_) {
            const std::uint64_t first = first_needed(needs);
            if (oldest < first) old_segments_ = OldSegments{first, needs.last};
            return 0;
        }
        // What is later than the release of the entries is behind it in the log.
        const bool is_released = needs.written > std::max(old_segments_->last, needs.base);
        if (!old_segments_->jobs && is_released) old_segments_->jobs = jobs.given();
        return old_segments_->jobs && jobs.done(*old_segments_->jobs) ? oldest : 0;
    }
    /// The segment in use is the newest but one at least, for the newest may only be prepared.
    std::uint64_t used_segment() const {
        return files_.segments.empty() ? 0 : files_.segments.back() - 1;
    }
    std::uint64_t first_needed(const FileNeeds& needs) const {
        if (needs.base == needs.last) return used_segment();
        const auto after = std::ranges::upper_bound(
            placed_, needs.base + 1, {}, [](const Placed& placed) { return placed.first; });
        return after == placed_.begin() ? 0 : std::prev(after)->segment;
    }
    /// Since the last look, so that they are in what was in use then, or behind it.
    void note_appended(raft::Index last) {
        const std::uint64_t segment = used_segment();
        const bool is_later = placed_.empty() || segment > placed_.back().segment;
        if (last > last_ && is_later) {
            std::erase_if(placed_, [&](const Placed& one) { return one.first > last_; });
            placed_.push_back({last_ + 1, segment});
        }
        last_ = last;
    }

    std::size_t spares_max_;
    std::uint64_t asked_ = 0;
    std::uint64_t names_version_ = ~std::uint64_t{0};
    bool is_new_ = true;
    FilesByKind files_;
    raft::Index newest_;  ///< snapshot
    /// Snapshots that were the newest in this life, and once they are not needed any more, the jobs
    /// of which one removes it.
    std::map<raft::Index, std::optional<std::uint64_t>> superseded_;
    std::optional<std::uint64_t> incoming_since_;  ///< the same of what was received
    std::optional<OldSegments> old_segments_;
    raft::Index last_;            ///< of the log, at the last look
    std::vector<Placed> placed_;  ///< ascending
};

}  // namespace rsm::sim

#endif
