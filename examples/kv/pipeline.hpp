// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The requests of one connection between their arrival and their reply: what may begin when, and
// what may be sent when. No I/O here.
#ifndef RSM_EXAMPLES_KV_PIPELINE_HPP
#define RSM_EXAMPLES_KV_PIPELINE_HPP

#include "command.hpp"
#include "store.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>

namespace kv {

/// Names a request of a Pipeline.
using Sequence = std::uint64_t;

/// Replies leave in the order of the requests, and requests take effect in that order, as if each
/// had been sent after the reply to the one before. Consecutive writes may be under way together,
/// since a replica orders them as they were submitted, and so may consecutive reads; a write and a
/// read may not: a read is linearizable with respect to what was complete when it was asked, and a
/// write under way is not complete.
///
/// A read is allowed first and answered later, when it is the oldest request and there is room for
/// its reply: the state has only gone on by then, and reads that are answered in their order do
/// not turn back time.
class Pipeline {
public:
    struct Request {
        enum class State : std::uint8_t { waiting, under_way, allowed, done };

        std::variant<std::monostate, Write, Read, MemberEdit, Transfer, BackupRequest,
                     SnapshotRequest>
            work;  ///< monostate: the reply is known
        std::string reply;
        std::size_t bytes = 0;  ///< of memory
        State state = State::waiting;
    };

    bool empty() const { return requests_.empty(); }
    std::size_t size() const { return requests_.size(); }
    /// Memory that the requests take.
    std::size_t request_bytes() const { return request_bytes_; }
    /// Of the replies that are here and have not been taken.
    std::size_t reply_bytes() const { return reply_bytes_; }

    void add_reply(std::string reply, std::size_t bytes) {
        reply_bytes_ += reply.size();
        request_bytes_ += bytes;
        requests_.push_back({{}, std::move(reply), bytes, Request::State::done});
    }
    template <class Work>
    void add(Work work, std::size_t bytes) {
        request_bytes_ += bytes;
        requests_.push_back({std::move(work), {}, bytes, Request::State::waiting});
    }

    /// Finds the next request that may begin, and marks it as begun; null if there is none.
    /// @param admits  asked of each request that may as far as this pipeline is concerned
    template <class Admits>
    Request* start(Sequence& sequence, Admits admits) {
        for (; next_ < first_ + requests_.size(); ++next_) {
            Request& request = requests_[next_ - first_];
            if (request.state != Request::State::waiting) continue;
            const bool fits = request.work.index() == under_way_kind_ && !is_alone(request);
            if (under_way_ != 0 && !fits) return nullptr;
            if (!admits(std::as_const(request))) return nullptr;
            sequence = next_++;
            request.state = Request::State::under_way;
            under_way_kind_ = request.work.index();
            ++under_way_;
            return &request;
        }
        return nullptr;
    }

    Request* start(Sequence& sequence) {
        return start(sequence, [](const Request&) { return true; });
    }

    /// The reply to a request that has begun is here.
    void finish(Sequence sequence, std::string reply) {
        Request& request = requests_[sequence - first_];
        reply_bytes_ += reply.size();
        request.reply = std::move(reply);
        request.work.emplace<std::monostate>();
        request.state = Request::State::done;
        --under_way_;
    }

    /// The reads that have begun from `first` to `last` may be answered.
    void allow(Sequence first, Sequence last) {
        for_reads(first, last, [this](Sequence read) {
            requests_[read - first_].state = Request::State::allowed;
        });
    }
    /// The reads that have begun from `first` to `last` all have this reply.
    void fail(Sequence first, Sequence last, const std::string& reply) {
        for_reads(first, last, [&](Sequence read) { finish(read, reply); });
    }

    /// The oldest request if it is a read that may be answered, else null.
    const Read* allowed_read() const {
        const bool is_allowed =
            !requests_.empty() && requests_.front().state == Request::State::allowed;
        return is_allowed ? std::get_if<Read>(&requests_.front().work) : nullptr;
    }
    /// The oldest request, a read, has been answered.
    void pop_read() {
        --under_way_;
        pop();
    }

    /// Moves the reply to the oldest request, if it is here, to the end of `out`.
    bool take_reply(std::string& out) {
        if (requests_.empty() || requests_.front().state != Request::State::done) return false;
        std::string& reply = requests_.front().reply;
        reply_bytes_ -= reply.size();
        if (out.empty()) {
            out = std::move(reply);
        } else {
            out += reply;
        }
        pop();
        return true;
    }

private:
    /// Of changes of the members, handovers, snapshots and steps of a backup there is one at a
    /// time.
    static bool is_alone(const Request& request) {
        return std::holds_alternative<MemberEdit>(request.work) ||
               std::holds_alternative<BackupRequest>(request.work) ||
               std::holds_alternative<SnapshotRequest>(request.work) ||
               std::holds_alternative<Transfer>(request.work);
    }

    template <class F>
    void for_reads(Sequence first, Sequence last, F f) {
        for (Sequence sequence = first; sequence <= last; ++sequence) {
            if (requests_[sequence - first_].state == Request::State::under_way) f(sequence);
        }
    }

    void pop() {
        request_bytes_ -= requests_.front().bytes;
        requests_.pop_front();
        ++first_;
        if (next_ < first_) next_ = first_;
    }

    std::deque<Request> requests_;
    Sequence first_ = 0;  // of requests_.front()
    Sequence next_ = 0;   // nothing before it waits to begin
    std::size_t under_way_ = 0;
    std::size_t under_way_kind_ = 0;
    std::size_t request_bytes_ = 0;
    std::size_t reply_bytes_ = 0;
};

}  // namespace kv

#endif
