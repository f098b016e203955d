// Kernels whose build fails: who is told, and what is built instead.
#include "compiler/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "opencompiler/dsl.h"
#include "tuning_db/machine.h"

namespace oc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// An ONNX file: y = relu(x), x: float[4096].
std::string relu_model() {
  const auto field = [](int number, const std::string& bytes) {
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
  };
  const auto varint = [](int number, char value) { return std::string(1, static_cast<char>(number << 3)) + value; };
  const std::string dim = field(1, std::string("\x08\x80\x20", 3));
  const std::string type = field(1, varint(1, 1) + field(2, dim));
  const auto value = [&](const char* name) { return field(1, name) + field(2, type); };
  const std::string node = field(1, "x") + field(2, "y") + field(4, "Relu");
  const std::string graph = field(1, node) + field(2, "g") + field(11, value("x")) + field(12, value("y"));
  return varint(1, 8) + field(7, graph) + field(8, varint(2, 17));
}

// `failing_builds` definitions of relu fail, counted over processes by files in a folder; the next ones work.
fs::path failures_folder;
int failing_builds = 0;

struct Compile : testing::Test {
  TempDir folder;
  OpInfo relu = op_info(builtin_ops(), "relu");
  OpTable ops = builtin_ops();
  CompileOptions options;
  fs::path model = folder.path() / "m.onnx";

  void SetUp() override {
    write_file_atomic(model, relu_model());
    options.target = parse_target("x86-64-avx2");
    options.cache = folder.path() / "cache";
    options.layers.user = folder.path() / "tuning.db";
    options.layers.user_is_default = true;
    failures_folder = folder.path() / "failures";
    fs::create_directories(failures_folder);
    relu.define = [original = relu.define](OpCall& call) {
      const auto so_far = std::distance(fs::directory_iterator(failures_folder), {});
      if (so_far < failing_builds) {
        write_file_atomic(failures_folder / std::to_string(so_far), "");
        user_error("this was not to be");
      }
      return original(call);
    };
    ops["relu"] = &relu;
  }

  [[nodiscard]] CompileResult plan() {
    failing_builds = 0;
    return plan_compile(model, ops, options);
  }
  [[nodiscard]] CompileResult compile(int failures) {
    failing_builds = failures;
    return compile_model(model, ops, options, folder.path() / "out", {Emit::shared_library, Emit::lock});
  }
  std::string error_of(int failures) {
    try {
      (void)compile(failures);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
  void record(const CompileResult& planned) {
    Database database = Database::open(*options.layers.user, OpenMode::create);
    const Kernel& kernel = planned.model.kernels.at(0);
    database.add_workload({kernel.workload.text, std::string(family_name(kernel.family))});
    database.add_machine(describe(host_machine()));
    database.add_build({"tools", "0", "space"});
    database.add_trial({.workload = kernel.workload.text,
                        .schedule = print_schedule(planned.picks.at(0).schedule),
                        .machine = host_machine().hash(),
                        .features = options.target.name(),
                        .threads = 1,
                        .build = row_id(BuildRow{"tools", "0", "space"}),
                        .samples_ns = {100},
                        .unix_ms = 1'700'000'000'000});
  }
};

TEST_F(Compile, AForcedScheduleThatCannotBeBuiltIsTheUsersMistake) {
  const CompileResult planned = plan();
  const std::string hash = planned.model.kernels.at(0).workload.hash();
  options.forced[hash] = {print_schedule(planned.picks.at(0).schedule), "mine.txt"};
  const std::string error = error_of(1);
  EXPECT_THAT(error, HasSubstr("mine.txt"));
  EXPECT_THAT(error, HasSubstr(hash));
  EXPECT_THAT(error, HasSubstr("this was not to be"));
  EXPECT_FALSE(fs::exists(folder.path() / "out" / "libm.so"));
}

TEST_F(Compile, ALockedScheduleThatCannotBeBuiltNamesTheLock) {
  const fs::path lock = folder.path() / "m.lock";
  write_file_atomic(lock, print_lock(plan().lock));
  options.lock = lock;
  EXPECT_THAT(error_of(1), HasSubstr("m.lock"));
}

TEST_F(Compile, ADatabasesScheduleThatCannotBeBuiltGivesWayWithOneWarning) {
  record(plan());
  ASSERT_EQ(plan().picks.at(0).rung, "exact");
  const CompileResult result = compile(1);
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("this was not to be")));
  EXPECT_EQ(result.picks.at(0).rung, "default");
  EXPECT_EQ(result.lock.entries.at(0).rung, "default");
  EXPECT_THAT(read_file(folder.path() / "out" / "m.lock"), HasSubstr("\"rung\": \"default\""));
  EXPECT_TRUE(fs::exists(folder.path() / "out" / "libm.so"));
}

TEST_F(Compile, ADefaultScheduleThatCannotBeBuiltIsADefect) {
  EXPECT_THROW((void)compile(1), InternalError);
}

}  // namespace
}  // namespace oc
