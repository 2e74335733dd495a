// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// PosixFiles, by the system calls that it makes.
#include "support/temporary_directory.hpp"
#include "system_calls.hpp"

#include <rsm/storage/disk/files.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace posix_files_test {

using rsm::OpenMode;
using rsm::PosixFiles;
using rsm_test::read_file;
using rsm_test::TemporaryDirectory;
using rsm_test::write_file;
using system_calls::Answer;
using system_calls::Call;
using system_calls::Made;
using system_calls::Watch;

struct Bench {
    TemporaryDirectory directory;
    PosixFiles files;
    PosixFiles::File open(const std::string& name, OpenMode mode) {
        auto file = files.open(directory / name, mode);
        if (!file) FAIL(file.error().message());
        return std::move(*file);
    }
};

/// Interrupts every call once before it is made.
Watch::Meddler interrupting() {
    return [interrupted = false](const Made&) mutable {
        interrupted = !interrupted;
        return Answer{.error = interrupted ? EINTR : 0};
    };
}
std::vector<std::span<const std::byte>> parts_of(const std::vector<std::string>& texts) {
    std::vector<std::span<const std::byte>> parts;
    for (const std::string& text : texts) parts.push_back(std::as_bytes(std::span(text)));
    return parts;
}
std::vector<Call> calls_of(const std::vector<Made>& made) {
    std::vector<Call> calls;
    for (const Made& one : made) calls.push_back(one.call);
    return calls;
}

