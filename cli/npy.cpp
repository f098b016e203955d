#include "cli/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"

namespace oc::cli {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

struct Row {
  std::string_view descr;
  DType dtype;
};
constexpr std::array<Row, 12> kTypes{{{"<f4", DType::f32},
                                      {"<f8", DType::f64},
                                      {"<f2", DType::f16},
                                      {"|i1", DType::i8},
                                      {"|u1", DType::u8},
                                      {"<i2", DType::i16},
                                      {"<u2", DType::u16},
                                      {"<i4", DType::i32},
                                      {"<u4", DType::u32},
                                      {"<i8", DType::i64},
                                      {"<u8", DType::u64},
                                      {"|b1", DType::boolean}}};

constexpr size_t kMaxHeaderBytes = 64 << 10, kMaxRank = 64;

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

// What stands behind 'key': in the header, which is a Python dict of three entries; "" when it is not there. Keys of
// the format are no part of one another, so a search serves.
std::string_view value_of(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string wanted = fmt::format("{0}{1}{0}", quote, key);
    const size_t at = header.find(wanted);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = trimmed(header.substr(at + wanted.size()));
    if (rest.starts_with(':')) return trimmed(rest.substr(1));
  }
  return {};
}

// "'<f4', …" → "<f4"; "" when it does not begin with a string.
std::string_view quoted(std::string_view text) {
  if (text.empty() || (text[0] != '\'' && text[0] != '"')) return {};
  const size_t end = text.find(text[0], 1);
  return end == std::string_view::npos ? std::string_view() : text.substr(1, end - 1);
}

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 40));
  std::ranges::replace_if(result, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return result;
}

// "(1, 3, 224)…" → extents.
std::optional<Extents> parse_shape(std::string_view text) {
  Extents extents;
  text = trimmed(text.substr(1));
  while (!text.starts_with(')')) {
    int64_t extent = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (error != std::errc() || extent < 0 || extents.size() == kMaxRank) return std::nullopt;
    extents.push_back(extent);
    text = trimmed(text.substr(static_cast<size_t>(rest - text.data())));
    if (text.starts_with(',')) {
      text = trimmed(text.substr(1));
    } else if (!text.starts_with(')')) {
      return std::nullopt;
    }
  }
  return extents;
}

struct Array {
  std::string_view descr, data;
  Extents shape;
};

Array parse_header(std::string_view bytes, std::string_view file) {
  if (bytes.size() < 12 || !bytes.starts_with(kMagic)) user_error("{}: no .npy file", file);
  const bool v1 = bytes[6] == 1;
  const size_t header_at = v1 ? 10 : 12;
  size_t length = 0;
  std::memcpy(&length, bytes.data() + 8, v1 ? 2 : 4);
  if (length > kMaxHeaderBytes) user_error("{}: a header of {} bytes; the limit is {}", file, length, kMaxHeaderBytes);
  if (length > bytes.size() - header_at) user_error("{}: the header is cut off", file);
  const std::string_view header = bytes.substr(header_at, length), data = bytes.substr(header_at + length);
  const std::string_view descr = quoted(value_of(header, "descr")), shape = value_of(header, "shape");
  if (descr.empty() || !shape.starts_with('(')) user_error("{}: the header names no dtype and shape", file);
  if (value_of(header, "fortran_order").starts_with("True"))
    user_error("{}: Fortran order; save it with numpy.ascontiguousarray", file);
  const std::optional<Extents> extents = parse_shape(shape);
  if (!extents) user_error("{}: the header's shape is no list of at most {} extents", file, kMaxRank);
  return {descr, data, *extents};
}

// Before memory is taken for it: the file must hold what its header promises.
void check_size(const Array& array, int64_t element_bytes, std::string_view file) {
  int64_t needed = element_bytes;
  bool fits = true;
  for (const int64_t extent : array.shape) fits = !__builtin_mul_overflow(needed, extent, &needed) && fits;
  if (!fits || static_cast<uint64_t>(needed) != array.data.size())
    user_error("{}: {} bytes of data, the shape needs {}", file, array.data.size(),
               fits ? std::to_string(needed) : "more than there can be");
}

