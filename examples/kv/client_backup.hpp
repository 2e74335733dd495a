// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A backup that one client is sent: RAFT.BARRIER, and RAFT.BACKUP BEGIN, READ and END.
#ifndef RSM_EXAMPLES_KV_CLIENT_BACKUP_HPP
#define RSM_EXAMPLES_KV_CLIENT_BACKUP_HPP

#include "backups.hpp"
#include "command.hpp"
#include "pipeline.hpp"
#include "server_options.hpp"
#include "store.hpp"

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace kv {

/// Part of a client's connection, which carries the requests out one after the other.
///
/// Thread safety: as the connection, which stays for as long as something is under way. What comes
/// to its end when that is closed touches the service no more.
template <class Client>
class ClientBackup {
    using Error = boost::system::error_code;
    using Clock = std::chrono::steady_clock;

public:
    explicit ClientBackup(Client& client) : client_(client) {}

    void answer(const BackupRequest& request, Sequence sequence) {
        switch (request.kind) {
            case BackupRequest::Kind::barrier: return ask_for_barrier(sequence);
            case BackupRequest::Kind::begin: return begin(request.number, sequence);
            case BackupRequest::Kind::read: return read(request.number, sequence);
            case BackupRequest::Kind::end:
                reset();
                return client_.finish(sequence, detail::ok().reply);
        }
    }
    /// Gives its place to others.
    void reset() {
        spooled_.reset();
        place_.reset();
        is_forfeit_ = false;
    }
    /// Likewise, if the client has not asked for more of it in time.
    /// @param is_busy  requests of the client are under way, or it is being sent something
    void free_unused(Clock::time_point now, bool is_busy) {
        if (spooled_ == nullptr) return;
        if (is_busy) used_ = now;
        const std::chrono::milliseconds limit = client_.options().backup_idle_timeout;
        if (limit.count() == 0 || now - used_ < limit) return;
        reset();
        is_forfeit_ = true;
    }

private:
    void refuse(Sequence sequence, std::string_view why) {
        client_.finish(sequence, detail::error(why).reply);
    }
    void fail(Sequence sequence, Error error) {
        std::string reply;
        client_.write_error(error, Client::Kind::read, reply);
        client_.finish(sequence, std::move(reply));
    }

    /// Up to where a state has to go to contain all that has been acknowledged.
    void ask_for_barrier(Sequence sequence) {
        client_.service_.replica().async_read(
            [](const Store&) { return true; },
            [this, client = client_.self(), sequence](Error error, bool) {
                if (!client->is_open()) return;
                if (error) return fail(sequence, error);
                const std::uint64_t applied = client->service_.replica().status().applied.value;
                client->finish(sequence, detail::integer(static_cast<std::int64_t>(applied)).reply);
            });
    }

    void begin(std::uint64_t at_least, Sequence sequence) {
        reset();
        const ServerOptions& options = client_.options();
        if (options.backup_directory.empty()) {
            return refuse(sequence, "ERR this server makes no backups");
        }
        BackupPlaces::Place place = client_.service_.backup_places().take();
        if (place == nullptr) {
            return refuse(sequence,
                          "BUSY " + std::to_string(BackupPlaces::most) +
                              " backups are under way, nothing happened, try again later");
        }
        auto captured = [this, client = client_.self(), sequence, place](Error error,
                                                                         rsm::CapturedState state) {
            if (!client->is_open()) return;
            if (error) return fail(sequence, error);
            spool(std::move(state), place, sequence);
        };
        auto& replica = client_.service_.replica();
        if (at_least == 0) {
            replica.async_capture(options.backup_timeout, std::move(captured));
        } else {
            replica.async_capture(raft::Index{at_least}, options.backup_timeout,
                                  std::move(captured));
        }
    }

    void spool(rsm::CapturedState state, BackupPlaces::Place place, Sequence sequence) {
        using Spooled = raft::Result<std::shared_ptr<SpooledBackup>>;
        auto made = [this, client = client_.self(), sequence, place](const Spooled& spooled) {
            if (!client->is_open()) return;
            if (!spooled) {
                return refuse(sequence,
                              "BUSY the backup cannot be made: " + spooled.error().message());
            }
            spooled_ = *spooled;
            place_ = place;
            used_ = Clock::now();
            const raft::LogPosition last = spooled_->last();
            client->finish(sequence,
                           detail::bulk("size:" + std::to_string(spooled_->size()) +
                                        "\r\nindex:" + std::to_string(last.index.value) +
                                        "\r\nterm:" + std::to_string(last.term.value) + "\r\n")
                               .reply);
        };
        const auto started = client_.service_.background().run(
            [directory = client_.options().backup_directory, state = std::move(state)] {
                return SpooledBackup::make(directory, state);
            },
            std::move(made));
        if (!started) refuse(sequence, "BUSY " + started.error().message());
    }

    void read(std::uint64_t offset, Sequence sequence) {
        if (is_forfeit_) {
            return refuse(sequence,
                          "ERR the backup was not read for too long, and its place was given to "
                          "others: RAFT.BACKUP BEGIN makes another one");
        }
        if (spooled_ == nullptr) {
            return refuse(sequence, "ERR there is no backup: RAFT.BACKUP BEGIN makes one");
        }
        used_ = Clock::now();
        if (!client_.has_memory(SpooledBackup::piece_bytes)) {
            return refuse(sequence, Client::no_memory_text);
        }
        auto done = [this, client = client_.self(),
                     sequence](const raft::Result<std::string>& piece) {
            if (!client->is_open()) return;
            if (!piece) return refuse(sequence, "ERR " + piece.error().message());
            client->finish(sequence, detail::bulk(*piece).reply);
        };
        const auto started = client_.service_.background().run(
            [spooled = spooled_, offset] { return spooled->read(offset); }, std::move(done));
        if (!started) refuse(sequence, "BUSY " + started.error().message());
    }

    Client& client_;
    std::shared_ptr<SpooledBackup> spooled_;
    BackupPlaces::Place place_;
    Clock::time_point used_;
    bool is_forfeit_ = false;  // there was one that was not read in time
};

}  // namespace kv

#endif
