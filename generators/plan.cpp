#include "generators/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/error.h"
#include "generators/alias.h"
#include "generators/branches.h"

namespace oc {
namespace {

struct Spot {
  ValueId root;
  int64_t offset = 0;
};

struct CopyPart {
  ValueId from;
  ValueId root;  // the concat that holds the destination
  int64_t offset = 0, bytes = 0;
};

// Works out where every value stands, in the order of the methods. Times are indices of groups; copies to graph outputs
// come after all of them.
class Planner {
 public:
  Planner(const Graph& graph, const Partition& partition, std::span<const GroupBinding> bindings,
          const WeightSpots& weights)
      : graph_(graph), partition_(partition), bindings_(bindings), weights_(weights) {
    for (size_t v = 0; v < graph.values.size(); ++v) parent_.push_back({ValueId(v), 0});
    elided_.resize(partition.groups.size());
    parts_.resize(partition.groups.size());
  }

  // Groups whose outputs stand in other values; the first step of `run`, and all that needs no bindings.
  const std::vector<bool>& find_aliases() {
    alias_nodes();
    place_concats();
    place_selects();
    return elided_;
  }

  Plan run() {
    find_aliases();
    find_lifetimes();
    reuse_inputs();
    place_outputs();
    place_arena();
    emit();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] Spot find(ValueId value) const {
    Spot spot{value, 0};
    while (parent_[spot.root.index].root != spot.root) {
      const Spot& up = parent_[spot.root.index];
      spot = {up.root, spot.offset + up.offset};
    }
    return spot;
  }
  [[nodiscard]] int64_t bytes(ValueId value) const { return graph_[value].type.bytes(); }
  [[nodiscard]] bool is_computed(ValueId value) const { return graph_[value].kind == ValueKind::node; }
  [[nodiscard]] bool is_output(ValueId root) const {
    return std::ranges::any_of(graph_.outputs, [&](ValueId o) { return find(o).root == root; });
  }
  [[nodiscard]] int end_time() const { return static_cast<int>(partition_.groups.size()); }

  // Reshapes, and single-node groups that move nothing. Slices of constants keep their kernel: packing knows whole
  // constants only.
  void alias_nodes() {
    std::vector<int> group_of(graph_.nodes.size(), -1);
    std::vector<bool> is_view(graph_.nodes.size());
    for (size_t g = 0; g < partition_.groups.size(); ++g)
      if (partition_.groups[g].nodes.size() == 1) group_of[partition_.groups[g].nodes[0].index] = static_cast<int>(g);
    for (NodeId view : partition_.views) is_view[view.index] = true;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (!is_view[n] && group_of[n] < 0) continue;
      std::optional<int64_t> offset;
      if (is_view[n]) {
        offset = 0;
      } else if (graph_[find(node.inputs[0]).root].kind != ValueKind::constant) {
        offset = contiguous_slice(graph_, node);
        if (!offset && moves_nothing(graph_, node)) offset = 0;
      }
      if (!offset) continue;
      parent_[node.outputs[0].index] = {node.inputs[0], *offset};
      if (group_of[n] >= 0) elided_[group_of[n]] = true;
    }
  }

  // Can the producer of `value` write it elsewhere? It must own all of its buffer, and nothing may pin that.
  [[nodiscard]] bool movable(ValueId value, ValueId into) const {
    const Spot spot = find(value);
    return is_computed(spot.root) && spot.root != into && spot.offset == 0 && bytes(spot.root) == bytes(value) &&
           !is_output(spot.root);
  }

