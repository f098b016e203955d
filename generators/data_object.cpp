#include "generators/data_object.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/GlobalVariable.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>

#include <algorithm>
#include <bit>
#include <map>

#include "base/error.h"
#include "runtime/embedded/abi.h"

namespace oc {
namespace {

using llvm::Constant;

std::unique_ptr<llvm::TargetMachine> target_machine(const Target& target) {
  if (target.arch == "arm-64") {
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  } else {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  }
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(target.triple(), error);
  if (found == nullptr) internal_error("LLVM does not know the triple {}: {}", target.triple(), error);
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(target.triple(), "", "", {}, llvm::Reloc::PIC_));
}

// Builds the structs of abi.h as constants; the order of fields is theirs.
class Writer {
 public:
  Writer(llvm::Module& module, const DataObjectRequest& request)
      : module_(module),
        context_(module.getContext()),
        request_(request),
        pointer_(llvm::PointerType::get(context_, 0)) {}

  void write() {
    const Interface& interface = request_.interface;
    table<oc_tensor_info>(tensors(interface.inputs), interface.name + "_inputs");
    table<oc_tensor_info>(tensors(interface.outputs), interface.name + "_outputs");
    Constant* metadata = table<oc_pair>(pairs(), interface.name + "_metadata");
    for (const MetadataInterface& entry : interface.metadata) {
      std::vector<Constant*> lines;
      for (const std::string& line : entry.lines) lines.push_back(text(line));
      if (!lines.empty()) table<const char*>(lines, interface.name + "_metadata_" + entry.c_name);
    }
    const std::vector<Constant*> needs = cpu_needs();
    const bool embedded = request_.weights_file.empty();
    std::vector<Constant*> plans;
    for (const ShapedPlan& shaped : request_.plans) plans.push_back(plan(shaped));
    Constant* model = record<oc_model>({text(interface.name),
                                        table<oc_plan>(plans, ""),
                                        table<oc_axis>(axes(), ""),
                                        raw(dims_),
                                        table<oc_cpu_need>(needs, ""),
                                        metadata,
                                        embedded ? bytes(request_.weights.blob) : null(),
                                        embedded ? null() : text(request_.weights_file),
                                        bytes(request_.weights.own),
                                        u64(request_.weights.blob.size()),
                                        u64(static_cast<uint64_t>(request_.weights.whole)),
                                        u64(static_cast<uint64_t>(most_arena_bytes(request_.plans))),
                                        u32(plans.size()),
                                        u32(interface.axes.size()),
                                        u32(interface.inputs.size()),
                                        u32(interface.outputs.size()),
                                        u32(needs.size()),
                                        u32(interface.metadata.size()),
                                        u32(request_.default_threads),
                                        u32(0)});
    llvm::GlobalVariable* global = add_global(model, "oc_data");
    global->setVisibility(llvm::GlobalValue::HiddenVisibility);
  }

