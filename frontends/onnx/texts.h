// String tensors. While importing, an element is the place of its text among those of the model (Import::texts), a u32
// whose format is text_format(): ops that move elements take it as it is, and equal places are equal texts. The place
// of "" is 0, as is what ops fill with. Texts are made here alone, so that all of them are known when the import ends;
// which of them an element is may depend on the data.
//
// A library gives a tensor of strings as u8 with one more dim: each text a row of UTF-8 that ends with at least one
// zero byte.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "frontends/onnx/call.h"

namespace oc::from_onnx {

// Makes element i of a tensor.
using TextOf = std::function<std::string(int64_t i)>;

// A constant. UserError when a text is no UTF-8 or holds a zero byte, or when they take more than is left of the
// folding budget.
[[nodiscard]] ValueId add_texts(Import& import, const Extents& shape, const TextOf& text, const std::string& name = {});
// The strings that `proto` holds, taken out of it.
[[nodiscard]] ValueId take_texts(Import& import, const ::onnx::TensorProto& proto, const std::string& name = {});
// Those of a tensor of rows as a library gives them; rows may lack the zero byte.
[[nodiscard]] ValueId read_rows(Import& import, const Tensor& rows, const std::string& name);
// A tensor of strings as a library gives it.
[[nodiscard]] ValueId make_rows(Import& import, ValueId texts);

[[nodiscard]] bool is_text(const Call& n, ValueId value);
// The places of a value's texts; ValuesNeeded when only known at run time, UserError when it holds no strings.
[[nodiscard]] std::span<const uint32_t> known_texts(const Call& n, ValueId value);

}  // namespace oc::from_onnx
