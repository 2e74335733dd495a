// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What rsm does in the place where `floor` does next to nothing: three processes, TCP between
// them, and a state machine that only counts.
//
//   cluster [--window W] [--payload BYTES] [--durable] [--client] [--read] [--seconds S]
//           [--warm-up S] [--data DIRECTORY] [--pin] [--tls DIRECTORY]
//
// Operations are submitted in the leader's process, through the library's own interface; with
// --client by a process of its own, over one connection. --read: linearizable reads instead. --tls,
// of bench-cluster-tls: TLS between the members, with the files that scripts/make-certificates has
// written to that directory for the nodes 1 to 3 of the cluster "default".
#include "arguments.hpp"
#include "closed_loop.hpp"
#include "load_settings.hpp"
#include "machine.hpp"
#include "measure.hpp"
#include "process.hpp"
#include "socket.hpp"

#include <rsm/rsm.hpp>
#ifdef RSM_BENCH_TLS
#include <rsm/transport/tls.hpp>
#endif

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace bench;
using boost::system::error_code;

struct Settings : LoadSettings {
    bool client = false;
    bool read = false;
    std::string tls;  ///< a directory; empty: none
};

using Addresses = std::map<std::uint64_t, std::string>;

#ifdef RSM_BENCH_TLS
constexpr std::string_view program = "cluster-tls";
using Transport = rsm::TlsTransport;

Transport transport(std::uint64_t self, const Addresses& addresses, const Settings& settings) {
    if (settings.tls.empty()) {
        return {rsm::TcpTransport{{self}, addresses}.options(), std::nullopt};
    }
    const std::string file = settings.tls + "/node-" + std::to_string(self);
    return {{self}, addresses, {{file + ".crt", file + ".key", settings.tls + "/ca.crt"}, {}}};
}
#else
constexpr std::string_view program = "cluster";
using Transport = rsm::TcpTransport;

Transport transport(std::uint64_t self, const Addresses& addresses, const Settings& settings) {
    if (!settings.tls.empty()) throw std::invalid_argument("--tls is for bench-cluster-tls");
    return {{self}, addresses};
}
#endif

using Operation = CountingMachine::Operation;
template <class Storage>
using Replica = rsm::Replicated<CountingMachine, Transport, Storage>;

/// Three ports that are free now.
Addresses choose_addresses() {
    const std::array<Listener, 3> listeners;
    Addresses addresses;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        addresses[i + 1] = "127.0.0.1:" + std::to_string(listeners[i].port());
    }
    return addresses;
}

/// One member of the cluster. The first is the leader: the others wait so long before they stand
/// for election that it is there first.
template <class Storage>
class Member {
public:
    Member(std::uint64_t self, const Addresses& addresses, const Settings& settings)
        : replica_(io_.get_executor(), CountingMachine{}, transport(self, addresses, settings),
                   storage(self, settings.data), options(self)) {}

    boost::asio::io_context& io() { return io_; }
    Replica<Storage>& replica() { return replica_; }
    void run() {
        io_.run();
        if (!failure_.empty()) throw std::runtime_error(failure_);
    }

    /// Calls `ready` when operations are taken on.
    void when_leading(std::function<void()> ready) {
        replica_.async_submit(Operation{}, [this, ready](error_code error, std::uint64_t) {
            if (!error) return ready();
            retry_.expires_after(std::chrono::milliseconds(10));
            retry_.async_wait([this, ready](error_code) { when_leading(ready); });
        });
    }
    void fail(std::string why) {
        failure_ = std::move(why);
        io_.stop();
    }

private:
    static Storage storage(std::uint64_t self, const std::string& data) {
        if constexpr (std::is_same_v<Storage, rsm::WalStorage>) {
            return rsm::WalStorage{data + "/" + std::to_string(self)};
        } else {
            return Storage{};
        }
    }
    rsm::Options options(std::uint64_t self) {
        rsm::Options options;
        options.snapshot_threshold = rsm::mebibytes(64);
        options.raft.election_timeout = std::chrono::milliseconds(self == 1 ? 300 : 5000);
        options.on_failure = [this](const raft::Failure& failure) { fail(failure.message()); };
        return options;
    }

    boost::asio::io_context io_{1};
    boost::asio::steady_timer retry_{io_};
    std::string failure_;
    Replica<Storage> replica_;
};

/// Keeps operations or reads outstanding from inside the leader's process.
template <class Storage>
class Submitter {
public:
    Submitter(Member<Storage>& member, const Settings& settings, Recorder& recorder)
        : member_(member),
          settings_(settings),
          recorder_(recorder),
          began_(settings.window),
          bytes_(settings.payload, 'x') {}

    void start() {
        member_.when_leading([this] {
            for (std::size_t slot = 0; slot < began_.size(); ++slot) begin(slot, now_ns());
        });
    }

private:
    void begin(std::size_t slot, std::uint64_t now) {
        began_[slot] = now;
        const auto done = [this, slot](error_code error, std::uint64_t) { ended(slot, error); };
        if (settings_.read) {
            const auto query = [](const CountingMachine& machine) { return machine.count(); };
            member_.replica().async_read(query, done);
        } else {
            member_.replica().async_submit(Operation{bytes_}, done);
        }
    }
    void ended(std::size_t slot, error_code error) {
        if (recorder_.ended()) return;
        if (error) return member_.fail("an operation failed: " + error.message());
        const std::uint64_t now = now_ns();
        if (!recorder_.completed(began_[slot], now)) return member_.io().stop();
        begin(slot, now);
    }

