#include "frontends/onnx/model.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/wire_format_lite.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <set>
#include <system_error>

#include "frontends/onnx/formats.h"
#include "frontends/onnx/import.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/tensor.h"

namespace oc::from_onnx {
namespace {

using ::google::protobuf::internal::WireFormatLite;
using ::google::protobuf::io::CodedInputStream;
using ::google::protobuf::io::FileInputStream;

void check_size(int64_t size) {
  if (size == 0) user_error("the file is empty");
  if (size > INT_MAX)
    user_error("the model has {} bytes; protobuf ends at 2 GB: save the weights as external data", size);
}

[[noreturn]] void not_a_model() {
  user_error("is no ONNX model: not protobuf, truncated, or nested more than 100 deep; fetch or export it again");
}

// An open model file; its descriptor belongs to the stream.
struct ModelFile {
  explicit ModelFile(const std::filesystem::path& file) : stream(open(file)) { stream.SetCloseOnDelete(true); }
  FileInputStream stream;

 private:
  static int open(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) user_error("cannot be opened: {}", std::generic_category().message(errno));
    struct stat info{};
    const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    if (!regular || info.st_size == 0 || info.st_size > INT_MAX) ::close(fd);
    if (!regular) user_error("is not a regular file");
    check_size(info.st_size);
    return fd;
  }
};

::onnx::ModelProto parse(CodedInputStream& in) {
  in.SetTotalBytesLimit(INT_MAX);
  ::onnx::ModelProto model;
  if (!model.MergeFromCodedStream(&in) || !in.ConsumedEntireMessage()) not_a_model();
  if (!model.has_graph()) user_error("holds no graph: not an ONNX model, or truncated");
  return model;
}

// Walks the fields of the message at hand; `take` reads the ones it wants and says so, the others are skipped.
template <class Take>
bool walk(CodedInputStream& in, Take&& take) {
  while (const uint32_t tag = in.ReadTag()) {
    bool ok = true;
    if (!take(WireFormatLite::GetTagFieldNumber(tag), ok)) ok = WireFormatLite::SkipField(&in, tag);
    if (!ok) return false;
  }
  return in.ConsumedEntireMessage();
}

template <class Body>
bool nested(CodedInputStream& in, Body&& body) {
  const auto limit = in.ReadLengthAndPushLimit();
  const bool ok = body();
  in.PopLimit(limit);
  return ok;
}

// The parts of a model that describe its interface; weights are skipped, not read.
struct Interface {
  ::onnx::ModelProto model;
  std::set<std::string> initializers;

