// RNN, GRU, LSTM: one product for the inputs of all steps, then the recurrence unrolled. Equal steps are equal kernels,
// so a long sequence costs plan entries, not code.
#include <algorithm>
#include <functional>

#include "base/error.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/quantize.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

constexpr int64_t kMaxSteps = 4096;  // of one direction

using Function = std::function<ValueId(ValueId)>;

Function activation(Call& n, const std::string& name) {
  for (const auto& [theirs, ours] : {std::pair("sigmoid", "sigmoid"), {"tanh", "tanh"}, {"relu", "relu"}})
    if (std::ranges::equal(name, std::string_view(theirs), {}, [](char c) { return std::tolower(c); }))
      return [&n, op = ours](ValueId x) { return n.emit(op, {x}); };
  user_error("activation '{}' is not supported; Sigmoid, Tanh and Relu are", name);
}

ValueId sum(Call& n, ValueId a, ValueId b) {
  return n.emit("add", {a, b});
}
ValueId times(Call& n, ValueId a, ValueId b) {
  return n.emit("mul", {a, b});
}

// What the three ops share, in the layout of sequences first.
struct Sequence {
  Call& n;
  int64_t gates;
  int64_t steps, batch, width, hidden, directions;
  ValueId x;  // steps × batch × width
  bool reverse_first;
  ValueId lengths;  // i64 batch × 1; invalid: all sequences have all steps
  std::vector<Function> functions;
  double clip;      // of what activations are applied to; 0 = none
  bool eight_bits;  // W and R, which are then [directions, k, gates · hidden]
};

int64_t count_directions(Call& n) {
  const std::string direction = n.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    user_error("direction '{}' is unknown; forward, reverse and bidirectional are", direction);
  return direction == "bidirectional" ? 2 : 1;
}

void check_shape(Call& n, ValueId value, std::string_view what, const Extents& wanted) {
  if (n.shape(value) != wanted)
    user_error("its {} has the shape [{}], must be [{}]", what, fmt::join(n.shape(value), ", "),
               fmt::join(wanted, ", "));
}

