// sibling_database LOCK OUT: a database in which a machine like this one, but of another model, was faster with another
// schedule than with the formula's, for every workload of the lock that has one. Prints how many have.
#include <fmt/format.h>

#include <cstdio>

#include "autotune/provenance.h"
#include "base/error.h"
#include "base/files.h"
#include "generators/lock.h"
#include "opencompiler/dsl.h"
#include "schedules/schedule.h"
#include "tuning_db/database.h"

namespace {

// A legal schedule that differs from `base` in one knob and uses as many threads; nullopt if there is none.
std::optional<oc::Schedule> another(const oc::Kernel& kernel, const oc::Target& target, int threads,
                                    const oc::Schedule& base) {
  const oc::Space space = oc::schedule_space(kernel, target, threads);
  for (const oc::Knob& knob : space.knobs)
    for (const int64_t value : knob.values) {
      oc::Schedule schedule = base;
      schedule.values.at(knob.name) = value;
      schedule = oc::settled(kernel, target, schedule);
      if (schedule != base && space.legal(schedule) && oc::serves_threads(kernel, target, threads, schedule))
        return schedule;
    }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) oc::user_error("usage: sibling_database LOCK OUT");
    const oc::Lock lock = oc::parse_lock(oc::read_file(argv[1]), argv[1]);
    const oc::Target host = oc::host_target();
    const oc::Target target = lock.target == host.name() ? host : oc::parse_target(lock.target);
    oc::Machine machine = oc::host_machine();
    machine.model += ", another";
    oc::Database database = oc::Database::open(argv[2], oc::OpenMode::create);
    database.add_machine(oc::describe(machine));
    int count = 0;
    for (const oc::LockEntry& entry : lock.entries) {
      const oc::Kernel kernel = oc::analyse({entry.workload}, oc::builtin_ops());
      const oc::Schedule base = oc::default_schedule(kernel, target, lock.threads);
      const std::optional<oc::Schedule> faster = another(kernel, target, lock.threads, base);
      if (!faster) continue;
      ++count;
      const auto add = [&](const oc::Schedule& schedule, int64_t nanoseconds) {
        return database.add_trial({.workload = entry.workload,
                                   .schedule = oc::print_schedule(schedule),
                                   .machine = machine.hash(),
                                   .features = target.name(),
                                   .threads = lock.threads,
                                   .build = oc::current_build_id(),
                                   .samples_ns = {nanoseconds},
                                   .unix_ms = 1});
      };
      for (const std::string& trial : {add(base, 1000), add(*faster, 500)})
        database.add_mark({.kind = oc::MarkKind::confirm, .trial = trial, .unix_ms = 1, .note = {}});
    }
    fmt::print("{} of {}\n", count, lock.entries.size());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "sibling_database: {}\n", error.what());
    return 1;
  }
}
