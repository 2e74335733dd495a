// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The command lines of the measuring programs: "--name value" and "--flag".
#ifndef RSM_BENCH_ARGUMENTS_HPP
#define RSM_BENCH_ARGUMENTS_HPP

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

/// Every option that is asked for is known; finish() refuses those that nobody asked for.
class Arguments {
public:
    Arguments(int count, char** words) {
        for (int i = 1; i < count; ++i) {
            const std::string word = words[i];
            if (word.size() < 3 || !word.starts_with("--")) {
                throw std::invalid_argument("not an option: " + word);
            }
            const bool has_value =
                i + 1 < count && !std::string_view(words[i + 1]).starts_with("--");
            given_[word.substr(2)] = has_value ? words[++i] : "";
        }
    }

    bool flag(const std::string& name) { return take(name).first; }
    std::string text(const std::string& name, const std::string& otherwise) {
        auto [given, value] = take(name);
        return given ? value : otherwise;
    }
    std::uint64_t count(const std::string& name, std::uint64_t otherwise) {
        const auto [given, value] = take(name);
        return given ? std::stoull(value) : otherwise;
    }
    double number(const std::string& name, double otherwise) {
        const auto [given, value] = take(name);
        return given ? std::stod(value) : otherwise;
    }
    void finish() const {
        if (given_.empty()) return;
        throw std::invalid_argument("unknown option: --" + given_.begin()->first);
    }

private:
    std::pair<bool, std::string> take(const std::string& name) {
        auto node = given_.extract(name);
        if (node.empty()) return {false, {}};
        return {true, std::move(node.mapped())};
    }

    std::map<std::string, std::string> given_;
};

}  // namespace bench

#endif
