// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Each mistake, with the sentence that must be the first that the compiler says of it. "none" must
// compile. A mistake with a compiler's name behind a comma is one with that compiler only.
#include "common.hpp"

struct Operation {
    std::string text;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& text;
    }
};
// A machine that is sound but for what a mistake says after this.
#define RSM_APPLIES                \
    using Operation = ::Operation; \
    void apply(const Operation&) {}

// One that keeps its state itself, likewise.
struct Persistent {
    using Operation = ::Operation;
    void apply(const Operation&, raft::LogPosition) {}
    raft::LogPosition applied() const { return {}; }
};

#if defined(MISTAKE_none)
// MISTAKE none:
struct ByArchive {
    RSM_APPLIES
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& count;
    }
    // These mean something else here.
    void restore(std::string) {}
    void snapshot(std::vector<int>&) const {}
    bool freeze(int account) const { return account == count; }
    int count = 0;
};
struct Private {
    struct Operation {
    private:
        friend class boost::serialization::access;
        template <class Archive>
        void serialize(Archive&, unsigned) {}
    };
    void apply(const Operation&) {}
    template <class Writer>
    void snapshot(Writer&) const {}
    template <class Reader>
    void restore(Reader&) {}
};
struct Outside {
    int count = 0;
};
template <class Archive>
void serialize(Archive& ar, Outside& outside, const unsigned) {
    ar& outside.count;
}
struct Free {
    using Operation = Outside;
    void apply(Outside) {}
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};
struct Variant {
    using Operation = std::variant<std::monostate, std::string, Outside>;
    void apply(const Operation&) {}
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};
template void replicate<Sound>(boost::asio::io_context&, std::shared_ptr<rsm::MemoryNetwork>);
template void replicate<ByArchive>(boost::asio::io_context&, std::shared_ptr<rsm::MemoryNetwork>);
template void replicate<Private>(boost::asio::io_context&, std::shared_ptr<rsm::MemoryNetwork>);
template void replicate<Free>(boost::asio::io_context&, std::shared_ptr<rsm::MemoryNetwork>);
template void replicate<Variant>(boost::asio::io_context&, std::shared_ptr<rsm::MemoryNetwork>);
void use(Replica<Sound>& replica) {
    replica.async_submit({.text = "x"}, [](auto, std::size_t) {});
    replica.async_read([key = std::string()](const Sound&) { return key; }, [](auto, auto) {});
}

#elif defined(MISTAKE_missing_restore)
// MISTAKE missing_restore: has a snapshot but no void restore(rsm::SnapshotReader&)
struct Machine {
    RSM_APPLIES
    void snapshot(rsm::SnapshotWriter&) const {}
};

#elif defined(MISTAKE_misspelt_restore)
// MISTAKE misspelt_restore: has a snapshot but no void restore(rsm::SnapshotReader&)
struct Machine {
    RSM_APPLIES
    template <class Archive>
    void serialize(Archive&, unsigned) {}
    void snapshot(rsm::SnapshotWriter&) const {}
    void retsore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_wrong_restore)
// MISTAKE wrong_restore: restore cannot be called with a rsm::SnapshotReader&
struct Machine {
    RSM_APPLIES
    template <class Archive>
    void serialize(Archive&, unsigned) {}
    void snapshot(rsm::SnapshotWriter&) const {}
    void restore(rsm::SnapshotWriter&) {}
};

#elif defined(MISTAKE_missing_snapshot)
// MISTAKE missing_snapshot: has a restore but no void snapshot(rsm::SnapshotWriter&) const
struct Machine {
    RSM_APPLIES
    template <class Archive>
    void serialize(Archive&, unsigned) {}
    void restore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_snapshot_not_const)
// MISTAKE snapshot_not_const: snapshot must be const
struct Machine {
    RSM_APPLIES
    void snapshot(rsm::SnapshotWriter&) {}
    void restore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_snapshot_not_const_beside_serialize)
// MISTAKE snapshot_not_const_beside_serialize: snapshot must be const
struct Machine {
    RSM_APPLIES
    template <class Archive>
    void serialize(Archive&, unsigned) {}
    void snapshot(rsm::SnapshotWriter&) {}
};

#elif defined(MISTAKE_strange_snapshot_and_restore)
// MISTAKE strange_snapshot_and_restore: snapshot and restore cannot be called with
struct Machine {
    RSM_APPLIES
    void snapshot(std::string&) const {}
    void restore(const std::string&) {}
};

