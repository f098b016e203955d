#include "tests/schedules/kernels.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/process.h"
#include "opencompiler/dsl.h"
#include "schedules/apply.h"

namespace oc::test {

std::vector<Kernel> kernels(int64_t n, const Target& target) {
  const int lanes = target.lanes(4);
  const std::string blocked = fmt::format("aBcd{}b", lanes), bias = fmt::format("A{}a", lanes);
  // {0}: n, {1}: the blocked layout of activations, {2}: that of a bias, {3}: 2n, {4}: n + 2, {5}: two blocks.
  const char* const texts[] = {
      // elementwise
      "%0: f32[{0},{0}] = input %1: f32[{0}] = weight %2: f32[{0},{0}] = add(%0, %1) "
      "%3: f32[{0},{0}] = sigmoid(%2) return %3",
      "%0: f32[1,{0},3,5] {1} = input %1: f32[1,{0},3,5] {1} = relu(%0) return %1",
      // reduction
      "%0: f32[{0},{4}] = input %1: f32[{0},{4}] = softmax(%0) {{axis=1}} return %1",
      "%0: f32[{0},{4}] = input %1: f32[1,{4}] = reduce_sum(%0) {{axes=[0]}} return %1",
      "%0: f32[1,{0},4,3] {1} = input %1: f32[1,{0},1,1] {1} = reduce_mean(%0) {{axes=[2,3]}} return %1",
      // contraction
      "%0: f32[{0},{4}] = input %1: f32[{4},{0}] = weight %2: f32[{0},{0}] = matmul(%0, %1) "
      "%3: f32[{0}] = weight %4: f32[{0},{0}] = add(%2, %3) return %4",
      "%0: f32[2,{0},{4}] = input %1: f32[2,{4},{0}] = input %2: f32[2,{0},{0}] = matmul(%0, %1) return %2",
      "%0: f32[1,{3}] = input %1: f32[{3},1] = input %2: f32[1,1] = matmul(%0, %1) return %2",
      // window
      "%0: f32[1,{0},{0},{0}] {1} = input %1: f32[{3},{0},3,3] = weight %2: f32[{3}] {2} = weight "
      "%3: f32[1,{3},{0},{0}] {1} = conv(%0, %1, %2) {{dilations=[1,1], group=1, pads=[1,1,1,1], strides=[1,1]}} "
      "%4: f32[1,{3},{0},{0}] {1} = relu(%3) return %4",
      "%0: f32[1,3,{0},{0}] = input %1: f32[{0},3,1,1] = weight "
      "%2: f32[1,{0},{0},{0}] = conv(%0, %1) {{dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}} return %2",
      "%0: f32[2,{5},1,{0}] {1} = input %1: f32[{3},{5},1,1] = weight "
      "%2: f32[2,{3},1,{0}] {1} = conv(%0, %1) {{dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]}} return %2",
      "%0: f32[1,{0},9,{0}] {1} = input %1: f32[{0},1,3,3] = weight "
      "%2: f32[1,{0},9,{0}] {1} = conv(%0, %1) {{dilations=[1,1], group={0}, pads=[1,1,1,1], strides=[1,1]}} "
      "return %2",
      "%0: f32[1,3,{0},{0}] = input %1: f32[3,{0},2,2] = weight %2: f32[1,{0},{3},{3}] {1} = conv_transpose(%0, %1) "
      "{{dilations=[1,1], group=1, output_padding=[0,0], pads=[0,0,0,0], strides=[2,2]}} return %2",
      "%0: f32[1,{0},{0},{0}] {1} = input %1: f32[1,{0},{0},{0}] {1} = max_pool(%0) "
      "{{dilations=[1,1], kernel=[3,3], pads=[1,1,1,1], strides=[1,1]}} return %1",
      // attention
      "%0: f32[2,{0},3,{0}] = input %1: f32[2,{4},3,{0}] = input %2: f32[2,{4},3,{4}] = input %3: f32[{0},{4}] = input "
      "%4: f32[2,{0},3,{4}] = attention(%0, %1, %2, %3) {{k_perm=[0,2,1,3], out_perm=[0,2,1,3], q_perm=[0,2,1,3], "
      "scale=0.125, v_perm=[0,2,1,3]}} return %4",
      // movement
      "%0: f32[{0},{4}] = input %1: f32[{4},{0}] = transpose(%0) {{perm=[1,0]}} return %1",
      "%0: f32[1,{0},4,8] = input %1: f32[1,{0},4,8] {1} = relayout(%0) {{to=\"{1}\"}} return %1",
      "%0: f32[1,{0},4,8] {1} = input %1: f32[1,{0},4,8] = relayout(%0) {{to=\"abcd\"}} return %1",
      "%0: f32[3,{0}] = input %1: f32[3,{4}] = pad(%0) {{mode=\"constant\", pads=[0,1,0,1], value=0.0}} return %1",
  };
  std::vector<Kernel> result;
  for (const char* text : texts)
    result.push_back(
        analyse({"graph { " + fmt::format(fmt::runtime(text), n, blocked, bias, 2 * n, n + 2, 2 * lanes) + " }"},
                builtin_ops()));
  return result;
}

std::string lowered_text(const Kernel& kernel, const Target& target, const Schedule& schedule) {
  const ChildResult lowered = run_in_child([&] {
    Lowered result = apply_schedule(kernel, builtin_ops(), target, schedule);
    const std::vector<Halide::Argument> arguments(result.inputs.begin(), result.inputs.end());
    const TempDir folder;
    const std::filesystem::path file = folder.path() / "kernel.stmt";
    result.output.compile_to_lowered_stmt(
        file.string(), arguments, Halide::Text,
        Halide::Target(target.name() + "-no_runtime-no_asserts-no_bounds_query-user_context"));
    return read_file(file);
  });
  EXPECT_EQ(lowered.status, ChildStatus::ok) << lowered.result;
  return lowered.result;
}

}  // namespace oc::test
