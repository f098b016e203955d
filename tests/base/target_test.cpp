#include "base/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace oc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string error_of(std::string_view text) {
  try {
    (void)parse_target(text);
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Target, AliasesSpellOutHalidesNames) {
  EXPECT_EQ(parse_target("x86-64-sse41").name(), "x86-64-linux-sse41");
  EXPECT_EQ(parse_target("x86-64-avx2").name(), "x86-64-linux-avx-avx2-f16c-fma-sse41");
  EXPECT_EQ(parse_target("x86-64-avx512").name(), "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41");
  for (const char* text : {"arm-64-linux", "arm-64-osx", "arm-64-android", "x86-64-osx", "x86-64-windows"})
    EXPECT_EQ(parse_target(text).name(), text);
}

TEST(Target, FeaturesImplyOthersAndNamesRoundTrip) {
  const Target zen4 = parse_target("x86-64-linux-avx512_zen4");
  EXPECT_EQ(zen4.name(), "x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4-f16c-fma-sse41");
  EXPECT_EQ(parse_target(zen4.name()), zen4);
  EXPECT_TRUE(parse_target("x86-64-linux-avx512_sapphirerapids").has("avx512_zen4"));
  EXPECT_TRUE(parse_target("x86-64-linux-avx512_zen5").has("avxvnni"));
  EXPECT_FALSE(parse_target("x86-64-linux-avx2").has("fma"));
  EXPECT_EQ(parse_target("x86-64-linux-fma-avx2"), parse_target("x86-64-linux-avx2-fma-fma"));
}

// Sets the variable for as long as it lives.
struct HostTakenFor {
  explicit HostTakenFor(const char* target) { ::setenv(kVariable, target, 1); }
  ~HostTakenFor() {
    if (old_.empty())
      ::unsetenv(kVariable);
    else
      ::setenv(kVariable, old_.c_str(), 1);
  }
  HostTakenFor(const HostTakenFor&) = delete;
  HostTakenFor& operator=(const HostTakenFor&) = delete;

 private:
  static constexpr const char* kVariable = "OPENCOMPILER_HOST_TARGET";
  std::string old_ = std::getenv(kVariable) == nullptr ? "" : std::getenv(kVariable);
};

TEST(Target, HostCanBeTakenForLess) {
  const HostTakenFor itself("");
  const Target whole = host_target();
  const std::string hash = host_machine().hash();
  if (whole.arch == "x86-64" && whole.has("avx2") && whole.has("fma")) {
    const HostTakenFor avx2("x86-64-avx2");
    EXPECT_EQ(host_target().name(), parse_target("x86-64-avx2").name());
    EXPECT_EQ(host_target().vector_bytes, 32);
    EXPECT_EQ(host_target().l2_bytes, whole.l2_bytes);
    EXPECT_FALSE(runs_on_host(parse_target("x86-64-avx512")));
    EXPECT_EQ(host_machine().hash() == hash, whole.name() == host_target().name());
  }
  const HostTakenFor nothing(whole.arch == "x86-64" ? "arm-64-linux" : "x86-64-avx2");
  EXPECT_TRUE(host_target().features.empty());  // never what it has not
  const HostTakenFor unknown("x86-64-avx3");
  EXPECT_THAT([] { (void)host_target(); }, testing::ThrowsMessage<UserError>(HasSubstr("target 'x86-64-avx3'")));
}

TEST(Target, VectorsFollowFromFeatures) {
  const auto vectors = [](std::string_view text) {
    const Target t = parse_target(text);
    return std::pair(t.vector_bytes, t.vector_registers);
  };
  EXPECT_EQ(vectors("x86-64-sse41"), std::pair(16, 16));
  EXPECT_EQ(vectors("x86-64-avx2"), std::pair(32, 16));
  EXPECT_EQ(vectors("x86-64-avx512"), std::pair(64, 32));
  EXPECT_EQ(vectors("arm-64-linux"), std::pair(16, 32));
  EXPECT_EQ(parse_target("x86-64-avx512").lanes(4), 16);
  for (const char* two :
       {"x86-64-avx2", "x86-64-avx512", "x86-64-linux-avx512_zen5", "x86-64-linux-avx512_sapphirerapids"})
    EXPECT_EQ(parse_target(two).vector_fmas, 2) << two;
  EXPECT_EQ(parse_target("x86-64-linux-avx512_zen4").vector_fmas, 1);
}