#elif defined(MISTAKE_no_snapshot_at_all)
// MISTAKE no_snapshot_at_all: state cannot be saved: it needs
struct Machine {
    RSM_APPLIES
};

#elif defined(MISTAKE_freeze_not_const)
// MISTAKE freeze_not_const: freeze must be const, and so must the snapshot of the image
struct Machine : Sound {
    Sound freeze() { return *this; }
};

#elif defined(MISTAKE_image_not_const)
// MISTAKE image_not_const: freeze must be const, and so must the snapshot of the image
struct Machine : Sound {
    struct Image {
        void snapshot(rsm::SnapshotWriter&) {}
    };
    Image freeze() const { return {}; }
};

#elif defined(MISTAKE_freeze_alone)
// MISTAKE freeze_alone: has a freeze but not both snapshot and restore
struct Machine {
    RSM_APPLIES
    template <class Archive>
    void serialize(Archive&, unsigned) {}
    Sound freeze() const { return {}; }
};

#elif defined(MISTAKE_position_of_nothing)
// MISTAKE position_of_nothing: apply takes a raft::LogPosition, but there is no
struct Machine {
    using Operation = ::Operation;
    void apply(const Operation&, raft::LogPosition) {}
    void snapshot(rsm::SnapshotWriter&) const {}
    void restore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_restore_without_position)
// MISTAKE restore_without_position: needs void restore(rsm::SnapshotReader&, raft::LogPosition)
struct Machine : Persistent {
    void snapshot(rsm::SnapshotWriter&) const {}
    void restore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_persistent_without_snapshot)
// MISTAKE persistent_without_snapshot: needs void snapshot(rsm::SnapshotWriter&) const
struct Machine : Persistent {
    void restore(rsm::SnapshotReader&, raft::LogPosition) {}
};

#elif defined(MISTAKE_image_without_position)
// MISTAKE image_without_position: so what its freeze returns needs a raft::LogPosition applied()
struct Machine : Persistent {
    void snapshot(rsm::SnapshotWriter&) const {}
    void restore(rsm::SnapshotReader&, raft::LogPosition) {}
    Sound freeze() const { return {}; }
};

#elif defined(MISTAKE_no_operation)
// MISTAKE no_operation: has no type Operation
struct Machine {
    void apply(int) {}
    void snapshot(rsm::SnapshotWriter&) const {}
    void restore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_operation_without_serialize)
// MISTAKE operation_without_serialize: Operation has no serialize
struct Machine : Sound {
    struct Operation {
        std::string text;
    };
    void apply(const Operation&) {}
};

#elif defined(MISTAKE_part_without_serialize)
// MISTAKE part_without_serialize: a class that is to be written has no serialize
struct Machine : Sound {
    struct Part {
        std::string text;
    };
    struct Operation {
        std::vector<Part> parts;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& parts;
        }
    };
    void apply(const Operation&) {}
};

#elif defined(MISTAKE_operation_without_default)
// MISTAKE operation_without_default: Operation must be movable and default constructible
struct Machine : Sound {
    struct Operation : Sound::Operation {
        explicit Operation(int) {}
    };
    void apply(const Operation&) {}
};

#elif defined(MISTAKE_no_apply)
// MISTAKE no_apply: has no apply(const Operation&)
struct Machine {
    using Operation = ::Operation;
    void snapshot(rsm::SnapshotWriter&) const {}
    void restore(rsm::SnapshotReader&) {}
};

#elif defined(MISTAKE_apply_changes_operation)
// MISTAKE apply_changes_operation: apply cannot be called with a const Operation&
struct Machine : Sound {
    void apply(Operation&) {}
};

#elif defined(MISTAKE_machine_not_movable)
// MISTAKE machine_not_movable: must be a movable class
struct Machine : Sound {
    Machine() = default;
    Machine(const Machine&) = delete;
};

#elif defined(MISTAKE_no_transport)
// MISTAKE no_transport: the second argument of Replicated is no transport
Replica<Sound, std::string>* make() { return new Replica<Sound, std::string>; }

#elif defined(MISTAKE_policies_exchanged)
// MISTAKE policies_exchanged: the second argument of Replicated is no transport
using Exchanged = Replica<Sound, rsm::MemoryStorage, rsm::MemoryTransport>;
Exchanged* make() { return new Exchanged; }

#elif defined(MISTAKE_running_in_place_of_plan)
// MISTAKE running_in_place_of_plan: the second argument of Replicated is no transport
using Opened = Replica<Sound, rsm::Running<rsm::MemoryTransport>>;
Opened* make() { return new Opened; }

