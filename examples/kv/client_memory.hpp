// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One budget of memory for all connections of a server.
#ifndef RSM_EXAMPLES_KV_CLIENT_MEMORY_HPP
#define RSM_EXAMPLES_KV_CLIENT_MEMORY_HPP

#include <algorithm>
#include <cstddef>
#include <unordered_set>

namespace kv {

/// What connections hold for their clients: requests that are being received or carried out, and
/// replies that wait. When it is used up, who holds the most has to give way.
///
/// Thread safety: one object and its accounts are used from one thread at a time.
class ClientMemory {
public:
    /// The share of one connection. One that is left open must not outlive the ClientMemory.
    class Account {
    public:
        explicit Account(ClientMemory& memory) : memory_(&memory) {}
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
        }

        /// Whether it may hold `more` than now. If the budget does not suffice, those give way that
        /// would still hold more than this one, if they hold more than a 4096th of it.
        bool admit(std::size_t more) {
            if (memory_ == nullptr) return false;
            while (more > memory_->left()) {
                Account* const largest = memory_->largest();
                if (largest == nullptr || largest->bytes_ <= bytes_ + more) return false;
                largest->give_way();
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

        ClientMemory* memory_;  // null: closed
        std::size_t bytes_ = 0;
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
};

}  // namespace kv

#endif
