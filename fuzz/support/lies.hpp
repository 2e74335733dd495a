// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Well-formed messages that no node has meant.
#ifndef RSM_FUZZ_SUPPORT_LIES_HPP
#define RSM_FUZZ_SUPPORT_LIES_HPP

#include "input.hpp"

#include "support/core_node.hpp"
#include "support/records.hpp"

#include <raft/base/bytes.hpp>
#include <raft/core.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fuzz {

/// Makes up messages to one node, mostly near to what would make sense to it.
class Liar {
public:
    /// @param harmless  says nothing that a vote, an acknowledgement or a leader's word is: what
    ///                  remains must not harm, whoever says it
    Liar(Input& input, const raft::Core& target, bool harmless)
        : input_(input), target_(target), harmless_(harmless) {}

    /// What the target would receive of it over the wire, if anything.
    std::optional<raft::Message> message(raft::NodeId from) {
        raft::Message made{from, target_.self(), body(), {100 + from.value}, {}};
        if (input_.below(8) == 0) made.sender = {number(100)};
        // Who a node is it believes of its peers.
        if (!harmless_ && input_.below(8) == 0) made.addressee = {number(100)};
        raft::codec::Gather out;
        raft::codec::put(out, made);
        raft::Buffer whole(out.size());
        std::size_t at = 0;
        out.for_each_part([&](std::span<const std::byte> part) {
            std::copy(part.begin(), part.end(), whole.data() + at);
            at += part.size();
        });
        return raft::codec::decode_message(whole.share(0, at));
    }

private:
    /// Around `truth`, or at the ends of what a number can be.
    std::uint64_t number(std::uint64_t truth) {
        switch (const std::size_t way = input_.below(16)) {
            case 0: return input_.word();
            case 1: return truth + raft::max_term_step;
            case 2: return truth + raft::max_term_step + 1;
            case 3: return raft::max_index.value - input_.below(3);
            case 4: return raft::max_index.value + input_.below(3);
            case 5: return UINT64_MAX - input_.below(3);
            case 6: return 0;
            case 7: return std::uint64_t{1} << input_.below(64);
            default: {
                const std::uint64_t near = truth + way;
                return near < 10 ? truth : near - 10;
            }
        }
    }
    raft::Term term() {
        if (input_.below(4) != 0) return {target_.term().value + input_.below(2)};
        return {number(target_.term().value)};
    }
    raft::LogPosition position() {
        const raft::Log& log = target_.log();
        switch (input_.below(4)) {
            case 0: return {{number(log.last_index().value)}, {number(log.last().term.value)}};
            case 1: return log.last();
            default: {
                const std::uint64_t held = log.last_index() - log.base().index;
                const raft::Index index = log.base().index + input_.below(held + 1);
                return {index, log.term_at(index).value_or(raft::Term{})};
            }
        }
    }
    raft::Membership membership() {
        raft::Membership made;
        for (std::size_t left = input_.below(6); left != 0; --left) {
            const auto standing = static_cast<raft::Standing>(1 + input_.below(7));
            made.put({{1 + input_.below(8)}, standing, {}, {}});
        }
        made.version = static_cast<std::uint32_t>(input_.below(4) == 0 ? number(1) : 0);
        return input_.flag() ? target_.membership() : made;
    }
    std::vector<raft::Entry> entries(raft::Index first) {
        std::vector<raft::Entry> made;
        for (std::size_t left = input_.below(5); left != 0; --left) {
            raft::Entry& entry = made.emplace_back();
            entry.index = first;
            ++first;
            entry.term = input_.flag() ? target_.term() : term();
            switch (input_.below(8)) {
                case 0:
                    entry.kind = raft::EntryKind::membership;
                    entry.payload = input_.flag() ? raft::codec::encode(membership())
                                                  : raft::test::text(input_.text(input_.below(20)));
                    break;
                case 1: entry.kind = raft::EntryKind::barrier; break;
                default: entry.payload = raft::test::text(input_.text(input_.below(3))); break;
            }
        }
        return made;
    }
    raft::SnapshotMeta meta() {
        raft::SnapshotMeta made{position(), membership(), input_.below(40), 0};
        if (input_.below(8) == 0) made.size = number(4);
        if (input_.flag()) made.checksum = raft::test::checksum_of(content(made.size));
        return input_.below(4) == 0 ? target_.snapshot() : made;
    }
    static raft::Bytes content(std::uint64_t size) {
        if (size > 64) return {};
        return raft::test::text(std::string(static_cast<std::size_t>(size), '.'));
    }
    raft::Bytes piece(const raft::SnapshotMeta& meta, std::uint64_t offset) {
        if (offset > meta.size) return {};
        return content(input_.flag() ? meta.size - offset : input_.below(40));
    }
    std::vector<raft::StateMark> marks() {
        std::vector<raft::StateMark> made;
        for (std::size_t left = input_.below(4); left != 0; --left) {
            made.push_back({{number(target_.log().applied().value)}, input_.below(4)});
        }
        return made;
    }

