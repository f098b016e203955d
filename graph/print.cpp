#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "base/error.h"
#include "base/hash.h"
#include "graph/text.h"

namespace oc {
namespace {

constexpr int64_t kMaxInlineElements = 64;

bool is_identifier(std::string_view s) {
  if (s.empty() || (std::isdigit(static_cast<unsigned char>(s[0])) != 0)) return false;
  return std::ranges::all_of(s, [](unsigned char c) { return c < 0x80 && (std::isalnum(c) != 0 || c == '_'); });
}

struct Printer {
  const Graph& graph;
  const PrintOptions& options;
  std::string out;
  std::vector<int64_t> numbers = std::vector<int64_t>(graph.values.size(), -1);
  int64_t next = 0;

  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  }

  void quoted(std::string_view s) {
    out += '"';
    for (const char c : s) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        put("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out += c;
      }
    }
    out += '"';
  }

  template <class Range, class Put>
  void list(const Range& range, const Put& put_one) {
    bool first = true;
    for (const auto& element : range) {
      if (!first) out += ", ";
      first = false;
      put_one(element);
    }
  }

  // A double that reads back as a double.
  void number(double value) {
    const size_t start = out.size();
    put("{}", value);
    if (out.find_first_of(".en", start) == std::string::npos) out += ".0";
  }

  void type(const Type& t) {
    put("{}[", dtype_name(t.dtype));
    bool first = true;
    for (const Dim& dim : t.shape) {
      if (!first) out += ',';
      first = false;
      if (dim.known())
        put("{}", dim.extent);
      else if (dim.symbol.empty())
        out += '?';
      else if (is_identifier(dim.symbol))
        out += dim.symbol;
      else
        quoted(dim.symbol);
    }
    out += ']';
    if (!t.layout.plain()) put(" {}", layout_tag(t.layout, t.shape.size()));
  }

  void attr(const Attr& value) {
    struct Visitor {
      Printer& p;
      void operator()(int64_t v) const { p.put("{}", v); }
      void operator()(double v) const { p.number(v); }
      void operator()(const std::string& v) const { p.quoted(v); }
      void operator()(const std::vector<int64_t>& v) const { p.put("[{}]", fmt::join(v, ",")); }
      void operator()(const std::vector<double>& v) const {
        p.out += v.empty() ? "[." : "[";
        for (size_t i = 0; i < v.size(); ++i) {
          if (i > 0) p.out += ',';
          p.number(v[i]);
        }
        p.out += ']';
      }
    };
    std::visit(Visitor{*this}, value);
  }

  template <class T>
  void elements(const Tensor& t) {
    list(t.as<T>(), [&](T v) {
      if constexpr (sizeof(T) == 1)
        put("{}", static_cast<int>(v));
      else
        put("{}", v);
    });
  }

  void contents(const Tensor& stored) {
    const Tensor t = relayout(stored, {});
    switch (t.dtype) {
      case DType::f32: elements<float>(t); break;
      case DType::f64: elements<double>(t); break;
      case DType::f16:
      case DType::bf16: list(t.as<uint16_t>(), [&](uint16_t bits) { put("0x{:04x}", bits); }); break;
      case DType::i8: elements<int8_t>(t); break;
      case DType::u8:
      case DType::boolean: elements<uint8_t>(t); break;
      case DType::i16: elements<int16_t>(t); break;
      case DType::u16: elements<uint16_t>(t); break;
      case DType::i32: elements<int32_t>(t); break;
      case DType::u32: elements<uint32_t>(t); break;
      case DType::i64: elements<int64_t>(t); break;
      case DType::u64: elements<uint64_t>(t); break;
    }
  }

  void constant(const Value& value) {
    if (value.data != nullptr && element_count(value.data->shape) <= kMaxInlineElements) {
      out += "constant {";
      contents(*value.data);
      out += '}';
    } else if (value.data == nullptr || options.weights) {
      out += "weight";
    } else {
      const auto bytes = value.data->as<char>();
      put("constant #{}", content_hash({bytes.data(), bytes.size()}));
    }
  }

  void define(ValueId id) {
    numbers[id.index] = next++;
    put("%{}", numbers[id.index]);
    if (options.names && !graph[id].name.empty()) {
      out += ' ';
      quoted(graph[id].name);
    }
  }

  void leaf(ValueId id) {
    if (numbers[id.index] >= 0) return;
    out += "  ";
    define(id);
    out += ": ";
    type(graph[id].type);
    out += " = ";
    if (graph[id].kind == ValueKind::input)
      out += "input";
    else
      constant(graph[id]);
    out += '\n';
  }

  void use(ValueId id) {
    if (!id.valid())
      out += '_';
    else if (numbers[id.index] < 0)
      put("%?{}", id.index);  // undefined: only a graph that verify refuses
    else
      put("%{}", numbers[id.index]);
  }

  void node(const Node& n) {
    for (ValueId input : n.inputs)
      if (input.valid() && graph[input].kind != ValueKind::node) leaf(input);
    const bool several = n.outputs.size() != 1;
    out += several ? "  (" : "  ";
    list(n.outputs, [&](ValueId id) { define(id); });
    out += several ? "): (" : ": ";
    list(n.outputs, [&](ValueId id) { type(graph[id].type); });
    put("{} = {}(", several ? ")" : "", n.op);
    list(n.inputs, [&](ValueId id) { use(id); });
    out += ')';
    if (!n.attrs.empty()) {
      out += " {";
      list(n.attrs, [&](const auto& entry) {
        put("{}=", entry.first);
        attr(entry.second);
      });
      out += '}';
    }
    if (options.names && !n.name.empty()) {
      out += ' ';
      quoted(n.name);
    }
    out += '\n';
  }

  void run() {
    out += "graph ";
    if (options.names && !graph.name.empty()) {
      quoted(graph.name);
      out += ' ';
    }
    out += "{\n";
    for (ValueId input : graph.inputs) leaf(input);
    for (const Node& n : graph.nodes) node(n);
    for (ValueId output : graph.outputs)
      if (graph[output].kind != ValueKind::node) leaf(output);
    out += graph.outputs.empty() ? "  return" : "  return ";
    list(graph.outputs, [&](ValueId id) { use(id); });
    out += "\n}\n";
  }
};

}  // namespace

std::string print_graph(const Graph& graph, const PrintOptions& options) {
  Printer printer{graph, options, {}};
  printer.run();
  return std::move(printer.out);
}

}  // namespace oc
