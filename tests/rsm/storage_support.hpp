// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#ifndef RSM_TESTS_STORAGE_SUPPORT_HPP
#define RSM_TESTS_STORAGE_SUPPORT_HPP

#include <raft/codec.hpp>
#include <raft/concepts.hpp>
#include <raft/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace storage_test {

/// A directory of its own for each test, removed at its end.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "rsm-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

/// Jobs that wait for a time, which passes when a test says so.
class Delayed {
public:
    void add(std::chrono::nanoseconds delay, std::function<void()> job) {
        jobs_.emplace(now_ + delay, std::move(job));
    }
    /// Runs what is due until then.
    void pass(std::chrono::nanoseconds time) {
        const auto until = now_ + time;
        while (!jobs_.empty() && jobs_.begin()->first <= until) {
            now_ = jobs_.begin()->first;
            const auto job = std::move(jobs_.extract(jobs_.begin()).mapped());
            job();
        }
        now_ = until;
    }
    std::size_t size() const { return jobs_.size(); }
    /// Until the first one.
    std::chrono::nanoseconds left() const { return jobs_.begin()->first - now_; }

private:
    std::chrono::nanoseconds now_{};
    std::multimap<std::chrono::nanoseconds, std::function<void()>> jobs_;
};

/// Runs its jobs on the calling thread, in order, never one inside another.
class InlineWorker {
public:
    InlineWorker() = default;
    explicit InlineWorker(std::shared_ptr<Delayed> delayed) : delayed_(std::move(delayed)) {}
    void post_after(std::chrono::nanoseconds delay, std::function<void()> job) {
        delayed_->add(delay, std::move(job));
    }
    void post(std::function<void()> job) {
        jobs_.push_back(std::move(job));
        if (std::exchange(running_, true)) return;
        while (!jobs_.empty()) {
            const auto next = std::move(jobs_.front());
            jobs_.pop_front();
            next();
        }
        running_ = false;
    }
    void stop() { jobs_.clear(); }

private:
    std::shared_ptr<Delayed> delayed_ = std::make_shared<Delayed>();
    std::deque<std::function<void()>> jobs_;
    bool running_ = false;
};

inline raft::Entry entry(std::uint64_t index, std::uint64_t term, std::string_view text) {
    return {{index}, {term}, raft::EntryKind::operation, raft::Bytes::copy_of(text)};
}
inline raft::Entry entry(std::uint64_t index, std::uint64_t term, std::size_t size) {
    return entry(index, term, std::string(size, static_cast<char>('a' + index % 26)));
}
inline raft::LogPosition at(std::uint64_t index, std::uint64_t term) { return {{index}, {term}}; }

inline raft::Write entries(std::vector<raft::Entry> list) {
    raft::Write write;
    write.entries = std::move(list);
    return write;
}
inline raft::Write hard_state(raft::HardState state) {
    raft::Write write;
    write.hard_state = state;
    return write;
}
inline raft::Write release(raft::LogPosition position) {
    raft::Write write;
    write.release = position;
    return write;
}
inline raft::Write reset(raft::LogPosition position) {
    raft::Write write;
    write.reset = position;
    return write;
}
inline std::uint64_t bytes_of(const std::vector<raft::Entry>& list) {
    std::uint64_t bytes = 0;
    for (const raft::Entry& one : list) bytes += raft::codec::persisted_size(one);
    return bytes;
}
inline const raft::Membership& three() {
    static const raft::Membership membership = raft::Membership::of_voters({{1}, {2}, {3}});
    return membership;
}
inline raft::SnapshotProducer produce(std::string text) {
    return [text = std::move(text)](raft::ByteSink& sink) {
        sink.write(std::as_bytes(std::span(text)));
    };
}

/// A storage with an executor; every call waits for its completion.
template <class Storage>
class Node {
public:
    explicit Node(Storage storage) : storage_(std::move(storage)) {
        storage_->attach(io.get_executor());
    }
    raft::Result<raft::Recovered> recover() { return storage_->recover(); }
    /// Recovers, and fails the test where that fails.
    raft::Recovered start() {
        auto recovered = recover();
        if (!recovered) FAIL(recovered.error().message());
        return *recovered;
    }
    Storage& storage() { return *storage_; }
    void run() {
        io.restart();
        io.run();
    }
    void destroy() { storage_.reset(); }
    /// Whether an operation that waits for room fails instead.
    bool gives_up_without_room = false;