  bool read_initializer(CodedInputStream& in) {
    return walk(in, [&](int field, bool& ok) {
      if (field != ::onnx::TensorProto::kNameFieldNumber) return false;
      std::string name;
      ok = WireFormatLite::ReadBytes(&in, &name);
      initializers.insert(std::move(name));
      return true;
    });
  }
  bool read_graph(CodedInputStream& in) {
    ::onnx::GraphProto& graph = *model.mutable_graph();
    return walk(in, [&](int field, bool& ok) {
      switch (field) {
        case ::onnx::GraphProto::kInputFieldNumber:
          ok = WireFormatLite::ReadMessage(&in, graph.add_input());
          return true;
        case ::onnx::GraphProto::kOutputFieldNumber:
          ok = WireFormatLite::ReadMessage(&in, graph.add_output());
          return true;
        case ::onnx::GraphProto::kInitializerFieldNumber:
          ok = nested(in, [&] { return read_initializer(in); });
          return true;
        default: return false;
      }
    });
  }
  bool read_model(CodedInputStream& in) {
    return walk(in, [&](int field, bool& ok) {
      using ::onnx::ModelProto;
      switch (field) {
        case ModelProto::kIrVersionFieldNumber: {
          int64_t version = 0;
          ok = WireFormatLite::ReadPrimitive<int64_t, WireFormatLite::TYPE_INT64>(&in, &version);
          model.set_ir_version(version);
          return true;
        }
        case ModelProto::kProducerNameFieldNumber:
          ok = WireFormatLite::ReadBytes(&in, model.mutable_producer_name());
          return true;
        case ModelProto::kOpsetImportFieldNumber:
          ok = WireFormatLite::ReadMessage(&in, model.add_opset_import());
          return true;
        case ModelProto::kMetadataPropsFieldNumber:
          ok = WireFormatLite::ReadMessage(&in, model.add_metadata_props());
          return true;
        case ModelProto::kGraphFieldNumber: ok = nested(in, [&] { return read_graph(in); }); return true;
        default: return false;
      }
    });
  }
};

ModelInput describe(const ::onnx::ValueInfoProto& info) {
  const DeclaredType type = declared_type(info.type());
  ModelInput result{.name = printable(info.name()),
                    .dtype = std::nullopt,
                    .format = {},
                    .shape = std::nullopt,
                    .optional = type.optional,
                    .sequence = type.sequence};
  if (type.tensor == nullptr) return result;
  const auto& tensor = *type.tensor;
  result.dtype = to_dtype(tensor.elem_type());
  if (const Format* format = declared_format(tensor.elem_type())) {
    result.dtype = format->stored;
    result.format = format->name;
  }
  if (!tensor.has_shape()) return result;
  Shape& shape = result.shape.emplace();
  for (const auto& dim : tensor.shape().dim())
    shape.push_back(dim.dim_value() > 0 ? Dim(dim.dim_value()) : Dim(printable(dim.dim_param())));
  return result;
}

ModelInputs read_inputs(CodedInputStream& in) {
  in.SetTotalBytesLimit(INT_MAX);
  Interface found;
  if (!found.read_model(in)) not_a_model();
  if (!found.model.has_graph()) user_error("holds no graph: not an ONNX model, or truncated");
  ModelInputs result;
  result.ir_version = found.model.ir_version();
  result.producer = printable(found.model.producer_name());
  for (const auto& opset : found.model.opset_import())
    result.opsets[std::string(canonical_domain(opset.domain()))] = opset.version();
  for (const auto& entry : found.model.metadata_props())
    result.metadata[printable(entry.key())] = printable_text(entry.value());
  for (const auto& input : found.model.graph().input())
    if (!found.initializers.contains(input.name())) result.inputs.push_back(describe(input));
  for (const auto& output : found.model.graph().output()) result.outputs.push_back(describe(output));
  return result;
}

CodedInputStream from_bytes(std::string_view bytes) {
  check_size(static_cast<int64_t>(bytes.size()));
  return CodedInputStream(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
}

}  // namespace

DeclaredType declared_type(const ::onnx::TypeProto& type) {
  DeclaredType result;
  const ::onnx::TypeProto* at = &type;
  result.optional = at->has_optional_type();
  if (result.optional) at = &at->optional_type().elem_type();
  result.sequence = at->has_sequence_type();
  if (result.sequence) at = &at->sequence_type().elem_type();
  if (at->has_tensor_type()) result.tensor = &at->tensor_type();
  return result;
}

::onnx::ModelProto parse_model_file(const std::filesystem::path& file) {
  ModelFile opened(file);
  CodedInputStream in(&opened.stream);
  return parse(in);
}

::onnx::ModelProto parse_model_bytes(std::string_view bytes) {
  CodedInputStream in = from_bytes(bytes);
  return parse(in);
}

std::string_view canonical_domain(std::string_view domain) {
  return domain == "ai.onnx" ? "" : domain;
}

void check_opset(std::string_view op, int64_t opset) {
  constexpr std::string_view kChanged =
      " Abs Add BatchNormalization Cast Ceil Clip Concat Div Dropout Elu Exp Floor GRU Gemm GlobalLpPool HardSigmoid "
      "InstanceNormalization LeakyRelu Log LpPool Max Mean Min Mul Neg PRelu Pad Reciprocal Relu Reshape Selu Sigmoid "
      "Split Sqrt Sub Sum Tanh Tile ";
  if (opset < 6 && kChanged.find(fmt::format(" {} ", op)) != std::string_view::npos)
    user_error(
        "uses opset {} of ai.onnx; of this op 6 to {} are supported: convert the model with "
        "onnx.version_converter.convert_version",
        opset, kNewestOpset);
}

void check_ir_version(const ::onnx::ModelProto& model) {
  if (model.ir_version() < 3 || model.ir_version() > ::onnx::IR_VERSION)
    user_error("has ONNX IR version {}; 3 to {} are supported: export the model again with a current exporter",
               model.ir_version(), static_cast<int64_t>(::onnx::IR_VERSION));
}

Opsets checked_opsets(const ::google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const auto& opset : imports)
    if (!opsets.emplace(canonical_domain(opset.domain()), opset.version()).second)
      user_error("imports the opset of domain '{}' twice", printable(opset.domain()));
  const auto core = opsets.find("");
  if (core == opsets.end()) {
    if (opsets.empty()) user_error("imports no opset: not an ONNX model, or truncated");
  } else if (core->second < kOldestOpset || core->second > kNewestOpset) {
    user_error(
        "uses opset {} of ai.onnx; {} to {} are supported: convert it with onnx.version_converter.convert_version",
        core->second, kOldestOpset, kNewestOpset);
  }
  return opsets;
}

}  // namespace oc::from_onnx

namespace oc {

ModelInputs read_model_inputs(const std::filesystem::path& file) {
  return from_onnx::within(file.string(), [&] {
    from_onnx::ModelFile opened(file);
    ::google::protobuf::io::CodedInputStream in(&opened.stream);
    return from_onnx::read_inputs(in);
  });
}

}  // namespace oc
