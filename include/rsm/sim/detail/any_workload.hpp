// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A user's workload and state machine behind virtual functions, in terms that do not depend on
// their types: so the simulator is compiled once in a program, and a workload takes little.
#ifndef RSM_SIM_DETAIL_ANY_WORKLOAD_HPP
#define RSM_SIM_DETAIL_ANY_WORKLOAD_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/sim/run/detail/observing.hpp>
#include <rsm/sim/workload.hpp>
#include <rsm/state_machine.hpp>

#include <boost/serialization/level.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim::detail {

/// A value of a type that only its workload knows.
class AnyValue {
public:
    struct Model {
        virtual ~Model() = default;
        virtual std::string describe() const { return {}; }
        virtual void save(OutputArchive&) const {}
    };

    AnyValue() = default;
    explicit AnyValue(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
    const Model* model() const { return model_.get(); }
    std::string describe() const { return model_ == nullptr ? std::string() : model_->describe(); }

private:
    std::shared_ptr<const Model> model_;
};

/// An operation at hand, or the bytes of one.
class AnyOperation {
public:
    AnyOperation() = default;
    explicit AnyOperation(AnyValue at_hand) : at_hand_(std::move(at_hand)) {}

    /// Null where there are only bytes.
    const AnyValue::Model* at_hand() const { return at_hand_.model(); }
    std::span<const std::byte> bytes() const { return bytes_; }

    /// The bytes are those of the user's operation and nothing else.
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        if constexpr (Archive::is_loading::value) {
            bytes_.resize(static_cast<std::size_t>(archive.remaining()));
            archive.read(bytes_);
            at_hand_ = {};
        } else if (at_hand() != nullptr) {
            at_hand()->save(archive);
        } else {
            archive.write(bytes_);
        }
    }

private:
    AnyValue at_hand_;
    std::vector<std::byte> bytes_;
};

inline std::string describe(const AnyOperation& operation) {
    return operation.at_hand() == nullptr ? describe_bytes(operation.bytes())
                                          : operation.at_hand()->describe();
}

struct AnyResult {
    std::uint64_t digest = 0;
    AnyValue value;

    /// By which replicas compare it.
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& digest;
    }
};
inline std::uint64_t digest_of(BufferWriter&, const AnyResult& result) { return result.digest; }
inline std::string describe(const AnyResult& result) { return result.value.describe(); }

using AnyRecord = BasicClientRecord<AnyOperation, AnyResult, AnyValue, AnyValue>;

/// A state machine.
class AnyMachineModel {
public:
    virtual ~AnyMachineModel() = default;
    virtual AnyResult apply(const AnyOperation& operation) = 0;
    virtual void snapshot(SnapshotWriter& out) const = 0;
    virtual void restore(SnapshotReader& in) = 0;
    virtual std::uint64_t digest() const = 0;
    virtual std::string describe(const AnyOperation& operation) const = 0;

    class Image {
    public:
        virtual ~Image() = default;
        virtual void snapshot(SnapshotWriter& out) const = 0;
    };
    /// Null where the machine does not freeze.
    virtual std::shared_ptr<const Image> freeze() const = 0;
};

/// A workload.
class AnyWorkload {
public:
    virtual ~AnyWorkload() = default;
    virtual std::string_view name() const = 0;
    virtual bool freezes() const = 0;
    virtual std::shared_ptr<AnyMachineModel> machine() const = 0;
    virtual AnyOperation operation(raft::Random& random) = 0;
    virtual AnyValue query(raft::Random& random) = 0;
    virtual AnyValue read(const AnyMachineModel& machine, const AnyValue& query) = 0;
    virtual std::string check(const AnyMachineModel& machine) = 0;
    virtual void saw(const AnyRecord& record) = 0;
    virtual std::string check_history(std::span<const AnyRecord> history) = 0;
};

// ---- what stands behind them ----

template <class T>
struct ValueModel : AnyValue::Model {
    explicit ValueModel(T given) : value(std::move(given)) {}
    T value;
};
template <class T>
AnyValue any_value(T value) {
    return AnyValue(std::make_shared<const ValueModel<T>>(std::move(value)));
}
/// @pre `model` was made of a T
template <class T>
const T& value_of(const AnyValue::Model& model) {
    return static_cast<const ValueModel<T>&>(model).value;
}

/// The workload's own words, or plain ones.
template <class Load, class T>
std::string describe_for(const Load& load, const T& value) {
    if constexpr (requires {
                      { load.describe(value) } -> std::convertible_to<std::string>;
                  }) {
        return load.describe(value);
    } else {
        return describe(value);
    }
}
template <class Load, class T>
struct DescribedModel : ValueModel<T> {
    DescribedModel(const Load& of, T given) : ValueModel<T>(std::move(given)), load(of) {}
    std::string describe() const override { return describe_for(load, this->value); }
    const Load& load;
};
template <class Load>
struct OperationModel final : DescribedModel<Load, typename Load::Machine::Operation> {
    using DescribedModel<Load, typename Load::Machine::Operation>::DescribedModel;
    void save(OutputArchive& out) const override { out << this->value; }
};

template <class State>
struct ImageModel final : AnyMachineModel::Image {
    explicit ImageModel(State given) : state(std::move(given)) {}
    void snapshot(SnapshotWriter& out) const override { state.snapshot(out); }
    State state;
};

