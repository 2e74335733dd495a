// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a test gives a node for a storage in memory, of which it keeps the disk.
#ifndef RSM_TESTS_SUPPORT_DISK_PLAN_HPP
#define RSM_TESTS_SUPPORT_DISK_PLAN_HPP

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <utility>

namespace rsm_test {

/// A plan (rsm/plan.hpp) of a storage that runs on a disk.
template <class Running, class DiskOfTest>
class DiskPlan {
public:
    using Disk = DiskOfTest;

    explicit DiskPlan(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
    Running open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), disk_};
    }

private:
    std::shared_ptr<Disk> disk_;
};

}  // namespace rsm_test

#endif
