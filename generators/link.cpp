#include "generators/link.h"

#include <lld/Common/Driver.h>
#include <llvm/ObjCopy/ConfigManager.h>
#include <llvm/ObjCopy/ObjCopy.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <array>
#include <deque>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "generators/embedded_runtime.h"

LLD_HAS_DRIVER(elf)

namespace oc {
namespace {

// Prefix of the C API in runtime/embedded/library.c.
constexpr std::string_view kApiPrefix = "oc_model_";

template <class T>
T take(llvm::Expected<T> value, std::string_view doing) {
  if (!value) internal_error("{}: {}", doing, llvm::toString(value.takeError()));
  return std::move(*value);
}

std::unique_ptr<llvm::object::ObjectFile> parse_object(const std::string& object) {
  const llvm::MemoryBufferRef buffer(llvm::StringRef(object.data(), object.size()), "object");
  return take(llvm::object::ObjectFile::createObjectFile(buffer), "cannot read a linked object");
}

std::string_view emulation(const Target& target) {
  return target.arch == "arm-64" ? "aarch64linux" : "elf_x86_64";
}

// Runs `ld.lld arguments… -o output`, returns the output file's bytes.
std::string lld(const Target& target, std::vector<std::string> arguments, const std::filesystem::path& output) {
  arguments.insert(arguments.begin(),
                   {"ld.lld", "--threads=1", "--build-id=none", "-m", std::string(emulation(target))});
  arguments.insert(arguments.end(), {"-o", output.string()});
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(pointers, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0) internal_error("linking failed:\n{}", stream.str());
  return read_file(output);
}

std::string write_input(const TempDir& folder, const std::string& name, std::string_view bytes) {
  const std::filesystem::path path = folder.path() / name;
  write_file(path, bytes);
  return path.string();
}

// Every global symbol but those the object exports becomes local; the API gets its name.
std::string rename_symbols(const std::string& object, const std::string& name) {
  const std::unique_ptr<llvm::object::ObjectFile> parsed = parse_object(object);
  llvm::objcopy::ConfigManager config;
  std::deque<std::string> names;  // StringRefs in the configuration point into these
  for (const llvm::object::SymbolRef& symbol : parsed->symbols()) {
    const uint32_t flags = take(symbol.getFlags(), "flags of a symbol");
    if ((flags & llvm::object::SymbolRef::SF_Undefined) || !(flags & llvm::object::SymbolRef::SF_Global)) continue;
    const llvm::StringRef old = take(symbol.getName(), "name of a symbol");
    std::string exported = old.str();
    if (old.starts_with(kApiPrefix)) {
      exported = name + "_" + old.drop_front(kApiPrefix.size()).str();
      names.push_back(exported);
      config.Common.SymbolsToRename[old] = names.back();
    } else if (!old.starts_with(name + "_")) {
      continue;
    }
    names.push_back(old.str());
    if (llvm::Error error = config.Common.SymbolsToKeepGlobal.addMatcher(llvm::objcopy::NameOrPattern::create(
            names.back(), llvm::objcopy::MatchStyle::Literal, [](llvm::Error e) { return e; })))
      internal_error("{}", llvm::toString(std::move(error)));
  }
  llvm::SmallVector<char, 0> out;
  llvm::raw_svector_ostream stream(out);
  if (llvm::Error error = llvm::objcopy::executeObjcopyOnBinary(config, *parsed, stream))
    internal_error("cannot rename symbols: {}", llvm::toString(std::move(error)));
  return {out.data(), out.size()};
}

// What the systems' libc, libm and thread library are called, and what a kernel or the runtime may ask of them.
struct SystemLibraries {
  std::vector<std::string> sonames;
  std::string page_bytes;
};

SystemLibraries system_libraries(const Target& target) {
  if (target.os == "android") return {{"libm.so", "libc.so"}, "16384"};
  return {{"libm.so.6", "libpthread.so.0", "libc.so.6"}, target.arch == "arm-64" ? "65536" : "4096"};
}

constexpr auto kSystemFunctions = std::to_array<std::string_view>(
    {// libc and threads
     "memcpy", "memset", "memmove", "memcmp", "strlen", "free", "posix_memalign", "madvise", "mmap", "munmap", "getenv",
     "getpid", "open", "read", "close", "syscall", "sched_yield", "sched_getaffinity", "clock_gettime", "getauxval",
     "_setjmp", "longjmp", "pthread_create", "pthread_join", "pthread_sigmask",
     // libm, each also with the suffix f
     "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign", "cos", "cosh", "erf",
     "erfc", "exp", "exp2", "expm1", "fabs", "floor", "fma", "fmax", "fmin", "fmod", "hypot", "ldexp", "log", "log10",
     "log1p", "log2", "nearbyint", "pow", "rint", "round", "roundeven", "sin", "sincos", "sinh", "sqrt", "tan", "tanh",
     "trunc"});

bool is_system_function(std::string_view name) {
  const auto known = [](std::string_view n) {
    return std::ranges::find(kSystemFunctions, n) != kSystemFunctions.end();
  };
  return known(name) || (name.ends_with('f') && known(name.substr(0, name.size() - 1)));
}

void check_undefined(const std::string& object) {
  std::string strangers;
  for (const std::string& name : undefined_symbols(object))
    if (!is_system_function(name)) strangers += "\n  " + name;
  if (!strangers.empty())
    internal_error("kernels need functions that neither the runtime nor libc and libm have:{}", strangers);
}

}  // namespace

void require_linkable(const Target& target) {
  if (target.os == "linux" || target.os == "android") return;
  user_error(
      "target {}: libraries can be linked for x86-64-linux, arm-64-linux and arm-64-android so far; choose one of "
      "these with --target",
      target.name());
}

std::vector<std::string> undefined_symbols(const std::string& object) {
  std::set<std::string> names;
  const std::unique_ptr<llvm::object::ObjectFile> parsed = parse_object(object);
  for (const llvm::object::SymbolRef& symbol : parsed->symbols()) {
    const uint32_t flags = take(symbol.getFlags(), "flags of a symbol");
    const llvm::StringRef name = take(symbol.getName(), "name of a symbol");
    if ((flags & llvm::object::SymbolRef::SF_Undefined) && !name.empty()) names.insert(name.str());
  }
  return {names.begin(), names.end()};
}

std::string link_relocatable(const LinkRequest& request) {
  const TempDir folder;
  std::vector<std::string> arguments = {"-r", write_input(folder, "data.o", request.data)};
  for (size_t i = 0; i < request.objects.size(); ++i)
    arguments.push_back(write_input(folder, fmt::format("kernel{}.o", i), request.objects[i]));
  for (const EmbeddedObject& object : embedded_runtime(request.target.arch))
    if (object.name != "kernel_host")
      arguments.push_back(write_input(folder, fmt::format("{}.o", object.name), object.bytes));
  const std::string merged = lld(request.target, arguments, folder.path() / "merged.o");
  check_undefined(merged);
  return rename_symbols(merged, request.name);
}

std::string make_archive(const std::string& name, const std::string& object) {
  const std::string member_name = name + ".o";
  std::vector<llvm::NewArchiveMember> members;
  members.emplace_back(llvm::MemoryBufferRef(llvm::StringRef(object.data(), object.size()), member_name));
  const std::unique_ptr<llvm::MemoryBuffer> archive =
      take(llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NormalSymtab, llvm::object::Archive::K_GNU,
                                      true, false),
           "cannot write an archive");
  return archive->getBuffer().str();
}

