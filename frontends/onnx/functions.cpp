#include "frontends/onnx/functions.h"

#include <algorithm>

#include "base/error.h"
#include "frontends/onnx/names.h"

namespace oc::from_onnx {
namespace {

using ::onnx::AttributeProto;

// The attribute of that name, else null.
const AttributeProto* named(const ::google::protobuf::RepeatedPtrField<AttributeProto>& all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &AttributeProto::name);
  return found == all.end() ? nullptr : &*found;
}

// Puts values in the place of references to the function's attributes; one that has none is as if it were not there.
void resolve(::onnx::NodeProto& node, const Function& function, const ::onnx::NodeProto& call) {
  auto& attributes = *node.mutable_attribute();
  for (int i = 0; i < attributes.size();) {
    AttributeProto& attribute = attributes[i];
    if (attribute.ref_attr_name().empty()) {
      if (attribute.has_g())
        for (::onnx::NodeProto& inner : *attribute.mutable_g()->mutable_node()) resolve(inner, function, call);
      ++i;
      continue;
    }
    const AttributeProto* value = named(call.attribute(), attribute.ref_attr_name());
    if (value == nullptr) value = named(function.proto.attribute_proto(), attribute.ref_attr_name());
    if (value == nullptr) {
      attributes.DeleteSubrange(i, 1);
      continue;
    }
    const std::string name = attribute.name();
    attribute = *value;
    attribute.set_name(name);
    ++i;
  }
}

}  // namespace

Functions::Functions(const ::onnx::ModelProto& model) {
  for (const ::onnx::FunctionProto& proto : model.functions()) {
    const std::string label = fmt::format("function '{}.{}'", printable(proto.domain()), printable(proto.name()));
    within(label, [&] {
      const Name name{canonical_domain(proto.domain()), proto.name(), proto.overload()};
      if (!functions_.try_emplace(name, Function{proto, checked_opsets(proto.opset_import())}).second)
        user_error("is defined twice");
    });
  }
}

const Function* Functions::find(const ::onnx::NodeProto& node) const {
  const auto found = functions_.find({canonical_domain(node.domain()), node.op_type(), node.overload()});
  return found == functions_.end() ? nullptr : &found->second;
}

::onnx::GraphProto& Functions::body(const Function& function, const ::onnx::NodeProto& call, int64_t& budget_bytes) {
  const bool same_for_all = function.proto.attribute().empty() && function.proto.attribute_proto().empty();
  ::onnx::GraphProto*& made = made_[same_for_all ? static_cast<const void*>(&function) : &call];
  if (made != nullptr) return *made;
  budget_bytes -= static_cast<int64_t>(function.proto.ByteSizeLong());
  if (budget_bytes < 0) user_error("functions take more bytes than are left for folding");
  made = &bodies_.emplace_back();
  made->set_name(function.proto.name());
  for (const std::string& input : function.proto.input()) made->add_input()->set_name(input);
  for (const std::string& output : function.proto.output()) made->add_output()->set_name(output);
  *made->mutable_node() = function.proto.node();
  for (::onnx::NodeProto& node : *made->mutable_node()) resolve(node, function, call);
  return *made;
}

}  // namespace oc::from_onnx
