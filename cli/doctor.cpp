#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "autotune/measure/kernel_measurer.h"
#include "base/files.h"
#include "cli/verb.h"
#include "generators/build.h"
#include "opencompiler/dsl.h"
#include "tuning_db/database.h"

namespace oc::cli {
namespace {

std::string database_state(const std::filesystem::path& path) {
  const auto opened = Database::try_open(path, OpenMode::read_only);
  if (const auto* failure = std::get_if<OpenFailure>(&opened)) return failure->message;
  try {
    const DatabaseStats stats = std::get<Database>(opened).stats();
    return fmt::format("{} ({} workloads, {} trials)", path.string(), stats.workloads, stats.trials);
  } catch (const DatabaseError& error) {
    return error.what();
  }
}

struct Flags {
  bool measure = true, json = false;
  std::string target = "host";
  int threads = 1;
};

Calibration measure(const Target& target, int threads) {
  return make_kernel_measurer(target, builtin_ops(), {.threads = threads})->calibrate();
}

std::string cpu_name(const Machine& machine) {
  return fmt::format("{} {}, family {} model {}", machine.vendor, machine.model, machine.family, machine.model_number);
}

nlohmann::json to_json(const Machine& machine, const Target& target, const std::optional<Calibration>& measured) {
  nlohmann::json result = {{"cpu", cpu_name(machine)},
                           {"cores", machine.cores},
                           {"caches", {{"l1", machine.l1_bytes}, {"l2", machine.l2_bytes}, {"l3", machine.l3_bytes}}},
                           {"target", target.name()},
                           {"machine", machine.hash()},
                           {"toolchain", toolchain_id()},
                           {"database", default_database_path().string()},
                           {"cache", default_cache_path().string()}};
  if (measured)
    result["measured"] = {{"flops", measured->flops},
                          {"bandwidth", measured->bandwidth},
                          {"cached_bandwidth", measured->cached_bandwidth}};
  return result;
}

int run_doctor(const Flags& flags) {
  const Machine machine = host_machine();
  const Target target = parse_target(flags.target);
  const int threads = std::min(flags.threads, machine.cores);
  std::optional<Calibration> measured;
  if (flags.json) {
    if (flags.measure) measured = measure(target, threads);
    std::cout << to_json(machine, target, measured).dump(2) << '\n';
    return kOk;
  }
  fmt::print("cpu         {}, {} usable cores\n", cpu_name(machine), machine.cores);
  fmt::print("caches      L1d {} KiB, L2 {} KiB a core, L3 {} KiB\n", machine.l1_bytes >> 10, machine.l2_bytes >> 10,
             machine.l3_bytes >> 10);
  fmt::print("target      {} ({} vector registers of {} bytes)\n", target.name(), target.vector_registers,
             target.vector_bytes);
  fmt::print("machine id  {}\n", machine.hash());
  fmt::print("toolchain   {}\n", toolchain_id());
  fmt::print("database    {}\n", database_state(default_database_path()));
  fmt::print("cache       {}\n", default_cache_path().string());
  if (!flags.measure) return kOk;
  const Calibration best = measure(target, threads);
  fmt::print("measured    {:.0f} GFLOP/s f32, {:.1f} GB/s from memory, {:.1f} GB/s from L2 ({} thread{})\n",
             best.flops / 1e9, best.bandwidth / 1e9, best.cached_bandwidth / 1e9, threads, threads == 1 ? "" : "s");
  return kOk;
}

}  // namespace

std::function<int()> add_doctor(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("doctor", "What this machine is, what is installed, what it measures");
  verb->footer("Example: opencompiler doctor");
  auto flags = std::make_shared<Flags>();
  verb->add_flag("--measure,!--no-measure", flags->measure, "Measure peak arithmetic and bandwidth (about a second)");
  verb->add_option("--target", flags->target, "Measure with the instructions of this target")->capture_default_str();
  verb->add_option("--threads", flags->threads,
                   "Measure on so many threads at once, at most as many as there are cores")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_flag("--json", flags->json, "Print it as JSON");
  return [flags] { return run_doctor(*flags); };
}

}  // namespace oc::cli
