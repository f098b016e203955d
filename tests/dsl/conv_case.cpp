#include "tests/dsl/conv_case.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

#include "schedules/apply.h"
#include "schedules/families/products.h"

namespace oc::test {

ConvCase conv_case(const ConvShape& shape, int64_t block, int64_t group) {
  OpCase c;
  const char* op = shape.transposed ? "conv_transpose" : "conv";
  const std::string tag = fmt::format("aBcd{}b", block);
  c.inputs = {{.shape = shape.x, .layout = tag},
              {.shape = shape.w, .weight = true},
              {.shape = {shape.w[shape.transposed ? 1 : 0]}, .weight = true, .layout = fmt::format("A{}a", block)}};
  c.attrs = {{"strides", shape.strides}, {"pads", shape.pads}, {"dilations", shape.dilations}, {"group", group}};
  c.out_layout = tag;
  return {c, analyse(case_workload(op_info(builtin_ops(), op), c), builtin_ops())};
}

std::vector<Schedule> product_schedules(const Kernel& kernel, const Target& target, int64_t form, int turn) {
  std::vector<Schedule> result;
  for (const int threads : {1, 2}) result.push_back(product_fallback(kernel, target, threads, form));
  for (const auto& [band, tile, tasks] :
       {std::array<int64_t, 3>{1, 3, 1}, {1, 1, 3}, {2, 7, 1}, {2, 3, 3}, {3, 7, 3}}) {
    Schedule s = result.front();
    s.values["band.y"] = band;
    s.values["tile.x"] = tile;
    s.values["tile.c"] = 1 + band % 2;
    if (s["tile.c"] > 1) s.values["prefetch.w"] = 0;
    s.values["pad.at"] = band == 1 ? kPadRoot : kPadBand;
    s.values["order.inner"] = band == 2 ? kInnerX : kInnerC;
    s.values["unroll.ci"] = tile;
    s.values["parallel.axis"] = tasks > 1 && tile == 3 ? kParallelC : kParallelY;
    s.values["parallel.tasks"] = tasks;
    if (s["parallel.axis"] == kParallelC) s.values["pad.at"] = kPadRoot;
    if (why_illegal(kernel, target, s).empty() && turn++ % 3 == 0) result.push_back(s);
  }
  return result;
}

Tensor run_schedule(const Kernel& kernel, const Target& target, const Schedule& s, const std::vector<Tensor>& inputs) {
  try {
    Lowered lowered = apply_schedule(kernel, builtin_ops(), target, s);
    return run(lowered, kernel, inputs, weight_packings(kernel, target, s), target);
  } catch (const Halide::Error& error) {
    ADD_FAILURE() << error.what();
    return {};
  }
}

}  // namespace oc::test
