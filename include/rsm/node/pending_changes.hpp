// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Changes of members and handovers that wait for their end. The algorithm takes on one of each at a
// time and refuses all others at once, so there are never many.
#ifndef RSM_NODE_PENDING_CHANGES_HPP
#define RSM_NODE_PENDING_CHANGES_HPP

#include <raft/protocol/step.hpp>
#include <rsm/error.hpp>
#include <rsm/node/completion.hpp>

#include <boost/system/error_code.hpp>

#include <map>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

class PendingChanges {
public:
    using Completion = detail::Completion<boost::system::error_code>;

    PendingChanges() = default;
    PendingChanges(const PendingChanges&) = delete;
    PendingChanges& operator=(const PendingChanges&) = delete;

    raft::Token add(Completion completion) {
        waiting_.emplace(++last_, std::move(completion));
        return last_;
    }
    /// Those that have not ended, in the order in which they were asked for.
    std::vector<raft::Token> waiting() const {
        std::vector<raft::Token> tokens;
        for (const auto& [token, completion] : waiting_) tokens.push_back(token);
        return tokens;
    }
    void end(raft::Token token, boost::system::error_code how) {
        const auto found = waiting_.find(token);
        if (found == waiting_.end()) return;
        Completion completion = std::move(found->second);
        waiting_.erase(found);
        completion(how);
    }
    /// The node ends: nobody knows what becomes of them.
    void end() {
        for (auto& [token, completion] : std::exchange(waiting_, {})) completion(Errc::interrupted);
    }

private:
    std::map<raft::Token, Completion> waiting_;
    raft::Token last_ = 0;
};

/// @param not_leader  the code for that, which may name the leader
inline boost::system::error_code error_of(raft::ChangeResult result,
                                          boost::system::error_code not_leader) {
    switch (result) {
        case raft::ChangeResult::done: return {};
        case raft::ChangeResult::not_leader: return not_leader;
        case raft::ChangeResult::busy: return Errc::busy;
        case raft::ChangeResult::invalid: return Errc::invalid_members;
        case raft::ChangeResult::unreachable: return Errc::unreachable;
        case raft::ChangeResult::cancelled:
        case raft::ChangeResult::too_slow: return Errc::given_up;
        case raft::ChangeResult::interrupted: return Errc::interrupted;
    }
    return Errc::interrupted;
}
inline boost::system::error_code error_of(raft::HandoverResult result,
                                          boost::system::error_code not_leader) {
    switch (result) {
        case raft::HandoverResult::done: return {};
        case raft::HandoverResult::not_leader: return not_leader;
        case raft::HandoverResult::no_voter: return Errc::invalid_members;
        case raft::HandoverResult::no_successor: return Errc::unreachable;
        case raft::HandoverResult::busy: return Errc::busy;
        case raft::HandoverResult::timed_out: return Errc::timed_out;
        case raft::HandoverResult::interrupted: return Errc::interrupted;
    }
    return Errc::timed_out;
}

}  // namespace rsm::detail

#endif
