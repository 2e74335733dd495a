// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What can become of an operation, as error codes: each belongs to one class that says what to do
// about it, and to one outcome that says whether the operation took place.
#ifndef RSM_ERROR_HPP
#define RSM_ERROR_HPP

#include <raft/base/types.hpp>
#include <rsm/detail/error_details.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace rsm::inline v0 {

enum class Errc : int {
    /// This node does not lead. Nothing happened. leader_in(code) may tell who does.
    not_leader = 1,
    /// A bound is reached (Options, raft::Options). Nothing happened; try again later.
    overloaded,
    /// The encoded operation is larger than raft::Options::max_entry_bytes. Nothing happened.
    too_large,
    /// The operation's serialization, or the query of a read, threw. Nothing happened. The code's
    /// message says what.
    user_exception,
    /// Another leader's entry took the operation's place: it did not happen and never will.
    superseded,
    /// The deadline passed first. It may have happened, or may still happen.
    timed_out,
    /// A snapshot from another leader covers the operation's place: it may have happened, but its
    /// result is not known here.
    result_lost,
    /// The node had been stopped or had failed before. Nothing happened.
    stopped,
    /// The node stopped or failed, or was removed from the cluster, while the operation was under
    /// way; or, of a change of members, it leads no more. It may have happened, or may still
    /// happen.
    interrupted,
    /// The disk of this node, which leads, has only the reserve left that votes and entries under
    /// way need (Status::refuses says why). Nothing happened; try again later.
    no_space,
    /// The operation threw on every node and Options::skip_operations leaves it out. It had no
    /// effect and never will.
    skipped,
    /// This node is handing leadership over. Nothing happened; ask again soon: leader_in(code) of
    /// the next answer tells whom.
    handing_over,
    /// Another change of members, or another handover, is under way. Nothing happened.
    busy,
    /// No membership, or one that replaces the only voter under its own id; or, of a handover, a
    /// node that does not vote. Nothing happened.
    invalid_members,
    /// Too few of the old or of the new voters are heard from to decide the change; or, of a
    /// handover, nobody who could lead is. Nothing happened.
    unreachable,
    /// The change of members was given up, because that was asked for or because newcomers did not
    /// catch up in time. Who votes has not changed; newcomers are members no more.
    given_up,
    /// The log of this node, which leads, is as long as raft::Options::max_log_bytes lets it be,
    /// because snapshots cannot be saved, or operations come faster than they are applied and
    /// snapshots written. Nothing happened; try again later.
    log_full,
};

}  // namespace rsm

template <>
struct boost::system::is_error_code_enum<rsm::Errc> : std::true_type {};

namespace rsm::inline v0 {

enum class ErrorClass {
    none,             ///< no error
    retry_elsewhere,  ///< ask another node, the leader if it is known
    outcome_unknown,  ///< retry only what may happen twice, or find out first
    misuse,           ///< the same call will fail again
    overload,         ///< the same call may succeed later
    fatal,            ///< this node will not serve again
};

/// What became of a submitted operation.
enum class Outcome { committed, not_committed, unknown };

namespace detail {

// The base's destructor is not virtual, and categories are never destroyed through it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#endif

/// The library's category, and its twins that know more of one code and are equal to it.
class ErrorCategory final : public boost::system::error_category {
public:
    /// @param details  of a twin; must outlive it
    constexpr explicit ErrorCategory(const ErrorDetails* details = nullptr) noexcept
        : error_category(0x52534d20f1c8a3b5ULL), details_(details) {}

    const ErrorDetails* details() const { return details_; }

