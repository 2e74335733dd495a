// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// ScratchDirectory: where an example that writes to disk does so.
#ifndef RSM_EXAMPLES_SCRATCH_DIRECTORY_HPP
#define RSM_EXAMPLES_SCRATCH_DIRECTORY_HPP

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace examples {

/// A new directory in the system's place for such, gone with this object.
class ScratchDirectory {
public:
    ScratchDirectory() : path_(std::filesystem::temp_directory_path() / "rsm-XXXXXX") {
        if (::mkdtemp(path_.data()) == nullptr) {
            throw std::system_error(errno, std::generic_category(), "make " + path_);
        }
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    ~ScratchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace examples

#endif
