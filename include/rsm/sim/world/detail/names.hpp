// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The names of the files of a simulated disk, and what changes them.
#ifndef RSM_SIM_WORLD_DETAIL_NAMES_HPP
#define RSM_SIM_WORLD_DETAIL_NAMES_HPP

#include <rsm/sim/world/detail/sectors.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace rsm::inline v0::sim::detail {

using Names = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;
using Directories = std::set<std::string, std::less<>>;

/// An operation on names that is not durable yet.
struct NameChange {
    enum class Kind : std::uint8_t { create, empty, rename, remove, create_directory };
    Kind kind;
    std::string name;
    std::string to{};                ///< rename
    std::shared_ptr<Inode> inode{};  ///< the file
    std::shared_ptr<Inode> old{};    ///< empty: in whose place it is
};

inline std::string_view directory_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// Not a newer file of the name: a change may come late, by a sync after a failed one.
inline void take_away(Names& names, const NameChange& change) {
    const auto found = names.find(change.name);
    if (found != names.end() && found->second == change.inode) names.erase(found);
}
inline void replace(Names& names, const std::shared_ptr<Inode>& old,
                    const std::shared_ptr<Inode>& inode) {
    for (auto& file : names) {
        if (file.second == old) file.second = inode;
    }
}
inline void apply(Names& names, Directories& directories, const NameChange& change) {
    switch (change.kind) {
        case NameChange::Kind::create_directory: directories.insert(change.name); break;
        case NameChange::Kind::create: names[change.name] = change.inode; break;
        case NameChange::Kind::empty: replace(names, change.old, change.inode); break;
        case NameChange::Kind::rename:
            take_away(names, change);
            names[change.to] = change.inode;
            break;
        case NameChange::Kind::remove: take_away(names, change); break;
    }
}

}  // namespace rsm::sim::detail

#endif
