#include "generators/lock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/hash.h"

namespace oc::test {
namespace {

Lock sample() {
  return {"x86-64-linux-avx2",
          4,
          "kernel-abi-1",
          {{"graph a \"\n\\\t", "contraction v1\ntile m=1\n", "0123", "exact"},
           {"graph b", "elementwise v1\n", "default", "formula"}}};
}

std::string error_of(const std::string& text) {
  try {
    (void)parse_lock(text, "m.lock");
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

// The sample's text with one piece replaced.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = print_lock(sample());
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Lock, RoundTrips) {
  EXPECT_EQ(parse_lock(print_lock(sample()), "m.lock"), sample());
  EXPECT_EQ(parse_lock(print_lock({}), "m.lock"), Lock{});
}

TEST(Lock, IsTheSameInAnyOrderAndHoldsEachWorkloadOnce) {
  Lock lock = sample();
  lock.entries = {lock.entries[1], lock.entries[0], lock.entries[1]};
  EXPECT_EQ(print_lock(lock), print_lock(sample()));
}

TEST(Lock, EntriesAreFoundByWorkload) {
  const Lock lock = sample();
  EXPECT_EQ(find_entry(lock, "graph b"), &lock.entries[1]);
  EXPECT_EQ(find_entry(lock, "graph"), nullptr);
}

TEST(Lock, MalformedLocksAreRefusedWithTheirFile) {
  struct Case {
    std::string text, message;
  };
  const std::string no_lock = "m.lock: not a lock file; pass the model.lock that `opencompiler compile` wrote";
  const std::string version = "m.lock: a lock file of another version; this one reads version 1";
  const auto missing = [](const char* name) {
    return fmt::format("m.lock: a kernel without the text '{}'; make the file anew by compiling without --lock", name);
  };
  const std::string hash = "\"" + content_hash("graph b") + "\"";
  const Case cases[] = {
      {"", no_lock},
      {"{", no_lock},
      {"[]", no_lock},
      {"{}", no_lock},
      {"{\"kernels\": 3}", no_lock},
      {std::string("\0{}", 3), no_lock},
      {std::string(100000, '['), no_lock},
      {edited("\"version\": 1", "\"version\": 2"), version},
      {edited("\"version\": 1", "\"version\": \"1\""), version},
      {edited("\"version\": 1,", ""), version},
      {edited("\"trial\": \"default\"", "\"trial\": 3"), missing("trial")},
      {edited("\"schedule\"", "\"plan\""), missing("schedule")},
      {edited("\"threads\": 4", "\"threads\": 99999999999"),
       "m.lock: 'threads' is no number of threads; make the file anew by compiling without --lock"},
      {edited("\"threads\": 4", "\"threads\": -1"),
       "m.lock: 'threads' is no number of threads; make the file anew by compiling without --lock"},
      {edited("\"threads\": 4", "\"threads\": \"4\""),
       "m.lock: 'threads' is no number of threads; make the file anew by compiling without --lock"},
      {"{\"version\": 1, \"target\": \"\", \"toolchain\": \"\", \"threads\": 1, \"kernels\": [3]}",
       "m.lock: 'kernels' holds something that is no kernel"},
      {edited("\"graph b\"", "\"graph c\""),
       "m.lock: a workload does not match its hash; the file was edited, make it anew by compiling without --lock"},
      {edited(hash, "\"\""),
       "m.lock: a workload does not match its hash; the file was edited, make it anew by compiling without --lock"},
      {std::string((64 << 20) + 1, ' '), "m.lock: larger than 64 MiB, so no lock file"},
  };
  for (const Case& c : cases) EXPECT_EQ(error_of(c.text), c.message) << c.text.substr(0, 200);
}

// Which of two schedules would be meant?
TEST(Lock, AWorkloadThatStandsTwiceIsRefused) {
  const std::string text = print_lock(sample());
  const size_t first = text.find('{', 1), end = text.find('}', first) + 1;
  std::string twice = text;
  twice.insert(end, "," + text.substr(first, end - first));
  EXPECT_EQ(error_of(twice),
            "m.lock: a workload stands twice; the file was edited, make it anew by compiling without --lock");
}

TEST(Lock, DamagedTextsAreLocksOrUserErrors) {
  const std::string text = print_lock(sample());
  std::mt19937 random(13);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = text;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      (void)parse_lock(damaged, "m.lock");
    } catch (const UserError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("m.lock: "));
    }
  }
  for (size_t length = 0; length + 2 < text.size(); ++length) EXPECT_NE(error_of(text.substr(0, length)), "");
}

}  // namespace
}  // namespace oc::test