    raft::Message::Body body() {
        // The last ones claim to lead, or make somebody do what only a leader may ask for.
        switch (input_.below(harmless_ ? 8 : 14)) {
            case 0:
                return raft::VoteRequest{term(), input_.flag(), position(), input_.below(4) == 0,
                                         input_.below(4) == 0};
            case 1: {
                const raft::LogPosition without = input_.flag() ? position() : raft::LogPosition{};
                const bool granted = input_.flag() && !harmless_;
                return raft::VoteReply{term(), term(), input_.flag(), granted,
                                       harmless_ ? raft::LogPosition{} : without};
            }
            case 2:
                return raft::AppendReply{term(),
                                         input_.flag() && !harmless_,
                                         position().index,
                                         position(),
                                         input_.below(4) == 0 ? number(1) : 0,
                                         input_.below(4) == 0,
                                         input_.below(4) == 0};
            case 3: {
                raft::SnapshotReply made{term(),
                                         position(),
                                         input_.flag() ? target_.snapshot().checksum : 0,
                                         number(20),
                                         static_cast<raft::TransferOutcome>(input_.below(3)),
                                         position().index};
                if (input_.flag()) made.last = target_.snapshot().last;
                if (harmless_ && made.installed()) made.outcome = raft::TransferOutcome::none;
                return made;
            }
            case 4: return raft::LackingEntries{term(), position(), entries({})};
            case 5: return raft::ReadableVersion{term(), static_cast<std::uint32_t>(number(1))};
            case 6: return raft::SourceReply{term(), {1 + input_.below(6)}, meta()};
            case 7:
                return raft::StateMarks{
                    term(), static_cast<raft::MarksKind>(1 + input_.below(harmless_ ? 2 : 4)),
                    marks()};
            case 8: return raft::TimeoutNow{term()};
            case 9: {
                const raft::SnapshotMeta described = meta();
                const std::uint64_t offset = input_.flag() ? 0 : number(10);
                return raft::SnapshotChunk{term(), described, offset, piece(described, offset)};
            }
            case 10:
                return raft::SourceRequest{term(),     {1 + input_.below(6)},
                                           position(), input_.below(2),
                                           number(10), number(10)};
            case 11: {
                const raft::SnapshotMeta described = meta();
                const std::uint64_t offset = input_.flag() ? 0 : number(10);
                return raft::SourceChunk{
                    term(), {1 + input_.below(6)}, described, offset, piece(described, offset)};
            }
            default: {
                const raft::LogPosition previous = position();
                return raft::AppendRequest{term(),
                                           previous,
                                           {number(previous.index.value)},
                                           input_.below(4) == 0 ? number(1) : 0,
                                           entries(previous.index + 1)};
            }
        }
    }

    Input& input_;
    const raft::Core& target_;
    bool harmless_;
};

}  // namespace fuzz

#endif
