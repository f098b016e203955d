#include "frontends/onnx/texts.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "frontends/onnx/formats.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

constexpr int64_t kBytesOfEntry = 96;  // what a text takes in the table beside its bytes

uint32_t place_of(Import& import, std::string text) {
  if (text.find('\0') != std::string::npos) user_error("the text '{}' holds a zero byte", printable(text));
  if (!is_utf8(text)) user_error("the text '{}' is not UTF-8", printable(text));
  // Of every text, also of one that is there already: making it took time.
  spend(import, DType::u8, std::ssize(text));
  const auto [place, fresh] = import.texts.place(std::move(text));
  if (fresh) spend(import, DType::u8, kBytesOfEntry);
  return place;
}

// The texts at these places as rows, all as wide as the longest and a zero byte.
Tensor rows_of(Import& import, Extents shape, std::span<const uint32_t> places) {
  size_t longest = 0;
  for (uint32_t place : places) longest = std::max(longest, import.texts[place].size());
  const auto width = static_cast<int64_t>(longest) + 1;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(width, std::ssize(places), &bytes)) user_error("its texts take more than 2^63 bytes");
  spend(import, DType::u8, bytes);
  shape.push_back(width);
  Tensor rows = make_tensor(DType::u8, std::move(shape));
  char* row = reinterpret_cast<char*>(rows.bytes.data());
  for (uint32_t place : places) {
    std::ranges::copy(import.texts[place], row);
    row += width;
  }
  return rows;
}

}  // namespace

ValueId add_texts(Import& import, const Extents& shape, const TextOf& text, const std::string& name) {
  spend(import, DType::u32, product(shape));
  Tensor places = make_tensor(DType::u32, shape);
  int64_t i = 0;
  for (uint32_t& place : places.as<uint32_t>()) place = place_of(import, text(i++));
  const ValueId value = import.graph.add_constant(name, std::make_shared<const Tensor>(std::move(places)));
  import.formats[value.index] = &text_format();
  return value;
}

ValueId take_texts(Import& import, const ::onnx::TensorProto& proto, const std::string& name) {
  const Extents shape = checked_shape(proto);
  if (proto.data_location() == ::onnx::TensorProto::EXTERNAL || !proto.raw_data().empty())
    user_error("is of strings, which stand in string_data alone");
  if (const int64_t elements = product(shape); elements != proto.string_data_size())
    user_error("needs {} elements of string for its shape but holds {}", elements, proto.string_data_size());
  return add_texts(import, shape, [&](int64_t i) { return proto.string_data(static_cast<int>(i)); }, name);
}

ValueId read_rows(Import& import, const Tensor& rows, const std::string& name) {
  Extents shape = rows.shape;
  const auto width = static_cast<size_t>(shape.back());
  shape.pop_back();
  const auto* bytes = reinterpret_cast<const char*>(rows.bytes.data());
  const auto text = [&](int64_t i) {
    std::string row(bytes + static_cast<size_t>(i) * width, width);
    row.erase(row.find_last_not_of('\0') + 1);  // all of it where there is nothing else
    return row;
  };
  return add_texts(import, shape, text, name);
}

ValueId make_rows(Import& import, ValueId texts) {
  const Tensor* known = import.graph[texts].data.get();
  if (known != nullptr) {
    Tensor rows = rows_of(import, known->shape, known->as<uint32_t>());
    return import.graph.add_constant({}, std::make_shared<const Tensor>(std::move(rows)));
  }
  std::vector<uint32_t> all(import.texts.size());
  for (uint32_t place = 0; place < all.size(); ++place) all[place] = place;
  Tensor rows = rows_of(import, {std::ssize(all)}, all);
  const ValueId table = import.graph.add_constant({}, std::make_shared<const Tensor>(std::move(rows)));
  const ValueId places = add_op(import.graph, import.ops, "cast", {texts}, {{"to", std::string("i32")}});
  return add_op(import.graph, import.ops, "gather", {table, places}, {{"axis", int64_t{0}}});
}

bool is_text(const Call& n, ValueId value) {
  return n.format(value) == &text_format();
}

std::span<const uint32_t> known_texts(const Call& n, ValueId value) {
  if (!is_text(n, value)) user_error("takes {}, must be strings", dtype_name(n.dtype(value)));
  return n.demand(value, "strings").as<uint32_t>();
}

}  // namespace oc::from_onnx