TEST(Target, TriplesAreLlvms) {
  EXPECT_EQ(parse_target("x86-64-avx2").triple(), "x86_64-unknown-linux-gnu");
  EXPECT_EQ(parse_target("arm-64-linux").triple(), "aarch64-unknown-linux-gnu");
  EXPECT_EQ(parse_target("arm-64-android").triple(), "aarch64-unknown-linux-android21");
  EXPECT_EQ(parse_target("arm-64-osx").triple(), "arm64-apple-macosx11.0.0");
  EXPECT_EQ(parse_target("x86-64-windows").triple(), "x86_64-pc-windows-msvc");
}

TEST(Target, ErrorsSayWhatIsKnown) {
  EXPECT_EQ(
      error_of("riscv-64-linux"),
      "target 'riscv-64-linux': no such target. Known:\n"
      "  host\n"
      "  x86-64-sse41   = x86-64-linux-sse41\n"
      "  x86-64-avx2    = x86-64-linux-avx2-f16c-fma\n"
      "  x86-64-avx512  = x86-64-linux-avx512_skylake\n"
      "  arm-64-linux, arm-64-osx, arm-64-android, x86-64-linux, x86-64-osx, x86-64-windows, each with -feature…\n"
      "  features of x86-64: sse41 avx f16c fma avx2 avxvnni avx512 avx512_skylake avx512_cannonlake avx512_zen4 "
      "avx512_zen5 avx512_sapphirerapids\n"
      "  features of arm-64: arm_dot_prod arm_fp16");
  EXPECT_THAT(error_of("x86-64-plan9"), StartsWith("target 'x86-64-plan9': 'plan9' is no operating system."));
  EXPECT_THAT(error_of("x86-64-linux-neon"), HasSubstr("'neon' is no feature of x86-64."));
  EXPECT_THAT(error_of("arm-64-linux-avx2"), HasSubstr("'avx2' is no feature of arm-64."));
  EXPECT_THAT(error_of("x86-64-linux--avx2"), HasSubstr("'' is no feature"));
  EXPECT_THAT(error_of("arm-64-windows"), HasSubstr("not supported"));
  for (const char* text : {"", "x86-64", "x86-64-", "Host", "x86", "-"}) EXPECT_NE(error_of(text), "") << text;
}

TEST(Target, TheHostDescribesItself) {
  const Target host = host_target();
  EXPECT_EQ(parse_target("host"), host);
  EXPECT_EQ(parse_target(host.name()), host);
  EXPECT_TRUE(runs_on_host(host));
  EXPECT_FALSE(runs_on_host(parse_target(host.arch == "arm-64" ? "x86-64-sse41" : "arm-64-linux")));
  EXPECT_FALSE(runs_on_host(parse_target("x86-64-osx")));
  EXPECT_GE(host.l1_bytes, 8 << 10);
  EXPECT_GE(host.l2_bytes, host.l1_bytes);
}

TEST(Machine, HashIgnoresUsableCoresOnly) {
  const Machine machine = host_machine();
  EXPECT_EQ(machine, host_machine());
  EXPECT_FALSE(machine.vendor.empty());
  EXPECT_GE(machine.cores, 1);
  EXPECT_FALSE(machine.core_kinds.empty());
  Machine other = machine;
  other.cores += 3;
  EXPECT_EQ(other.hash(), machine.hash());
  other.l2_bytes += 1;
  EXPECT_NE(other.hash(), machine.hash());
}

}  // namespace
}  // namespace oc
