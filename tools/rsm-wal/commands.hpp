// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What rsm-wal does, apart from its command line.
#ifndef RSM_TOOLS_RSM_WAL_COMMANDS_HPP
#define RSM_TOOLS_RSM_WAL_COMMANDS_HPP

#include "backup.hpp"
#include "describe.hpp"

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/backup.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/disk/lane.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/cut.hpp>
#include <rsm/storage/wal/inspect.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

namespace rsm_wal {

enum ExitStatus : int { whole = 0, damaged = 1, unreadable = 2 };

/// A failure, and what it says of the directory.
inline int tell(const raft::Failure& failure, std::ostream& err) {
    const bool is_damage = failure.code == rsm::StorageErrc::corrupted;
    err << "rsm-wal: " << (is_damage ? failure.what : failure.message()) << '\n';
    return is_damage ? damaged : unreadable;
}

/// What a node writes meanwhile may be seen half: another look will tell.
inline raft::Result<wal::Inspected> look_into(const std::string& directory, bool in_use) {
    auto found = wal::inspect(directory);
    const auto is_sound = [&found] { return found && found->damages.empty(); };
    for (int again = 0; again < 4 && in_use && !is_sound(); ++again) {
        found = wal::inspect(directory);
    }
    return found;
}

/// Reads all of it, too, for its beginning alone does not say whether it can be restored.
inline int show_backup(const std::string& path, bool json, std::ostream& out, std::ostream& err) {
    const auto backup = rsm::Backup::open(path);
    if (!backup) return tell(backup.error(), err);
    const auto whole_or_not = backup->verify();
    const bool is_damage =
        !whole_or_not && whole_or_not.error().code == rsm::StorageErrc::corrupted;
    if (!whole_or_not && !is_damage) return tell(whole_or_not.error(), err);
    const Json text = describe(*backup, whole_or_not);
    if (json) {
        out << text.dump(2) << '\n';
    } else {
        print_backup(text, out);
    }
    return is_damage ? damaged : whole;
}

inline int verify_backup(const std::string& path, std::ostream& out, std::ostream& err) {
    const auto backup = rsm::Backup::open(path);
    if (!backup) return tell(backup.error(), err);
    if (const auto found = backup->verify(); !found) return tell(found.error(), err);
    out << path << ": whole\n";
    return whole;
}

/// @param directory  of a node, or the file of a backup
inline int show(const std::string& directory, bool json, std::ostream& out, std::ostream& err) {
    if (is_file(directory)) return show_backup(directory, json, out, err);
    const bool in_use = wal::is_in_use(directory);
    const auto found = look_into(directory, in_use);
    if (!found) return tell(found.error(), err);
    const Json text = describe(directory, *found, in_use);
    if (json) {
        out << text.dump(2) << '\n';
    } else {
        print(text, out);
    }
    return whole;
}

/// Likewise.
inline int verify(const std::string& directory, std::ostream& out, std::ostream& err) {
    if (is_file(directory)) return verify_backup(directory, out, err);
    const bool in_use = wal::is_in_use(directory);
    const auto found = look_into(directory, in_use);
    if (!found) return tell(found.error(), err);
    for (const std::string& what : found->damages) out << what << '\n';
    const raft::Recovered& recovered = found->recovered;
    if (recovered.promised.index.value != 0) {
        out << "the log, which had come to entry " << recovered.promised.index.value << " of term "
            << recovered.promised.term.value << ", ends with entry " << recovered.last.value
            << '\n';
    }
    const bool sound = found->damages.empty() && recovered.promised.index.value == 0;
    out << directory << (sound ? ": whole" : ": damaged")
        << (in_use ? ", with a node running on it\n" : "\n");
    return sound ? whole : damaged;
}

struct Range {
    std::optional<std::uint64_t> from;
    std::optional<std::uint64_t> to;
};

inline int dump(const std::string& directory, Range range, bool json, std::ostream& out,
                std::ostream& err) {
    constexpr std::uint64_t bytes_at_once = std::uint64_t{8} << 20;
    const auto found = look_into(directory, wal::is_in_use(directory));
    if (!found) return tell(found.error(), err);
    const raft::Recovered& recovered = found->recovered;
    raft::Index next = std::max(raft::Index{range.from.value_or(0)}, recovered.base.index + 1);
    const raft::Index last =
        std::min(raft::Index{range.to.value_or(recovered.last.value)}, recovered.last);
    while (next <= last) {
        const auto entries = wal::read_entries(*found, next, bytes_at_once);
        if (!entries) return tell(entries.error(), err);
        for (const raft::Entry& entry : *entries) {
            if (entry.index > last) return whole;
            const Json text = describe(entry);
            if (json) {
                out << text.dump() << '\n';
            } else {
                print_entry(text, out);
            }
        }
        next = entries->back().index + 1;
    }
    return whole;
}

struct Cut {
    std::uint64_t after = 0;
    std::optional<std::uint64_t> confirmed;
    bool even_committed = false;
};

/// Tells what would go; cuts only what is confirmed.
inline int cut(const std::string& directory, const Cut& wish, std::ostream& out,
               std::ostream& err) {
    if (wal::is_in_use(directory)) {
        err << "rsm-wal: " << directory << ": a node is running on it, stop it first\n";
        return unreadable;
    }
    const auto found = wal::inspect(directory);
    if (!found) return tell(found.error(), err);
    const raft::Index after{wish.after};
    if (const auto why = wal::cut_refused(*found, after, wish.even_committed)) {
        err << "rsm-wal: nothing was cut: " << *why << '\n';
        return unreadable;
    }
    out << "the entries " << wish.after + 1 << " to " << found->recovered.last.value
        << " go; known to be committed are those up to " << found->recovered.hard_state.commit.value
        << '\n';
    if (wish.confirmed != wish.after) {
        err << "rsm-wal: nothing was cut. If no other node needs them: the same with "
               "--yes-lose-entries-above "
            << wish.after << '\n';
        return unreadable;
    }
    rsm::WalOptions options;
    options.directory = directory;
    const auto result =
        wal::cut_log<rsm::PosixFiles, rsm::ThreadLane>({}, options, after, wish.even_committed);
    if (!result) return tell(result.error(), err);
    out << directory << ": the log ends with entry " << wish.after << '\n';
    return whole;
}

}  // namespace rsm_wal

#endif
