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
class Pipeline {
public:
    struct Request {
        std::variant<std::monostate, Write, Read> work;  ///< monostate: the reply is known
        std::string reply;
        std::size_t bytes = 0;  ///< as received
        bool started = false;
        bool done = false;
    };

    /// @param max_reply_bytes  of replies, taken and not taken, beyond which nothing begins
    explicit Pipeline(std::size_t max_reply_bytes) : max_reply_bytes_(max_reply_bytes) {}

    bool empty() const { return requests_.empty(); }
    std::size_t size() const { return requests_.size(); }
    std::size_t request_bytes() const { return request_bytes_; }
    /// Of the replies that are here and have not been taken.
    std::size_t reply_bytes() const { return reply_bytes_; }

    void add_reply(std::string reply, std::size_t bytes) {
        reply_bytes_ += reply.size();
        request_bytes_ += bytes;
        requests_.push_back({{}, std::move(reply), bytes, true, true});
    }
    template <class Work>
    void add(Work work, std::size_t bytes) {
        request_bytes_ += bytes;
        requests_.push_back({std::move(work), {}, bytes, false, false});
    }

    /// Finds the next request that may begin, and marks it as begun; null if there is none.
    /// @param unsent_bytes  of replies that were taken and wait for the client
    Request* start(std::size_t unsent_bytes, Sequence& sequence) {
        while (next_ < first_ + requests_.size()) {
            Request& request = requests_[next_ - first_];
            if (!request.started) {
                if (!may_start(request) || full(next_, unsent_bytes)) return nullptr;
                sequence = next_++;
                request.started = true;
                under_way_kind_ = request.work.index();
                ++under_way_;
                return &request;
            }
            ++next_;
        }
        return nullptr;
    }

    /// Whether a read that has just become possible should rather be asked again later, because
    /// too many bytes of replies wait. Once one is put off, those behind it are as well: answered
    /// from an earlier state than the one before, they would turn back time.
    bool put_off(Sequence sequence, std::size_t unsent_bytes) {
        putting_off_ = putting_off_ || full(sequence, unsent_bytes);
        return putting_off_;
    }

    /// A request that has begun. @pre `sequence` is neither done nor given back
    Request& operator[](Sequence sequence) { return requests_[sequence - first_]; }

    /// Counts a reply from the moment it exists: its completion is still on its way then.
    void expect(std::size_t reply_bytes) { reply_bytes_ += reply_bytes; }

    /// The reply to a request that has begun is here. @pre it was counted by expect()
    void finish(Sequence sequence, std::string reply) {
        Request& request = (*this)[sequence];
        request.reply = std::move(reply);
        request.work.emplace<std::monostate>();
        request.done = true;
        ended();
    }
    /// A request that has begun is to begin again later.
    void give_back(Sequence sequence) {
        (*this)[sequence].started = false;
        if (sequence < next_) next_ = sequence;
        ended();
    }

    /// Moves the replies whose turn it is to the end of `out`. @return whether there was one
    bool take_replies(std::string& out) {
        const std::size_t before = requests_.size();
        while (!requests_.empty() && requests_.front().done) {
            Request& request = requests_.front();
            reply_bytes_ -= request.reply.size();
            request_bytes_ -= request.bytes;
            if (out.empty()) {
                out = std::move(request.reply);
            } else {
                out += request.reply;
            }
            requests_.pop_front();
            ++first_;
        }
        if (next_ < first_) next_ = first_;
        return requests_.size() != before;
    }

private:
    // The replies behind the oldest request can only leave after its own, so those do not count
    // for it.
    bool full(Sequence sequence, std::size_t unsent_bytes) const {
        return unsent_bytes + (sequence == first_ ? 0 : reply_bytes_) >= max_reply_bytes_;
    }
    bool may_start(const Request& request) const {
        if (under_way_ == 0) return true;
        return request.work.index() == under_way_kind_ && !putting_off_;
    }
    void ended() {
        if (--under_way_ == 0) putting_off_ = false;
    }

    std::size_t max_reply_bytes_;
    std::deque<Request> requests_;
    Sequence first_ = 0;  // of requests_.front()
    Sequence next_ = 0;   // nothing before it waits to begin
    std::size_t under_way_ = 0;
    std::size_t under_way_kind_ = 0;
    bool putting_off_ = false;
    std::size_t request_bytes_ = 0;
    std::size_t reply_bytes_ = 0;
};

}  // namespace kv

#endif
