#include "generators/interface.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace oc {
namespace {

constexpr auto kReserved = std::to_array<std::string_view>({"alignas",      "alignof",   "and",
                                                            "and_eq",       "asm",       "auto",
                                                            "bitand",       "bitor",     "bool",
                                                            "break",        "case",      "catch",
                                                            "char",         "char16_t",  "char32_t",
                                                            "char8_t",      "class",     "co_await",
                                                            "co_return",    "co_yield",  "compl",
                                                            "concept",      "const",     "const_cast",
                                                            "consteval",    "constexpr", "constinit",
                                                            "continue",     "decltype",  "default",
                                                            "delete",       "do",        "double",
                                                            "dynamic_cast", "else",      "enum",
                                                            "explicit",     "export",    "extern",
                                                            "false",        "float",     "for",
                                                            "friend",       "goto",      "if",
                                                            "inline",       "int",       "int16_t",
                                                            "int32_t",      "int64_t",   "int8_t",
                                                            "linux",        "long",      "main",
                                                            "mutable",      "namespace", "new",
                                                            "noexcept",     "not",       "not_eq",
                                                            "nullptr",      "operator",  "or",
                                                            "or_eq",        "private",   "protected",
                                                            "public",       "register",  "reinterpret_cast",
                                                            "requires",     "restrict",  "return",
                                                            "short",        "signed",    "size_t",
                                                            "sizeof",       "static",    "static_assert",
                                                            "static_cast",  "struct",    "switch",
                                                            "template",     "this",      "thread_local",
                                                            "throw",        "true",      "try",
                                                            "typedef",      "typeid",    "typename",
                                                            "typeof",       "uint16_t",  "uint32_t",
                                                            "uint64_t",     "uint8_t",   "union",
                                                            "unix",         "unsigned",  "using",
                                                            "virtual",      "void",      "volatile",
                                                            "wchar_t",      "while",     "xor",
                                                            "xor_eq",       "NULL"});

bool is_identifier_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string in_capitals(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

// Names that a header's functions use themselves.
std::set<std::string> header_names(const std::string& library) {
  return {"INSTANCE",
          "INPUTS",
          "OUTPUTS",
          "EXTENTS",
          in_capitals(library),
          in_capitals(library + "_run_arrays"),
          in_capitals(library + "_run_once_arrays"),
          in_capitals(library + "_set_extents_array")};
}

TensorInterface tensor_interface(const Value& value, std::string c_name) {
  if (!value.type.is_static()) internal_error("'{}' has no static shape", value.name);
  const Extents shape = value.type.extents();
  const int64_t elements = element_count(shape);
  return {value.name, std::move(c_name), value.type.dtype,
          shape,      elements,          elements * static_cast<int64_t>(dtype_size(value.type.dtype)),
          elements};
}

std::vector<std::string> split_lines(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::vector<std::string> lines;
  for (;;) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string identifier(std::string_view text, std::set<std::string>& taken) {
  std::string base;
  for (char c : text) base += is_identifier_character(c) ? c : '_';
  // Two leading underscores, or one before a capital, belong to the compiler.
  if (base.empty() || (base[0] >= '0' && base[0] <= '9') || base[0] == '_') base = "x" + base;
  std::string name = base;
  for (int n = 2; std::ranges::find(kReserved, name) != kReserved.end() || taken.contains(in_capitals(name)); ++n)
    name = fmt::format("{}_{}", base, n);
  taken.insert(in_capitals(name));
  return name;
}

std::string library_name(std::string_view text) {
  std::set<std::string> taken;
  return identifier(text, taken);
}

Interface make_interface(const Graph& graph, std::string_view name, std::vector<AxisInterface> axes) {
  Interface interface{.axes = std::move(axes)};
  interface.name = library_name(name);
  std::set<std::string> parameters = header_names(interface.name);
  for (ValueId v : graph.inputs)
    interface.inputs.push_back(tensor_interface(graph[v], identifier(graph[v].name, parameters)));
  for (ValueId v : graph.outputs)
    interface.outputs.push_back(tensor_interface(graph[v], identifier(graph[v].name, parameters)));
  for (AxisInterface& axis : interface.axes) axis.c_name = identifier(axis.name, parameters);
  std::set<std::string> keys;
  for (const auto& [key, value] : graph.metadata) {
    MetadataInterface entry{key, value, identifier(key, keys), {}};
    if (value.find('\n') != std::string::npos) entry.lines = split_lines(value);
    interface.metadata.push_back(std::move(entry));
  }
  return interface;
}

std::string_view c_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return "float";
    case DType::f64: return "double";
    case DType::i8: return "int8_t";
    case DType::i16: return "int16_t";
    case DType::i32: return "int32_t";
    case DType::i64: return "int64_t";
    case DType::u8:
    case DType::boolean: return "uint8_t";
    case DType::u16:
    case DType::f16:
    case DType::bf16: return "uint16_t";
    case DType::u32: return "uint32_t";
    case DType::u64: return "uint64_t";
  }
  internal_error("no C type for dtype {}", static_cast<int>(dtype));
}

}  // namespace oc