  void place_concats() {
    for (size_t g = 0; g < partition_.groups.size(); ++g) {
      const Group& group = partition_.groups[g];
      if (elided_[g] || group.nodes.size() != 1) continue;
      const Node& node = graph_[group.nodes[0]];
      const auto offsets = contiguous_concat(graph_, node);
      const ValueId whole = group.output;
      const auto fits = [&](ValueId part) { return movable(part, whole); };
      const auto constant = [&](ValueId part) { return graph_[find(part).root].kind == ValueKind::constant; };
      if (!offsets || std::ranges::none_of(node.inputs, fits) || std::ranges::any_of(node.inputs, constant)) continue;
      elided_[g] = true;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId part = node.inputs[i];
        if (fits(part)) {
          parent_[find(part).root.index] = {whole, (*offsets)[i]};
        } else {
          parts_[g].push_back({part, whole, (*offsets)[i], bytes(part)});
        }
      }
    }
  }

  // Does every group that writes to the buffer of `root` run under `guards` only?
  [[nodiscard]] bool written_under(ValueId root, const Guards& guards) const {
    for (size_t g = 0; g < guards_.size(); ++g) {
      if (find(partition_.groups[g].output).root != root) continue;
      if (guards_[g].size() < guards.size() || !std::equal(guards.begin(), guards.end(), guards_[g].begin()))
        return false;
    }
    return true;
  }

  // Both sides of a select are made in its place where nothing else holds them: only one of them runs.
  void place_selects() {
    for (size_t g = 0; g < partition_.groups.size(); ++g) {
      const Group& group = partition_.groups[g];
      const Node& node = graph_[group.nodes[0]];
      if (group.nodes.size() != 1 || node.op != "select" || graph_[node.inputs[0]].kind == ValueKind::constant)
        continue;
      std::vector<ValueId> roots;
      bool fits = true;
      for (size_t side = 1; side < node.inputs.size() && fits; ++side) {
        const ValueId value = node.inputs[side];
        if (!value.valid()) continue;
        roots.push_back(find(value).root);
        fits = movable(value, group.output) && written_under(roots.back(), side_guards(graph_, node, side, guards_[g]));
      }
      if (!fits) continue;
      elided_[g] = true;
      for (ValueId root : roots) parent_[root.index] = {group.output, 0};
    }
  }

  void find_lifetimes() {
    first_.assign(graph_.values.size(), INT32_MAX);
    last_.assign(graph_.values.size(), -1);
    const auto touch = [&](ValueId value, int time) {
      const uint32_t root = find(value).root.index;
      first_[root] = std::min(first_[root], time);
      last_[root] = std::max(last_[root], time);
    };
    for (size_t g = 0; g < partition_.groups.size(); ++g) {
      const int time = static_cast<int>(g);
      for (const Guard& guard : guards_[g]) touch(guard.condition, time);
      if (const Node* node = partial_select(g)) touch(node->inputs[0], time);
      for (const CopyPart& part : parts_[g]) {
        touch(part.from, time);
        touch(part.root, time);
      }
      if (elided_[g]) continue;
      touch(partition_.groups[g].output, time);
      for (ValueId input : bindings_[g].inputs) touch(input, time);
    }
    for (ValueId output : graph_.outputs) touch(output, end_time());
  }

  // May the output of group g stand in the memory of `input`?
  [[nodiscard]] bool reusable(size_t g, ValueId input) const {
    const ValueId output = partition_.groups[g].output;
    const ValueId root = find(input).root;
    if (!movable(input, output) || graph_[input].type != graph_[output].type) return false;
    if (last_[root.index] != static_cast<int>(g)) return false;
    return std::ranges::all_of(bindings_[g].inputs, [&](ValueId other) {
      const Spot spot = find(other);
      return spot.root != root || (spot.offset == 0 && graph_[other].type == graph_[output].type);
    });
  }

  void reuse_inputs() {
    for (size_t g = 0; g < partition_.groups.size(); ++g) {
      const ValueId output = partition_.groups[g].output;
      if (elided_[g] || !bindings_[g].in_place_ok || find(output).root != output) continue;
      for (ValueId input : bindings_[g].inputs) {
        if (!reusable(g, input)) continue;
        const ValueId root = find(input).root;
        parent_[output.index] = {root, 0};
        last_[root.index] = std::max(last_[root.index], last_[output.index]);
        break;
      }
    }
  }

