// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The least state machine whose operations have a size: what remains is the library.
#ifndef RSM_BENCH_MACHINE_HPP
#define RSM_BENCH_MACHINE_HPP

#include <rsm/archive.hpp>

#include <cstdint>
#include <string>

namespace bench {

class CountingMachine {
public:
    struct Operation {
        std::string bytes;
        template <class Archive>
        void serialize(Archive& archive, unsigned /*version*/) {
            archive& bytes;
        }
    };

    std::uint64_t apply(const Operation& operation) {
        bytes_ += operation.bytes.size();
        return ++count_;
    }
    void snapshot(rsm::SnapshotWriter& out) const { out << count_ << bytes_; }
    void restore(rsm::SnapshotReader& in) { in >> count_ >> bytes_; }
    std::uint64_t count() const { return count_; }

private:
    std::uint64_t count_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace bench

#endif
