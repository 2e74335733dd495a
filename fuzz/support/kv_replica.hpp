// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a kv server needs of a replica, of one node that is its own cluster and does at once what
// it is asked for, or says why not.
#ifndef RSM_FUZZ_SUPPORT_KV_REPLICA_HPP
#define RSM_FUZZ_SUPPORT_KV_REPLICA_HPP

#include <kv/store.hpp>

#include <rsm/backup.hpp>
#include <rsm/error.hpp>
#include <rsm/members.hpp>
#include <rsm/status.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace fuzz {

class KvReplica {
public:
    using Error = boost::system::error_code;

    explicit KvReplica(boost::asio::io_context& io) : io_(io) {
        store_.version_agreed(kv::Store::format_version);
    }

    boost::asio::io_context::executor_type get_executor() { return io_.get_executor(); }
    const kv::Store& machine() const { return store_; }
    /// With which all operations from now on end; none: they succeed.
    void fail_with(Error error) { error_ = error; }

    rsm::Status status() const {
        rsm::Status status;
        status.self = status.leader = {1};
        status.role = raft::Role::leader;
        status.term = {3};
        status.applied = status.commit = status.last = {applied_};
        status.members.push_back({{1}, raft::Standing::voter, {7}, "127.0.0.1:7001"});
        status.members.push_back({{2}, raft::Standing::learner, {}, "127.0.0.1:7002"});
        return status;
    }
    template <class Done>
    void async_submit(kv::Operation operation, Done done) {
        kv::Result result;
        if (!error_) {
            ++applied_;
            result = store_.apply(operation);
        }
        later([done = std::move(done), error = error_, result = std::move(result)]() mutable {
            done(error, result);
        });
    }
    template <class Read, class Done>
    void async_read(Read read, Done done) {
        const bool value = !error_ && read(store_);
        later([done = std::move(done), error = error_, value]() mutable { done(error, value); });
    }
    template <class Done>
    void async_change_members(const std::vector<raft::Member>&, Done done) {
        later([done = std::move(done), error = error_]() mutable { done(error); });
    }
    template <class Done>
    void async_transfer_leadership(raft::NodeId, std::chrono::milliseconds, Done done) {
        later([done = std::move(done), error = error_]() mutable { done(error); });
    }
    template <class Done>
    void async_snapshot(std::chrono::milliseconds, Done done) {
        later([done = std::move(done), error = error_]() mutable {
            done(error, rsm::SavedSnapshot{});
        });
    }
    template <class Done>
    void async_capture(std::chrono::milliseconds, Done done) {
        later([done = std::move(done)]() mutable {
            done(rsm::make_error_code(rsm::Errc::timed_out), rsm::CapturedState{});
        });
    }
    template <class Done>
    void async_capture(raft::Index, std::chrono::milliseconds limit, Done done) {
        async_capture(limit, std::move(done));
    }

private:
    template <class Function>
    void later(Function function) {
        boost::asio::post(io_, std::move(function));
    }

    boost::asio::io_context& io_;
    kv::Store store_;
    std::uint64_t applied_ = 0;
    Error error_;
};

}  // namespace fuzz

#endif
