// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Users and passwords: where they are read from, and how a server compares them.
#ifndef RSM_EXAMPLES_KV_CREDENTIALS_HPP
#define RSM_EXAMPLES_KV_CREDENTIALS_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace kv {

/// The user that one who names none means, as in Redis.
inline constexpr std::string_view default_user = "default";

/// Who a client says that it is. Without a password it says nothing.
struct Credentials {
    std::string user{default_user};
    std::string password;

    bool empty() const { return password.empty(); }
};

inline constexpr std::size_t user_bytes_max = 64;
inline constexpr std::size_t password_bytes_max = 512;
inline constexpr std::size_t accounts_max = 64;

namespace detail {

/// A text that is compared with what strangers say.
class Secret {
public:
    static constexpr std::size_t bytes_max = std::max(user_bytes_max, password_bytes_max);

    /// @pre it has at most bytes_max bytes
    explicit Secret(std::string_view text) : size_(text.size()) {
        std::copy(text.begin(), text.end(), bytes_.begin());
    }

    /// Takes the same time whatever the secret is and however much of it is right.
    bool is(std::string_view told) const {
        // Volatile, so that nothing ends the loop when the answer is known.
        volatile std::size_t difference = size_ ^ told.size();
        for (std::size_t i = 0; i < bytes_max; ++i) {
            const char other = i < told.size() ? told[i] : '\0';
            difference = difference | static_cast<unsigned char>(bytes_[i] ^ other);
        }
        return difference == 0;
    }

private:
    std::array<char, bytes_max> bytes_{};
    std::size_t size_;
};

/// @throws std::invalid_argument  what is wrong with them, without the password
inline void check(const Credentials& account) {
    const auto refuse = [](const std::string& why) { throw std::invalid_argument(why); };
    const std::size_t user = account.user.size();
    if (user == 0 || user > user_bytes_max) {
        refuse("a user has 1 to " + std::to_string(user_bytes_max) + " bytes");
    }
    const std::size_t password = account.password.size();
    if (password == 0 || password > password_bytes_max) {
        refuse("a password has 1 to " + std::to_string(password_bytes_max) + " bytes");
    }
}

}  // namespace detail

/// Who may use a server. No accounts: everybody may, and says nothing.
class Accounts {
public:
    Accounts() = default;
    /// @throws std::invalid_argument  for too many, too long, or empty ones
    explicit Accounts(const std::vector<Credentials>& accounts) {
        if (accounts.size() > accounts_max) {
            throw std::invalid_argument("there are more than " + std::to_string(accounts_max) +
                                        " users and passwords");
        }
        for (const Credentials& account : accounts) {
            detail::check(account);
            accounts_.push_back({detail::Secret(account.user), detail::Secret(account.password)});
        }
    }

    bool empty() const { return accounts_.empty(); }

    /// Whether one of the accounts has this user and this password. How long that takes does not
    /// tell anything of them but how many there are.
    bool admit(std::string_view user, std::string_view password) const {
        bool is_admitted = false;
        for (const Account& account : accounts_) {
            const bool is_user = account.user.is(user);
            const bool is_password = account.password.is(password);
            is_admitted |= is_user & is_password;
        }
        return is_admitted;
    }

private:
    struct Account {
        detail::Secret user;
        detail::Secret password;
    };

    std::vector<Account> accounts_;
};

/// Reads lines "USER PASSWORD", where the password is all behind the first blank, or "PASSWORD",
/// which is that of the user "default". Empty lines and those that begin with '#' say nothing.
/// @throws std::invalid_argument  with the number of the line, and never what it says
inline std::vector<Credentials> parse_accounts(std::string_view text) {
    std::vector<Credentials> accounts;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.front() == '#') continue;
        const std::size_t blank = line.find(' ');
        Credentials account;
        if (blank == std::string_view::npos) {
            account.password = line;
        } else {
            account = {std::string(line.substr(0, blank)), std::string(line.substr(blank + 1))};
        }
        try {
            detail::check(account);
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument("line " + std::to_string(number) + ": " + error.what());
        }
        accounts.push_back(std::move(account));
    }
    return accounts;
}

/// The accounts of a file; there must be one.
/// @throws std::invalid_argument  a sentence that names the option and the file
inline std::vector<Credentials> read_accounts(const std::string& option, const std::string& path) {
    constexpr std::size_t bytes_max = std::size_t{64} << 10;
    const auto refuse = [&](const std::string& why) {
        throw std::invalid_argument(option + ": " + path + ": " + why);
    };
    std::ifstream file(path, std::ios::binary);
    if (!file) refuse("cannot be read");
    std::string text(bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) refuse("cannot be read");
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > bytes_max) refuse("has more than 64 KiB");
    try {
        std::vector<Credentials> accounts = parse_accounts(text);
        if (!accounts.empty()) return accounts;
    } catch (const std::invalid_argument& error) {
        refuse(error.what());
    }
    refuse("has neither user nor password");
    return {};
}

/// Those of the file, or, without one, that of the environment: KV_PASSWORD, and KV_USER if that is
/// not "default". None: nothing was said.
/// @throws std::invalid_argument  a sentence about what was said
inline std::vector<Credentials> find_accounts(const std::string& option, const std::string& path) {
    if (!path.empty()) return read_accounts(option, path);
    const char* const password = std::getenv("KV_PASSWORD");
    const char* const user = std::getenv("KV_USER");
    if (password == nullptr && user == nullptr) return {};
    Credentials account;
    if (user != nullptr) account.user = user;
    if (password != nullptr) account.password = password;
    try {
        detail::check(account);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(std::string("KV_USER and KV_PASSWORD: ") + error.what());
    }
    return {std::move(account)};
}

/// Who a client is: the first of find_accounts(), or nobody.
inline Credentials find_credentials(const std::string& option, const std::string& path) {
    std::vector<Credentials> accounts = find_accounts(option, path);
    return accounts.empty() ? Credentials{} : std::move(accounts.front());
}

/// Whether every user of the machine may read the file.
inline bool is_readable_by_all(const std::string& path) {
    struct stat about {};
    return ::stat(path.c_str(), &about) == 0 && (about.st_mode & S_IROTH) != 0;
}

}  // namespace kv

#endif
