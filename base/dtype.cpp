#include "base/dtype.h"

#include <array>

namespace oc {
namespace {

struct Row {
  std::string_view name;
  size_t size;
  bool is_float;
};

constexpr std::array<Row, 13> kRows{{{"f32", 4, true},
                                     {"f64", 8, true},
                                     {"f16", 2, true},
                                     {"bf16", 2, true},
                                     {"i8", 1, false},
                                     {"u8", 1, false},
                                     {"i16", 2, false},
                                     {"u16", 2, false},
                                     {"i32", 4, false},
                                     {"u32", 4, false},
                                     {"i64", 8, false},
                                     {"u64", 8, false},
                                     {"bool", 1, false}}};

}  // namespace

std::string_view dtype_name(DType type) {
  return kRows[static_cast<size_t>(type)].name;
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

size_t dtype_size(DType type) {
  return kRows[static_cast<size_t>(type)].size;
}

bool dtype_is_float(DType type) {
  return kRows[static_cast<size_t>(type)].is_float;
}

}  // namespace oc
