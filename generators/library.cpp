#include "generators/library.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "generators/cpu_features.h"
#include "generators/header.h"
#include "generators/link.h"
#include "generators/manifest.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

// A folder inside the destination, so that renaming out of it cannot cross file systems; gone with its contents at the
// end.
class Staging {
 public:
  explicit Staging(const fs::path& destination) : path_(destination / fmt::format(".opencompiler-{}", ::getpid())) {
    std::error_code error;
    fs::create_directories(destination, error);
    if (!error) fs::create_directory(path_, error);
    if (error)
      user_error("{}: cannot write into this folder: {}; choose another with -o", destination.string(),
                 error.message());
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Names {
  std::string archive, shared, weights;
  explicit Names(const std::string& name)
      : archive(fmt::format("lib{}.a", name)), shared(fmt::format("lib{}.so", name)), weights(name + ".weights") {}
};

// Runs in a child: LLVM and lld keep state, and link big things.
void link_all(const LibraryRequest& request, const fs::path& folder) {
  const Interface& interface = request.interface;
  const Names names(interface.name);
  const std::vector<CpuNeed> needs = cpu_needs(request.target);
  const std::string data =
      make_data_object({.target = request.target,
                        .interface = interface,
                        .plans = request.plans,
                        .weights = request.weights,
                        .weights_file = request.separate_weights ? std::string_view(names.weights) : std::string_view(),
                        .cpu_needs = needs,
                        .default_threads = request.default_threads});
  const std::string object = link_relocatable({request.target, interface.name, request.objects, data});
  if (request.emit.contains(Emit::static_library))
    write_file_atomic(folder / names.archive, make_archive(interface.name, object));
  if (request.emit.contains(Emit::shared_library))
    write_file_atomic(folder / names.shared, link_shared(request.target, interface.name, object));
}

}  // namespace

std::vector<fs::path> write_library(const LibraryRequest& request, const fs::path& folder) {
  require_linkable(request.target);
  const Staging staging(folder);
  const Interface& interface = request.interface;
  const Names names(interface.name);
  std::vector<std::string> files;
  if (request.emit.contains(Emit::static_library)) files.push_back(names.archive);
  if (request.emit.contains(Emit::shared_library)) files.push_back(names.shared);
  const ChildResult linked = run_in_child(
      [&] {
        try {
          link_all(request, staging.path());
        } catch (const UserError& error) {  // no room, no right to write
          return std::string(error.what());
        }
        return std::string();
      },
      {.wall = std::chrono::minutes(10), .memory_bytes = int64_t{16} << 30});
  if (linked.status != ChildStatus::ok) internal_error("linking {}: {}", interface.name, linked.result);
  if (!linked.result.empty()) user_error("{}: {}", folder.string(), linked.result);
  const auto write = [&](const std::string& name, std::string_view text) {
    write_file_atomic(staging.path() / name, text);
    files.push_back(name);
  };
  if (request.emit.contains(Emit::header))
    write(interface.name + ".h", make_header(interface, most_arena_bytes(request.plans)));
  if (request.emit.contains(Emit::manifest))
    write(interface.name + ".json", print_manifest(interface, request.target, request.plans, cpu_needs(request.target),
                                                   request.weights.blob.size(), request.default_threads));
  if (request.emit.contains(Emit::lock)) write(interface.name + ".lock", print_lock(request.lock));
  if (request.separate_weights) write(names.weights, request.weights.blob);
  std::vector<fs::path> paths;
  for (const std::string& file : files) {
    std::error_code error;
    fs::rename(staging.path() / file, folder / file, error);
    if (error) user_error("{}: cannot be written: {}", (folder / file).string(), error.message());
    paths.push_back(folder / file);
  }
  // One of a library that stood here before would speak of this one.
  std::error_code ignored;
  if (!request.emit.contains(Emit::lock)) fs::remove(folder / (interface.name + ".lock"), ignored);
  return paths;
}

}  // namespace oc
