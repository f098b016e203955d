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
    Constant* inputs = table<oc_tensor_info>(tensors(interface.inputs), interface.name + "_inputs");
    Constant* outputs = table<oc_tensor_info>(tensors(interface.outputs), interface.name + "_outputs");
    Constant* metadata = table<oc_pair>(pairs(), interface.name + "_metadata");
    for (const MetadataInterface& entry : interface.metadata) {
      std::vector<Constant*> lines;
      for (const std::string& line : entry.lines) lines.push_back(text(line));
      if (!lines.empty()) table<const char*>(lines, interface.name + "_metadata_" + entry.c_name);
    }
    const std::vector<Constant*> needs = cpu_needs();
    const std::vector<Constant*> all_steps = steps();  // fills locations_ and args_
    const bool embedded = request_.weights_file.empty();
    Constant* plan = record<oc_plan>({text(interface.name),
                                      inputs,
                                      outputs,
                                      table<oc_location>(locations_, ""),
                                      table<uint32_t>(args_, ""),
                                      table<oc_step>(all_steps, ""),
                                      table<oc_cpu_need>(needs, ""),
                                      metadata,
                                      embedded ? bytes(request_.weights.blob) : null(),
                                      embedded ? null() : text(request_.weights_file),
                                      bytes(request_.weights.own),
                                      u64(request_.weights.blob.size()),
                                      u64(static_cast<uint64_t>(request_.weights.whole)),
                                      u64(request_.plan.arena_bytes),
                                      u32(interface.inputs.size()),
                                      u32(interface.outputs.size()),
                                      u32(locations_.size()),
                                      u32(args_.size()),
                                      u32(all_steps.size()),
                                      u32(needs.size()),
                                      u32(interface.metadata.size()),
                                      u32(request_.default_threads)});
    llvm::GlobalVariable* global = add_global(plan, "oc_plan_data");
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

  // "" makes a private table. An empty one is a null pointer unless it has a name to be found by.
  template <class Element>
  Constant* table(const std::vector<Constant*>& elements, const std::string& name) {
    if (elements.empty() && name.empty()) return null();
    llvm::Type* type = elements.empty() ? llvm::Type::getInt64Ty(context_) : elements[0]->getType();
    return add_global(llvm::ConstantArray::get(llvm::ArrayType::get(type, elements.size()), elements), name);
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

  Constant* dims(const Extents& sizes) {
    std::vector<Constant*> rows;
    uint64_t stride = 1;
    for (size_t i = sizes.size(); i-- > 0;) {
      rows.push_back(record<oc_dim>({u32(0), u32(static_cast<uint64_t>(sizes[i])), u32(stride), u32(0)}));
      stride *= static_cast<uint64_t>(sizes[i]);
    }
    return table<oc_dim>(rows, "");
  }

  // The number of a location in the table of buffers.
  uint32_t buffer(const Location& location) {
    const auto key = std::tuple(location.place, location.index, location.offset, location.sizes);
    const auto [at, fresh] = buffers_.emplace(key, static_cast<uint32_t>(locations_.size()));
    if (fresh)
      locations_.push_back(record<oc_location>({u32(static_cast<uint32_t>(location.place)), u32(location.index),
                                                u64(static_cast<uint64_t>(location.offset)), dims(location.sizes),
                                                u64(location.sizes.size())}));
    return at->second;
  }

  std::vector<Constant*> steps() {
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
    for (const Step& step : request_.plan.steps) {
      const size_t first = args_.size();
      for (const Location& location : step.args) args_.push_back(u32(buffer(location)));
      Constant* kernel = null();
      if (step.kind == Step::Kind::kernel)
        kernel = llvm::cast<Constant>(module_.getOrInsertFunction(step.symbol + "_argv", kernel_type).getCallee());
      const int64_t copied = step.kind == Step::Kind::copy ? step.args[1].bytes : 0;
      rows.push_back(record<oc_step>({kernel, text(step.label), u32(first), u32(step.args.size()),
                                      u32(static_cast<uint32_t>(step.kind)), u32(step.skipped),
                                      u64(static_cast<uint64_t>(copied))}));
    }
    return rows;
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const DataObjectRequest& request_;
  llvm::PointerType* pointer_;
  std::map<std::string, Constant*> texts_;
  std::map<std::tuple<Place, uint32_t, int64_t, Extents>, uint32_t> buffers_;
  std::vector<Constant*> locations_, args_;
};

}  // namespace

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
