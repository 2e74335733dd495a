// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What rsm-wal says of the file of a backup.
#ifndef RSM_TOOLS_RSM_WAL_BACKUP_HPP
#define RSM_TOOLS_RSM_WAL_BACKUP_HPP

#include "describe.hpp"

#include <raft/base/result.hpp>
#include <rsm/backup.hpp>

#include <filesystem>
#include <ostream>
#include <string>
#include <system_error>

namespace rsm_wal {

/// Whether it is a file, as backups are and directories of nodes are not.
inline bool is_file(const std::string& path) {
    std::error_code unknown;
    return std::filesystem::is_regular_file(path, unknown);
}

/// All that a backup says of itself.
/// @param whole  what reading all of it has found
inline Json describe(const rsm::Backup& backup, const raft::Result<void>& whole) {
    Json text;
    text["backup"] = backup.path();
    text["id"] = rsm::detail::hexadecimal(backup.id());
    text["cluster"] = backup.cluster();
    text["founding"] = describe(backup.founding());
    if (backup.origin() != 0) text["origin"] = rsm::detail::hexadecimal(backup.origin());
    text["at"] = describe(backup.meta().last);
    text["members"] = describe(backup.meta().membership);
    text["bytes"] = backup.meta().size;
    text["checksum"] = rsm::detail::hexadecimal(backup.meta().checksum);
    text["damage"] = whole ? Json(nullptr) : Json(whole.error().what);
    return text;
}

/// The same for a person.
inline void print_backup(const Json& text, std::ostream& out) {
    const Json& damage = text["damage"];
    out << words(text["backup"]) << ": a backup, " << (damage.is_null() ? "whole" : "damaged")
        << "\n  cluster     ";
    if (text["cluster"] == "" && text["founding"].empty()) {
        out << "not known";
    } else {
        out << '"' << words(text["cluster"]) << "\", founded with "
            << members_text(text["founding"]);
    }
    out << '\n';
    if (text.contains("origin")) out << "  origin      backup " << words(text["origin"]) << '\n';
    out << "  position    index " << position(text["at"]) << '\n';
    out << "  members     " << members_text(text["members"]) << '\n';
    out << "  state       " << text["bytes"] << " bytes, checksum " << words(text["checksum"])
        << (damage.is_null() ? ", which is that of what is there\n" : "\n");
    if (!damage.is_null()) out << "  damage      " << words(damage) << '\n';
}

}  // namespace rsm_wal

#endif
