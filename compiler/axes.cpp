#include "compiler/axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "frontends/onnx/import.h"

namespace oc {
namespace {

struct Range {
  int64_t low = 0, high = 0, step = 1;
  bool operator==(const Range&) const = default;
};

// A dim as the user writes it: an extent, or a range, a name, or both.
struct DimText {
  std::optional<int64_t> extent;
  std::optional<Range> range;
  std::string name;
};

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; (end = text.find(separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::optional<int64_t> parse_number(std::string_view text) {
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && rest == text.data() + text.size() && value >= 0 ? std::optional(value) : std::nullopt;
}

// "1..8" or "32..960:32", cut at colons.
std::optional<Range> parse_range(const std::vector<std::string_view>& parts) {
  const std::vector<std::string_view> bounds = split(parts[0], "..");
  if (bounds.size() != 2 || parts.size() > 2) return {};
  const auto low = parse_number(bounds[0]), high = parse_number(bounds[1]);
  const auto step = parts.size() == 2 ? parse_number(parts[1]) : std::optional<int64_t>(1);
  if (!low || !high || !step || *low < 1 || *high < *low || *step < 1) return {};
  return Range{*low, *high - (*high - *low) % *step, *step};
}

// What stands between brackets.
std::optional<DimText> parse_brackets(std::string_view text) {
  std::vector<std::string_view> parts = split(text, ":");
  DimText dim;
  if (parts[0].find("..") == std::string_view::npos) {
    dim.name = parts[0];
    if (dim.name.empty()) return {};
    parts.erase(parts.begin());
  }
  if (parts.empty()) return dim;
  dim.range = parse_range(parts);
  return dim.range ? std::optional(dim) : std::nullopt;
}

std::vector<DimText> parse_dims(std::string_view text) {
  const auto refuse = [&](const char* why) {
    user_error("'{}' is no shape{}; write it as 1x3x224x224, an extent that is chosen later as [1..8] or [32..960:32]",
               text, why);
  };
  std::vector<DimText> dims;
  std::string_view rest = text;
  while (true) {
    const size_t end = rest.starts_with('[') ? rest.find(']') : std::min(rest.find('x'), rest.size()) - 1;
    if (end == std::string_view::npos) refuse("");
    const std::string_view one = rest.substr(0, end + 1);
    rest.remove_prefix(end + 1);
    std::optional<DimText> dim;
    if (one == "?") refuse(": ? has no bounds");
    if (one.starts_with('[')) {
      dim = parse_brackets(one.substr(1, one.size() - 2));
    } else if (const auto extent = parse_number(one)) {
      dim = DimText{.extent = *extent, .range = {}, .name = {}};
    }
    if (!dim) refuse("");
    dims.push_back(*dim);
    if (rest.empty()) return dims;
    if (!rest.starts_with('x')) refuse("");
    rest.remove_prefix(1);
  }
}

std::string print_range(const ShapeRanges::Axis& axis) {
  return fmt::format("[{}..{}{}]", axis.low, axis.high, axis.step == 1 ? "" : fmt::format(":{}", axis.step));
}

std::string print_dim(const DimText& dim) {
  return dim.extent ? std::to_string(*dim.extent) : fmt::format("[{}]", dim.name);
}

// What the model calls the dim; "" for nothing, or where there is none.
std::string symbol_of(const std::vector<ModelInput>& declared, const std::string& input, size_t d) {
  const auto found = std::ranges::find(declared, input, &ModelInput::name);
  const bool known = found != declared.end() && found->shape && d < found->shape->size();
  return known ? (*found->shape)[d].symbol : std::string();
}

}  // namespace

ShapeRanges::ShapeRanges(const std::map<std::string, std::string>& texts, const std::filesystem::path& model) {
  const std::vector<ModelInput> declared = read_model_inputs(model).inputs;
  std::map<std::string, DimText> by_symbol;
  for (const auto& [input, text] : texts) {
    std::vector<DimText> dims = parse_dims(text);
    for (size_t d = 0; d < dims.size(); ++d) {
      const std::string symbol = symbol_of(declared, input, d);
      if (!dims[d].extent && dims[d].name.empty())
        dims[d].name = symbol.empty() ? fmt::format("{}_{}", input, d) : symbol;
      if (!symbol.empty()) {
        const DimText& known = by_symbol.emplace(symbol, dims[d]).first->second;
        if (known.extent != dims[d].extent)
          user_error("the model calls two dims '{}' that are given as {} and {}", symbol, print_dim(known),
                     print_dim(dims[d]));
      }
      add(input, d, dims[d].extent, dims[d].name);
      if (!dims[d].range) continue;
      Axis& axis = *std::ranges::find(axes_, dims[d].name, &Axis::name);
      const Axis given{axis.name, dims[d].range->low, dims[d].range->high, dims[d].range->step, {}};
      if (axis.high > 0 && print_range(axis) != print_range(given))
        user_error("the extent '{}' is {} and {}; give one range", axis.name, print_range(axis), print_range(given));
      std::tie(axis.low, axis.high, axis.step) = std::tuple(given.low, given.high, given.step);
    }
  }
  for (const ModelInput& input : declared) {
    if (shapes_.contains(input.name) || !input.shape || input.optional || input.sequence) continue;
    const auto is_known = [&](const Dim& dim) { return dim.known() || by_symbol.contains(dim.symbol); };
    if (!std::ranges::all_of(*input.shape, is_known)) continue;
    for (size_t d = 0; d < input.shape->size(); ++d) {
      const Dim& dim = (*input.shape)[d];
      const DimText known = dim.known() ? DimText{dim.extent, {}, {}} : by_symbol.at(dim.symbol);
      add(input.name, d, known.extent, known.name);
    }
  }
  for (const Axis& axis : axes_)
    if (axis.high == 0) user_error("[{0}] has no range; give one, [{0}:1..8], where it stands first", axis.name);
  int64_t shapes = 1;
  for (const Axis& axis : axes_)
    if (__builtin_mul_overflow(shapes, axis.count(), &shapes) || shapes > kMostShapes)
      user_error(
          "the ranges have more than {} shapes, each of which is planned ahead: make them smaller, or their "
          "steps larger, as in [32..960:32]",
          kMostShapes);
}

void ShapeRanges::add(const std::string& input, size_t dim, std::optional<int64_t> extent, const std::string& name) {
  shapes_[input].push_back(extent.value_or(0));
  if (extent) return;
  auto axis = std::ranges::find(axes_, name, &Axis::name);
  if (axis == axes_.end()) axis = axes_.insert(axes_.end(), {.name = name});
  axis->places.emplace_back(input, dim);
}

int64_t ShapeRanges::count() const {
  int64_t count = 1;
  for (const Axis& axis : axes_) count *= axis.count();
  return count;
}

std::map<std::string, Extents> ShapeRanges::shapes(int64_t choice) const {
  std::map<std::string, Extents> shapes = shapes_;
  for (size_t a = axes_.size(); a-- > 0;) {
    const Axis& axis = axes_[a];
    for (const auto& [input, dim] : axis.places) shapes[input][dim] = axis.low + choice % axis.count() * axis.step;
    choice /= axis.count();
  }
  return shapes;
}

int64_t ShapeRanges::unlike_the_largest() const {
  int64_t choice = 0, steps = 1;
  for (const Axis& axis : axes_) choice = choice * axis.count() + std::max<int64_t>(axis.count() - 1 - steps++, 0);
  return choice;
}

}  // namespace oc