    Member<Storage>& member_;
    const Settings& settings_;
    Recorder& recorder_;
    std::vector<std::uint64_t> began_;
    std::string bytes_;
};

/// Serves one client connection: operations come with their length in front (4 bytes), answers
/// are 8 bytes each, in order.
template <class Storage>
class ClientPort {
public:
    ClientPort(Member<Storage>& member, const Listener& listener)
        : member_(member),
          acceptor_(member.replica().get_executor(), boost::asio::ip::tcp::v4(),
                    dup(listener.get())),
          socket_(member.replica().get_executor()) {}

    void start() {
        member_.when_leading([this] {
            acceptor_.async_accept(socket_, [this](error_code error) {
                if (error) return member_.fail(error.message());
                socket_.set_option(boost::asio::ip::tcp::no_delay(true));
                read();
            });
        });
    }

private:
    void read() {
        const auto space = boost::asio::buffer(in_.data() + filled_, in_.size() - filled_);
        socket_.async_read_some(space, [this](error_code error, std::size_t count) {
            if (error) return member_.io().stop();
            filled_ += count;
            submit_whole();
            read();
        });
    }
    void submit_whole() {
        std::size_t at = 0;
        std::uint32_t size = 0;
        while (filled_ - at >= sizeof size) {
            std::memcpy(&size, in_.data() + at, sizeof size);
            if (filled_ - at < sizeof size + size) break;
            Operation operation{std::string(in_.data() + at + sizeof size, size)};
            member_.replica().async_submit(std::move(operation),
                                           [this](error_code error, std::uint64_t result) {
                                               answer(error ? failed_answer : result);
                                           });
            at += sizeof size + size;
        }
        std::memmove(in_.data(), in_.data() + at, filled_ - at);
        filled_ -= at;
    }
    /// What is answered in one go leaves in one write.
    void answer(std::uint64_t result) {
        answers_.push_back(result);
        if (std::exchange(writing_, true)) return;
        boost::asio::post(member_.replica().get_executor(), [this] { write(); });
    }
    void write() {
        leaving_.clear();
        leaving_.swap(answers_);
        boost::asio::async_write(socket_, boost::asio::buffer(leaving_),
                                 [this](error_code error, std::size_t) {
                                     if (error) return member_.io().stop();
                                     writing_ = !answers_.empty();
                                     if (writing_) write();
                                 });
    }

    Member<Storage>& member_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::ip::tcp::socket socket_;
    std::vector<char> in_ = std::vector<char>(std::size_t{1} << 20);
    std::size_t filled_ = 0;
    std::vector<std::uint64_t> answers_;
    std::vector<std::uint64_t> leaving_;
    bool writing_ = false;
};

std::vector<std::byte> framed(std::size_t payload) {
    const auto size = static_cast<std::uint32_t>(payload);
    std::vector<std::byte> frame(sizeof size + payload, std::byte{'x'});
    std::memcpy(frame.data(), &size, sizeof size);
    return frame;
}

template <class Storage>
void run(const Settings& settings) {
    const Addresses addresses = choose_addresses();
    const Listener clients;
    Children children(static_cast<unsigned>(settings.warm_up + settings.seconds) + 60);
    for (const std::uint64_t self : {2U, 3U}) {
        children.start([&] { Member<Storage>(self, addresses, settings).run(); });
    }
    if (settings.client) {
        children.start([&] {
            Member<Storage> leader(1, addresses, settings);
            ClientPort<Storage> port(leader, clients);
            port.start();
            leader.run();
        });
    }
    const std::vector<pid_t> processes = children.all();
    Recorder recorder(settings.warm_up, settings.seconds, processes,
                      settings.durable ? settings.data : "");
    if (settings.client) {
        ClosedLoop loop(settings.window, framed(settings.payload), recorder);
        run_client(loop, clients.port());
    } else {
        Member<Storage> leader(1, addresses, settings);
        Submitter<Storage> submitter(leader, settings, recorder);
        submitter.start();
        leader.run();
    }
    Line line(program);
    settings.tell(line, !settings.client, settings.read ? "read" : "write");
    if (program == "cluster-tls") line.flag("tls", !settings.tls.empty());
    line.load(recorder.latencies(), recorder.seconds(), recorder.used());
    line.print();
}

}  // namespace

int main(int count, char** words) try {
    Arguments arguments(count, words);
    Settings settings;
    settings.read_from(arguments);
    settings.client = arguments.flag("client");
    settings.read = arguments.flag("read");
    settings.tls = arguments.text("tls", "");
    arguments.finish();
    if (settings.window == 0) throw std::invalid_argument("--window must be 1 or more");
    if (settings.client && settings.read) throw std::invalid_argument("--client only writes");
    std::optional<Directory> directory;
    if (settings.durable) settings.data = directory.emplace(settings.data).path();
    if (settings.pinned) pin_to_one_core();
    if (settings.durable) {
        run<rsm::WalStorage>(settings);
    } else {
        run<rsm::MemoryStorage>(settings);
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "cluster: %s\n", error.what());
    return EXIT_FAILURE;
}
