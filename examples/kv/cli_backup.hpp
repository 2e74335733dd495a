// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv backup: has a server make a backup, fetches it piece by piece, and keeps it if it is whole.
#ifndef RSM_EXAMPLES_KV_CLI_BACKUP_HPP
#define RSM_EXAMPLES_KV_CLI_BACKUP_HPP

#include "caller.hpp"
#include "cli_members.hpp"
#include "cli_service.hpp"
#include "reply.hpp"

#include <raft/base/result.hpp>
#include <rsm/backup.hpp>
#include <rsm/storage/disk/files.hpp>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace kv {

/// From whom, and how long to wait.
struct BackupWish {
    std::string file;
    std::string from = "leader";  ///< or "follower"
    std::string server;           ///< not empty: from this one, whatever it is
    double wait_seconds = 660;    ///< for the server to have it ready
};

namespace detail {

/// The failure of a command: how it ends, and why.
struct BackupFailure {
    ExitStatus status = usage;
    std::string why;
};

/// Asks one server after the other, and keeps the connection while it is the same one.
class Conversation {
public:
    explicit Conversation(const Credentials& credentials)
        : caller_(io_.get_executor(), {std::chrono::seconds(1), credentials}) {}

    CallOutcome ask(const std::string& address, const std::vector<std::string>& words,
                    std::chrono::nanoseconds timeout) {
        std::string request;
        const std::vector<std::string_view> views(words.begin(), words.end());
        append_request(request, views);
        CallOutcome outcome;
        caller_.call(address, request, timeout,
                     [&outcome](CallOutcome ended) { outcome = std::move(ended); });
        io_.restart();
        io_.run();
        return outcome;
    }

private:
    boost::asio::io_context io_;
    Caller caller_;
};

/// What is to become the file, until it is whole.
class BackupDownload {
public:
    explicit BackupDownload(std::string path) : path_(std::move(path)), aside_(path_ + ".tmp") {
        directory_ = check(files_.open(rsm::detail::parent_of(path_), rsm::OpenMode::directory));
        file_ = check(files_.open(aside_, rsm::OpenMode::create));
    }
    BackupDownload(const BackupDownload&) = delete;
    BackupDownload& operator=(const BackupDownload&) = delete;
    ~BackupDownload() {
        if (!is_kept_) static_cast<void>(files_.remove(aside_).has_value());
    }

    std::uint64_t size() const { return size_; }
    void add(std::string_view piece) {
        const auto bytes = std::as_bytes(std::span(piece));
        check(files_.write_at(file_, size_, std::span(&bytes, 1)));
        size_ += piece.size();
    }
    /// Only now it has its name. Throws where it is not whole.
    rsm::Backup keep() {
        check(files_.sync(file_));
        check(check(rsm::Backup::open(aside_)).verify());
        check(files_.rename(aside_, path_));
        is_kept_ = true;
        check(files_.sync_directory(directory_));
        return check(rsm::Backup::open(path_));
    }

private:
    template <class Value>
    static Value check(raft::Result<Value> result) {
        if (!result) throw BackupFailure{usage, result.error().message()};
        if constexpr (!std::is_void_v<Value>) return *std::move(result);
    }

