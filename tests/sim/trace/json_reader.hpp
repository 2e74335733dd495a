// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Just enough of a JSON reader to take the data out of a trace's page again. It is strict where the
// page relies on it: anything but printable ASCII fails.
#ifndef RSM_TESTS_SIM_TRACE_JSON_READER_HPP
#define RSM_TESTS_SIM_TRACE_JSON_READER_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::sim::test {

struct Json {
    enum class Type { null, number, string, array, object };
    Type type = Type::null;
    std::string text;  ///< a number as it was written; a string as code units below 0x100, or "?"
    std::u16string units;  ///< a string
    std::vector<Json> items;
    std::map<std::string, Json> members;

    const Json& operator[](const std::string& name) const { return members.at(name); }
    const Json& operator[](std::size_t place) const { return items.at(place); }
};

class JsonReader {
public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    Json read() {
        Json result = value();
        space();
        if (next_ != text_.size()) fail("text after the value");
        return result;
    }

private:
    [[noreturn]] void fail(const std::string& why) const {
        throw std::runtime_error(why + " at " + std::to_string(next_));
    }
    char peek() const {
        if (next_ >= text_.size()) fail("the end");
        return text_[next_];
    }
    void space() {
        while (next_ < text_.size() && (text_[next_] == ' ' || text_[next_] == '\n')) ++next_;
    }
    bool accept(char wanted) {
        space();
        if (peek() != wanted) return false;
        ++next_;
        return true;
    }
    void expect(char wanted) {
        if (!accept(wanted)) fail(std::string("no '") + wanted + "'");
    }

    Json value() {
        space();
        Json result;
        if (peek() == '"') return string();
        if (accept('[')) {
            result.type = Json::Type::array;
            if (accept(']')) return result;
            do result.items.push_back(value());
            while (accept(','));
            expect(']');
        } else if (accept('{')) {
            result.type = Json::Type::object;
            do {
                const std::string name = string().text;
                expect(':');
                if (!result.members.emplace(name, value()).second) fail("twice: " + name);
            } while (accept(','));
            expect('}');
        } else if (text_.substr(next_, 4) == "null") {
            next_ += 4;
        } else {
            result.type = Json::Type::number;
            const std::size_t end = text_.find_first_not_of("-0123456789", next_);
            if (end == next_) fail("no value");
            result.text = text_.substr(next_, end - next_);
            next_ = end;
        }
        return result;
    }

    Json string() {
        expect('"');
        Json result;
        result.type = Json::Type::string;
        while (peek() != '"') {
            char16_t unit = static_cast<unsigned char>(text_[next_++]);
            if (unit < 0x20 || unit > 0x7e || unit == '<' || unit == '>' || unit == '&') {
                fail("a character that must be escaped");
            }
            if (unit == '\\') unit = escaped();
            result.units += unit;
            result.text += unit < 0x100 ? static_cast<char>(unit) : '?';
        }
        ++next_;
        return result;
    }
    char16_t escaped() {
        const char kind = peek();
        ++next_;
        if (kind == '"' || kind == '\\') return static_cast<unsigned char>(kind);
        if (kind != 'u' || text_.size() - next_ < 4) fail("an unknown escape");
        const auto digits = std::string(text_.substr(next_, 4));
        next_ += 4;
        return static_cast<char16_t>(std::stoul(digits, nullptr, 16));
    }

    std::string_view text_;
    std::size_t next_ = 0;
};

}  // namespace rsm::sim::test

#endif