  void place_outputs() {
    for (size_t o = 0; o < graph_.outputs.size(); ++o) {
      const ValueId value = graph_.outputs[o];
      if (!graph_[value].type.layout.plain()) internal_error("output '{}' is not in plain layout", graph_[value].name);
      const Spot spot = find(value);
      const bool whole = is_computed(spot.root) && spot.offset == 0 && bytes(spot.root) == bytes(value);
      if (whole && !output_of_.contains(spot.root)) {
        output_of_[spot.root] = static_cast<uint32_t>(o);
      } else if (bytes(value) > 0) {
        output_copies_.push_back(static_cast<uint32_t>(o));
      }
    }
  }

  void place_arena() {
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      const ValueId value(v);
      if (find(value).root != value || !is_computed(value) || last_[v] < 0 || output_of_.contains(value)) continue;
      buffer_of_[value] = plan_.buffers.size();
      plan_.buffers.push_back({0, bytes(value), first_[v], last_[v]});
    }
    plan_.arena_bytes = assign_offsets(plan_.buffers);
  }

  [[nodiscard]] Location at(ValueId root, int64_t offset, int64_t size) const {
    if (const auto output = output_of_.find(root); output != output_of_.end())
      return {Place::output, output->second, offset, size};
    if (graph_[root].kind == ValueKind::input) {
      const auto input = std::ranges::find(graph_.inputs, root);
      return {Place::input, static_cast<uint32_t>(input - graph_.inputs.begin()), offset, size};
    }
    return {Place::arena, 0, plan_.buffers[buffer_of_.at(root)].offset + offset, size};
  }
  static Location located(const WeightSpots::Spot& spot, int64_t size) { return {spot.place, 0, spot.offset, size}; }
  [[nodiscard]] Location locate(ValueId value) const {
    const Spot spot = find(value);
    return at(spot.root, spot.offset, bytes(value));
  }

  [[nodiscard]] bool may_choose_absent(const Node& select) const {
    const Tensor* known = graph_[select.inputs[0]].data.get();
    if (known == nullptr) return !select.inputs[1].valid() || !select.inputs[2].valid();
    return !select.inputs[known->bytes[0] != std::byte{0} ? 1 : 2].valid();
  }

  // The select of group g when it may choose a side that it lacks.
  [[nodiscard]] const Node* partial_select(size_t g) const {
    for (NodeId id : partition_.groups[g].nodes)
      if (graph_[id].op == "select" && may_choose_absent(graph_[id])) return &graph_[id];
    return nullptr;
  }

  void emit() {
    for (size_t g = 0; g < partition_.groups.size(); ++g) {
      const GroupBinding& binding = bindings_[g];
      const auto add = [&](Step step) { guarded_.push_back({std::move(step), guards_[g]}); };
      if (const Node* node = partial_select(g)) {
        const size_t absent = node->inputs[1].valid() ? 2 : 1;
        guarded_.push_back(
            {{.kind = Step::Kind::fail, .label = binding.label + " chose a branch that was not compiled"},
             side_guards(graph_, *node, absent, guards_[g])});
      }
      for (const CopyPart& part : parts_[g]) {
        const Spot to = find(part.root);
        add({.kind = Step::Kind::copy,
             .label = "copy into " + binding.label,
             .args = {locate(part.from), at(to.root, to.offset + part.offset, part.bytes)}});
      }
      if (elided_[g]) continue;
      Step step{.symbol = binding.symbol, .label = binding.label};
      for (size_t i = 0; i < binding.inputs.size(); ++i) {
        const WeightSpots::Spot& spot = weights_.groups[g][i];
        step.args.push_back(spot.offset >= 0 ? located(spot, 0) : locate(binding.inputs[i]));
      }
      step.args.push_back(locate(partition_.groups[g].output));
      for (size_t i = 0; i < binding.sizes.size(); ++i) step.args[i].sizes = binding.sizes[i];
      add(std::move(step));
    }
    for (uint32_t o : output_copies_) {
      const ValueId value = graph_.outputs[o];
      const auto constant = weights_.outputs.find(value);
      const Location from =
          constant != weights_.outputs.end() ? located(constant->second, bytes(value)) : locate(value);
      guarded_.push_back({{.kind = Step::Kind::copy,
                           .label = "copy to output " + graph_[value].name,
                           .args = {from, {Place::output, o, 0, bytes(value)}}},
                          {}});
    }
    add_steps(0, guarded_.size(), 0);
  }

  // Steps [first, last) of guarded_, whose first `depth` guards hold; neighbours under one guard share one skip.
  void add_steps(size_t first, size_t last, size_t depth) {
    while (first < last) {
      const Guards& guards = guarded_[first].guards;
      if (guards.size() == depth) {
        plan_.steps.push_back(std::move(guarded_[first++].step));
        continue;
      }
      const Guard guard = guards[depth];
      size_t end = first + 1;
      while (end < last && guarded_[end].guards.size() > depth && guarded_[end].guards[depth] == guard) ++end;
      const size_t skip = plan_.steps.size();
      plan_.steps.push_back({.kind = guard.when ? Step::Kind::skip_unless : Step::Kind::skip_if,
                             .label = fmt::format("branch on {}", graph_[guard.condition].name),
                             .args = {locate(guard.condition)}});
      add_steps(first, end, depth + 1);
      plan_.steps[skip].skipped = plan_.steps.size() - skip - 1;
      first = end;
    }
  }

  const Graph& graph_;
  const Partition& partition_;
  std::span<const GroupBinding> bindings_;
  const WeightSpots& weights_;
  std::vector<Spot>
      parent_;  // by value: where it stands relative to another value; itself if it has a buffer of its own
  std::vector<Guards> guards_ = find_guards(graph_, partition_);  // by group
  std::vector<bool> elided_;                                      // by group: no kernel runs
  std::vector<std::vector<CopyPart>> parts_;  // by group, an elided concat: inputs that could not be made in place
  std::vector<int> first_, last_;             // by root value
  std::map<ValueId, uint32_t> output_of_;     // roots that live in a graph output
  std::vector<uint32_t> output_copies_;
  std::map<ValueId, size_t> buffer_of_;
  struct GuardedStep {
    Step step;
    Guards guards;
  };
  std::vector<GuardedStep> guarded_;
  Plan plan_;
};

}  // namespace

