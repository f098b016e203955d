#include "tests/dsl/run_kernel.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <random>

#include "base/error.h"
#include "dsl/ops/host_scalar.h"
#include "graph/text.h"
#include "tests/dsl/reference.h"

namespace oc::test {

Workload case_workload(const OpInfo& op, const OpCase& c) {
  Graph graph;
  std::vector<ValueId> inputs;
  for (const OpCase::In& in : c.inputs) {
    const Type type = make_type(in.dtype, in.shape, parse_layout(in.layout, in.shape.size()));
    inputs.push_back(in.weight ? graph.add_weight(type) : graph.add_input("", type));
  }
  Node node{.op = op.name, .inputs = inputs, .outputs = {}, .attrs = c.attrs, .name = {}};
  Type out = op.infer(view(graph, node)).at(0);
  out.layout = parse_layout(c.out_layout, out.shape.size());
  graph.outputs = {graph.add_node(op.name, inputs, c.attrs, out)};
  return {print_graph(graph, {.names = false, .weights = true})};
}

std::vector<Tensor> case_inputs(const OpCase& c, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Tensor> result;
  for (const OpCase::In& in : c.inputs) {
    Tensor t = make_tensor(in.dtype, in.shape);
    std::uniform_real_distribution<double> real(in.low, in.high);
    std::uniform_int_distribution<int64_t> integer(static_cast<int64_t>(in.low), static_cast<int64_t>(in.high));
    for (int64_t i = 0; i < element_count(in.shape); ++i)
      store_scalar(t, i, dtype_is_float(in.dtype) ? Scalar{true, 0, real(random)} : Scalar{false, integer(random), 0});
    result.push_back(relayout(t, parse_layout(in.layout, in.shape.size())));
  }
  return result;
}

namespace {

// A tensor's bytes between two pages that nobody may touch, next to one of them: what a kernel reads or writes beyond
// that end shows.
class Guarded {
 public:
  Guarded(const Tensor& t, Edge edge) : tensor_(t) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t pages = (t.bytes.size() + page - 1) / page;
    size_ = (pages + 2) * page;
    mapped_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) internal_error("mmap of {} bytes", size_);
    std::byte* begin = static_cast<std::byte*>(mapped_) + page;
    std::byte* end = begin + pages * page;
    if (::mprotect(mapped_, page, PROT_NONE) != 0 || ::mprotect(end, page, PROT_NONE) != 0) internal_error("mprotect");
    bytes_ = edge == Edge::end ? end - t.bytes.size() : begin;
    std::ranges::copy(t.bytes, bytes_);
  }
  ~Guarded() { ::munmap(mapped_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  [[nodiscard]] Halide::Buffer<> buffer(const Halide::Type& type) const {
    const Extents physical = physical_extents(tensor_.layout, tensor_.shape);
    return Halide::Buffer<>(type, bytes_, std::vector<int>(physical.rbegin(), physical.rend()));
  }
  [[nodiscard]] Tensor tensor() const {
    Tensor t = tensor_;
    std::copy_n(bytes_, t.bytes.size(), t.bytes.begin());
    return t;
  }

 private:
  const Tensor& tensor_;
  void* mapped_ = nullptr;
  size_t size_ = 0;
  std::byte* bytes_ = nullptr;
};

}  // namespace

Tensor run(Lowered& lowered, const Kernel& kernel, const std::vector<Tensor>& inputs, const Packings& packings,
           const Target& target, Edge edge) {
  const std::vector<Tensor> packed = pack_tensors(inputs, packings);
  std::deque<Guarded> buffers;
  for (size_t i = 0; i < packed.size(); ++i)
    lowered.inputs[i].set(buffers.emplace_back(packed[i], edge).buffer(lowered.inputs[i].type()));
  Tensor out = make_tensor(kernel.output().dtype, kernel.output().extents(), kernel.output().layout);
  std::ranges::fill(out.bytes, std::byte{0x7f});  // what a kernel forgets to write shows
  const Guarded result(out, edge);
  Halide::Buffer<> buffer = result.buffer(lowered.output.type());
  // Of sizes that vary Halide's checks know less than is true: what they find is none.
  lowered.output.realize(buffer, Halide::Target(target.name() + (lowered.varies ? "-no_asserts-no_bounds_query" : "")));
  return result.tensor();
}

Tensor reference(const OpInfo& op, const Kernel& kernel, const std::vector<Tensor>& inputs) {
  const Node& node = kernel.anchor_node();
  std::vector<Tensor> plain;
  for (const Tensor& t : inputs) plain.push_back(relayout(t, {}));
  std::vector<Type> types;
  for (const Tensor& t : plain) types.push_back(make_type(t.dtype, t.shape));
  NodeView seen{node, {}, {}};
  for (size_t i = 0; i < plain.size(); ++i) {
    seen.inputs.push_back(&types[i]);
    seen.constants.push_back(&plain[i]);
  }
  Tensor out = op.evaluate ? op.evaluate(seen).at(0) : naive(node, plain, kernel.output());
  return relayout(out, kernel.output().layout);
}

}  // namespace oc::test
