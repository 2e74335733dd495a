// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// apply_edits <headers> <edits> <list> <output>
//     Makes a copy of each header that has mutants, with the mutants in it.
//     <edits>/raft/log.hpp.edits holds those of <headers>/raft/log.hpp, each as the lines that are
//     replaced and those that take their place:
//
//         === name, another name
//         the lines of the header
//         ---
//         the lines of the copy, with RSM_MUTANT(name) where the fault is switched on
//
//     An edit whose lines are not in the header exactly once is an error that names its mutants; so
//     is a mutant of <list> that no edit has.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Edit {
    std::string names;
    std::string from;
    std::string to;
};

std::vector<Edit> parse(const fs::path& path) {
    std::istringstream in(read(path));
    std::vector<Edit> edits;
    bool replaces = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("=== ")) {
            edits.push_back({line.substr(4), {}, {}});
            replaces = false;
        } else if (edits.empty()) {
            throw std::runtime_error(path.string() + " does not begin with ===");
        } else if (line == "---") {
            replaces = true;
        } else {
            (replaces ? edits.back().to : edits.back().from) += line + '\n';
        }
    }
    return edits;
}

/// The header with the edit, which must fit one place.
std::string apply(const std::string& header, const Edit& edit, const std::string& where) {
    const std::string whole = '\n' + header;
    const std::string wanted = '\n' + edit.from;
    const std::size_t place = whole.find(wanted);
    const bool once =
        place != std::string::npos && whole.find(wanted, place + 1) == std::string::npos;
    if (edit.from.empty() || !once) {
        throw std::runtime_error(
            "mutant " + edit.names + ": its place in " + where +
            (place == std::string::npos ? " is gone" : " is not the only one"));
    }
    return whole.substr(1, place) + edit.to + whole.substr(place + wanted.size());
}

/// Notes the names in RSM_MUTANT(name).
void note_names(std::string_view text, std::set<std::string>& names) {
    constexpr std::string_view mark = "RSM_MUTANT(";
    for (std::size_t at = text.find(mark); at != std::string_view::npos;
         at = text.find(mark, at + 1)) {
        const std::size_t begin = at + mark.size();
        names.emplace(text.substr(begin, text.find(')', begin) - begin));
    }
}

/// The names of the list: M(name, ...).
std::vector<std::string> listed(const std::string& list) {
    std::vector<std::string> names;
    std::istringstream in(list);
    for (std::string line; std::getline(in, line);) {
        const std::size_t mark = line.find("    M(");
        if (mark != 0) continue;
        names.push_back(line.substr(6, line.find(',') - 6));
    }
    return names;
}

void run(const fs::path& headers, const fs::path& edits, const fs::path& list,
         const fs::path& output) {
    std::set<std::string> edited;
    for (const auto& file : fs::recursive_directory_iterator(edits)) {
        if (file.path().extension() != ".edits") continue;
        const fs::path header = fs::relative(file.path(), edits).replace_extension();
        std::string text = read(headers / header);
        for (const Edit& edit : parse(file.path())) {
            text = apply(text, edit, header.string());
            note_names(edit.to, edited);
        }
        text.insert(text.find("#include"), "#include <mutants.hpp>\n");
        fs::create_directories((output / header).parent_path());
        std::ofstream out(output / header, std::ios::binary);
        if (!(out << text).flush()) throw std::runtime_error("cannot write " + header.string());
    }
    for (const std::string& name : listed(read(list))) {
        if (!edited.contains(name)) throw std::runtime_error("mutant " + name + " has no edit");
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc != 5) throw std::runtime_error("needs: headers, edits, list, output");
        run(argv[1], argv[2], argv[3], argv[4]);
    } catch (const std::exception& error) {
        std::cerr << "apply_edits: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
