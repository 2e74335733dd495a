// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who and what is heard at all.
#ifndef RSM_RAFT_RULES_ADMISSION_HPP
#define RSM_RAFT_RULES_ADMISSION_HPP

#include <raft/base/types.hpp>
#include <raft/parts/configuration.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/membership.hpp>

#include <variant>

namespace raft::inline v0 {

/// What a leader of the term can have a snapshot of, and for a node that has the log.
inline bool is_plausible(const Log& log, Term term, LogPosition snapshot) {
    return snapshot.term <= term && (snapshot.term.value == 0) == (snapshot.index.value == 0) &&
           snapshot.index.value <= log.last_index().value + max_index_step;
}

/// Numbers that a cluster can come to. A term that everybody adopts is for ever, and so is an index
/// that a log is continued from: one forged or damaged number must not use up those that are left.
inline bool is_plausible(const Step& step, const Log& log, const Message& message) {
    if (!within_limits(message)) return false;
    if (term_of(message).value > step.term().value + max_term_step) return false;
    const auto judge = [&log](const auto* body) {
        return body == nullptr || is_plausible(log, body->term, body->meta.last);
    };
    return judge(std::get_if<SnapshotChunk>(&message.body)) &&
           judge(std::get_if<SourceChunk>(&message.body)) &&
           judge(std::get_if<SourceReply>(&message.body));
}

/// Whether whoever asks has at least the membership that is in force here: a leader of no earlier
/// term, or a candidate whose log is not behind that.
inline bool has_membership(const Step& step, const Log& log, const Message& message) {
    const auto* const request = std::get_if<VoteRequest>(&message.body);
    if (request == nullptr) return term_of(message) >= step.term();
    return is_up_to_date(request->last, membership_position(step.configuration, log));
}

/// To one that asks another node which had this one's id. A leader learns who bears the id now, and
/// a node that is no member any more that it is none.
/// One that has founded the cluster anew has a log of its own, and is not to be taken in.
inline void answer_for_another(const Step& step, const Log& log, const Message& message) {
    if (step.configuration.is_founder() && log.last_index().value != 0) return;
    if (std::holds_alternative<AppendRequest>(message.body)) {
        AppendReply refusal;
        refusal.term = step.term();
        return step.send(message.from, refusal);
    }
    const auto* const request = std::get_if<VoteRequest>(&message.body);
    if (request == nullptr) return;
    const LogPosition without = membership_without(step, log, message.from);
    if (without.index.value == 0) return;
    step.send(message.from,
              VoteReply{step.term(), request->term, request->pre_vote, false, without});
}

/// Whether the message is for this node, and not for another that had its id: what that one had
/// acknowledged is not here. Who the member of the id is, only those say who are not behind.
inline bool is_addressee(const Step& step, Configuration& configuration, const Log& log,
                         const Message& message) {
    if (!message.addressee || !step.instance) return true;
    const bool meant = message.addressee == step.instance;
    if (meant || has_membership(step, log, message)) {
        const bool news = configuration.is_unrecognized() == meant;
        configuration.recognized(meant);
        if (news && !meant) step.announce(EventKind::unrecognized, message.from);
    }
    if (!meant) answer_for_another(step, log, message);
    return meant;
}

/// Whether an answer counts: those of members do, as far as they are the ones that the membership
/// means.
inline bool is_trusted(const Step& step, Office& office, const Message& message) {
    const auto is_known = [&message](Instance known) { return known == message.sender; };
    if (!office.leads()) {
        const Member* const member = step.membership().find(message.from);
        return member != nullptr && (!member->instance || is_known(member->instance));
    }
    Progress* const follower = office.follower(message.from);
    if (follower == nullptr) return false;
    if (is_known(follower->instance)) {
        follower->claimed = Instance{};
        return true;
    }
    const bool news = follower->claimed != message.sender;
    if (news) follower->claimed_at = step.now;
    follower->claimed = message.sender;
    // A founder's word is needed before it can be noted who it is; a newcomer's is not. One that
    // leaves decides nothing, and has to be told what it has not heard.
    if (!follower->instance) {
        return follower->departure || step.membership().is_voter(follower->node);
    }
    if (news) step.announce(EventKind::other_instance, follower->node);
    return false;
}

/// Requests are heard from everybody, because the membership that makes the sender a leader or a
/// candidate may not have come here yet ("a server accepts AppendEntries requests from a leader
/// that is not part of the server's latest configuration", thesis, section 4.1); what they can do
/// is limited by their term and log. Answers are heard from members only, but for who is no member:
/// that is committed, whoever says it.
inline bool is_admitted(const Step& step, Office& office, Configuration& configuration,
                        const Log& log, const Message& message) {
    if (message.to != step.self || message.from == step.self || !message.from) return false;
    if (!is_plausible(step, log, message)) {
        step.announce(EventKind::number_out_of_range, message.from);
        return false;
    }
    if (!is_addressee(step, configuration, log, message)) return false;
    if (is_request(message.body) || is_trusted(step, office, message)) return true;
    const auto* const reply = std::get_if<VoteReply>(&message.body);
    if (reply != nullptr) learn_of_removal(step, configuration, log, reply->without);
    return false;
}

}  // namespace raft

#endif