 private:
  Constant* u32(uint64_t v) {
    return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context_), static_cast<uint32_t>(v));
  }
  Constant* u64(uint64_t v) { return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context_), v); }
  Constant* null() { return llvm::ConstantPointerNull::get(pointer_); }

  template <class Struct>
  Constant* record(const std::vector<Constant*>& fields) {
    Constant* made = llvm::ConstantStruct::getAnon(fields);
    if (module_.getDataLayout().getTypeAllocSize(made->getType()) != sizeof(Struct))
      internal_error("a struct of the data object does not have the layout of runtime/embedded/abi.h");
    return made;
  }

  // "" makes a private table; equal ones once. An empty one is a null pointer unless it has a name to be found by.
  template <class Element>
  Constant* table(const std::vector<Constant*>& elements, const std::string& name) {
    if (elements.empty() && name.empty()) return null();
    llvm::Type* type = elements.empty() ? llvm::Type::getInt64Ty(context_) : elements[0]->getType();
    Constant* contents = llvm::ConstantArray::get(llvm::ArrayType::get(type, elements.size()), elements);
    return name.empty() ? once(contents) : add_global(contents, name);
  }

  // A private table of structs without pointers, whose bytes are those that they have here: all targets are
  // little-endian and lay them out alike.
  template <class Element>
  Constant* raw(const std::vector<Element>& elements) {
    static_assert(std::endian::native == std::endian::little && std::has_unique_object_representations_v<Element>);
    if (elements.empty()) return null();
    const std::string_view all(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(Element));
    llvm::GlobalVariable* global =
        once(llvm::ConstantDataArray::getRaw(llvm::StringRef(all), all.size(), llvm::Type::getInt8Ty(context_)));
    global->setAlignment(std::max(global->getAlign().valueOrOne(), llvm::Align(alignof(Element))));
    return global;
  }

  // LLVM has equal constants once.
  llvm::GlobalVariable* once(Constant* contents) {
    llvm::GlobalVariable*& known = tables_[contents];
    if (known == nullptr) known = add_global(contents, "");
    return known;
  }

  llvm::GlobalVariable* add_global(Constant* contents, const std::string& name) {
    const auto linkage = name.empty() ? llvm::GlobalValue::PrivateLinkage : llvm::GlobalValue::ExternalLinkage;
    return new llvm::GlobalVariable(module_, contents->getType(), true, linkage, contents, name);
  }

  // A C string; equal ones once.
  Constant* text(std::string_view characters) {
    Constant*& known = texts_[std::string(characters)];
    if (known == nullptr) {
      llvm::GlobalVariable* global =
          add_global(llvm::ConstantDataArray::getString(context_, {characters.data(), characters.size()}), "");
      global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
      known = global;
    }
    return known;
  }

  Constant* bytes(std::string_view contents) {
    if (contents.empty()) return null();
    llvm::GlobalVariable* global = add_global(
        llvm::ConstantDataArray::getRaw(llvm::StringRef(contents), contents.size(), llvm::Type::getInt8Ty(context_)),
        "");
    global->setAlignment(llvm::Align(64));
    return global;
  }

  std::vector<Constant*> tensors(const std::vector<TensorInterface>& all) {
    std::vector<Constant*> rows;
    for (const TensorInterface& t : all) {
      std::vector<Constant*> extents;
      for (int64_t extent : t.shape) extents.push_back(u64(static_cast<uint64_t>(extent)));
      rows.push_back(
          record<oc_tensor_info>({text(t.name), text(dtype_name(t.dtype)), table<int64_t>(extents, ""),
                                  u32(t.shape.size()), u32(dtype_size(t.dtype)), u64(t.elements), u64(t.bytes)}));
    }
    return rows;
  }

  std::vector<Constant*> pairs() {
    std::vector<Constant*> rows;
    for (const MetadataInterface& entry : request_.interface.metadata)
      rows.push_back(record<oc_pair>({text(entry.key), text(entry.value)}));
    return rows;
  }

  std::vector<Constant*> cpu_needs() {
    std::vector<Constant*> rows;
    for (const CpuNeed& need : request_.cpu_needs)
      rows.push_back(
          record<oc_cpu_need>({u32(need.leaf), u32(need.subleaf), u32(need.reg), u32(need.mask), text(need.name)}));
    return rows;
  }

  std::vector<Constant*> axes() {
    std::vector<Constant*> rows;
    for (const AxisInterface& axis : request_.interface.axes) {
      std::vector<oc_axis_dim> dims;
      for (const auto& [input, dim] : axis.places)
        dims.push_back({static_cast<uint32_t>(input), static_cast<uint32_t>(dim)});
      rows.push_back(
          record<oc_axis>({text(axis.name), u64(static_cast<uint64_t>(axis.low)), u64(static_cast<uint64_t>(axis.high)),
                           u64(static_cast<uint64_t>(axis.step)), raw(dims), u64(dims.size())}));
    }
    return rows;
  }

  // Where the dims of a dense buffer stand among all.
  uint32_t dims(const Extents& sizes) {
    const auto [at, fresh] = first_dims_.emplace(sizes, static_cast<uint32_t>(dims_.size()));
    if (!fresh) return at->second;
    int32_t stride = 1;
    for (size_t i = sizes.size(); i-- > 0;) {
      const auto extent = static_cast<int32_t>(sizes[i]);
      dims_.push_back({0, extent, stride, 0});
      stride *= extent;
    }
    return at->second;
  }

  // The tables of one plan.
  struct Buffers {
    std::map<std::tuple<Place, uint32_t, int64_t, int64_t, Extents>, uint32_t> numbers;
    std::vector<oc_location> locations;
    std::vector<uint32_t> args;
  };

  // The number of a location in the table of buffers. `bytes`: that a copy moves.
  uint32_t buffer(Buffers& all, const Location& location, int64_t bytes) {
    const auto key = std::tuple(location.place, location.index, location.offset, bytes, location.sizes);
    const auto [at, fresh] = all.numbers.emplace(key, static_cast<uint32_t>(all.locations.size()));
    if (!fresh) return at->second;
    const bool row = location.place == Place::rows;  // rows stand behind the weights
    all.locations.push_back({static_cast<uint32_t>(row ? Place::weights : location.place), location.index,
                             static_cast<uint64_t>(location.offset + (row ? request_.weights.whole : 0)),
                             location.sizes.empty() ? 0 : dims(location.sizes),
                             static_cast<uint32_t>(location.sizes.size()), static_cast<uint64_t>(bytes)});
    return at->second;
  }

  Constant* plan(const ShapedPlan& shaped) {
    Buffers buffers;
    const std::vector<Constant*> all_steps = steps(shaped.plan, buffers);
    return record<oc_plan>({table<oc_tensor_info>(tensors(shaped.inputs), ""),
                            table<oc_tensor_info>(tensors(shaped.outputs), ""), raw(buffers.locations),
                            raw(buffers.args), table<oc_step>(all_steps, ""),
                            u64(static_cast<uint64_t>(shaped.plan.arena_bytes)), u32(buffers.locations.size()),
                            u32(buffers.args.size()), u32(all_steps.size()), u32(0)});
  }

  std::vector<Constant*> steps(const Plan& plan, Buffers& buffers) {
    static_assert(static_cast<int>(Place::arena) == OC_PLACE_ARENA &&
                  static_cast<int>(Place::weights) == OC_PLACE_WEIGHTS &&
                  static_cast<int>(Place::input) == OC_PLACE_INPUT &&
                  static_cast<int>(Place::output) == OC_PLACE_OUTPUT && static_cast<int>(Place::own) == OC_PLACE_OWN);
    static_assert(static_cast<int>(Step::Kind::kernel) == OC_STEP_KERNEL &&
                  static_cast<int>(Step::Kind::copy) == OC_STEP_COPY &&
                  static_cast<int>(Step::Kind::skip_if) == OC_STEP_SKIP_IF &&
                  static_cast<int>(Step::Kind::skip_unless) == OC_STEP_SKIP_UNLESS &&
                  static_cast<int>(Step::Kind::fail) == OC_STEP_FAIL);
    std::vector<Constant*> rows;
    llvm::FunctionType* kernel_type = llvm::FunctionType::get(llvm::Type::getInt32Ty(context_), {pointer_}, false);
    for (const Step& step : plan.steps) {
      const size_t first = buffers.args.size();
      const bool copy = step.kind == Step::Kind::copy;
      for (const Location& location : step.args)
        buffers.args.push_back(buffer(buffers, location, copy ? location.bytes : 0));
      Constant* kernel = null();
      if (step.kind == Step::Kind::kernel)
        kernel = llvm::cast<Constant>(module_.getOrInsertFunction(step.symbol + "_argv", kernel_type).getCallee());
      rows.push_back(record<oc_step>({kernel, text(step.label), u32(first), u32(step.args.size()),
                                      u32(static_cast<uint32_t>(step.kind)), u32(step.skipped)}));
    }
    return rows;
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const DataObjectRequest& request_;
  llvm::PointerType* pointer_;
  std::map<std::string, Constant*> texts_;
  std::map<Constant*, llvm::GlobalVariable*> tables_;
  std::map<Extents, uint32_t> first_dims_;
  std::vector<oc_dim> dims_;
};

}  // namespace

int64_t most_arena_bytes(std::span<const ShapedPlan> plans) {
  int64_t most = 0;
  for (const ShapedPlan& shaped : plans) most = std::max(most, shaped.plan.arena_bytes);
  return most;
}

std::string make_data_object(const DataObjectRequest& request) {
  const std::unique_ptr<llvm::TargetMachine> machine = target_machine(request.target);
  llvm::LLVMContext context;
  llvm::Module module(request.interface.name, context);
  module.setTargetTriple(request.target.triple());
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  Writer(module, request).write();

  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    internal_error("LLVM cannot write objects for {}", request.target.triple());
  passes.run(module);
  return {bytes.data(), bytes.size()};
}

}  // namespace oc
