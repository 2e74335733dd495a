// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Arbitrary bytes as a history file: refused with line and column, or a history that is written and
// read again as it is, and of which the checker says something within its limits.
#include "support/finding.hpp"
#include "support/input.hpp"

#include <kv/check/history_file.hpp>
#include <kv/check/model.hpp>

#include <rsm/check/linearizability.hpp>

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace fuzz::history_input {
namespace {

using History = std::vector<kv::check::KvOperation>;

void judge(const History& history) {
    rsm::check::Limits limits;
    limits.memo_bytes = std::size_t{1} << 20;
    limits.steps = 2000;
    limits.explanation_steps = 500;
    const rsm::check::Report report =
        rsm::check::check_linearizability(kv::check::KvModel{}, history, limits);
    if (!report.explanation) return;
    require(report.explanation->culprit < history.size(), "no operation of the history is blamed");
    for (const std::size_t at : report.explanation->core) {
        require(at < history.size(), "no operation of the history is blamed");
        static_cast<void>(kv::check::format_kv_operation(history[at]));
    }
}

void run(Input input) {
    std::istringstream in{std::string(input.rest())};
    const auto read = kv::check::read_kv_history(in, {1000, 60});
    if (const auto* const error = std::get_if<kv::check::HistoryFileError>(&read)) {
        return require(error->line != 0 && !error->message.empty(), "a refusal does not say where");
    }
    const History& history = std::get<History>(read);
    std::stringstream file;
    for (const kv::check::KvOperation& operation : history) {
        file << kv::check::format_kv_operation(operation) << '\n';
    }
    const auto again = kv::check::read_kv_history(file);
    require(std::holds_alternative<History>(again), "a history that was written is refused");
    require(std::get<History>(again) == history, "a history that was written is another one");
    judge(history);
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::history_input
