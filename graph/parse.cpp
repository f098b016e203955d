#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "base/error.h"
#include "graph/text.h"

namespace oc {
namespace {

constexpr size_t kMaxBytes = 10'000'000;
constexpr size_t kMaxNodes = 1'000'000;
constexpr int64_t kMaxElements = int64_t{1} << 40;
constexpr int64_t kMaxConstantElements = int64_t{1} << 22;  // padding of the layout included

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

struct Definition {
  uint64_t number;
  std::string name;
  size_t at;
};

// Recursive descent without recursion: the grammar has no nesting.
struct Parser {
  std::string_view text;
  size_t pos = 0;
  Graph graph;
  std::unordered_map<uint64_t, ValueId> values;

  template <class... Args>
  [[noreturn]] void fail_at(size_t at, fmt::format_string<Args...> format, Args&&... args) const {
    const std::string_view before = text.substr(0, at);
    const auto line = 1 + std::ranges::count(before, '\n');
    const size_t column = at - (before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1) + 1;
    user_error("graph text, {}:{}: {}", line, column, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(pos, format, std::forward<Args>(args)...);
  }

  [[nodiscard]] char peek() const { return pos < text.size() ? text[pos] : '\0'; }

  void skip() {
    while (pos < text.size()) {
      if (std::strchr(" \t\r\n", text[pos]) != nullptr && text[pos] != '\0')
        ++pos;
      else if (text.substr(pos, 2) == "//")
        pos = std::min(text.find('\n', pos), text.size());
      else
        return;
    }
  }

  bool accept(std::string_view token) {
    skip();
    if (!text.substr(pos).starts_with(token)) return false;
    if (is_word(token.back()) && pos + token.size() < text.size() && is_word(text[pos + token.size()])) return false;
    pos += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (accept(token)) return;
    if (pos >= text.size()) fail("'{}' expected, but the text ends", token);
    fail("'{}' expected", token);
  }

  std::string_view word(std::string_view what) {
    skip();
    const size_t start = pos;
    while (is_word(peek())) ++pos;
    if (pos == start || is_digit(text[start])) fail_at(start, "{} expected", what);
    return text.substr(start, pos - start);
  }

  uint32_t hex4() {
    uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(text.data() + pos, text.data() + std::min(pos + 4, text.size()), code, 16);
    if (error != std::errc() || end != text.data() + pos + 4) fail("four hex digits expected after \\u");
    pos += 4;
    return code;
  }

  void escape(std::string& out) {
    const char c = peek();
    ++pos;
    switch (c) {
      case '"':
      case '\\':
      case '/': out += c; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': break;
      default: fail_at(pos - 1, "unknown escape in a string");
    }
    uint32_t code = hex4();
    if (code >= 0xd800 && code < 0xdc00 && text.substr(pos, 2) == "\\u") {
      pos += 2;
      const uint32_t low = hex4();
      if (low < 0xdc00 || low > 0xdfff) fail("half a surrogate pair in a string");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, code);
  }

  std::string quoted() {
    expect("\"");
    std::string result;
    for (;;) {
      if (pos >= text.size() || text[pos] == '\n') fail("a string is not closed");
      const char c = text[pos++];
      if (c == '"') return result;
      if (c == '\\')
        escape(result);
      else
        result += c;
    }
  }
  std::string optional_quoted() {
    skip();
    return peek() == '"' ? quoted() : std::string();
  }

  template <class T>
  T natural(std::string_view what) {
    T value{};
    const auto [end, error] = std::from_chars(text.data() + pos, text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) fail("{} is too large", what);
    if (error != std::errc() || !is_digit(peek())) fail("{} expected", what);
    pos = static_cast<size_t>(end - text.data());
    return value;
  }

  Dim dim() {
    skip();
    if (accept("?")) return {};
    if (is_digit(peek())) return natural<int64_t>("an extent");
    if (peek() == '"') return Dim(quoted());
    return Dim(std::string(word("an extent, a name or '?'")));
  }

  Type type() {
    skip();
    const size_t start = pos;
    Type result;
    const auto dtype = parse_dtype(word("a type"));
    if (!dtype) fail_at(start, "unknown element type");
    result.dtype = *dtype;
    expect("[");
    if (!accept("]")) {
      do {
        if (result.shape.size() == kMaxRank) fail("more than {} dims", kMaxRank);
        result.shape.push_back(dim());
      } while (accept(","));
      expect("]");
    }
    skip();
    const size_t tag = pos;
    while (is_word(peek())) ++pos;
    try {
      result.layout = parse_layout(text.substr(tag, pos - tag), result.shape.size());
      if (result.is_static() && physical_size(result.layout, result.extents()) > kMaxElements)
        fail_at(start, "more than {} elements", kMaxElements);
    } catch (const UserError& error) {
      if (std::string_view(error.what()).starts_with("graph text")) throw;
      fail_at(start, "{}", error.what());
    }
    return result;
  }

  // The characters of a number; empty if there is none here.
  std::string_view number_token() {
    skip();
    const size_t start = pos;
    while (is_word(peek()) || peek() == '-' || peek() == '+' || peek() == '.') ++pos;
    return text.substr(start, pos - start);
  }

  template <class T>
  T to_number(std::string_view token) {
    T value{};
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
    const size_t at = static_cast<size_t>(token.data() - text.data());
    if (error == std::errc::result_out_of_range) fail_at(at, "the number {} is out of range", token);
    if (error != std::errc() || end != token.data() + token.size()) fail_at(at, "a number expected");
    return value;
  }

  static bool is_integer(std::string_view token) { return token.find_first_of(".enEN") == std::string_view::npos; }

  Attr list() {
    if (accept(".")) {
      expect("]");
      return std::vector<double>();
    }
    std::vector<int64_t> integers;
    std::vector<double> numbers;
    if (accept("]")) return integers;
    const bool whole = is_integer(text.substr(pos, text.find_first_of(",]", pos) - pos));
    do {
      const std::string_view token = number_token();
      if (whole)
        integers.push_back(to_number<int64_t>(token));
      else
        numbers.push_back(to_number<double>(token));
    } while (accept(","));
    expect("]");
    if (whole) return integers;
    return numbers;
  }

  Attr attr() {
    skip();
    if (peek() == '"') return quoted();
    if (accept("[")) {
      skip();
      return list();
    }
    const std::string_view token = number_token();
    if (is_integer(token)) return to_number<int64_t>(token);
    return to_number<double>(token);
  }

  Attrs attrs() {
    Attrs result;
    if (!accept("{") || accept("}")) return result;
    do {
      skip();
      const size_t start = pos;
      const std::string name(word("an attribute's name"));
      expect("=");
      if (!result.emplace(name, attr()).second) fail_at(start, "attribute '{}' stands twice", name);
    } while (accept(","));
    expect("}");
    return result;
  }

  uint16_t bit_pattern() {
    const std::string_view token = number_token();
    uint16_t bits = 0;
    const char* end = token.data() + token.size();
    if (!token.starts_with("0x") || std::from_chars(token.data() + 2, end, bits, 16).ptr != end || token.size() > 6)
      fail_at(static_cast<size_t>(token.data() - text.data()), "a bit pattern like 0x3c00 expected");
    return bits;
  }

  template <class T, class Read>
  void elements(std::vector<std::byte>& bytes, int64_t count, const Read& read) {
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0) expect(",");
      const T value = read();
      const auto* raw = reinterpret_cast<const std::byte*>(&value);
      bytes.insert(bytes.end(), raw, raw + sizeof(T));  // grows with the text, whatever the shape claims
    }
  }
  template <class T>
  void plain_elements(std::vector<std::byte>& bytes, int64_t count) {
    elements<T>(bytes, count, [&] { return to_number<T>(number_token()); });
  }

