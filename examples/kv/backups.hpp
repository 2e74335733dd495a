// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backups on their way to clients: each is written to a file without a name first, so that it
// takes no memory and goes by itself when nobody wants it any more.
#ifndef RSM_EXAMPLES_KV_BACKUPS_HPP
#define RSM_EXAMPLES_KV_BACKUPS_HPP

#include "command_spec.hpp"
#include "integer.hpp"

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/backup.hpp>
#include <rsm/detail/entropy.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/disk/lane.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace kv {

namespace detail {

/// RAFT.BACKUP BEGIN [INDEX] | READ OFFSET | END, and RAFT.BARRIER.
inline std::variant<Immediate, BackupRequest> parse_backup(Arguments arguments) {
    using Kind = BackupRequest::Kind;
    if (same_word(arguments[0], "raft.barrier")) {
        if (arguments.size() != 1) return wrong_arity("raft.barrier");
        return BackupRequest{Kind::barrier, 0};
    }
    if (arguments.size() < 2) return wrong_arity("raft.backup");
    struct Subcommand {
        std::string_view name;
        std::size_t least;
        std::size_t most;
        Kind kind;
    };
    constexpr Subcommand subcommands[] = {
        {"begin", 2, 3, Kind::begin}, {"read", 3, 3, Kind::read}, {"end", 2, 2, Kind::end}};
    for (const Subcommand& known : subcommands) {
        if (!same_word(arguments[1], known.name)) continue;
        if (arguments.size() < known.least || arguments.size() > known.most) {
            return wrong_arity("raft.backup|" + std::string(known.name));
        }
        if (arguments.size() == 2) return BackupRequest{known.kind, 0};
        const auto number = parse_integer(arguments[2]);
        if (!number || *number < 0) return error(not_integer_text);
        return BackupRequest{known.kind, static_cast<std::uint64_t>(*number)};
    }
    return unknown_subcommand(arguments);
}

}  // namespace detail

/// Work on another thread whose result comes back on an executor, as long as this is there.
/// Thread safety: the executor only. Destruction waits for nothing.
class Background {
public:
    explicit Background(boost::asio::any_io_executor executor)
        : ends_(std::make_shared<Ends>(std::move(executor))) {}
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;
    ~Background() {
        lane_.stop();
        {
            // What still runs must not keep anything of the executor's.
            const std::lock_guard lock(ends_->mutex);
            ends_->executor = {};
        }
        ends_->waiting.clear();
    }

    /// Calls work() there, which gives a raft::Result, then done(that) here; what it throws is an
    /// error in it. Errors: no thread can be had.
    template <class Work, class Done>
    raft::Result<void> run(Work work, Done done) {
        if (auto started = lane_.start(); !started) return started;
        const std::uint64_t id = ++ends_->last;
        ends_->waiting.emplace(id, std::make_shared<Done>(std::move(done)));
        lane_.post([ends = ends_, id, work = std::move(work)]() mutable {
            auto result = attempt(work);
            const std::lock_guard lock(ends->mutex);
            if (!ends->executor) return;
            boost::asio::post(ends->executor, [ends, id, result = std::move(result)]() mutable {
                const auto found = ends->waiting.extract(id);
                if (found.empty()) return;
                (*std::static_pointer_cast<Done>(found.mapped()))(std::move(result));
            });
        });
        return {};
    }

private:
    /// A lane's jobs must not throw.
    template <class Work>
    static auto attempt(Work& work) -> decltype(work()) {
        try {
            return work();
        } catch (const std::bad_alloc&) {
            return raft::Failure{std::make_error_code(std::errc::not_enough_memory), "a backup"};
        } catch (const std::exception& error) {
            return raft::Failure{std::make_error_code(std::errc::io_error), error.what()};
        }
    }

    struct Ends {
        explicit Ends(boost::asio::any_io_executor where) : executor(std::move(where)) {}
        std::mutex mutex;
        boost::asio::any_io_executor executor;  // none: closed
        // On the executor only: what is to be called with the results.
        std::map<std::uint64_t, std::shared_ptr<void>> waiting;
        std::uint64_t last = 0;
    };
    rsm::ThreadLane lane_;
    std::shared_ptr<Ends> ends_;
};

/// One backup, whole: the bytes of the file that a client will have.
class SpooledBackup {
public:
    /// The most that is given at a time, in bytes.
    static constexpr std::size_t piece_bytes = std::size_t{1} << 20;

    /// Blocks. Errors: those of rsm::Backup::save().
    static raft::Result<std::shared_ptr<SpooledBackup>> make(const std::string& directory,
                                                             const rsm::CapturedState& state) {
        const rsm::PosixFiles files;
        const std::string path =
            directory + "/backup-" + std::to_string(rsm::detail::random_number()) + ".tmp";
        auto file = files.open(path, rsm::OpenMode::create);
        if (!file) return file.error();
        if (auto removed = files.remove(path); !removed) return removed.error();
        auto spooled = std::make_shared<SpooledBackup>();
        spooled->last_ = state.last;
        spooled->file_ = std::move(*file);
        if (auto written = rsm::detail::write_backup(state, spooled->file_); !written) {
            return written.error();
        }
        auto size = files.size(spooled->file_);
        if (!size) return size.error();
        spooled->size_ = *size;
        return spooled;
    }

    raft::LogPosition last() const { return last_; }
    std::uint64_t size() const { return size_; }
    /// Blocks. Empty behind the end. From any thread.
    raft::Result<std::string> read(std::uint64_t offset) const {
        std::string piece(piece_bytes, '\0');
        const auto room = std::as_writable_bytes(std::span(piece));
        const auto count = rsm::PosixFiles{}.read_at(file_, offset, room);
        if (!count) return count.error();
        piece.resize(*count);
        return piece;
    }

private:
    rsm::PosixFiles::File file_;
    raft::LogPosition last_;
    std::uint64_t size_ = 0;
};

/// A place among the few backups that a server makes and keeps at a time.
class BackupPlaces {
public:
    static constexpr int most = 2;
    using Place = std::shared_ptr<void>;

    /// Null: all are taken. It may outlive this object.
    Place take() {
        if (*taken_ == most) return nullptr;
        ++*taken_;
        return {taken_.get(), [taken = taken_](void*) { --*taken; }};
    }

private:
    std::shared_ptr<int> taken_ = std::make_shared<int>(0);
};

}  // namespace kv

#endif
