#include "compiler/anchor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "opencompiler/dsl.h"

namespace oc {
namespace {

std::string which_are_one(const Extents& extents) {
  std::string result;
  for (const int64_t extent : extents) result += extent == 1 ? '1' : '#';
  return result;
}

std::string_view origin(const Value& value) {
  if (value.kind == ValueKind::constant) return value.data ? "number" : "weight";
  return value.kind == ValueKind::input ? "input" : "made";
}

std::string describe(const Type& type) {
  return fmt::format("{}[{}]{}", dtype_name(type.dtype), which_are_one(type.extents()),
                     layout_tag(type.layout, type.shape.size()));
}

int64_t channels_of(const Kernel& kernel) {
  const auto found = std::ranges::find(kernel.axes, Role::channel, &Axis::role);
  return found == kernel.axes.end() ? 1 : found->extent;
}

std::string describe(const Attrs& attrs, int64_t channels) {
  std::string result;
  for (const auto& [name, value] : attrs) {
    if (const auto* number = std::get_if<int64_t>(&value))
      result += *number == channels && channels > 1 ? name + "=channels " : fmt::format("{}={} ", name, *number);
    if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value))
      result += fmt::format("{}={} ", name, fmt::join(*numbers, ","));
    if (const auto* word = std::get_if<std::string>(&value)) result += fmt::format("{}={} ", name, *word);
  }
  return result;
}

// "f32[1,64,1,49]" → "f#[1,#,1,#]"
std::string outline(std::string_view text) {
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  std::string result;
  while (!text.empty()) {
    const auto digits = static_cast<size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    if (digits > 0) result += text.substr(0, digits) == "1" ? '1' : '#';
    if (digits == 0) result += text.front();
    text.remove_prefix(std::max<size_t>(digits, 1));
  }
  return result;
}

}  // namespace

std::optional<Anchor> anchor_of(const Kernel& kernel, const OpTable& ops) {
  const Node& node = kernel.anchor_node();
  if (op_info(ops, node.op).kind == OpKind::elementwise) return std::nullopt;
  Anchor anchor;
  anchor.kind = fmt::format("{} {}", node.op, describe(node.attrs, channels_of(kernel)));
  for (const Axis& axis : kernel.axes) {
    anchor.extents.push_back(axis.extent);
    const std::string extent = axis.role == Role::window ? std::to_string(axis.extent) : which_are_one({axis.extent});
    anchor.kind += fmt::format("{}:{} ", axis.name, extent);
  }
  for (const ValueId operand : node.inputs) {
    if (!operand.valid()) {
      anchor.kind += "absent ";
      continue;
    }
    anchor.kind += fmt::format("{} {} ", origin(kernel.graph[operand]), describe(kernel.graph[operand].type));
    anchor.tensors.push_back(kernel.graph[operand].type.extents());
  }
  const Type& result = kernel.graph[node.outputs[0]].type;
  anchor.kind += fmt::format("-> {} -> {}", describe(result), describe(kernel.output()));
  anchor.tensors.push_back(result.extents());
  return anchor;
}

int64_t distance(const Anchor& a, const Anchor& b) {
  double sum = 0;
  for (size_t i = 0; i < a.extents.size(); ++i)
    sum += std::abs(std::log2(static_cast<double>(a.extents[i])) - std::log2(static_cast<double>(b.extents.at(i))));
  return std::lround(1000 * sum);
}

std::vector<std::string> node_outlines(std::string_view workload) {
  std::vector<std::string> result;
  while (!workload.empty()) {
    const std::string_view line = workload.substr(0, workload.find('\n'));
    workload.remove_prefix(std::min(line.size() + 1, workload.size()));
    const size_t type = line.find(": "), equals = line.find(" = "), call = line.find('(', equals);
    const size_t last = std::string_view::npos;
    if (type == last || equals == last || call == last || equals < type + 2) continue;
    const std::string_view op = line.substr(equals + 3, call - equals - 3);
    result.push_back(fmt::format("{} {}", outline(line.substr(type + 2, equals - type - 2)), op));
  }
  return result;
}

}  // namespace oc
