#include "cli/npy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <regex>

#include "base/error.h"
#include "base/files.h"

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

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  if (bytes.size() < 12 || !bytes.starts_with(kMagic)) user_error("{}: no .npy file", path.string());
  const bool v1 = bytes[6] == 1;
  size_t length = 0, header_at = v1 ? 10 : 12;
  std::memcpy(&length, bytes.data() + 8, v1 ? 2 : 4);
  if (length > bytes.size() - header_at) user_error("{}: the header is cut off", path.string());
  const std::string header = bytes.substr(header_at, length);
  std::smatch descr, shape;
  static const std::regex descr_form(R"('descr'\s*:\s*'([^']*)')"), shape_form(R"('shape'\s*:\s*\(([^)]*)\))");
  if (!std::regex_search(header, descr, descr_form) || !std::regex_search(header, shape, shape_form))
    user_error("{}: the header names no dtype and shape", path.string());
  if (header.find("'fortran_order': True") != std::string::npos)
    user_error("{}: Fortran order; save it with numpy.ascontiguousarray", path.string());
  Tensor tensor;
  const auto* row = std::ranges::find(kTypes, std::string_view(descr[1].first, descr[1].second), &Row::descr);
  if (row == kTypes.end()) user_error("{}: dtype {} is not supported", path.string(), descr[1].str());
  Extents extents;
  const std::string list = shape[1];
  static const std::regex number(R"(\d{1,18})");
  for (std::sregex_iterator i(list.begin(), list.end(), number), end; i != end; ++i)
    extents.push_back(std::stoll(i->str()));
  tensor = make_tensor(row->dtype, extents);
  const size_t data_at = header_at + length;
  if (bytes.size() - data_at != tensor.bytes.size())
    user_error("{}: {} bytes of data, the shape needs {}", path.string(), bytes.size() - data_at, tensor.bytes.size());
  std::memcpy(tensor.bytes.data(), bytes.data() + data_at, tensor.bytes.size());
  return tensor;
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const auto* row = std::ranges::find(kTypes, tensor.dtype, &Row::dtype);
  if (row == kTypes.end()) user_error("{}: .npy has no dtype for {}", path.string(), dtype_name(tensor.dtype));
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
  write_file_atomic(path, file);
}

}  // namespace oc::cli
