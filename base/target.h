// A CPU as data. A Target says what generated code may use; a Machine says what one physical host is. Nothing else in
// the tree asks the host anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oc {

struct Target {
  std::string arch;                   // "x86-64" or "arm-64"
  std::string os;                     // linux, osx, android, windows
  std::vector<std::string> features;  // Halide's names, sorted: avx avx2 avx512 avx512_skylake f16c fma sse41 …
  int vector_bytes = 16;              // widest vector register the features allow
  int vector_registers = 16;
  int vector_fmas = 2;          // a cycle, each of vector_bytes
  int64_t l1_bytes = 32 << 10;  // data caches of one core; of the host if the target is the host, else typical
  int64_t l2_bytes = 512 << 10;
  int64_t l3_bytes = 8 << 20;

  bool operator==(const Target&) const = default;
  [[nodiscard]] int lanes(int element_bytes) const { return vector_bytes / element_bytes; }
  [[nodiscard]] bool has(std::string_view feature) const;
  // "x86-64-linux-avx-avx2-…": Halide's target string without runtime options. Also the database's feature key.
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::string triple() const;  // LLVM's: x86_64-unknown-linux-gnu …
};

// Accepts `host`, the aliases below, or a Halide-style string arch-64-os[-feature…] (x86-64 is spelled "x86-64").
//   x86-64-sse41 x86-64-avx2 x86-64-avx512 (all linux), arm-64-linux arm-64-osx arm-64-android
//   x86-64-osx x86-64-windows
// UserError listing what is known otherwise.
[[nodiscard]] Target parse_target(std::string_view text);
// As parse_target, but `host` is not known, and caches are typical ones whatever the host is.
[[nodiscard]] Target parse_named_target(std::string_view text);
// The host is taken for no more than the target in $OPENCOMPILER_HOST_TARGET, where that is set: the features of both.
// UserError if it is no target.
[[nodiscard]] Target host_target();
// Adds the features the named ones imply, sorts them, and derives the three figures of vectors.
void complete_target(Target& target);
// May code built for `target` run here? (same arch and os, features ⊆ host's)
[[nodiscard]] bool runs_on_host(const Target& target);

struct Machine {
  std::string vendor, model;  // as the CPU reports them
  int family = 0, model_number = 0, stepping = 0;
  std::vector<std::string> features;  // those of host_target()
  int64_t l1_bytes = 0, l2_bytes = 0, l3_bytes = 0;
  int cores = 1;           // usable: min(cgroup quota, affinity)
  std::string core_kinds;  // "8" or "4P+4E"

  bool operator==(const Machine&) const = default;
  // Hash of everything above but `cores`: the key a measurement is valid for.
  [[nodiscard]] std::string hash() const;
};
[[nodiscard]] Machine host_machine();

}  // namespace oc