  std::shared_ptr<const Tensor> constant(const Type& type) {
    if (accept("#")) fail("this constant's contents are not in the text; only constants written in full can be read");
    expect("{");
    if (!type.is_static()) fail("a constant of unknown shape");
    Tensor t{type.dtype, type.extents(), {}, {}};
    const int64_t count = element_count(t.shape);
    if (physical_size(type.layout, t.shape) > kMaxConstantElements)
      fail("a constant of more than {} elements", kMaxConstantElements);
    switch (type.dtype) {
      case DType::f32: plain_elements<float>(t.bytes, count); break;
      case DType::f64: plain_elements<double>(t.bytes, count); break;
      case DType::f16:
      case DType::bf16: elements<uint16_t>(t.bytes, count, [&] { return bit_pattern(); }); break;
      case DType::i8: plain_elements<int8_t>(t.bytes, count); break;
      case DType::boolean: boolean_elements(t.bytes, count); break;
      case DType::u8: plain_elements<uint8_t>(t.bytes, count); break;
      case DType::i16: plain_elements<int16_t>(t.bytes, count); break;
      case DType::u16: plain_elements<uint16_t>(t.bytes, count); break;
      case DType::i32: plain_elements<int32_t>(t.bytes, count); break;
      case DType::u32: plain_elements<uint32_t>(t.bytes, count); break;
      case DType::i64: plain_elements<int64_t>(t.bytes, count); break;
      case DType::u64: plain_elements<uint64_t>(t.bytes, count); break;
    }
    expect("}");
    return std::make_shared<const Tensor>(relayout(t, type.layout));
  }

