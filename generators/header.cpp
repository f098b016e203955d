#include "generators/header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace oc {
namespace {

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// Safe inside a C comment.
std::string comment(std::string text) {
  for (size_t at = 0; (at = text.find("*/", at)) != std::string::npos;) text.replace(at, 2, "* /");
  std::ranges::replace_if(text, [](unsigned char c) { return c < 32 || c == '\\'; }, ' ');
  return text;
}

std::string describe(const TensorInterface& tensor, const char* what, const std::vector<std::string>& dims,
                     const char* more) {
  return fmt::format(" *   {} {}: {} [{}]{} (\"{}\")\n", what, tensor.c_name, dtype_name(tensor.dtype),
                     fmt::join(dims, ", "), more, comment(tensor.name));
}

std::vector<std::string> dims_of(const TensorInterface& tensor) {
  std::vector<std::string> dims;
  for (const int64_t extent : tensor.shape) dims.push_back(std::to_string(extent));
  return dims;
}

// "1, 2, … 8", or all where they are few.
std::string values(const AxisInterface& axis) {
  std::string list = std::to_string(axis.low);
  for (int64_t value = axis.low + axis.step; value <= std::min(axis.high, axis.low + 2 * axis.step); value += axis.step)
    list += fmt::format(", {}", value);
  return axis.high > axis.low + 2 * axis.step ? fmt::format("{}, … {}", list, axis.high) : list;
}

std::string describe(const Interface& interface) {
  std::string text;
  for (size_t i = 0; i < interface.inputs.size(); ++i) {
    std::vector<std::string> dims = dims_of(interface.inputs[i]);
    for (const AxisInterface& axis : interface.axes)
      for (const auto& [input, dim] : axis.places)
        if (input == i) dims[dim] = axis.c_name;
    text += describe(interface.inputs[i], "in", dims, "");
  }
  const char* at_most = interface.axes.empty() ? "" : " with the largest extents";
  for (const TensorInterface& output : interface.outputs) text += describe(output, "out", dims_of(output), at_most);
  for (const AxisInterface& axis : interface.axes) {
    text += fmt::format(" *   {}: {}\n", axis.c_name, values(axis));
  }
  return text;
}

std::string counts(const Interface& interface) {
  std::string text;
  const std::string prefix = upper(interface.name);
  for (const auto* list : {&interface.inputs, &interface.outputs})
    for (const TensorInterface& t : *list)
      text += fmt::format("#define {}_{}_ELEMENTS {}\n", prefix, upper(t.c_name), t.most_elements);
  return text;
}

std::string tensor_parameters(const Interface& interface) {
  std::string text;
  for (const TensorInterface& t : interface.inputs) text += fmt::format(", const {}* {}", c_type(t.dtype), t.c_name);
  for (const TensorInterface& t : interface.outputs) text += fmt::format(", {}* {}", c_type(t.dtype), t.c_name);
  return text;
}

// An array of at least one element: C has no empty ones.
std::string addresses(const std::vector<TensorInterface>& tensors, const char* type, const char* name) {
  std::string list;
  for (const TensorInterface& t : tensors) list += (list.empty() ? "" : ", ") + t.c_name;
  return fmt::format("  {} {}[] = {{{}}};\n", type, name, list.empty() ? "0" : list);
}

std::string metadata(const Interface& interface) {
  std::string text;
  for (const MetadataInterface& entry : interface.metadata)
    if (!entry.lines.empty())
      text += fmt::format(
          "/* The model's metadata \"{0}\", line by line. */\n#define {1}_METADATA_{2}_COUNT {3}\nextern const char* "
          "const {4}_metadata_{5}[{3}];\n",
          comment(entry.key), upper(interface.name), upper(entry.c_name), entry.lines.size(), interface.name,
          entry.c_name);
  return text;
}

constexpr std::string_view kExtents = R"(
/* The extents of the runs from now on; an instance begins with the largest. An error, and no change, for those that are
 * not listed above. Tensors of {UPPER}_…_ELEMENTS are large enough for any. */
int {name}_set_extents_array({name}* instance, const int64_t* extents);
static inline int {name}_set_extents({name}* instance{parameters}) {{
  const int64_t extents[] = {{{names}}};
  return {name}_set_extents_array(instance, extents);
}}
/* With the extents chosen, in the order above. */
const int64_t* {name}_output_shape(const {name}* instance, size_t output);
)";