std::string link_shared(const Target& target, const std::string& name, const std::string& object) {
  const TempDir folder;
  const SystemLibraries system = system_libraries(target);
  // Libraries without symbols but with the systems' names: the result asks for these at load time, and nothing of the
  // target system need be present here.
  const std::string nothing = write_input(folder, "nothing", std::string(1, '\0'));
  std::vector<std::string> arguments = {"-shared",
                                        "-soname",
                                        fmt::format("lib{}.so", name),
                                        "-Bsymbolic",
                                        "--hash-style=gnu",
                                        "--eh-frame-hdr",
                                        "-z",
                                        "relro",
                                        "-z",
                                        "now",
                                        "-z",
                                        "noexecstack",
                                        "-z",
                                        "max-page-size=" + system.page_bytes,
                                        fmt::format("--defsym=oc_library={}_library", name),
                                        write_input(folder, "model.o", object),
                                        "--no-as-needed"};
  for (const std::string& soname : system.sonames) {
    const std::filesystem::path stub = folder.path() / soname;
    (void)lld(target, {"-shared", "-soname", soname, "--format=binary", nothing}, stub);
    arguments.push_back(stub.string());
  }
  return lld(target, arguments, folder.path() / "library.so");
}

void link_kernel(const Target& target, const std::string& object, const std::string& symbol,
                 const std::filesystem::path& path) {
  require_linkable(target);
  const ChildResult result = run_in_child([&] {
    const TempDir folder;
    std::vector<std::string> arguments = {"-shared",
                                          "-Bsymbolic",
                                          "--hash-style=gnu",
                                          "-z",
                                          "now",
                                          write_input(folder, "kernel.o", object),
                                          "--export-dynamic-symbol=" + symbol + "_argv"};
    for (const EmbeddedObject& part : embedded_runtime(target.arch))
      if (part.name != "library" && part.name != "cpu")
        arguments.push_back(write_input(folder, fmt::format("{}.o", part.name), part.bytes));
    (void)lld(target, arguments, path);
    return std::string();
  });
  if (result.status != ChildStatus::ok) internal_error("kernel {} cannot be linked: {}", symbol, result.result);
}

}  // namespace oc
