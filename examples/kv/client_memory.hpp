// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One budget of memory for all connections of a server.
#ifndef RSM_EXAMPLES_KV_CLIENT_MEMORY_HPP
#define RSM_EXAMPLES_KV_CLIENT_MEMORY_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_set>

namespace kv {

/// What connections hold for their clients: requests that are being received or carried out, and
/// replies that wait. When it is used up, who holds the most has to give way.
///
/// Strangers, who have yet to show who they are, have a quarter of it together, and give way first,
/// in the order in which they came: whoever can connect must not keep out those who are known.
///
/// Thread safety: one object and its accounts are used from one thread at a time.
class ClientMemory {
public:
    /// The share of one connection. One that is left open must not outlive the ClientMemory.
    class Account {
    public:
        explicit Account(ClientMemory& memory) : memory_(&memory), number_(++memory.last_number_) {}
        Account(const Account&) = delete;
        Account& operator=(const Account&) = delete;

        std::size_t bytes() const { return bytes_; }

        /// It holds so much now, whatever is allowed.
        void set(std::size_t bytes) {
            if (memory_ == nullptr) return;
            if (memory_->is_large(bytes) && !memory_->is_large(bytes_)) {
                memory_->large_.insert(this);
            } else if (!memory_->is_large(bytes) && memory_->is_large(bytes_)) {
                memory_->large_.erase(this);
            }
            memory_->used_ += bytes - bytes_;
            bytes_ = bytes;
            memory_->peak_ = std::max(memory_->peak_, memory_->used_);
            note_stranger(is_of_stranger() ? bytes : 0);
        }

        /// Whether it may hold `more` than now. If the budget does not suffice, strangers give way,
        /// and those that would still hold more than this one, if they hold more than a 4096th of
        /// it. If the strangers' share does not, they give way to each other, and the oldest of
        /// them is refused.
        bool admit(std::size_t more) {
            if (memory_ == nullptr) return false;
            while (is_of_stranger() && more > memory_->left_for_strangers()) {
                Account* const oldest = memory_->oldest_stranger(*this);
                if (oldest == nullptr) return false;
                oldest->give_way();
            }
            while (more > memory_->left()) {
                Account* const asked = asked_for(more);
                if (asked == nullptr) return false;
                asked->give_way();
            }
            return true;
        }

        /// It holds nothing any more, and is asked for nothing.
        void close_account() {
            if (memory_ == nullptr) return;
            set(0);
            memory_ = nullptr;
        }

    protected:
        virtual ~Account() { close_account(); }

    private:
        friend class ClientMemory;

        /// Lets go of everything and closes the account: another one needs the room.
        virtual void give_way() = 0;
        /// Whether its client has yet to show who it is. Counts from the next set() on.
        virtual bool is_of_stranger() const { return false; }

        void note_stranger(std::size_t bytes) {
            if (bytes != 0 && stranger_bytes_ == 0) memory_->strangers_.emplace(number_, this);
            if (bytes == 0 && stranger_bytes_ != 0) memory_->strangers_.erase(number_);
            memory_->stranger_bytes_ += bytes - stranger_bytes_;
            stranger_bytes_ = bytes;
        }

        /// Who is to give way to this one next. Null: nobody.
        Account* asked_for(std::size_t more) const {
            Account* const stranger = memory_->oldest_stranger(*this);
            if (stranger != nullptr && !is_of_stranger()) return stranger;
            Account* const largest = memory_->largest();
            if (largest != nullptr && largest->bytes_ > bytes_ + more) return largest;
            // Who comes now may be somebody who is about to say who it is.
            return stranger;
        }

        ClientMemory* memory_;  // null: closed
        std::uint64_t number_;  // in the order in which they were opened
        std::size_t bytes_ = 0;
        std::size_t stranger_bytes_ = 0;  // those of them that count as a stranger's
    };

    explicit ClientMemory(std::size_t limit) : limit_(limit) {}
    ClientMemory(const ClientMemory&) = delete;
    ClientMemory& operator=(const ClientMemory&) = delete;

    std::size_t limit() const { return limit_; }
    std::size_t used() const { return used_; }
    /// The highest used() so far.
    std::size_t peak() const { return peak_; }

private:
    std::size_t left() const { return limit_ - std::min(limit_, used_); }
    std::size_t left_for_strangers() const {
        const std::size_t share = limit_ / 4;
        return share - std::min(share, stranger_bytes_);
    }

    // Of those that hold something. Null if there is none besides `asking`, or that is the oldest.
    Account* oldest_stranger(const Account& asking) const {
        if (strangers_.empty()) return nullptr;
        Account* const oldest = strangers_.begin()->second;
        return oldest == &asking ? nullptr : oldest;
    }

    // Only these are asked to give way: there are few of them, however many accounts there are.
    bool is_large(std::size_t bytes) const { return bytes > limit_ / large_at_once; }

    // Null if none is large.
    Account* largest() const {
        const auto found = std::max_element(
            large_.begin(), large_.end(),
            [](const Account* a, const Account* b) { return a->bytes_ < b->bytes_; });
        return found == large_.end() ? nullptr : *found;
    }

    static constexpr std::size_t large_at_once = 4096;

    std::size_t limit_;
    std::size_t used_ = 0;
    std::size_t peak_ = 0;
    std::unordered_set<Account*> large_;
    std::uint64_t last_number_ = 0;
    std::size_t stranger_bytes_ = 0;
    std::map<std::uint64_t, Account*> strangers_;  // that hold something, the oldest first
};

}  // namespace kv

#endif