// Nothing for a library for one shape of each input.
std::string extents(const Interface& interface) {
  if (interface.axes.empty()) return "";
  std::string parameters, names;
  for (const AxisInterface& axis : interface.axes) {
    parameters += ", int64_t " + axis.c_name;
    names += (names.empty() ? "" : ", ") + axis.c_name;
  }
  return fmt::format(fmt::runtime(kExtents), fmt::arg("UPPER", upper(interface.name)), fmt::arg("name", interface.name),
                     fmt::arg("parameters", parameters), fmt::arg("names", names));
}

constexpr std::string_view kTemplate = R"(/* Generated by opencompiler. Link with the library, -lm and -lpthread.
 *
 * Tensors are dense and row-major:
{describe} */
#ifndef OPENCOMPILER_{UPPER}_H
#define OPENCOMPILER_{UPPER}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{counts}#define {UPPER}_ARENA_BYTES {arena}u

/* Memory and threads of one caller. An instance runs in one thread at a time; any number may exist. */
typedef struct {name} {name};

typedef struct {name}_options {{
  size_t size;        /* sizeof({name}_options) */
  int num_threads;    /* 0: OPENCOMPILER_NUM_THREADS, OMP_NUM_THREADS, else what the process may use */
  void* arena;        /* 0: allocated; else {UPPER}_ARENA_BYTES bytes, 64-byte aligned, that outlive the instance */
  size_t arena_bytes;
}} {name}_options;

/* All functions that return int return 0 on success, else a code for {name}_error_string. `options` may be 0. Fails
 * with a code, and runs nothing, on a processor without the instructions the library was compiled for. */
int {name}_create({name}** instance, const {name}_options* options);
int {name}_destroy({name}* instance);
const char* {name}_error_string(int status);
const char* {name}_last_error(const {name}* instance);
int {name}_num_threads(const {name}* instance);
{extents}
/* Tensors in the order above. Outputs must not overlap inputs or each other. */
int {name}_run_arrays({name}* instance, const void* const* inputs, void* const* outputs);
int {name}_run_once_arrays(const void* const* inputs, void* const* outputs);

static inline int {name}_run({name}* instance{parameters}) {{
{in_array}{out_array}  return {name}_run_arrays(instance, inputs, outputs);
}}

/* Creates, runs, destroys.{once_extents} */
static inline int {name}_run_once({once_parameters}) {{
{in_array}{out_array}  return {name}_run_once_arrays(inputs, outputs);
}}

/* Makes every instance run its parallel loops through `parallel_for`, which calls task(task_context, i) for all i in
 * [0, count) on any threads and returns after the last. 0: the library's own threads. Call it while nothing runs. */
typedef int (*{name}_task)(void* task_context, int index);
void {name}_set_parallel_for(void (*parallel_for)(void* context, {name}_task task, void* task_context, int count), void* context);

{metadata}
#ifdef __cplusplus
}}
#endif

#endif
)";

}  // namespace

std::string make_header(const Interface& interface, int64_t arena_bytes) {
  using fmt::arg;
  const std::string parameters = tensor_parameters(interface);
  return fmt::format(fmt::runtime(kTemplate), arg("describe", describe(interface)), arg("extents", extents(interface)),
                     arg("once_extents", interface.axes.empty() ? "" : " With the largest extents."),
                     arg("UPPER", upper(interface.name)), arg("name", interface.name), arg("counts", counts(interface)),
                     arg("arena", arena_bytes), arg("parameters", parameters),
                     arg("once_parameters", parameters.empty() ? "void" : parameters.substr(2)),
                     arg("in_array", addresses(interface.inputs, "const void*", "inputs")),
                     arg("out_array", addresses(interface.outputs, "void*", "outputs")),
                     arg("metadata", metadata(interface)));
}

}  // namespace oc
