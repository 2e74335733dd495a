// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshot sources: who sends a snapshot in a leader's place sends what that leader has asked for,
// and a leader gives up a source that brings nothing forward. Where there is no leader, it is the
// one who gets it that has asked.
#ifndef RSM_SIM_RULES_SNAPSHOT_SOURCES_HPP
#define RSM_SIM_RULES_SNAPSHOT_SOURCES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace rsm::inline v0::sim {

class SnapshotSources {
public:
    explicit SnapshotSources(const raft::Options& options)
        : is_paced_(options.snapshot_bytes_per_second != 0),
          heartbeat_(options.heartbeat_interval),
          longest_(static_cast<std::uint64_t>(8 * options.election_timeout / heartbeat_)) {}

    /// A leader asks a source for something. It asks at each heartbeat at least, so these are the
    /// time in which nothing comes forward; where it has not asked for longer, the follower needed
    /// no snapshot meanwhile, and this is another wait. Where there is a pace, there is no telling
    /// what waits for it.
    /// @param now  the leader's clock
    Broken asked(const raft::Core& leader, raft::NodeId source, const raft::SourceRequest& request,
                 raft::Time now) {
        if (request.bytes != 0) {
            pieces_.insert({request.term, source, request.target, request.last, request.checksum,
                            request.offset});
            began_[request.target] = {leader.self(), request.term};
            return {};
        }
        const Place place{request.term, source,           request.target,
                          request.last, request.checksum, kept(leader, request.target)};
        Wait& wait =
            waits_.try_emplace({leader.self(), request.target}, Wait{place, 0, 0, now, now})
                .first->second;
        if (wait.place != place) go_on(wait, place, now);
        if (now - wait.asked > 2 * heartbeat_) wait.heartbeats = 0;
        wait.asked = now;
        ++wait.heartbeats;
        if (is_paced_ || wait.heartbeats <= most(wait)) return {};
        return Violation{"snapshot sources",
                         detail::node_text(leader.self()) + " waits for " +
                             detail::node_text(source) + " to send a snapshot to " +
                             detail::node_text(request.target) + ", and nothing comes of it",
                         {leader.self(), source, request.target}};
    }

    /// A node asks for a piece for itself, which a leader has no use for.
    Broken borrows(const raft::Core& core, raft::NodeId source,
                   const raft::SourceRequest& request) {
        if (core.role() == raft::Role::leader) {
            return Violation{"snapshot sources",
                             detail::node_text(core.self()) + " leads and borrows a snapshot",
                             {core.self(), source}};
        }
        pieces_.insert(
            {{}, source, request.target, request.last, request.checksum, request.offset});
        return {};
    }

    /// A piece leaves a source.
    Broken sent(raft::NodeId source, raft::NodeId target, const raft::SourceChunk& chunk) {
        (chunk.leader ? sent_ : lent_).insert({source, target, chunk.meta.last.index});
        const Place piece{chunk.leader ? chunk.term : raft::Term{},
                          source,
                          target,
                          chunk.meta.last,
                          chunk.meta.checksum,
                          chunk.offset};
        if (pieces_.contains(piece)) return {};
        const std::string who = chunk.leader ? " that no leader of its term has asked it for"
                                             : " that it has not asked for";
        return Violation{"snapshot sources",
                         detail::node_text(source) + " sends " + detail::node_text(target) +
                             " a piece of a snapshot" + who,
                         {source, target}};
    }
    /// Whether it has sent any of that snapshot in a leader's place.
    bool has_sent(raft::NodeId source, raft::NodeId target, raft::Index last) const {
        return sent_.contains({source, target, last});
    }

    /// Whether it has sent any of that snapshot to a node without a leader.
    bool has_lent(raft::NodeId source, raft::NodeId target, raft::Index last) const {
        return lent_.contains({source, target, last});
    }

    /// A target says that it has one: what it may need then is another. A leader that does not hear
    /// it waits anew, with the patience that it had.
    void installed(raft::NodeId target) {
        began_.erase(target);
        for (auto& [pair, wait] : waits_) {
            if (pair.second == target) wait.heartbeats = 0;
        }
    }
    /// A leader begins to send a snapshot by itself. Returns whether it had another one send.
    bool gives_up(raft::NodeId leader, raft::NodeId target, const raft::SnapshotChunk& chunk) {
        if (chunk.offset == 0) waits_.erase({leader, target});
        const auto found = began_.find(target);
        const bool had = found != began_.end() && found->second == std::pair{leader, chunk.term};
        if (had && chunk.offset == 0) began_.erase(found);
        return had && chunk.offset == 0;
    }

private:
    /// In a snapshot that one sends to another.
    struct Place {
        raft::Term term;
        raft::NodeId source;
        raft::NodeId target;
        raft::LogPosition last;
        std::uint64_t checksum = 0;
        std::uint64_t offset = 0;
        friend auto operator<=>(const Place&, const Place&) = default;
        /// Whether it is one transfer.
        bool is_with(Place other) const {
            other.offset = offset;
            return *this == other;
        }
    };
    struct Wait {
        Place place;
        std::uint64_t heartbeats = 0;  ///< since it has come there
        std::uint64_t before = 0;      ///< that the step may have taken which led there
        raft::Time since;              ///< it came there no earlier
        raft::Time asked;              ///< the last time
    };
    struct Sent {
        raft::NodeId source;
        raft::NodeId target;
        raft::Index last;
        friend auto operator<=>(const Sent&, const Sent&) = default;
    };

    /// A step is seen at a heartbeat, and has begun somewhere after another one: with few of them
    /// in between, and where the leader was held up, it took longer than their number says. What is
    /// no step forward, the beginning of a transfer or an old answer, counts for nothing.
    void go_on(Wait& wait, const Place& place, raft::Time now) const {
        const bool is_same = place.is_with(wait.place);
        const raft::Time began = is_same ? wait.since : wait.asked;
        const std::uint64_t from = is_same ? wait.place.offset : 0;
        wait.before = place.offset > from ? heartbeats_in(now - began) : 0;
        wait.since = wait.asked;
        wait.place = place;
        wait.heartbeats = 0;
    }
    std::uint64_t heartbeats_in(raft::Duration time) const {
        return static_cast<std::uint64_t>((time + heartbeat_ - raft::Duration(1)) / heartbeat_);
    }
    /// Twice the time that the last step took may pass before a piece is asked for again, twice
    /// that before it is asked for once more, and twice that again; each of the two eight election
    /// timeouts at most. A few for what falls between two heartbeats.
    std::uint64_t most(const Wait& wait) const {
        const std::uint64_t first = 2 * std::max<std::uint64_t>(wait.before, 1);
        return first + std::min(2 * first, longest_) + std::min(4 * first, longest_) + 4;
    }
    static std::uint64_t kept(const raft::Core& leader, raft::NodeId target) {
        const auto followers = leader.followers();
        const auto found = std::ranges::find(followers, target, &raft::Progress::node);
        return found == followers.end() ? 0 : found->transfer.kept;
    }

    bool is_paced_;
    raft::Duration heartbeat_;
    std::uint64_t longest_;  ///< wait of a leader for an answer, in heartbeats
    std::set<Place> pieces_;
    std::set<Sent> sent_;
    std::set<Sent> lent_;
    std::map<std::pair<raft::NodeId, raft::NodeId>, Wait> waits_;  ///< by leader and target
    /// By target: who had it sent pieces, and in which term.
    std::map<raft::NodeId, std::pair<raft::NodeId, raft::Term>> began_;
};

}  // namespace rsm::sim

#endif
