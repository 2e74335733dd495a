// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A start on what is left of a node's directory: files cut, spliced, damaged, exchanged for those
// of other times and of another node. What had been acknowledged is there, or the start is refused,
// or it is said what was cut and what is lacking.
#include "support/finding.hpp"
#include "support/input.hpp"
#include "support/wal_story.hpp"

#include <rsm/storage/wal.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fuzz::wal_input {
namespace {

constexpr std::uint64_t stories = 12;
constexpr std::size_t steps = 30;

/// Of node 1 and of node 2.
const std::vector<Moment>& story(std::uint64_t node, std::uint64_t seed) {
    static const auto told = [] {
        std::vector<std::vector<Moment>> all;
        for (std::uint64_t i = 0; i < 2 * stories; ++i) {
            all.push_back(StoryTeller(1 + i % 2, i / 2).tell(steps));
        }
        return all;
    }();
    return told[2 * seed + node - 1];
}

/// A directory in the fuzzer's hands.
struct Remains {
    std::uint64_t seed = 0;
    const Moment* last = nullptr;  ///< as which it was left
    std::map<std::string, std::string> files;
    /// Something in it may be what was there earlier, which nothing in it need tell.
    bool may_be_old = false;
    bool is_touched = false;
};

std::string* chosen(Input& input, Remains& remains) {
    if (remains.files.empty()) return nullptr;
    const std::size_t at = input.below(remains.files.size());
    remains.is_touched = true;
    return &std::next(remains.files.begin(), static_cast<std::ptrdiff_t>(at))->second;
}
/// Mostly where something stands.
std::size_t place_in(Input& input, const std::string& file) {
    const std::size_t used = file.find_last_not_of('\0') + 1;
    return std::min(file.size(), input.below((input.flag() ? used : file.size()) + 1));
}

void flip(Input& input, Remains& remains) {
    std::string* const file = chosen(input, remains);
    if (file == nullptr || file->empty()) return;
    char& byte = (*file)[place_in(input, *file) % file->size()];
    const char before = byte;
    byte = static_cast<char>(byte ^ (1 << input.below(8)));
    if (input.flag()) byte = static_cast<char>(before ^ input.byte());
}
void cut(Input& input, Remains& remains) {
    if (std::string* const file = chosen(input, remains)) file->resize(place_in(input, *file));
}
void blank(Input& input, Remains& remains) {
    std::string* const file = chosen(input, remains);
    if (file == nullptr) return;
    std::size_t begin = place_in(input, *file);
    std::size_t count = 1 + input.below(2048);
    if (input.flag()) {
        begin = begin / 512 * 512;
        count = (1 + count / 512) * 512;
    }
    count = std::min(count, file->size() - begin);
    file->replace(begin, count, count, '\0');
    remains.may_be_old = true;
}
void splice(Input& input, Remains& remains) {
    std::string* const from = chosen(input, remains);
    std::string* const to = chosen(input, remains);
    if (from == nullptr) return;
    const std::string part = from->substr(place_in(input, *from), 1 + input.below(4096));
    const std::size_t at = place_in(input, *to);
    if (input.flag()) {
        to->insert(at, part);
    } else {
        to->replace(at, std::min(part.size(), to->size() - at), part);
    }
    remains.may_be_old = true;
}
void lengthen(Input& input, Remains& remains) {
    std::string* const file = chosen(input, remains);
    if (file == nullptr) return;
    const std::size_t count = input.below(5000);
    file->append(count, static_cast<char>(input.byte()));
}
void remove(Input& input, Remains& remains) {
    if (chosen(input, remains) == nullptr) return;
    remains.files.erase(std::next(remains.files.begin(),
                                  static_cast<std::ptrdiff_t>(input.below(remains.files.size()))));
    remains.may_be_old = true;
}
void exchange(Input& input, Remains& remains) {
    std::string* const one = chosen(input, remains);
    std::string* const other = chosen(input, remains);
    if (one != nullptr) std::swap(*one, *other);
    remains.may_be_old = true;
}
/// A file of another time, or of the other node, with its name.
void mix(Input& input, Remains& remains) {
    const bool is_own = input.flag();
    const auto& moments = story(is_own ? 1 : 2, remains.seed);
    const Names& there = moments[input.below(moments.size())].files;
    const auto taken =
        std::next(there.begin(), static_cast<std::ptrdiff_t>(input.below(there.size())));
    remains.files[taken->first] = *taken->second;
    remains.is_touched = remains.may_be_old = true;
}
void invent(Input& input, Remains& remains) {
    static const char* const names[] = {"identity",
                                        "incoming.tmp",
                                        "incoming-marks.tmp",
                                        "saving.tmp",
                                        "identity.tmp",
                                        "00000000000000000002.wal",
                                        "1.wal",
                                        "x.snapshot",
                                        "00000000000000000009-00000000000000000003.snapshot",
                                        "00000000000000000005.wal.spare.tmp"};
    const char* const name = names[input.below(std::size(names))];
    remains.files[name] = input.text(input.below(600));
    remains.is_touched = remains.may_be_old = true;
}

Remains remains_of(Input& input) {
    Remains remains;
    remains.seed = input.below(stories);
    const auto& moments = story(1, remains.seed);
    remains.last = &moments[input.below(moments.size())];
    for (const auto& [name, content] : remains.last->files) remains.files[name] = *content;
    for (std::size_t left = input.below(5); left != 0 && !input.empty(); --left) {
        switch (input.below(10)) {
            case 0: cut(input, remains); break;
            case 1: blank(input, remains); break;
            case 2: splice(input, remains); break;
            case 3: lengthen(input, remains); break;
            case 4: remove(input, remains); break;
            case 5: exchange(input, remains); break;
            case 6: invent(input, remains); break;
            case 7: mix(input, remains); break;
            default: flip(input, remains); break;
        }
    }
    return remains;
}

/// What a start has found.
struct Found {
    raft::Recovered recovered;
    std::vector<std::string> report;
    std::vector<raft::Entry> log;