template <Workload Load>
class MachineModel final : public AnyMachineModel {
public:
    using Machine = typename Load::Machine;
    using Operation = typename Machine::Operation;
    using Inner = InnerResult<Machine>;

    MachineModel(const Load& load, Machine initial) : load_(load), machine_(std::move(initial)) {}

    const Machine& machine() const { return machine_; }
    AnyResult apply(const AnyOperation& operation) override {
        if (operation.at_hand() != nullptr) {
            return apply_typed(value_of<Operation>(*operation.at_hand()));
        }
        return apply_typed(decode(operation));
    }
    void snapshot(SnapshotWriter& out) const override { write_machine(out, machine_); }
    void restore(SnapshotReader& in) override { read_machine(in, machine_); }
    std::uint64_t digest() const override { return state_digest(machine_); }
    std::shared_ptr<const Image> freeze() const override {
        if constexpr (Freezes<Machine>) {
            using State = decltype(machine_.freeze());
            return std::make_shared<const ImageModel<State>>(machine_.freeze());
        } else {
            return nullptr;
        }
    }
    std::string describe(const AnyOperation& operation) const override {
        if (operation.at_hand() != nullptr) return operation.at_hand()->describe();
        return describe_for(load_, decode(operation));
    }

private:
    static Operation decode(const AnyOperation& operation) {
        Operation decoded{};
        BufferReader in(operation.bytes());
        in >> decoded;
        in.finish();
        return decoded;
    }
    AnyResult apply_typed(const Operation& operation) {
        AnyResult result;
        if constexpr (std::is_void_v<ResultOf<Machine>>) {
            machine_.apply(operation);
        } else {
            Inner inner = machine_.apply(operation);
            result.digest = digest_of(scratch_, inner);
            result.value = AnyValue(
                std::make_shared<const DescribedModel<Load, Inner>>(load_, std::move(inner)));
        }
        return result;
    }

    const Load& load_;
    Machine machine_;
    BufferWriter scratch_;
};

template <Workload Load>
class WorkloadModel final : public AnyWorkload {
public:
    using Machine = typename Load::Machine;
    using Model = MachineModel<Load>;
    using Record = RecordOf<Load>;
    using Query = typename ReadTypes<Load>::Query;
    using View = typename ReadTypes<Load>::View;

    std::string_view name() const override {
        if constexpr (requires { std::string_view(Load::name); }) {
            return Load::name;
        } else {
            return "a workload without a name";
        }
    }
    bool freezes() const override { return Freezes<Machine>; }
    std::shared_ptr<AnyMachineModel> machine() const override {
        if constexpr (requires { Load::machine(); }) {
            return std::make_shared<Model>(load_, Load::machine());
        } else {
            return std::make_shared<Model>(load_, Machine{});
        }
    }
    AnyOperation operation(raft::Random& random) override {
        return AnyOperation(
            AnyValue(std::make_shared<const OperationModel<Load>>(load_, load_.operation(random))));
    }
    AnyValue query(raft::Random& random) override {
        if constexpr (Reads<Load>) {
            return any_value<Query>(load_.query(random));
        } else {
            return {};
        }
    }
    AnyValue read(const AnyMachineModel& machine, const AnyValue& query) override {
        if constexpr (Reads<Load>) {
            return any_value<View>(load_.read(typed(machine), value_of<Query>(*query.model())));
        } else {
            return {};
        }
    }
    std::string check(const AnyMachineModel& machine) override {
        if constexpr (requires { load_.check(typed(machine)); }) {
            return load_.check(typed(machine));
        } else {
            return {};
        }
    }
    void saw(const AnyRecord& record) override {
        if constexpr (requires(const Record& typed) { load_.saw(typed); }) load_.saw(typed(record));
    }
    std::string check_history(std::span<const AnyRecord> history) override {
        if constexpr (requires(const std::vector<Record>& all) { load_.check_history(all); }) {
            std::vector<Record> all;
            all.reserve(history.size());
            for (const AnyRecord& record : history) all.push_back(typed(record));
            return load_.check_history(all);
        } else {
            return {};
        }
    }

private:
    static const Machine& typed(const AnyMachineModel& machine) {
        return static_cast<const Model&>(machine).machine();
    }
    template <class T>
    static T value_or_none(const AnyValue::Model* model) {
        return model == nullptr ? T{} : value_of<T>(*model);
    }
    static Record typed(const AnyRecord& record) {
        Record result;
        result.client = record.client;
        result.id = record.id;
        result.kind = static_cast<typename Record::Kind>(record.kind);
        result.end = static_cast<typename Record::End>(record.end);
        result.call = record.call;
        result.ret = record.ret;
        result.called = record.called;
        result.returned = record.returned;
        result.number = record.number;
        result.operation = value_or_none<typename Machine::Operation>(record.operation.at_hand());
        result.result = value_or_none<InnerResult<Machine>>(record.result.value.model());
        result.query = value_or_none<Query>(record.query.model());
        result.view = value_or_none<View>(record.view.model());
        return result;
    }

    Load load_{};
};

}  // namespace rsm::sim::detail

// An operation's bytes are the user's, without a class version of the wrapper's own.
BOOST_CLASS_IMPLEMENTATION(rsm::sim::detail::AnyOperation,
                           boost::serialization::object_serializable)

#endif
