// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Directories and files of a test's own.
#ifndef RSM_TESTS_SUPPORT_TEMPORARY_DIRECTORY_HPP
#define RSM_TESTS_SUPPORT_TEMPORARY_DIRECTORY_HPP

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>

namespace rsm_test {

inline std::runtime_error cannot_make(const std::string& what) {
    return std::runtime_error("cannot make " + what);
}

/// A directory of its own, removed at the end unless it is to be kept.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "rsm-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw cannot_make("a temporary directory");
        path_ = pattern;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        if (!keep) std::filesystem::remove_all(path_, ignored);
    }
    std::string path() const { return path_.string(); }
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

    bool keep = false;

private:
    std::filesystem::path path_;
};

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::string& path, const std::string& content) {
    std::ofstream out(path, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!out.flush()) throw cannot_make(path);
}

}  // namespace rsm_test

#endif
