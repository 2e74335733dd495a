// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A state machine whose operations and state have a bit of everything that an archive carries. What
// it writes is kept under tests/formats, so nothing here may change that its bytes depend on.
#ifndef RSM_TESTS_SUPPORT_LEDGER_HPP
#define RSM_TESTS_SUPPORT_LEDGER_HPP

#include <rsm/archive.hpp>
#include <rsm/members.hpp>

#include <boost/serialization/version.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ledger {

enum class Currency : std::uint8_t { euro, yen };

struct Transfer {
    std::string from;
    std::string to;
    std::int64_t amount = 0;
    Currency currency = Currency::euro;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& from& to& amount& currency;
    }
};
struct Note {
    std::optional<std::string> text;
    std::vector<std::uint32_t> numbers;
    double weight = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned version) {
        archive& text& numbers;
        if (version >= 2) archive& weight;
    }
};

struct Ledger {
    struct Operation {
        std::variant<Transfer, Note> what;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& what;
        }
    };
    std::pair<std::uint64_t, std::string> apply(const Operation& operation) {
        ++count;
        if (const auto* transfer = std::get_if<Transfer>(&operation.what)) {
            accounts[transfer->from] -= transfer->amount;
            accounts[transfer->to] += transfer->amount;
        } else {
            notes.push_back(std::get<Note>(operation.what).text.value_or("nothing"));
            if (notes.size() > 4) notes.erase(notes.begin());
        }
        return {count, notes.empty() ? std::string() : notes.back()};
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& count& accounts& notes;
    }
    friend bool operator==(const Ledger&, const Ledger&) = default;

    std::uint64_t count = 0;
    std::map<std::string, std::int64_t> accounts;
    std::vector<std::string> notes;
};

inline Ledger::Operation operation(std::uint64_t number) {
    if (number % 3 != 0) {
        return {Transfer{"account " + std::to_string(number % 7),
                         "account " + std::to_string(number % 5),
                         static_cast<std::int64_t>(number * number) - 300,
                         number % 2 == 0 ? Currency::euro : Currency::yen}};
    }
    Note note;
    if (number % 2 == 0) note.text = std::string(number * 10 % 400, 'n');
    for (std::uint32_t i = 0; i < number % 11; ++i) note.numbers.push_back(i * i * i * 1000);
    note.weight = static_cast<double>(number) / 8;
    return {std::move(note)};
}

/// So many operations are in each directory, and in this state they end.
inline constexpr std::uint64_t operations = 60;
inline Ledger expected(std::uint64_t count = operations) {
    Ledger state;
    for (std::uint64_t i = 1; i <= count; ++i) state.apply(operation(i));
    return state;
}
inline rsm::Members founders() { return {rsm::voter(7, "seven.example:7000")}; }

}  // namespace ledger

BOOST_CLASS_VERSION(ledger::Note, 2)
BOOST_CLASS_VERSION(ledger::Transfer, 1)

#endif