TEST_CASE("Each mode opens with its flags, and nothing is left to programs that are started") {
    Bench bench;
    write_file(bench.directory / "f", "text");
    struct Case {
        OpenMode mode;
        std::string path;
        int flags;
    };
    const Case cases[] = {
        {OpenMode::read, "f", O_RDONLY | O_NONBLOCK},
        {OpenMode::read_write, "f", O_RDWR | O_NONBLOCK},
        {OpenMode::create, "g", O_RDWR | O_CREAT | O_TRUNC | O_NONBLOCK},
        {OpenMode::directory, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK},
    };
    for (const Case& one : cases) {
        Watch watch(bench.directory.path());
        const auto file = bench.open(one.path, one.mode);
        const auto made = watch.take();
        REQUIRE(made.size() == 1);
        CHECK(made[0].flags == (one.flags | O_CLOEXEC));
        CHECK((::fcntl(file.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(read_file(bench.directory / "f") == "text");
    CHECK_FALSE(bench.files.open(bench.directory / "f", OpenMode::directory).has_value());
    CHECK_FALSE(bench.files.open(bench.directory / "h", OpenMode::read_write).has_value());
    write_file(bench.directory / "g", "old");
    static_cast<void>(bench.open("g", OpenMode::create));
    CHECK(read_file(bench.directory / "g").empty());
    REQUIRE(::mkfifo((bench.directory / "pipe").c_str(), 0600) == 0);
    CHECK_FALSE(bench.files.open(bench.directory / "pipe", OpenMode::read).has_value());
}

TEST_CASE("A lock is taken for one holder alone, without waiting for it") {
    Bench bench;
    Watch watch(bench.directory.path());
    watch.meddle(interrupting());
    {
        const auto held = bench.files.lock(bench.directory.path());
        REQUIRE(held.has_value());
        const auto made = watch.take();
        REQUIRE(made.size() == 4);
        CHECK(made[1].call == Call::open);
        CHECK(made[1].flags == (O_RDWR | O_CREAT | O_CLOEXEC));
        CHECK(made[3].call == Call::flock);
        CHECK(made[3].flags == (LOCK_EX | LOCK_NB));
        CHECK(bench.files.lock(bench.directory.path()).error().code == rsm::StorageErrc::locked);
    }
    CHECK(bench.files.lock(bench.directory.path()).has_value());
}

TEST_CASE(
    "A sync is one of this file, repeated where it was interrupted and never where it failed") {
    Bench bench;
    Watch watch(bench.directory.path());
    const auto file = bench.open("f", OpenMode::create);
    const auto directory = bench.open(".", OpenMode::directory);
    watch.take();
    REQUIRE(bench.files.sync(file).has_value());
    REQUIRE(bench.files.sync_directory(directory).has_value());
    auto made = watch.take();
    CHECK(calls_of(made) == std::vector{Call::fdatasync, Call::fsync});
    CHECK(made[0].path == "f");
    CHECK(made[1].path == ".");
    watch.meddle(interrupting());
    CHECK(bench.files.sync(file).has_value());
    CHECK(bench.files.sync_directory(directory).has_value());
    CHECK(watch.take().size() == 4);
    watch.meddle([](const Made&) { return Answer{.error = EIO}; });
    CHECK(bench.files.sync(file).error().code == std::errc::io_error);
    CHECK(bench.files.sync_directory(directory).error().code == std::errc::io_error);
    CHECK(watch.take().size() == 2);
}

TEST_CASE("What is transferred in pieces of any size arrives as a whole") {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 600; ++i) {
        texts.push_back(std::string(i % 7, static_cast<char>('a' + i % 26)));
    }
    std::string expected = "0123456789";
    for (const std::string& text : texts) expected += text;
    for (const std::size_t most : {1U, 5U, 300U, 100'000U}) {
        Bench bench;
        Watch watch(bench.directory.path());
        watch.meddle([most, count = 0](const Made&) mutable {
            return Answer{.error = ++count % 3 == 0 ? EINTR : 0, .most = most};
        });
        const auto file = bench.open("f", OpenMode::create);
        REQUIRE(bench.files.write_at(file, 0, parts_of({"01", "23456789"})).has_value());
        REQUIRE(bench.files.write_at(file, 10, parts_of(texts)).has_value());
        CHECK(read_file(bench.directory / "f") == expected);
        std::string read(expected.size(), '\0');
        const auto out = std::as_writable_bytes(std::span(read));
        CHECK(*bench.files.read_at(file, 0, out) == expected.size());
        CHECK(read == expected);
        CHECK(*bench.files.read_at(file, 10, out) == expected.size() - 10);
        CHECK(read.starts_with(std::string_view(expected).substr(10)));
    }
}

TEST_CASE("A file that is written past the cache is the same, in whatever blocks and pieces") {
    std::string text;
    for (int i = 0; i < 40'000; ++i) text += static_cast<char>('a' + i % 26);
    for (const bool refuses : {false, true}) {
        for (const std::size_t most : {512U, 4096U, 1'000'000U}) {
            CAPTURE(refuses);
            CAPTURE(most);
            Bench bench;
            Watch watch(bench.directory.path());
            watch.meddle([=, count = 0](const Made& made) mutable {
                const bool is_direct = made.call == Call::open && (made.flags & O_DIRECT) != 0;
                if (is_direct && refuses) return Answer{.error = EINVAL};
                return Answer{.error = ++count % 4 == 0 ? EINTR : 0, .most = most};
            });
            const auto file = bench.open("f", OpenMode::create);
            PosixFiles::Writer writer(bench.files, file, 512, 2048);
            std::size_t at = 0;
            for (const std::size_t size : {48U, 1000U, 3U, 30'000U, 8949U}) {
                const auto part = std::as_bytes(std::span(text).subspan(at, size));
                REQUIRE(writer.write(file, at, std::span(&part, 1)).has_value());
                at += size;
            }
            // What is behind the end may be zeros.
            const std::string content = read_file(bench.directory / "f");
            CHECK(content.substr(0, at) == text.substr(0, at));
            CHECK(content.find_first_not_of('\0', at) == std::string::npos);
        }
    }
}

TEST_CASE("An error of any call is told with the call and the path") {
    Bench bench;
    write_file(bench.directory / "f", "text");
    const auto file = bench.open("f", OpenMode::read_write);
    PosixFiles::File watched;
    Watch watch(bench.directory.path());
    watched = bench.open("f", OpenMode::read_write);
    const std::string path = bench.directory / "f";
    const auto fails = [&](int error, const std::string& what, auto act) {
        watch.meddle([error](const Made&) { return Answer{.error = error}; });
        watch.take();
        const auto result = act();
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code.value() == error);
        CHECK(result.error().what == what);
        CHECK(watch.take().size() == 1);
    };
    std::byte byte{};
    const auto& files = bench.files;
    fails(EMFILE, "open " + path, [&] { return files.open(path, OpenMode::read); });
    fails(EIO, "read " + path, [&] { return files.read_at(watched, 0, {&byte, 1}); });
    fails(EIO, "write " + path, [&] { return files.write_at(watched, 0, parts_of({"a"})); });
    fails(ENOSPC, "write " + path, [&] { return files.write_at(watched, 0, parts_of({"a"})); });
    fails(ENOSPC, "allocate " + path, [&] { return files.preallocate(watched, 4096); });
    fails(EIO, "rename " + path, [&] { return files.rename(path, bench.directory / "g"); });
    fails(EACCES, "remove " + path, [&] { return files.remove(path); });
    fails(EROFS, "create directory " + path, [&] { return files.create_directory(path); });
    watch.meddle([](const Made&) { return Answer{.most = 0}; });
    CHECK(files.write_at(watched, 0, parts_of({"a"})).error().code.value() == ENOSPC);
    CHECK(read_file(path) == "text");
    watch.meddle(interrupting());
    CHECK(files.preallocate(watched, 8192).has_value());
    CHECK(*files.size(watched) == 8192);
}

TEST_CASE("A directory is made durable in the one above it, and so are those that were there") {
    Bench bench;
    Watch watch(bench.directory.path());
    REQUIRE(bench.files.create_directories(bench.directory / "a/b").has_value());
    const auto synced = [&] {
        std::vector<std::string> paths;
        for (const Made& made : watch.take()) {
            if (made.call == Call::fsync && made.result == 0) paths.push_back(made.path);
        }
        return paths;
    };
    CHECK(synced() == std::vector<std::string>{"", "a"});
    REQUIRE(bench.files.create_directories(bench.directory / "a/b").has_value());
    CHECK(synced() == std::vector<std::string>{"", "a"});
    watch.meddle(
        [](const Made& made) { return Answer{.error = made.call == Call::fsync ? EIO : 0}; });
    CHECK_FALSE(bench.files.create_directories(bench.directory / "a/b").has_value());
}

}  // namespace posix_files_test
