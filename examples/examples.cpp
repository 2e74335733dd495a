// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// All short examples as one program, for the tests: examples NAME. Each is a program of its own,
// but the templates that they have in common take the compiler longer than all the rest.
#define main main_of_counter
#include "counter/counter.cpp"
#undef main
#define main main_of_job_queue
#include "job_queue/job_queue.cpp"
#undef main
#define main main_of_lock_service
#include "lock_service/lock_service.cpp"
#undef main
#define main main_of_own_policies
#include "own_policies/own_policies.cpp"
#undef main
#define main main_of_upgrade
#include "upgrade/upgrade.cpp"
#undef main

int main(int count, char** arguments) {
    const std::string name = count > 1 ? arguments[1] : "";
    if (name == "counter") return main_of_counter(count - 1, arguments + 1);
    if (name == "job_queue") return main_of_job_queue();
    if (name == "lock_service") return main_of_lock_service();
    if (name == "own_policies") return main_of_own_policies();
    if (name == "upgrade") return main_of_upgrade();
    std::cerr << "usage: examples counter|job_queue|lock_service|own_policies|upgrade\n";
    return EXIT_FAILURE;
}