    template <class Value, class Start>
    raft::Result<Value> wait(Start start) {
        std::optional<raft::Result<Value>> outcome;
        start([&](raft::Result<Value> result) { outcome = std::move(result); });
        CHECK_FALSE(outcome.has_value());
        if constexpr (raft::LimitedStorage<Storage>) {
            if (gives_up_without_room) {
                io.restart();
                io.poll();
                if (!outcome && storage_->refuses()) return *storage_->refuses();
            }
        }
        run();
        REQUIRE(outcome.has_value());
        return *outcome;
    }
    raft::Result<void> write(raft::Write write) {
        return wait<void>([&](auto done) { storage_->append(std::move(write), done); });
    }
    raft::Result<std::vector<raft::Entry>> read(std::uint64_t first, std::size_t max_bytes) {
        return wait<std::vector<raft::Entry>>(
            [&](auto done) { storage_->read({first}, max_bytes, done); });
    }
    raft::Result<raft::SnapshotMeta> save(raft::LogPosition last, std::string text) {
        return wait<raft::SnapshotMeta>([&](auto done) {
            storage_->save_snapshot(last, three(), produce(std::move(text)), done);
        });
    }
    raft::Result<raft::ChunkOutcome> receive(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                             std::string_view text) {
        return wait<raft::ChunkOutcome>([&](auto done) {
            storage_->receive_chunk(meta, offset, raft::Bytes::copy_of(text), done);
        });
    }
    raft::Result<raft::Bytes> chunk(const raft::SnapshotMeta& meta, std::uint64_t offset,
                                    std::size_t max_bytes) {
        return wait<raft::Bytes>(
            [&](auto done) { storage_->read_chunk(meta, offset, max_bytes, done); });
    }
    void close() {
        bool closed = false;
        storage_->close([&] { closed = true; });
        CHECK_FALSE(closed);
        run();
        REQUIRE(closed);
    }

    boost::asio::io_context io;

private:
    std::optional<Storage> storage_;
};

