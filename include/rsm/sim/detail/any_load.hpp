// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The workload and the state machine that the simulator itself is made of: whatever stands behind
// AnyWorkload. There are three, because production code treats a machine that freezes, and one that
// keeps its state on a disk, in other ways.
#ifndef RSM_SIM_DETAIL_ANY_LOAD_HPP
#define RSM_SIM_DETAIL_ANY_LOAD_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/sim/detail/any_workload.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace rsm::inline v0::sim::detail {

enum class Keeping : std::uint8_t { in_memory, freezing, on_disk };

template <Keeping keeping>
class AnyMachine {
public:
    using Operation = AnyOperation;
    static constexpr bool on_disk = keeping == Keeping::on_disk;

    struct Image {
        std::shared_ptr<const AnyMachineModel::Image> model;
        void snapshot(SnapshotWriter& out) const { model->snapshot(out); }
    };

    explicit AnyMachine(std::shared_ptr<AnyMachineModel> model) : model_(std::move(model)) {}

    AnyResult apply(const AnyOperation& operation) { return model_->apply(operation); }
    void snapshot(SnapshotWriter& out) const { model_->snapshot(out); }
    void restore(SnapshotReader& in) { model_->restore(in); }
    Image freeze() const requires(keeping == Keeping::freezing) { return {model_->freeze()}; }
    std::uint64_t digest() const { return model_->digest(); }
    std::string describe(const AnyOperation& operation) const {
        return model_->describe(operation);
    }
    const AnyMachineModel& model() const { return *model_; }

private:
    std::shared_ptr<AnyMachineModel> model_;
};

template <Keeping keeping>
class AnyLoad {
public:
    using Machine = AnyMachine<keeping>;

    explicit AnyLoad(AnyWorkload& of) : of_(of) {}

    std::string_view name() const { return of_.name(); }
    Machine machine() const { return Machine(of_.machine()); }
    AnyOperation operation(raft::Random& random) { return of_.operation(random); }
    AnyValue query(raft::Random& random) { return of_.query(random); }
    AnyValue read(const Machine& machine, const AnyValue& query) {
        return of_.read(machine.model(), query);
    }
    std::string check(const Machine& machine) { return of_.check(machine.model()); }
    void saw(const AnyRecord& record) { of_.saw(record); }
    std::string check_history(std::span<const AnyRecord> history) {
        return of_.check_history(history);
    }

private:
    AnyWorkload& of_;
};

}  // namespace rsm::sim::detail

#endif