    const char* name() const noexcept override { return "rsm"; }
    std::string message(int code) const override {
        std::string text = plain_message(static_cast<Errc>(code));
        if (details_ == nullptr) return text;
        if (details_->leader == 0) return text + ": " + details_->text;
        text += ": node " + std::to_string(details_->leader) + " is";
        return details_->text.empty() ? text : text + ", at " + details_->text;
    }

private:
    static const char* plain_message(Errc code) {
        switch (code) {
            case Errc::not_leader: return "this node is not the leader";
            case Errc::overloaded: return "a bound of the node is reached";
            case Errc::too_large: return "the operation is too large";
            case Errc::user_exception: return "the operation or the query threw an exception";
            case Errc::superseded: return "another leader's entry took the operation's place";
            case Errc::timed_out: return "the deadline passed before the outcome was known";
            case Errc::result_lost: return "a snapshot replaced the operation's entry";
            case Errc::stopped: return "the node has stopped";
            case Errc::interrupted:
                return "the node stopped, or leads no more, before the outcome was known";
            case Errc::no_space: return "the node's storage has no room";
            case Errc::skipped: return "the operation threw and is skipped on all nodes";
            case Errc::handing_over: return "the node is handing leadership over";
            case Errc::busy: return "another change of members or handover is under way";
            case Errc::invalid_members:
                return "these cannot be the members (one or more vote, none is replaced under its "
                       "id without another voter, and at most 64 there are), or the node cannot "
                       "lead";
            case Errc::unreachable: return "too few members are heard from";
            case Errc::given_up: return "the change of members was given up";
            case Errc::log_full: return "the node's log has reached its limit";
        }
        return "unknown rsm error";
    }

    const ErrorDetails* details_;
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

inline constexpr ErrorCategory error_category_instance{};

}  // namespace detail

inline const boost::system::error_category& error_category() noexcept {
    return detail::error_category_instance;
}

inline boost::system::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

namespace detail {

inline boost::system::error_code detailed_code(Errc code, ErrorDetails details) {
    using Registry = ErrorDetailsRegistry<ErrorCategory>;
    Registry& registry = details.leader != 0 ? Registry::of_leaders() : Registry::of_exceptions();
    const ErrorCategory* twin = registry.find(std::move(details));
    if (twin == nullptr) return rsm::make_error_code(code);
    return {static_cast<int>(code), *twin};
}

}  // namespace detail

/// Who leads, as far as a node knew.
struct Leader {
    raft::NodeId node;
    /// What the leader advertises (TcpOptions::advertise), e.g. where it serves clients; empty
    /// where that is not known.
    std::string address;
    friend bool operator==(const Leader&, const Leader&) = default;
};

/// The leader that a code of Errc::not_leader names; nothing if the node knew none, and for every
/// other code. The code keeps it wherever it is copied to, an exception included, and its message
/// says it too. Codes are equal to rsm::Errc::not_leader with it and without.
inline std::optional<Leader> leader_in(const boost::system::error_code& code) {
    if (code != Errc::not_leader) return std::nullopt;
    const auto& category = static_cast<const detail::ErrorCategory&>(code.category());
    const detail::ErrorDetails* known = category.details();
    if (known == nullptr) return std::nullopt;
    return Leader{{known->leader}, known->text};
}

/// The class of any error code that an operation of this library completes with. Codes of other
/// categories are operating system errors of this node: fatal.
inline ErrorClass error_class(const boost::system::error_code& code) noexcept {
    if (!code) return ErrorClass::none;
    if (code.category() != error_category()) return ErrorClass::fatal;
    switch (static_cast<Errc>(code.value())) {
        case Errc::not_leader:
        case Errc::superseded:
        case Errc::handing_over: return ErrorClass::retry_elsewhere;
        case Errc::overloaded:
        case Errc::busy:
        case Errc::unreachable:
        case Errc::given_up:
        case Errc::log_full:
        case Errc::no_space: return ErrorClass::overload;
        case Errc::invalid_members:
        case Errc::too_large:
        case Errc::skipped:
        case Errc::user_exception: return ErrorClass::misuse;
        case Errc::timed_out:
        case Errc::result_lost:
        case Errc::interrupted: return ErrorClass::outcome_unknown;
        case Errc::stopped: return ErrorClass::fatal;
    }
    return ErrorClass::fatal;
}

/// What a completed async_submit says about its operation.
inline Outcome outcome(const boost::system::error_code& code) noexcept {
    if (!code) return Outcome::committed;
    return error_class(code) == ErrorClass::outcome_unknown ? Outcome::unknown
                                                            : Outcome::not_committed;
}

}  // namespace rsm

#endif