    raft::LogPosition end() const { return log.empty() ? recovered.base : log.back().position(); }
    bool is_silent() const { return report.empty() && recovered.promised == raft::LogPosition{}; }
};

/// Whether a log that ends there keeps what was acknowledged, or it is known to be promised.
bool keeps(const Found& found, raft::LogPosition acknowledged) {
    return raft::is_up_to_date(found.end(), acknowledged) ||
           raft::is_up_to_date(found.recovered.promised, acknowledged);
}
bool has_term_and_vote(const Found& found, const Moment& moment) {
    return found.recovered.hard_state.term == moment.hard.term &&
           found.recovered.hard_state.voted_for == moment.hard.voted_for;
}
/// Whether the log is a part of the one of that moment.
bool is_part(const Found& found, const Moment& moment) {
    return std::ranges::all_of(found.log, [&](const raft::Entry& entry) {
        // What is released is in no log that is left, and can be compared with none.
        return entry.index <= moment.base.index || moment.at(entry.index) == entry;
    });
}
bool is_all(const Found& found, const Moment& moment) {
    return has_term_and_vote(found, moment) && is_part(found, moment) &&
           found.end() == moment.last() && found.recovered.base == moment.base;
}

void check_snapshot(WalNode& node, const raft::SnapshotMeta& meta) {
    if (meta.empty()) return;
    auto source = node.storage().open_snapshot(meta);
    require(source.has_value(), "the snapshot that was found cannot be opened");
    std::string text(static_cast<std::size_t>(meta.size), '\0');
    const std::size_t count = (*source)->read(std::as_writable_bytes(std::span(text)));
    require(count == meta.size && text == content_of(meta.last), "a snapshot has other content");
}

Found found_by(WalNode& node, raft::Recovered recovered) {
    Found found{std::move(recovered), node.storage().recovery_report(), {}};
    const raft::Recovered& told = found.recovered;
    require(told.base.index <= told.snapshot.last.index || told.base.index.value == 0,
            "the log begins behind the snapshot");
    require(told.hard_state.commit <= std::max(told.last, told.snapshot.last.index),
            "the commit index is beyond the log");
    check_snapshot(node, told.snapshot);
    if (told.last != told.base.index) {
        auto entries = node.read(told.base.index + 1);
        require(entries.has_value(), "the log that was found cannot be read");
        require(entries->size() == told.last - told.base.index, "the log has another length");
        found.log = std::move(*entries);
        require(found.log.back().term == told.runs.back().term, "the log has other terms");
    }
    for (const raft::DetachedRun& run : told.detached) {
        const auto entries = node.read_detached(run.before.index + 1);
        require(entries.has_value() && entries->size() == run.last - run.before.index,
                "what is left behind damage cannot be read");
    }
    return found;
}

bool is_new(const Remains& remains) {
    return std::ranges::none_of(remains.files, [](const auto& file) {
        return file.first == "identity" || file.first.ends_with(".wal") ||
               file.first.ends_with(".snapshot");
    });
}

/// For whoever looks into a finding: what the start has found and said.
void describe(const Remains& remains, const Found& found) {
    const auto say = [](const char* what, raft::LogPosition position) {
        std::fprintf(stderr, "%s %llu@%llu", what,
                     static_cast<unsigned long long>(position.index.value),
                     static_cast<unsigned long long>(position.term.value));
    };
    const auto hard = [](const raft::HardState& state) {
        std::fprintf(stderr, ", term %llu, vote %llu, commit %llu\n",
                     static_cast<unsigned long long>(state.term.value),
                     static_cast<unsigned long long>(state.voted_for.value),
                     static_cast<unsigned long long>(state.commit.value));
    };
    for (const auto& [name, content] : remains.files) {
        std::fprintf(stderr, "file %s, %zu bytes\n", name.c_str(), content.size());
    }
    say("acknowledged: base", remains.last->base);
    say(", end", remains.last->last());
    hard(remains.last->hard);
    say("found: base", found.recovered.base);
    say(", end", found.end());
    say(", promised", found.recovered.promised);
    say(", snapshot", found.recovered.snapshot.last);
    hard(found.recovered.hard_state);
    for (const std::string& line : found.report) std::fprintf(stderr, "said: %s\n", line.c_str());
}

void judge(const Remains& remains, const Found& found) {
    const auto& moments = story(1, remains.seed);
    const Moment& last = *remains.last;
    const auto any = [&](auto holds) { return std::ranges::any_of(moments, holds); };
    if (!remains.is_touched) {
        require(found.recovered.promised == raft::LogPosition{}, "a sound log lacks something");
        require(is_all(found, last), "a start on a sound directory finds another log");
        return;
    }
    require(any([&](const Moment& moment) { return is_part(found, moment); }),
            "the log is none that there has been");
    require(any([&](const Moment& moment) { return has_term_and_vote(found, moment); }) ||
                found.recovered.hard_state == raft::HardState{},
            "term and vote are none that there have been");
    // Behind what it says to be committed, a log that was cut may be one that it had before.
    for (const raft::Entry& entry : found.log) {
        if (entry.index > found.recovered.hard_state.commit || remains.may_be_old) break;
        const auto acknowledged = last.at(entry.index);
        require(!acknowledged || *acknowledged == entry, "a committed entry is another one");
    }
    if (!remains.may_be_old) {
        require(has_term_and_vote(found, last), "the last vote is forgotten");
        require(keeps(found, last.last()), "what was acknowledged is forgotten");
        if (found.is_silent()) require(is_all(found, last), "a loss is not told");
    } else if (found.is_silent()) {
        require(any([&](const Moment& moment) {
                    return moment.last() == found.end() && is_part(found, moment);
                }),
                "a loss is not told, and the log is that of no moment");
    }
}

/// What a start has found stays, and the node goes on from it.
void go_on(const NodeFiles& files, Found& found, std::unique_ptr<WalNode> node) {
    const raft::LogPosition promised = found.recovered.promised;
    raft::HardState hard = found.recovered.hard_state;
    hard.term.value = std::max(hard.term.value, found.end().term.value) + 1;
    hard.voted_for = {2};
    raft::Write write = raft::test::hard_state(hard);
    write.entries.push_back({found.end().index + 1, found.end().term, raft::EntryKind::operation,
                             raft::test::text("more")});
    if (found.end().term.value == 0) write.entries.front().term = {1};
    found.log.push_back(write.entries.front());
    require(node->write(write).has_value(), "a log that was found takes no write");
    node->close();
    node = nullptr;

    WalNode again(files, 1);
    auto recovered = again.storage().recover();
    require(recovered.has_value(), "a log that was found once is refused the next time");
    const Found next = found_by(again, std::move(*recovered));
    require(next.log == found.log && next.recovered.base == found.recovered.base,
            "a log that was found is another one the next time");
    require(next.recovered.hard_state.term == hard.term &&
                next.recovered.hard_state.voted_for == hard.voted_for,
            "a vote after a start is forgotten");
    require(keeps(next, promised), "what is lacking is forgotten");
}

void run(Input input) {
    const Remains remains = remains_of(input);
    NodeFiles files;
    files.log_id = 77;
    for (const auto& [name, content] : remains.files) {
        auto inode = std::make_shared<rsm_test::FakeDisk::Inode>();
        inode->now = inode->durable = content;
        files.disk->names[directory + "/" + name] = std::move(inode);
    }
    files.disk->durable_names = files.disk->names;

    auto node = std::make_unique<WalNode>(files, 1);
    auto recovered = node->storage().recover();
    if (!recovered) {
        require(remains.is_touched, "a sound directory is refused");
        require(!recovered.error().what.empty(), "a refusal does not say what it refuses");
        return;
    }
    if (is_new(remains)) return;
    Found found = found_by(*node, std::move(*recovered));
    if (std::getenv("FUZZ_SAY") != nullptr) describe(remains, found);
    judge(remains, found);
    go_on(files, found, std::move(node));
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::wal_input
