// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether there is room for more of the log, and who is told.
#ifndef RSM_NODE_ROOM_NOTICE_HPP
#define RSM_NODE_ROOM_NOTICE_HPP

#include <rsm/node/policies.hpp>
#include <rsm/options.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// Why the log takes nothing more from clients; empty: it does.
template <class Storage>
std::string log_refusal(const Storage& storage, const Options& options) {
    if (const auto& refused = refusal_of(storage)) return refused->message();
    const std::uint64_t most = options.raft.max_log_bytes;
    if (most == 0 || storage.persisted_bytes() < most) return {};
    return "the log has reached its limit of " + std::to_string(most) + " bytes";
}

/// Says it once per change.
class RoomNotice {
public:
    void tell(std::string refused, const Options& options) {
        if (refused == told_) return;
        told_ = std::move(refused);
        if (!options.on_notice) return;
        options.on_notice(told_.empty() ? "there is room for the log again"
                                        : "no room for more of the log: " + told_);
    }

private:
    std::string told_;
};

}  // namespace rsm::detail

#endif