/// The whole content of a kept snapshot, or what could be read of it.
template <class Storage>
std::string content(Storage& storage, const raft::SnapshotMeta& meta) {
    auto source = storage.open_snapshot(meta);
    if (!source) return "(" + source.error().message() + ")";
    std::string text;
    std::byte piece[7];
    while (const std::size_t count = (*source)->read(piece)) {
        text.append(reinterpret_cast<const char*>(piece), count);
    }
    return text;
}

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::string& path, const std::string& content) {
    std::ofstream out(path, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    REQUIRE(out.flush().good());
}

/// A disk in memory that forgets what was not synced. From the given operation on every call
/// fails, as if the machine had stopped there; crash() then decides what was on the disk.
class FakeDisk {
public:
    struct Inode {
        std::string now;
        std::string durable;
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;

    Names names;
    Names durable_names;
    std::uint64_t operations = 0;
    std::uint64_t stop_at = UINT64_MAX;
    std::uint64_t syncs = 0;
    bool locked = false;
    /// The error with which files are neither made nor allocated nor, where it is want of space,
    /// renamed; 0: they are.
    int refuses = 0;
    std::uint64_t refusals = 0;

    /// Whether the operation that begins takes place.
    bool step() { return ++operations < stop_at; }
    bool stopped() const { return operations >= stop_at; }

    /// Ends the crash: of everything unsynced each sector is old or new, as `seed` decides.
    void crash(std::uint64_t seed) {
        std::mt19937_64 random(seed);
        if (seed % 2 == 0) names = durable_names;
        for (auto& [name, inode] : names) {
            std::string mixed = inode->durable;
            if (seed % 3 != 0) mixed.resize(inode->now.size());
            for (std::size_t begin = 0; begin < mixed.size(); begin += 512) {
                if (random() % 2 == 0 || begin >= inode->now.size()) continue;
                const std::size_t count =
                    std::min({std::size_t{512}, mixed.size() - begin, inode->now.size() - begin});
                mixed.replace(begin, count, inode->now, begin, count);
            }
            inode->now = inode->durable = mixed;
        }
        durable_names = names;
        locked = false;
        stop_at = UINT64_MAX;
    }
};

/// The Files policy over a FakeDisk.
struct FakeFiles {
    struct File {
        std::shared_ptr<FakeDisk::Inode> inode;
        std::string path;
        std::shared_ptr<void> held;
        void bear(std::string name) { path = std::move(name); }
    };
    std::shared_ptr<FakeDisk> disk = std::make_shared<FakeDisk>();

    static raft::Failure failed(const std::string& path) {
        return {std::make_error_code(std::errc::io_error), "stopped " + path};
    }
    raft::Result<void> create_directories(const std::string&) const { return {}; }
    raft::Result<File> lock(const std::string& path) const {
        if (disk->locked) return rsm::detail::storage_failure(rsm::StorageErrc::locked, path);
        disk->locked = true;
        return File{nullptr, path, std::shared_ptr<void>(disk.get(), [held = disk](void*) {
                        held->locked = false;
                    })};
    }
    raft::Result<std::vector<std::string>> list(const std::string& directory) const {
        std::vector<std::string> result;
        for (const auto& [name, inode] : disk->names) {
            result.push_back(name.substr(directory.size() + 1));
        }
        return result;
    }
    raft::Result<File> open(const std::string& path, rsm::OpenMode mode) const {
        if (mode == rsm::OpenMode::directory) return File{nullptr, path, nullptr};
        if (mode == rsm::OpenMode::create) {
            if (!disk->step()) return failed(path);
            if (auto made = allocated(path); !made) return made.error();
            disk->names[path] = std::make_shared<FakeDisk::Inode>();
        }
        const auto found = disk->names.find(path);
        if (found == disk->names.end()) {
            return raft::Failure{std::make_error_code(std::errc::no_such_file_or_directory), path};
        }
        return File{found->second, path, nullptr};
    }
    raft::Result<std::uint64_t> size(const File& file) const { return file.inode->now.size(); }
    raft::Result<std::size_t> read_at(const File& file, std::uint64_t offset,
                                      std::span<std::byte> out) const {
        const std::string& now = file.inode->now;
        if (offset >= now.size()) return std::size_t{0};
        const std::size_t count = std::min<std::size_t>(out.size(), now.size() - offset);
        std::memcpy(out.data(), now.data() + offset, count);
        return count;
    }
    raft::Result<void> write_at(const File& file, std::uint64_t offset,
                                std::span<const std::span<const std::byte>> parts) const {
        // The write at which the machine stops is under way: it may have reached the disk.
        const bool stopped_before = disk->stopped();
        const bool goes_on = disk->step();
        if (stopped_before) return failed(file.path);
        std::string& now = file.inode->now;
        for (const auto part : parts) {
            if (now.size() < offset + part.size()) now.resize(offset + part.size());
            std::memcpy(now.data() + offset, part.data(), part.size());
            offset += part.size();
        }
        if (!goes_on) return failed(file.path);
        return {};
    }
    using Writer = rsm::detail::CachedWriter<FakeFiles>;
    raft::Result<void> preallocate(const File& file, std::uint64_t) const {
        return allocated(file.path);
    }
    raft::Result<void> allocated(const std::string& path) const {
        if (disk->refuses == 0) return {};
        ++disk->refusals;
        return raft::Failure{std::error_code(disk->refuses, std::system_category()),
                             "open " + path};
    }
    raft::Result<void> sync(const File& file) const {
        if (!disk->step()) return failed(file.path);
        ++disk->syncs;
        file.inode->durable = file.inode->now;
        return {};
    }
    raft::Result<void> rename(const std::string& from, const std::string& to) const {
        if (!disk->step()) return failed(from);
        if (disk->refuses == ENOSPC || disk->refuses == EDQUOT) {
            if (auto allowed = allocated(from); !allowed) return allowed;
        }
        auto node = disk->names.extract(from);
        disk->names[to] = node.mapped();
        return {};
    }
    raft::Result<void> remove(const std::string& path) const {
        if (!disk->step()) return failed(path);
        disk->names.erase(path);
        return {};
    }
    raft::Result<void> sync_directory(const File& directory) const {
        if (!disk->step()) return failed(directory.path);
        disk->durable_names = disk->names;
        return {};
    }
    std::uint64_t unique_id() const { return 0x1122334455667788ULL; }
};

using FakeWal = rsm::BasicWalStorage<FakeFiles, InlineWorker>;

inline const std::string first_segment = "00000000000000000001.wal";

inline rsm::WalOptions small_segments() { return {.directory = "d", .segment_bytes = 4096}; }
inline FakeWal fake_wal(const FakeFiles& files) { return FakeWal(small_segments(), files); }

}  // namespace storage_test

#endif