  void boolean_elements(std::vector<std::byte>& bytes, int64_t count) {
    elements<uint8_t>(bytes, count, [&] {
      const auto value = to_number<uint8_t>(number_token());
      if (value > 1) fail("a bool is 0 or 1");
      return value;
    });
  }

  Definition definition() {
    expect("%");
    Definition d{natural<uint64_t>("a value's number"), {}, pos};
    d.name = optional_quoted();
    return d;
  }

  void define(const Definition& d, ValueId id) {
    if (!values.emplace(d.number, id).second) fail_at(d.at, "%{} is defined twice", d.number);
    graph[id].name = d.name;
  }

  ValueId use() {
    expect("%");
    const size_t at = pos;
    const auto number = natural<uint64_t>("a value's number");
    const auto it = values.find(number);
    if (it == values.end()) fail_at(at, "%{} is not defined above", number);
    return it->second;
  }

  void node(const std::vector<Definition>& outputs, std::vector<Type> types) {
    if (graph.nodes.size() == kMaxNodes) fail("more than {} nodes", kMaxNodes);
    Node n;
    n.op = std::string(word("an op"));
    expect("(");
    if (!accept(")")) {
      do n.inputs.push_back(accept("_") ? ValueId() : use());
      while (accept(","));
      expect(")");
    }
    n.attrs = attrs();
    n.name = optional_quoted();
    for (size_t i = 0; i < outputs.size(); ++i) {
      const ValueId id(graph.values.size());
      graph.values.push_back({{}, std::move(types[i]), ValueKind::node, NodeId(graph.nodes.size()), nullptr});
      n.outputs.push_back(id);
      define(outputs[i], id);
    }
    graph.nodes.push_back(std::move(n));
  }

  void statement() {
    std::vector<Definition> outputs;
    std::vector<Type> types;
    const bool several = accept("(");
    if (!several || !accept(")")) {
      do outputs.push_back(definition());
      while (several && accept(","));
      if (several) expect(")");
    }
    expect(":");
    if (several) expect("(");
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (i > 0) expect(",");
      types.push_back(type());
    }
    if (several) expect(")");
    expect("=");
    if (!several && accept("input"))
      define(outputs[0], graph.add_input({}, types[0]));
    else if (!several && accept("weight"))
      define(outputs[0], graph.add_weight(types[0]));
    else if (!several && accept("constant"))
      define(outputs[0], graph.add_constant({}, constant(types[0])));
    else
      node(outputs, std::move(types));
  }

  void run() {
    if (text.size() > kMaxBytes) user_error("graph text of {} bytes; at most {} are read", text.size(), kMaxBytes);
    expect("graph");
    graph.name = optional_quoted();
    expect("{");
    while (!accept("return")) statement();
    skip();
    if (peek() == '%') {
      do graph.outputs.push_back(use());
      while (accept(","));
    }
    expect("}");
    skip();
    if (pos != text.size()) fail("text after the graph's end");
  }
};

}  // namespace

Graph parse_graph(std::string_view text) {
  Parser parser{text, 0, {}, {}};
  parser.run();
  return std::move(parser.graph);
}

}  // namespace oc