[[noreturn]] void refuse_dtype(const Array& array, std::string_view file) {
  user_error("{}: dtype {} is not supported", file, printable(array.descr));
}

// How many characters each string has room for, each in four bytes.
int64_t string_length(const Array& array, std::string_view file) {
  int64_t length = 0;
  const char* end = array.descr.data() + array.descr.size();
  if (!array.descr.starts_with("<U")) user_error("{}: dtype {}, must be strings (<U)", file, printable(array.descr));
  const auto [rest, error] = std::from_chars(array.descr.data() + 2, end, length);
  if (error != std::errc() || rest != end || length < 1 || length > std::numeric_limits<int32_t>::max())
    refuse_dtype(array, file);
  return length;
}

// The characters up to the last that is not zero.
std::string to_utf8(std::u32string_view characters, std::string_view file) {
  characters = characters.substr(0, characters.find_last_not_of(U'\0') + 1);
  std::string text;
  for (const char32_t c : characters)
    if (c == 0 || !append_utf8(text, c))
      user_error("{}: a string holds {:#x}, which no text has", file, static_cast<uint32_t>(c));
  return text;
}

}  // namespace

Tensor parse_npy(std::string_view bytes, std::string_view file) {
  const Array array = parse_header(bytes, file);
  const auto* row = std::ranges::find(kTypes, array.descr, &Row::descr);
  if (row == kTypes.end()) refuse_dtype(array, file);
  check_size(array, static_cast<int64_t>(dtype_size(row->dtype)), file);
  Tensor tensor = make_tensor(row->dtype, array.shape);
  if (!array.data.empty()) std::memcpy(tensor.bytes.data(), array.data.data(), array.data.size());
  return tensor;
}

Tensor parse_npy_texts(std::string_view bytes, std::string_view file) {
  const Array array = parse_header(bytes, file);
  const auto length = static_cast<size_t>(string_length(array, file));
  check_size(array, static_cast<int64_t>(4 * length), file);
  std::vector<std::string> texts(static_cast<size_t>(element_count(array.shape)));
  std::u32string characters(texts.empty() ? 0 : length, 0);
  size_t longest = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::memcpy(characters.data(), array.data.data() + 4 * length * i, 4 * length);
    texts[i] = to_utf8(characters, file);
    longest = std::max(longest, texts[i].size());
  }
  Extents shape = array.shape;
  shape.push_back(static_cast<int64_t>(longest));
  Tensor rows = make_tensor(DType::u8, shape);
  for (size_t i = 0; i < texts.size(); ++i)
    std::ranges::copy(texts[i], reinterpret_cast<char*>(rows.bytes.data()) + i * longest);
  return rows;
}

Tensor read_npy_texts(const std::filesystem::path& path) {
  return parse_npy_texts(read_file(path), path.string());
}

Tensor read_npy(const std::filesystem::path& path) {
  return parse_npy(read_file(path), path.string());
}

std::string print_npy(const Tensor& tensor, std::string_view path) {
  const auto* row = std::ranges::find(kTypes, tensor.dtype, &Row::dtype);
  if (row == kTypes.end()) user_error("{}: .npy has no dtype for {}", path, dtype_name(tensor.dtype));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", row->descr,
                                   fmt::join(tensor.shape, ", "), tensor.shape.size() == 1 ? "," : "");
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  std::string file(kMagic);
  file += std::string("\x01\x00", 2);
  file += static_cast<char>(length & 255);
  file += static_cast<char>(length >> 8);
  file += header;
  file.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  return file;
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  write_file_atomic(path, print_npy(tensor, path.string()));
}

}  // namespace oc::cli
