#include "generators/disassemble.h"

#include <fmt/format.h>
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include <map>

#include "base/error.h"

namespace oc {
namespace {

std::map<uint64_t, std::string> labels(const llvm::object::ObjectFile& file, const llvm::object::SectionRef& section) {
  std::map<uint64_t, std::string> result;
  for (const llvm::object::SymbolRef& symbol : file.symbols()) {
    auto in = symbol.getSection();
    auto name = symbol.getName();
    auto address = symbol.getAddress();
    if (!in || !name || !address) internal_error("an object file with a broken symbol table");
    if (*in != file.section_end() && **in == section && !name->empty()) result[*address] = name->str();
  }
  return result;
}

std::string disassemble_section(LLVMDisasmContextRef context, llvm::StringRef bytes,
                                const std::map<uint64_t, std::string>& names) {
  std::string text;
  char line[256];
  auto* data = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
  for (uint64_t at = 0; at < bytes.size();) {
    if (const auto name = names.find(at); name != names.end()) text += name->second + ":\n";
    const size_t length = LLVMDisasmInstruction(context, data + at, bytes.size() - at, at, line, sizeof line);
    text += length == 0 ? fmt::format("  .byte {:#04x}\n", data[at]) : fmt::format("{}\n", line);
    at += length == 0 ? 1 : length;
  }
  return text;
}

}  // namespace

std::string disassemble(const std::string& object, const Target& target) {
  LLVMInitializeAllTargetInfos();
  LLVMInitializeAllTargetMCs();
  LLVMInitializeAllDisassemblers();
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kernel"));
  if (!file) internal_error("no object file: {}", llvm::toString(file.takeError()));
  // Every extension, so that no instruction of a kernel is unknown.
  const char* features = target.arch == "x86-64"
                             ? "+avx512f,+avx512bw,+avx512vl,+avx512dq,+avx512vnni,+avx512bf16,+fma,+avx2,+f16c"
                             : "+neon,+dotprod,+fullfp16";
  LLVMDisasmContextRef context =
      LLVMCreateDisasmCPUFeatures(target.triple().c_str(), "", features, nullptr, 0, nullptr, nullptr);
  if (context == nullptr) internal_error("no disassembler for {}", target.triple());
  std::string text;
  for (const llvm::object::SectionRef& section : (*file)->sections()) {
    if (!section.isText() || section.getSize() == 0) continue;
    if (auto bytes = section.getContents()) text += disassemble_section(context, *bytes, labels(**file, section));
  }
  LLVMDisasmDispose(context);
  return text;
}

}  // namespace oc
