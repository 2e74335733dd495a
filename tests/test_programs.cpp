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

/// A main with a name.
using Main = int(int count, char** words);

namespace abuse {
Main run;
}
namespace admin {
Main run;
}
namespace backups {
Main run;
}
namespace chaos_clients {
Main run;
}
namespace clock_jumps {
Main run;
}
namespace damage_rounds {
Main run;
}
namespace exchanged {
Main run;
}
namespace expired {
Main run;
}
namespace file_limit {
Main run;
}
namespace full_rounds {
Main run;
}
namespace hang_rounds {
Main run;
}
namespace kill_rounds {
Main run;
}
namespace lmdb_rounds {
Main run;
}
namespace member_changes {
Main run;
}
namespace old_copy {
Main run;
}
namespace passwords {
Main run;
}
namespace poisoned {
Main run;
}
namespace replace_rounds {
Main run;
}
namespace secured {
Main run;
}
namespace write_formats {
Main run;
}

namespace {

struct Named {
    std::string_view name;
    Main* run;
};

constexpr std::array all{Named{"abuse", abuse::run},
                         Named{"admin", admin::run},
                         Named{"backups", backups::run},
                         Named{"chaos_clients", chaos_clients::run},
                         Named{"clock_jumps", clock_jumps::run},
                         Named{"damage_rounds", damage_rounds::run},
                         Named{"exchanged", exchanged::run},
                         Named{"expired", expired::run},
                         Named{"file_limit", file_limit::run},
                         Named{"full_rounds", full_rounds::run},
                         Named{"hang_rounds", hang_rounds::run},
                         Named{"kill_rounds", kill_rounds::run},
                         Named{"lmdb_rounds", lmdb_rounds::run},
                         Named{"member_changes", member_changes::run},
                         Named{"old_copy", old_copy::run},
                         Named{"passwords", passwords::run},
                         Named{"poisoned", poisoned::run},
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
