// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What nodes have written into their directories, moment by moment: what a start on the remains of
// one is judged by.
#ifndef RSM_FUZZ_SUPPORT_WAL_STORY_HPP
#define RSM_FUZZ_SUPPORT_WAL_STORY_HPP

#include "finding.hpp"

#include "support/fake_disk.hpp"
#include "support/records.hpp"

#include <raft/base/random.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/wal.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace fuzz {

/// Of one node, whose log has this id.
struct NodeFiles : rsm_test::FakeFiles {
    std::uint64_t log_id = 0;
    std::uint64_t unique_id() const { return log_id; }
};
using Wal = rsm::BasicWalStorage<NodeFiles, rsm_test::InlineLane>;

inline const std::string directory = "d";

inline raft::Identity identity_of(std::uint64_t node) {
    return {{node}, "fuzz", raft::test::voters(3), {100 + node}, true};
}

/// A storage whose calls end before they return.
class WalNode {
public:
    WalNode(const NodeFiles& files, std::uint64_t node)
        : storage_(new rsm::Running<Wal>(plan(files).open(io_.get_executor()))) {
        storage_->claim(identity_of(node));
    }
    rsm::Running<Wal>& storage() { return *storage_; }

    template <class Value, class Start>
    raft::Result<Value> wait(Start start) {
        std::optional<raft::Result<Value>> outcome;
        start([&](raft::Result<Value> result) { outcome = std::move(result); });
        run();
        require(outcome.has_value(), "an operation of the storage does not end");
        return *outcome;
    }
    raft::Result<void> write(raft::Write write) {
        return wait<void>([&](auto done) { storage_->append(std::move(write), done); });
    }
    raft::Result<std::vector<raft::Entry>> read(raft::Index first) {
        return wait<std::vector<raft::Entry>>(
            [&](auto done) { storage_->read(first, std::size_t{1} << 24, done); });
    }
    raft::Result<std::vector<raft::Entry>> read_detached(raft::Index first) {
        return wait<std::vector<raft::Entry>>(
            [&](auto done) { storage_->read_detached(first, std::size_t{1} << 24, done); });
    }
    void close() {
        bool closed = false;
        storage_->close([&] { closed = true; });
        run();
        require(closed, "the storage does not close");
    }

private:
    static Wal plan(const NodeFiles& files) {
        rsm::WalOptions options{.directory = directory, .segment_bytes = 4096, .spare_segments = 1};
        // Large buffers are what would take the time.
        options.pieces.fill_bytes = 4096;
        options.pieces.snapshot_write_bytes = 512;
        options.pieces.snapshot_read_bytes = 512;
        return Wal(std::move(options), files);
    }
    void run() {
        io_.restart();
        io_.run();
    }

    boost::asio::io_context io_;
    std::unique_ptr<rsm::Running<Wal>> storage_;
};

/// What stands in a snapshot of this position, on whichever node.
inline std::string content_of(raft::LogPosition last) {
    std::string text;
    for (std::uint64_t i = 0; i <= last.index.value; ++i) {
        text += std::to_string(last.term.value) + "/" + std::to_string(i) + "; ";
    }
    return text;
}

using Content = std::shared_ptr<const std::string>;
using Names = std::map<std::string, Content>;

/// A directory, and what had been acknowledged when it was so.
struct Moment {
    Names files;
    raft::HardState hard;
    raft::LogPosition base;
    std::vector<raft::Entry> log;  ///< (base, last]

    raft::LogPosition last() const { return log.empty() ? base : log.back().position(); }
    raft::Index last_index() const { return last().index; }
    std::optional<raft::Entry> at(raft::Index index) const {
        if (index <= base.index || index > last_index()) return std::nullopt;
        return log[index - base.index - 1];
    }
};