std::vector<Function> activations(Call& n, const std::vector<std::string>& defaults, int64_t directions) {
  const auto* attr = n.attribute("activations");
  std::vector<std::string> names;
  if (attr != nullptr) names.assign(attr->strings().begin(), attr->strings().end());
  if (names.empty())
    for (int64_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  if (names.size() != defaults.size() * static_cast<size_t>(directions))
    user_error("has {} activations, needs {}", names.size(), defaults.size() * static_cast<size_t>(directions));
  std::vector<Function> functions;
  for (const std::string& name : names) functions.push_back(activation(n, name));
  return functions;
}

// i64 batch × 1, or invalid when every sequence is known to have all steps.
ValueId lengths_of(Call& n, int64_t steps, int64_t batch) {
  if (!n.has(4)) return {};
  check_shape(n, n.in(4), "sequence_lens", {batch});
  if (n.known(n.in(4)) != nullptr &&
      std::ranges::all_of(n.known_integers(4, "sequence_lens"), [&](int64_t length) { return length == steps; }))
    return {};
  return n.reshape(n.cast(n.in(4), DType::i64), {batch, 1});
}

bool batch_first(const Call& n) {
  return n.flag("layout", false);
}

void check_weights(Call& n, int64_t directions, int64_t columns, int64_t width, int64_t hidden) {
  check_shape(n, n.in(1), "W", {directions, columns, width});
  check_shape(n, n.in(2), "R", {directions, columns, hidden});
}

// The same for numbers in 8 bits, with a scale and a zero point for each direction, or for each column of it.
void check_weights8(Call& n, int64_t directions, int64_t columns, int64_t width, int64_t hidden) {
  check_shape(n, n.in(1), "W", {directions, width, columns});
  check_shape(n, n.in(2), "R", {directions, hidden, columns});
  for (size_t i : {size_t{1}, size_t{2}}) {
    const DType dtype = n.dtype(n.in(i));
    if (dtype != DType::u8 && dtype != DType::i8)
      user_error("its weights (input {}) are {}, must be u8 or i8", i, dtype_name(dtype));
    const size_t scale = 6 + 2 * i, zero = scale + 1;
    if (n.dtype(n.in(scale)) != DType::f32 || n.dtype(n.in(zero)) != dtype)
      user_error("its scale and zero point (inputs {} and {}) must be f32 and {}", scale, zero, dtype_name(dtype));
    for (size_t each : {scale, zero})
      if (n.shape(n.in(each)) != Extents{directions}) check_shape(n, n.in(each), "scale", {directions, columns});
  }
}

Sequence read_sequence(Call& n, int64_t gates, const std::vector<std::string>& default_activations,
                       bool eight_bits = false) {
  const ValueId given = n.in(0);
  if (n.rank(given) != 3) user_error("its input has rank {}, must be 3", n.rank(given));
  const ValueId x = batch_first(n) ? n.transpose(given, {1, 0, 2}) : given;
  const Extents shape = n.shape(x), recurrence = n.shape(n.in(2));
  if (shape[0] > kMaxSteps)
    user_error("has {} steps; sequences of up to {} are supported, give a shorter --shape", shape[0], kMaxSteps);
  if (recurrence.size() != 3) user_error("its R has rank {}, must be 3", recurrence.size());
  const int64_t directions = count_directions(n), hidden = recurrence[eight_bits ? 1 : 2];
  (eight_bits ? check_weights8 : check_weights)(n, directions, gates * hidden, shape[2], hidden);
  if (n.has(3)) check_shape(n, n.in(3), "B", {directions, 2 * gates * hidden});
  if (n.integer("hidden_size", hidden) != hidden)
    user_error("hidden_size is {}, its weights are for {}", n.integer("hidden_size"), hidden);
  return {.n = n,
          .gates = gates,
          .steps = shape[0],
          .batch = shape[1],
          .width = shape[2],
          .hidden = hidden,
          .directions = directions,
          .x = x,
          .reverse_first = n.text("direction", "forward") == "reverse",
          .lengths = lengths_of(n, shape[0], shape[1]),
          .functions = activations(n, default_activations, directions),
          .clip = n.number("clip", 0),
          .eight_bits = eight_bits};
}

// What rows are multiplied with: floats, which have no scale, or numbers in 8 bits.
using Factor = Weights8;

ValueId multiplied(Call& n, ValueId rows, const Factor& factor) {
  return factor.scale.valid() ? product_with(n, rows, factor) : n.emit("matmul", {rows, factor.values});
}

// One direction's share of what it is given.
struct Direction {
  const Sequence& s;
  int64_t index;
  bool reverse;
  std::span<const Function> functions;
  std::vector<Factor> recurrence = {};  // Rᵀ of the cell's sets of gates, made once for all steps

  // inputs [directions, …] → […]
  [[nodiscard]] ValueId own(size_t input) const { return item(s.n, s.n.in(input), 0, index); }
  // [gates·hidden, k] → [k, count·hidden]: some of the gates. Of numbers in 8 bits always all, [k, gates·hidden].
  [[nodiscard]] Factor weights(size_t input, int64_t first, int64_t count) const {
    if (s.eight_bits) return {without_zero(s.n, own(input), own(7 + 2 * input)), own(6 + 2 * input)};
    return {s.n.transpose(part(s.n, own(input), 0, first * s.hidden, count * s.hidden), {1, 0}), {}};
  }
  // h·Rᵀ for the cell's i-th set of gates.
  [[nodiscard]] ValueId recur(ValueId h, size_t i) const { return multiplied(s.n, h, recurrence[i]); }
  // B's part for inputs (half 0) or the recurrence (half 1), for some of the gates.
  [[nodiscard]] ValueId bias(int64_t half, int64_t first, int64_t count) const {
    return part(s.n, own(3), 0, (half * s.gates + first) * s.hidden, count * s.hidden);
  }
  // steps × batch × gates·hidden: inputs times weights, with the bias of all inputs, and of the recurrence for the
  // first `merged` gates.
  [[nodiscard]] ValueId projected_inputs(int64_t merged) const {
    const ValueId flat = s.n.reshape(ranged_inputs(), {s.steps * s.batch, s.width});
    ValueId result = multiplied(s.n, flat, weights(1, 0, s.gates));
    if (s.n.has(3)) {
      const Extents rest{(s.gates - merged) * s.hidden};
      ValueId recurrent = bias(1, 0, merged);
      if (rest[0] > 0) recurrent = joined(s.n, {recurrent, s.n.expand(s.n.like(recurrent, 0), rest)}, 0);
      result = sum(s.n, result, sum(s.n, bias(0, 0, s.gates), recurrent));
    }
    return s.n.reshape(result, {s.steps, s.batch, s.gates * s.hidden});
  }
  // Where inputs are quantised, steps behind the end of the longest sequence have no part in their range.
  [[nodiscard]] ValueId ranged_inputs() const {
    if (!s.eight_bits || !s.lengths.valid()) return s.x;
    const ValueId longest = reduce_over(s.n, "reduce_max", s.lengths, {0, 1}, false);
    const ValueId inside = s.n.emit("less", {positions(s.n, s.steps, 0, 3), longest});
    return s.n.emit("where", {inside, s.x, s.n.like(s.x, 0)});
  }
  [[nodiscard]] ValueId initial(size_t input) const {
    if (!s.n.has(input)) return s.n.expand(s.n.like(s.x, 0), {s.batch, s.hidden});
    const ValueId given = batch_first(s.n) ? s.n.transpose(s.n.in(input), {1, 0, 2}) : s.n.in(input);
    check_shape(s.n, given, "initial state", {s.directions, s.batch, s.hidden});
    return item(s.n, given, 0, index);
  }
  [[nodiscard]] ValueId gate(ValueId gates, int64_t i) const { return part(s.n, gates, 1, i * s.hidden, s.hidden); }
  // The i-th activation function, of what `clip` leaves.
  [[nodiscard]] ValueId activated(size_t i, ValueId v) const {
    return functions[i](s.clip == 0 ? v : s.n.emit("clip", {v}, {{"min", -s.clip}, {"max", s.clip}}));
  }
};

struct State {
  ValueId hidden, cell;  // batch × hidden; cell of an LSTM only
};
// The state after a step from the step's projected inputs (batch × gates·hidden) and the state before.
using Step = State (*)(const Direction& d, ValueId inputs, const State& before);

struct Cell {
  Step step;
  int64_t merged;                                 // gates whose recurrence's bias may be added to the inputs at once
  std::vector<std::pair<int64_t, int64_t>> sets;  // of gates, first and count, that one product of the state serves
};

struct Run {
  Values outputs;  // hidden states by position in the sequence, 0 beyond a sequence's length
  State last;
};

// Position t of every sequence, [batch, …], when each is read backwards from its own end; behind it as it is.
ValueId mirrored(const Sequence& s, ValueId x, int64_t t) {
  Call& n = s.n;
  const ValueId at = n.scalar(DType::i64, static_cast<double>(t));
  const ValueId back = n.emit("sub", {s.lengths, n.scalar(DType::i64, static_cast<double>(t + 1))});
  const ValueId step = n.emit("where", {n.emit("less", {at, s.lengths}), back, at});
  const ValueId rows = sum(n, times(n, step, static_cast<double>(s.batch)), positions(n, s.batch, 0, 2));
  const ValueId flat = n.reshape(x, {s.steps * s.batch, n.shape(x)[2]});
  return n.emit("gather", {flat, n.reshape(rows, {s.batch})}, {{"axis", int64_t{0}}});
}

// A sequence without steps ends with 0, as in onnxruntime, whatever its initial state.
void forget_empty(const Sequence& s, State& last) {
  Call& n = s.n;
  const ValueId any = n.emit("less", {n.scalar(DType::i64, 0), s.lengths});
  for (ValueId* state : {&last.hidden, &last.cell})
    if (state->valid()) *state = n.emit("where", {any, *state, n.like(*state, 0)});
}

Run unroll(const Direction& d, const Cell& cell) {
  const Sequence& s = d.s;
  Call& n = s.n;
  const ValueId inputs = d.projected_inputs(cell.merged);
  Run run{Values(static_cast<size_t>(s.steps)), {d.initial(5), s.gates == 4 ? d.initial(6) : ValueId()}};
  // Which states are quantised in one range follows from where sequences begin, and from what is left of those that
  // are over: with the output Y nothing, else their last.
  const bool mirror = d.reverse && s.eight_bits && s.lengths.valid();
  const bool forgets = s.eight_bits && n.proto.output_size() > 0 && !n.proto.output(0).empty();
  ValueId hidden = run.last.hidden;
  for (int64_t i = 0; i < s.steps; ++i) {
    const int64_t t = d.reverse && !mirror ? s.steps - 1 - i : i;
    const ValueId input = mirror ? mirrored(s, inputs, t) : item(n, inputs, 0, t);
    State next = cell.step(d, input, {hidden, run.last.cell});
    ValueId output = next.hidden;
    if (s.lengths.valid()) {
      const ValueId inside = n.emit("less", {n.scalar(DType::i64, static_cast<double>(t)), s.lengths});
      output = n.emit("where", {inside, next.hidden, n.like(next.hidden, 0)});
      next.hidden = n.emit("where", {inside, next.hidden, run.last.hidden});
      if (next.cell.valid()) next.cell = n.emit("where", {inside, next.cell, run.last.cell});
    }
    run.outputs[static_cast<size_t>(t)] = output;
    run.last = next;
    hidden = forgets ? output : next.hidden;
  }
  if (s.lengths.valid()) forget_empty(s, run.last);
  if (!mirror || run.outputs.empty()) return run;
  const ValueId whole = stacked(n, run.outputs, 0);
  for (int64_t t = 0; t < s.steps; ++t) run.outputs[static_cast<size_t>(t)] = mirrored(s, whole, t);
  return run;
}

// Y [steps, directions, batch, hidden], Y_h and Y_c [directions, batch, hidden]; batch first when the op says so.
Values run_all(const Sequence& s, const Cell& cell) {
  Call& n = s.n;
  Values outputs, hidden, cells;
  const size_t functions = s.functions.size() / static_cast<size_t>(s.directions);
  for (int64_t i = 0; i < s.directions; ++i) {
    const std::span<const Function> own = std::span(s.functions).subspan(static_cast<size_t>(i) * functions, functions);
    Direction direction{s, i, s.reverse_first || i == 1, own};
    for (const auto& [first, count] : cell.sets) direction.recurrence.push_back(direction.weights(2, first, count));
    const Run run = unroll(direction, cell);
    Values rows;
    for (ValueId output : run.outputs) rows.push_back(n.reshape(output, {1, 1, s.batch, s.hidden}));
    if (n.wants(0) && !rows.empty()) outputs.push_back(joined(n, rows, 0));
    hidden.push_back(n.reshape(run.last.hidden, {1, s.batch, s.hidden}));
    if (run.last.cell.valid()) cells.push_back(n.reshape(run.last.cell, {1, s.batch, s.hidden}));
  }
  const auto finished = [&](const Values& parts, int64_t axis, const std::vector<int64_t>& perm) {
    if (parts.empty()) return ValueId();
    const ValueId whole = joined(n, parts, axis);
    return batch_first(n) ? n.transpose(whole, perm) : whole;
  };
  return {finished(outputs, 1, {2, 0, 1, 3}), finished(hidden, 0, {1, 0, 2}), finished(cells, 0, {1, 0, 2})};
}

State rnn_step(const Direction& d, ValueId inputs, const State& before) {
  return {d.activated(0, sum(d.s.n, inputs, d.recur(before.hidden, 0))), {}};
}

// Gates z, r, h: h' = (1 − z)·g + z·h, where g is the activation of the inputs' part and `recurred`.
State gru_step(const Direction& d, ValueId inputs, ValueId zr, ValueId recurred, const State& before) {
  Call& n = d.s.n;
  const ValueId candidate = d.activated(1, sum(n, d.gate(inputs, 2), recurred));
  const ValueId kept = times(n, d.gate(zr, 0), n.emit("sub", {before.hidden, candidate}));
  return {sum(n, candidate, kept), {}};
}

// The candidate's recurrence is of r·h.
State gru_step_reset_before(const Direction& d, ValueId inputs, const State& before) {
  Call& n = d.s.n;
  const ValueId zr = d.activated(0, sum(n, part(n, inputs, 1, 0, 2 * d.s.hidden), d.recur(before.hidden, 0)));
  return gru_step(d, inputs, zr, d.recur(times(n, d.gate(zr, 1), before.hidden), 1), before);
}

// The candidate's recurrence, bias included, is multiplied by r.
State gru_step_reset_after(const Direction& d, ValueId inputs, const State& before) {
  Call& n = d.s.n;
  const ValueId all = d.recur(before.hidden, 0);
  const ValueId zr = d.activated(0, sum(n, part(n, inputs, 1, 0, 2 * d.s.hidden), part(n, all, 1, 0, 2 * d.s.hidden)));
  ValueId recurred = d.gate(all, 2);
  if (n.has(3)) recurred = sum(n, recurred, d.bias(1, 2, 1));
  return gru_step(d, inputs, zr, times(n, d.gate(zr, 1), recurred), before);
}

// Gates i, o, f, c, whose inputs `clip` bounds (c' it does not, as in onnxruntime): c' = f·c + i·g, h' = o·h(c');
// peepholes P (of i, o, f) add P·c to i and f, P·c' to o.
State lstm_step(const Direction& d, ValueId inputs, const State& before) {
  Call& n = d.s.n;
  const ValueId all = sum(n, inputs, d.recur(before.hidden, 0));
  const auto gate = [&](int64_t index, ValueId cell) {
    const ValueId value = d.gate(all, index);
    if (!n.has(7)) return d.activated(0, value);
    const ValueId peephole = part(n, d.own(7), 0, index * d.s.hidden, d.s.hidden);
    return d.activated(0, sum(n, value, times(n, peephole, cell)));
  };
  const ValueId kept = times(n, gate(2, before.cell), before.cell);
  const ValueId added = times(n, gate(0, before.cell), d.activated(1, d.gate(all, 3)));
  const ValueId cell = sum(n, kept, added);
  return {times(n, gate(1, cell), d.functions[2](cell)), cell};
}

}  // namespace