    rsm::PosixFiles files_;
    std::string path_;
    std::string aside_;
    rsm::PosixFiles::File directory_;
    rsm::PosixFiles::File file_;
    std::uint64_t size_ = 0;
    bool is_kept_ = false;
};

inline BackupFailure no_answer(const CallOutcome& outcome) { return {unavailable, outcome.why()}; }

/// The answer of the one that leads, wherever that is.
/// @param leader  who it is; empty: not known. Afterwards the one that answered
inline Reply ask_leader_until(Conversation& talk, const Addressees& servers,
                              const std::vector<std::string>& words, Patience patience,
                              std::string& leader) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point end = Clock::now() + patience.search;
    do {
        if (leader.empty()) leader = find_leader(servers, std::chrono::seconds(1));
        if (!leader.empty()) {
            CallOutcome outcome = talk.ask(leader, words, patience.answer);
            if (!outcome.error && !is_worth_asking_again(outcome)) return std::move(outcome.reply);
            const std::string& text = outcome.reply.text;
            const bool moved = !outcome.error && outcome.reply.is_error("MOVED");
            leader = moved ? text.substr(text.rfind(' ') + 1) : std::string();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } while (Clock::now() < end);
    throw BackupFailure{no, "no leader was found" + silence_text(servers)};
}

/// The follower that has applied the most, of those that can be asked.
inline std::string find_follower(const Addressees& servers, std::chrono::nanoseconds timeout) {
    const std::vector<Row> rows = ask_all(servers, timeout);
    const Row* best = nullptr;
    for (const Row& row : rows) {
        if (field(row.fields, "role") != "follower") continue;
        const bool further =
            best == nullptr || number(row.fields, "applied") > number(best->fields, "applied");
        if (further) best = &row;
    }
    if (best == nullptr) throw BackupFailure{no, "no follower was found" + silence_text(servers)};
    return best->asked_at;
}

inline rsm::Backup fetch_backup(const Addressees& servers, const BackupWish& wish,
                                std::chrono::nanoseconds timeout) {
    const auto wait = std::chrono::nanoseconds(static_cast<std::int64_t>(wish.wait_seconds * 1e9));
    BackupDownload download(wish.file);
    Conversation talk(servers.credentials);
    std::string leader;
    std::string source = wish.server;
    Reply begun;
    if (source.empty() && wish.from == "leader") {
        begun = ask_leader_until(talk, servers, {"RAFT.BACKUP", "BEGIN"}, {timeout, wait}, leader);
        source = leader;
    } else {
        // What the leader has applied at the end of a read contains all that was acknowledged.
        Conversation with_leader(servers.credentials);
        const Reply barrier =
            ask_leader_until(with_leader, servers, {"RAFT.BARRIER"}, {timeout, timeout}, leader);
        if (barrier.type != Reply::Type::integer) throw BackupFailure{usage, barrier.text};
        if (source.empty()) source = find_follower(servers, timeout);
        CallOutcome outcome =
            talk.ask(source, {"RAFT.BACKUP", "BEGIN", std::to_string(barrier.integer)}, wait);
        if (outcome.error) throw no_answer(outcome);
        begun = std::move(outcome.reply);
    }
    if (begun.type != Reply::Type::bulk) throw BackupFailure{usage, begun.text};
    const std::uint64_t size = number(parse_fields(begun.text), "size");
    while (download.size() < size) {
        const CallOutcome outcome =
            talk.ask(source, {"RAFT.BACKUP", "READ", std::to_string(download.size())}, timeout);
        if (outcome.error) throw no_answer(outcome);
        const Reply& piece = outcome.reply;
        const bool fits = piece.type == Reply::Type::bulk && !piece.text.empty() &&
                          piece.text.size() <= size - download.size();
        if (!fits) {
            throw BackupFailure{usage, piece.type == Reply::Type::error
                                           ? piece.text
                                           : "the server gives another backup than it has said"};
        }
        download.add(piece.text);
    }
    return download.keep();
}

}  // namespace detail

inline int make_backup(const Addressees& servers, const BackupWish& wish,
                       std::chrono::nanoseconds timeout) {
    try {
        const rsm::Backup backup = detail::fetch_backup(servers, wish, timeout);
        const raft::SnapshotMeta& meta = backup.meta();
        std::cout << wish.file << ": cluster \"" << backup.cluster() << "\" up to index "
                  << meta.last.index.value << " of term " << meta.last.term.value << ", "
                  << meta.size << " bytes of state\n";
        return done;
    } catch (const detail::BackupFailure& failure) {
        std::cerr << "kv: no backup was made: " << failure.why << '\n';
        return failure.status;
    }
}

/// kv backup, as the command line has it.
inline CLI::App* declare_backup(CLI::App& app, BackupWish& wish) {
    CLI::App* const backup =
        app.add_subcommand("backup", "Writes all that was acknowledged before to a file");
    backup->fallthrough();
    backup->add_option("FILE", wish.file, "Replaced when the backup is whole")->required();
    backup->add_option("--from", wish.from, "Whose disk and time it takes")
        ->check(CLI::IsMember({"leader", "follower"}))
        ->capture_default_str();
    backup->add_option("--server", wish.server, "Takes it from this server: HOST:PORT")
        ->excludes("--from");
    backup->add_option("--wait", wish.wait_seconds, "Seconds until a server has it ready")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    return backup;
}

}  // namespace kv

#endif