/// A node that writes what a follower writes, as a seed decides, and never fails.
class StoryTeller {
public:
    StoryTeller(std::uint64_t node, std::uint64_t seed) : random_(seed), node_(files_, node) {
        files_.log_id = 0xa5a5a50000 + node * 1000 + seed;
    }
    std::vector<Moment> tell(std::size_t steps) {
        require(node_.storage().recover().has_value(), "a new directory is refused");
        keep();
        for (std::size_t i = 0; i < steps; ++i) {
            step();
            keep();
        }
        return std::move(moments_);
    }

private:
    void step() {
        switch (random_.below(8)) {
            case 0: return vote();
            case 1: return save();
            case 2: return compact();
            case 3: return receive();
            default: return append();
        }
    }
    void write(const raft::Write& write) {
        require(node_.write(write).has_value(), "a write fails on a disk that works");
    }
    void vote() {
        now_.hard.term.value += 1 + random_.below(3);
        now_.hard.voted_for = {random_.below(4)};
        write(raft::test::hard_state(now_.hard));
    }
    void append() {
        raft::Write made;
        // Entries that are not committed may be replaced.
        const raft::Index committed = std::max(now_.hard.commit, now_.base.index);
        const std::uint64_t open = now_.last_index() - committed;
        const std::uint64_t replaced = random_.below(4) == 0 ? random_.below(open + 1) : 0;
        now_.log.resize(now_.log.size() - replaced);
        if (replaced != 0 || random_.below(5) == 0) now_.hard.term.value += 1;
        now_.hard.term.value = std::max<std::uint64_t>(now_.hard.term.value, 1);
        const std::uint64_t count = 1 + random_.below(3);
        for (std::uint64_t i = 0; i < count; ++i) {
            made.entries.push_back(entry(now_.last_index() + 1));
            now_.log.push_back(made.entries.back());
        }
        if (random_.below(2) == 0) {
            const std::uint64_t more = random_.below(now_.last_index() - committed + 1);
            now_.hard.commit = committed + more;
        }
        made.hard_state = now_.hard;
        write(made);
    }
    raft::Entry entry(raft::Index index) {
        constexpr std::uint64_t sizes[] = {0, 1, 20, 300, 1200, 2600};
        const std::uint64_t size = sizes[random_.below(std::size(sizes))];
        // Zeros, too: recovery has to tell them from what was not written.
        std::string payload(size, random_.below(3) == 0 ? '\0' : 'p');
        if (size > 1) payload[random_.below(size)] = '\x10';
        return {index, now_.hard.term, raft::EntryKind::operation, raft::test::text(payload)};
    }
    std::optional<raft::LogPosition> position(raft::Index index) const {
        if (const auto held = now_.at(index)) return held->position();
        return std::nullopt;
    }
    void save() {
        const auto committed = position(now_.hard.commit);
        if (!committed || committed->index <= snapshot_.index) return;
        const auto saved = node_.wait<raft::SnapshotMeta>([&](auto done) {
            const auto produce = [last = *committed](raft::ByteSink& sink) {
                sink.write(raft::bytes_of(content_of(last)));
            };
            node_.storage().save_snapshot(*committed, raft::test::voters(3), produce, done);
        });
        require(saved.has_value(), "a snapshot is not saved");
        snapshot_ = *committed;
    }
    void compact() {
        const auto to = position(snapshot_.index);
        if (!to) return;
        write(raft::test::release(*to));
        const std::uint64_t count = to->index - now_.base.index;
        now_.log.erase(now_.log.begin(), now_.log.begin() + static_cast<std::ptrdiff_t>(count));
        now_.base = *to;
    }
    /// A snapshot of the leader's, of which at first only a part arrives.
    void receive() {
        if (now_.hard.term.value == 0) vote();
        const raft::LogPosition last{now_.last_index() + 1 + random_.below(3), now_.hard.term};
        const std::string content = content_of(last);
        const raft::SnapshotMeta meta{last, raft::test::voters(3), content.size(),
                                      rsm::detail::checksum(raft::bytes_of(content))};
        const std::size_t half = content.size() / 2;
        chunk(meta, 0, content.substr(0, half));
        if (random_.below(3) == 0) return;  // the rest never comes
        keep();
        chunk(meta, half, content.substr(half));
        now_.base = snapshot_ = last;
        now_.log.clear();
        keep();  // a start would do what the node is about to
        now_.hard.commit = last.index;
        raft::Write made = raft::test::reset(last);
        made.hard_state = now_.hard;
        write(made);
    }
    void chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, const std::string& data) {
        const auto received = node_.wait<raft::ChunkOutcome>([&](auto done) {
            node_.storage().receive_chunk(meta, offset, raft::test::text(data), done);
        });
        require(received.has_value(), "a piece of a snapshot is not received");
    }

    void keep() {
        Moment moment = now_;
        for (const auto& [path, inode] : files_.disk->names) {
            Content& last = contents_[path];
            if (last == nullptr || *last != inode->now) {
                last = std::make_shared<const std::string>(inode->now);
            }
            moment.files[path.substr(directory.size() + 1)] = last;
        }
        moments_.push_back(std::move(moment));
    }

    raft::Random random_;
    NodeFiles files_;
    WalNode node_;
    Moment now_;
    raft::LogPosition snapshot_;
    std::map<std::string, Content> contents_;
    std::vector<Moment> moments_;
};

}  // namespace fuzz

#endif