#elif defined(MISTAKE_no_storage)
// MISTAKE no_storage: the third argument of Replicated is no storage
Replica<Sound, rsm::MemoryTransport, int>* make() {
    return new Replica<Sound, rsm::MemoryTransport, int>;
}

#elif defined(MISTAKE_handler_of_another_result)
// MISTAKE handler_of_another_result: the handler cannot be called with what this operation
void use(Replica<Sound>& replica) {
    replica.async_submit({.text = "x"}, [](boost::system::error_code, std::string) {});
}

#elif defined(MISTAKE_handler_without_result)
// MISTAKE handler_without_result: the handler cannot be called with what this operation
void use(Replica<Sound>& replica) {
    replica.async_submit({.text = "x"}, [](boost::system::error_code) {});
}

#elif defined(MISTAKE_handler_of_another_value)
// MISTAKE handler_of_another_value: the handler cannot be called with what this operation
void use(Replica<Sound>& replica) {
    replica.async_read([](const Sound& sound) { return sound.text; },
                       [](boost::system::error_code, int) {});
}

#elif defined(MISTAKE_handler_of_stop)
// MISTAKE handler_of_stop: the handler cannot be called with what this operation
void use(Replica<Sound>& replica) {
    replica.async_stop([] {});
}

#elif defined(MISTAKE_query_that_changes)
// MISTAKE query_that_changes: a query must be callable with a const Machine&
void use(Replica<Sound>& replica) {
    replica.async_read([](Sound& sound) { return sound.text; }, [](auto, auto) {});
}

#elif defined(MISTAKE_query_without_value)
// MISTAKE query_without_value: a query must return something
void use(Replica<Sound>& replica) {
    replica.async_read([](const Sound&) {}, [](auto, auto) {});
}

#elif defined(MISTAKE_another_operation)
// MISTAKE another_operation: what is submitted must be an Operation
void use(Replica<Sound>& replica) {
    replica.async_submit(5, [](auto, auto) {});
}

#elif defined(MISTAKE_braces_in_coroutine)
// MISTAKE braces_in_coroutine, GCC 12: name the operation before, and pass it by its name
boost::asio::awaitable<std::size_t> use(Replica<Sound>& replica) {
    co_return co_await replica.async_submit({.text = "x"}, boost::asio::use_awaitable);
}

#elif defined(MISTAKE_braces_in_deferred)
// MISTAKE braces_in_deferred, GCC 12: name the operation before, and pass it by its name
boost::asio::awaitable<std::size_t> use(Replica<Sound>& replica) {
    co_return co_await replica.async_submit({.text = "x"}, boost::asio::deferred);
}

#elif defined(MISTAKE_captures_in_coroutine)
// MISTAKE captures_in_coroutine, GCC 12: name the query before, and pass it by its name
boost::asio::awaitable<std::string> use(Replica<Sound>& replica) {
    co_return co_await replica.async_read([key = std::string()](const Sound&) { return key; },
                                          boost::asio::use_awaitable);
}

#elif defined(MISTAKE_alternative_in_coroutine)
// MISTAKE alternative_in_coroutine, GCC 12: name the operation before, and pass it by its name
struct Chooses : Sound {
    using Operation = std::variant<int, ::Operation>;
    int apply(const Operation&) { return 0; }
};
boost::asio::awaitable<int> use(Replica<Chooses>& replica) {
    co_return co_await replica.async_submit(::Operation{.text = "x"}, boost::asio::use_awaitable);
}

#elif defined(MISTAKE_variant_in_coroutine)
// MISTAKE variant_in_coroutine, GCC 12: name the operation before, and pass it by its name
struct Chooses : Sound {
    using Operation = std::variant<int, ::Operation>;
    int apply(const Operation&) { return 0; }
};
boost::asio::awaitable<int> use(Replica<Chooses>& replica) {
    co_return co_await replica.async_submit(Chooses::Operation(::Operation{.text = "x"}),
                                            boost::asio::use_awaitable);
}
#endif

#if defined(MISTAKE_part_without_serialize)
void use(Replica<Machine>& replica) {
    replica.async_submit({}, [](auto) {});
}
#endif
#if defined(MISTAKE_IN_MACHINE)
// Looked into at once. Before the function is, all that the headers have put off has its turn.
static_assert(sizeof(Replica<Machine>) != 0);
template void replicate<Machine>(boost::asio::io_context&, std::shared_ptr<rsm::MemoryNetwork>);
#endif
