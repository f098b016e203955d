// random_lock LOCK SEED OUT: the lock with a random legal schedule of its space for every workload. Prints how many of
// them differ from the lock's own.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <random>

#include "base/error.h"
#include "base/files.h"
#include "generators/lock.h"
#include "opencompiler/dsl.h"
#include "schedules/schedule.h"

namespace {

constexpr int kAttempts = 100000;

oc::Schedule random_schedule(const oc::Space& space, std::mt19937& random) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    oc::Point point;
    for (const oc::Knob& knob : space.knobs) point.push_back(static_cast<uint32_t>(random() % knob.values.size()));
    oc::Schedule schedule = space.at(point);
    if (space.legal(schedule)) return schedule;
  }
  oc::internal_error("no legal schedule among {} random points", kAttempts);
}

uint32_t parse_seed(std::string_view text) {
  uint32_t seed = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || rest != text.data() + text.size()) oc::user_error("'{}' is no seed", text);
  return seed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) oc::user_error("usage: random_lock LOCK SEED OUT");
    oc::Lock lock = oc::parse_lock(oc::read_file(argv[1]), argv[1]);
    const oc::Target target = oc::parse_target(lock.target);
    std::mt19937 random(parse_seed(argv[2]));
    int changed = 0;
    for (oc::LockEntry& entry : lock.entries) {
      const oc::Kernel kernel = oc::analyse({entry.workload}, oc::builtin_ops());
      const std::string schedule =
          oc::print_schedule(random_schedule(oc::schedule_space(kernel, target, lock.threads), random));
      changed += schedule != entry.schedule ? 1 : 0;
      entry = {entry.workload, schedule, "default", "random"};
    }
    oc::write_file_atomic(argv[3], oc::print_lock(lock));
    fmt::print("{} of {}\n", changed, lock.entries.size());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "random_lock: {}\n", error.what());
    return 1;
  }
}
