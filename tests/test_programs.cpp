// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One program for all that is tried with real processes, because what they are made of takes long
// to compile:
//
//   test_programs NAME ARGUMENT...
#include <array>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace system_test {

namespace abuse {
int run(int count, char** words);
}
namespace backups {
int run(int count, char** words);
}
namespace chaos_clients {
int run(int count, char** words);
}
namespace damage_rounds {
int run(int count, char** words);
}
namespace file_limit {
int run(int count, char** words);
}
namespace full_rounds {
int run(int count, char** words);
}
namespace hang_rounds {
int run(int count, char** words);
}
namespace kill_rounds {
int run(int count, char** words);
}
namespace lmdb_rounds {
int run(int count, char** words);
}
namespace member_changes {
int run(int count, char** words);
}
namespace passwords {
int run(int count, char** words);
}
namespace replace_rounds {
int run(int count, char** words);
}
namespace secured {
int run(int count, char** words);
}
namespace write_formats {
int run(int count, char** words);
}

namespace {

struct Named {
    std::string_view name;
    int (*run)(int count, char** words);
};

constexpr std::array all{Named{"abuse", abuse::run},
                         Named{"backups", backups::run},
                         Named{"chaos_clients", chaos_clients::run},
                         Named{"damage_rounds", damage_rounds::run},
                         Named{"file_limit", file_limit::run},
                         Named{"full_rounds", full_rounds::run},
                         Named{"hang_rounds", hang_rounds::run},
                         Named{"kill_rounds", kill_rounds::run},
                         Named{"lmdb_rounds", lmdb_rounds::run},
                         Named{"member_changes", member_changes::run},
                         Named{"passwords", passwords::run},
                         Named{"replace_rounds", replace_rounds::run},
                         Named{"secured", secured::run},
                         Named{"write_formats", write_formats::run}};

}  // namespace

}  // namespace system_test

int main(int count, char** words) {
    const std::string_view wanted = count > 1 ? words[1] : "";
    for (const auto& [name, run] : system_test::all) {
        if (name == wanted) return run(count - 1, words + 1);
    }
    std::cerr << "test_programs: one of these is needed:";
    for (const auto& each : system_test::all) std::cerr << ' ' << each.name;
    std::cerr << '\n';
    return EXIT_FAILURE;
}
