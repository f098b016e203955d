#include "generators/disassemble.h"

#include <fmt/format.h>
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

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

struct Instruction {
  size_t at, length;       // its bytes in the object file
  std::string_view text;   // empty: a byte that is none
  std::string_view label;  // of the function that begins there
};

void for_each_instruction(const std::string& object, const Target& target,
                          const std::function<void(const Instruction&)>& visit) {
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
  for (const llvm::object::SectionRef& section : (*file)->sections()) {
    if (!section.isText() || section.getSize() == 0) continue;
    auto bytes = section.getContents();
    if (!bytes) internal_error("an object file with a broken section: {}", llvm::toString(bytes.takeError()));
    const std::map<uint64_t, std::string> names = labels(**file, section);
    char line[256];
    auto* data = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes->data()));
    const auto begin = static_cast<size_t>(bytes->data() - object.data());
    for (uint64_t at = 0; at < bytes->size();) {
      const size_t length = LLVMDisasmInstruction(context, data + at, bytes->size() - at, at, line, sizeof line);
      const auto name = names.find(at);
      visit({begin + at, std::max<size_t>(1, length), length == 0 ? "" : line,
             name == names.end() ? std::string_view() : name->second});
      at += std::max<size_t>(1, length);
    }
  }
  LLVMDisasmDispose(context);
}

}  // namespace

std::string disassemble(const std::string& object, const Target& target) {
  std::string text;
  for_each_instruction(object, target, [&](const Instruction& each) {
    if (!each.label.empty()) text += fmt::format("{}:\n", each.label);
    text += each.text.empty() ? fmt::format("  .byte {:#04x}\n", static_cast<uint8_t>(object[each.at]))
                              : fmt::format("{}\n", each.text);
  });
  return text;
}

void prefetch_into_second_level(std::string& object, const Target& target) {
  constexpr std::string_view kOpcode("\x0f\x18", 2);
  constexpr unsigned char kHint = 0x38, kSecondLevel = 2 << 3;  // bits of the byte after the opcode
  if (target.arch != "x86-64" || object.find(kOpcode) == std::string::npos) return;
  std::vector<size_t> hints;
  bool known = true;
  for_each_instruction(object, target, [&](const Instruction& each) {
    known &= !each.text.empty();
    if (each.text.find("prefetchnta") == std::string_view::npos) return;
    const size_t opcode = std::string_view(object).substr(each.at, each.length).find(kOpcode);
    if (opcode == std::string_view::npos) internal_error("a prefetch of unknown form");
    hints.push_back(each.at + opcode + kOpcode.size());
  });
  if (!known) return;  // what follows an unknown instruction may be none
  for (const size_t at : hints) object[at] = static_cast<char>((object[at] & ~kHint) | kSecondLevel);
}

}  // namespace oc