int64_t assign_offsets(std::vector<Buffer>& buffers) {
  std::vector<size_t> by_size(buffers.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::ranges::stable_sort(by_size, [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  const auto rounded = [](int64_t n) { return (n + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment; };
  std::vector<const Buffer*> placed;  // by offset
  int64_t total = 0;
  for (size_t i : by_size) {
    Buffer& buffer = buffers[i];
    buffer.offset = 0;
    for (const Buffer* other : placed) {
      if (other->last < buffer.first || buffer.last < other->first) continue;
      if (other->offset >= buffer.offset + rounded(buffer.bytes)) break;
      buffer.offset = std::max(buffer.offset, other->offset + rounded(other->bytes));
    }
    const auto later = std::ranges::upper_bound(placed, buffer.offset, {}, &Buffer::offset);
    placed.insert(later, &buffer);
    total = std::max(total, buffer.offset + rounded(buffer.bytes));
  }
  return total;
}

std::vector<bool> groups_without_kernel(const Graph& graph, const Partition& partition) {
  const WeightSpots none;
  return Planner(graph, partition, {}, none).find_aliases();
}

Plan make_plan(const Graph& graph, const Partition& partition, std::span<const GroupBinding> bindings,
               const WeightSpots& weights) {
  if (bindings.size() != partition.groups.size() || weights.groups.size() != bindings.size())
    internal_error("a plan needs one binding and one row of weights for each of {} groups", partition.groups.size());
  return Planner(graph, partition, bindings, weights).run();
}

}  // namespace oc
