// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A machine that its node lends to the storage's thread, which writes a snapshot of it in place.
#ifndef RSM_NODE_LENT_MACHINE_HPP
#define RSM_NODE_LENT_MACHINE_HPP

#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/thrown.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/state_machine.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// What the lender and the borrower of a machine tell each other.
///
/// Thread safety: recall() and over() are the lender's, the others the borrower's; end() comes last
/// of these.
class Loan {
public:
    /// Ends the user's `snapshot` from within the archive that it writes to.
    struct Recalled : std::exception {
        const char* what() const noexcept override {
            return "nobody waits for this snapshot any more";
        }
    };

    /// Nobody wants the snapshot any more, and the machine is wanted back.
    void recall() { recalled_.store(true, std::memory_order_relaxed); }
    bool recalled() const { return recalled_.load(std::memory_order_relaxed); }
    void check() const {
        if (recalled()) throw Recalled();
    }
    void threw(std::string what) { thrown_ = std::move(what); }
    void end() { over_.store(true, std::memory_order_release); }
    /// Whether the machine has been read to the end: whoever sees it may change the machine.
    bool over() const { return over_.load(std::memory_order_acquire); }
    /// What the machine threw while it was read; empty: nothing, or for want of memory, or because
    /// it was recalled. @pre over()
    const std::string& thrown() const { return thrown_; }

private:
    std::atomic<bool> recalled_ = false;
    std::atomic<bool> over_ = false;
    std::string thrown_;
};

/// Passes on until the loan is recalled.
class LoanSink final : public raft::ByteSink {
public:
    /// @param throws  whether the user's function lets exceptions pass, and so can be ended
    LoanSink(raft::ByteSink& sink, const Loan& loan, bool throws)
        : sink_(sink), loan_(loan), throws_(throws) {}
    void write(std::span<const std::byte> bytes) override {
        if (throws_) loan_.check();
        if (!loan_.recalled()) sink_.write(bytes);
    }

private:
    raft::ByteSink& sink_;
    const Loan& loan_;
    bool throws_;
};

/// Owns the machine, together with whoever it is lent to: a thread that a disk holds up keeps the
/// machine that it reads, and nobody waits for it.
///
/// Thread safety: one object from the node's executor only. What lend() returns may be called and
/// destroyed on any thread, also when this is gone.
template <class Machine>
class LentMachine {
public:
    explicit LentMachine(Machine machine)
        : machine_(std::make_shared<Machine>(std::move(machine))) {}
    LentMachine(const LentMachine&) = delete;
    LentMachine& operator=(const LentMachine&) = delete;
    ~LentMachine() { recall(); }

    /// While it is lent another thread reads it as well.
    const Machine& look() const { return *machine_; }
    /// @pre !lent()
    Machine& change() { return *machine_; }

    /// Whether it may be read elsewhere.
    bool lent() const { return loan_ != nullptr && !loan_->over(); }
    /// Writes the state as it is now, whenever it is called, once: the machine is not to be changed
    /// before it has returned (which lent() tells), or before the storage has said what became of
    /// the snapshot (returned()). @pre !lent()
    raft::SnapshotProducer lend(SnapshotHead head, const WritingOptions& how) {
        loan_ = std::make_shared<Loan>();
        return [machine = std::shared_ptr<const Machine>(machine_), loan = loan_,
                head = std::move(head), how](raft::ByteSink& sink) {
            const Ended ended{*loan};
            try {
                loan->check();
                LoanSink guarded(sink, *loan, !writes_without_exception);
                write_state(guarded, *machine, head, how);
                loan->check();  // what was written is not the whole state otherwise
            } catch (const Loan::Recalled&) {
                throw;
            } catch (const std::bad_alloc&) {
                throw;
            } catch (...) {
                loan->threw(thrown_text());
                throw;
            }
        };
    }
    /// Lets whoever reads it come to an end soon, and not begin any more. It is still lent until
    /// then.
    void recall() {
        if (loan_ != nullptr) loan_->recall();
    }
    /// The storage has said what became of the snapshot: nobody reads any more. Gives what the
    /// machine threw, if it did.
    std::string returned() {
        const std::shared_ptr<const Loan> ended = std::exchange(loan_, nullptr);
        return ended != nullptr && ended->over() ? ended->thrown() : std::string();
    }

private:
    struct Ended {
        Loan& loan;
        ~Ended() { loan.end(); }
    };

    static constexpr bool writes_without_exception = [] {
        if constexpr (WritesSnapshot<Machine>) {
            return noexcept(
                std::declval<const Machine&>().snapshot(std::declval<SnapshotWriter&>()));
        } else {
            return false;
        }
    }();

    const std::shared_ptr<Machine> machine_;
    std::shared_ptr<Loan> loan_;
};

}  // namespace rsm::detail

#endif