Values rnn(Call& n) {
  return run_all(read_sequence(n, 1, {"Tanh"}), {rnn_step, 1, {{0, 1}}});
}

Values gru(Call& n) {
  const bool reset_after = n.flag("linear_before_reset", false);
  const Cell cell =
      reset_after ? Cell{gru_step_reset_after, 2, {{0, 3}}} : Cell{gru_step_reset_before, 3, {{0, 2}, {2, 1}}};
  return run_all(read_sequence(n, 3, {"Sigmoid", "Tanh"}), cell);
}

namespace {

Values lstm_of(Call& n, bool eight_bits) {
  if (n.flag("input_forget", false)) user_error("input_forget is not supported");
  const Sequence s = read_sequence(n, 4, {"Sigmoid", "Tanh", "Tanh"}, eight_bits);
  if (n.has(7)) check_shape(n, n.in(7), "P", {s.directions, 3 * s.hidden});
  return run_all(s, {lstm_step, 4, {{0, 4}}});
}

}  // namespace

Values lstm(Call& n) {
  return lstm_of(n, false);
}

// With weights in 8 bits. The inputs of all steps are quantised at once, the states of a batch at each step, as
// onnxruntime does it on one thread.
Values dynamic_quantize_lstm(Call& n) {
  return lstm_of(n, true);
}

}  // namespace oc::from_onnx
