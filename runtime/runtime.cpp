#include "opencompiler/runtime.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/embedded/abi.h"

namespace {

// In bytes and not a std::string: it must hold a message when memory is short.
thread_local char message[512] = "";

oc_status fail(oc_status status, const char* subject, const char* detail) {
  const char* text = oc_status_string(status);
  const bool has_detail = detail != nullptr && *detail != 0;
  std::snprintf(message, sizeof message, "%s%s%s%s%s", subject, *subject ? ": " : "", text, has_detail ? ": " : "",
                has_detail ? detail : "");
  return status;
}

}  // namespace

namespace {

// What a file of weights holds, for all modules in the process that have it: libraries of one model for other shapes
// are linked to one file.
struct Weights {
  // With when it was written: one that is written in place and keeps size and time would not be seen to be another.
  using File = std::tuple<dev_t, ino_t, off_t, time_t, long>;
  char* memory = nullptr;  // pages for munmap
  size_t bytes = 0;
  Weights() = default;
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;
  ~Weights() {
    if (memory != nullptr) ::munmap(memory, bytes);
  }
};

}  // namespace

struct oc_module {
  std::atomic<int> references{1};
  void* handle = nullptr;
  const oc_library_table* library = nullptr;
  std::shared_ptr<const Weights> weights;
  std::string path;

  [[nodiscard]] const oc_model& model() const { return *library->model; }
  void release() {
    if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (handle != nullptr) ::dlclose(handle);
    delete this;
  }
};

struct oc_session {
  oc_module* module = nullptr;
  oc_instance* instance = nullptr;
};

namespace {

constexpr size_t kHugePage = 2 << 20;

// Pages for munmap that begin at a multiple of `alignment`, or null.
char* reserve(size_t bytes, size_t alignment) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  bytes = (bytes + page - 1) / page * page;
  void* memory = ::mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const size_t before = (alignment - reinterpret_cast<uintptr_t>(memory) % alignment) % alignment;
  char* aligned = static_cast<char*>(memory) + before;
  if (before > 0) ::munmap(memory, before);
  ::munmap(aligned + bytes, alignment - before);
  return aligned;
}

// Null, or what went wrong.
const char* read_exactly(int fd, char* to, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::read(fd, to, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::strerror(errno);
    if (n == 0) return "truncated";
    to += n;
    bytes -= static_cast<size_t>(n);
  }
  return nullptr;
}

// What every run reads is read into pages of our own, huge ones where there are enough, since small pages would miss
// the TLB as often as that and no mapping of a file promises others; the rest, of which a run reads little, stays in a
// mapping. Null, or what went wrong.
const char* place_weights(const oc_model& model, int fd, Weights& weights) {
  const bool huge = model.weights_whole >= kHugePage;
  weights.bytes = model.weights_bytes;
  weights.memory = reserve(model.weights_bytes, huge ? kHugePage : 1);
  if (weights.memory == nullptr) return std::strerror(ENOMEM);
  if (huge) ::madvise(weights.memory, model.weights_whole, MADV_HUGEPAGE);
  if (const char* fault = read_exactly(fd, weights.memory, model.weights_whole); fault != nullptr) return fault;
  const size_t rest = model.weights_bytes - model.weights_whole;
  if (rest == 0) return nullptr;
  char* const at = weights.memory + model.weights_whole;
  const auto offset = static_cast<off_t>(model.weights_whole);
  if (::mmap(at, rest, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, offset) != MAP_FAILED) return nullptr;
  // A file system without mappings. The failed one may have taken the pages away.
  if (::mmap(at, rest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return std::strerror(errno);
  return read_exactly(fd, at, rest);
}

// Those of open modules by file. Two that open one at the same time read it twice, and share from then on.
class OpenWeights {
 public:
  std::shared_ptr<const Weights> find(const Weights::File& file) {
    const std::scoped_lock lock(mutex_);
    const auto found = open_.find(file);
    return found == open_.end() ? nullptr : found->second.lock();
  }
  void add(const Weights::File& file, const std::shared_ptr<const Weights>& weights) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(open_, [](const auto& entry) { return entry.second.expired(); });
    open_.insert_or_assign(file, weights);
  }

 private:
  std::mutex mutex_;
  std::map<Weights::File, std::weak_ptr<const Weights>> open_;
};

OpenWeights& open_weights() {
  static auto* const all = new OpenWeights;  // modules may be closed when the process ends
  return *all;
}

// Gives the module those of its file, `fd`, which are read when no other has them open.
oc_status share_weights(oc_module& module, const char* path, int fd, const struct stat& info) try {
  const Weights::File file(info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  module.weights = open_weights().find(file);
  if (module.weights != nullptr) return OC_OK;
  const auto read = std::make_shared<Weights>();
  if (const char* fault = place_weights(module.model(), fd, *read); fault != nullptr)
    return fail(read->memory == nullptr ? OC_OUT_OF_MEMORY : OC_BAD_WEIGHTS, path, fault);
  open_weights().add(file, read);
  module.weights = read;
  return OC_OK;
} catch (const std::bad_alloc&) {
  return fail(OC_OUT_OF_MEMORY, path, nullptr);
}

oc_status read_weights(oc_module& module) {
  const oc_model& model = module.model();
  if (model.weights_file == nullptr || model.weights_bytes == 0) return OC_OK;
  const std::string path = module.path.substr(0, module.path.rfind('/') + 1) + model.weights_file;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(OC_BAD_WEIGHTS, path.c_str(), std::strerror(errno));
  struct stat info{};
  oc_status status = OC_OK;
  if (::fstat(fd, &info) != 0) {
    status = fail(OC_BAD_WEIGHTS, path.c_str(), std::strerror(errno));
  } else if (static_cast<uint64_t>(info.st_size) != model.weights_bytes) {
    status = fail(OC_BAD_WEIGHTS, path.c_str(), "wrong size");
  } else {
    status = share_weights(module, path.c_str(), fd, info);
  }
  ::close(fd);
  return status;
}

// Does the file end before a segment that it says it has? To the loader that is memory, and to touch it a SIGBUS.
bool is_cut_short(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;  // dlopen will say why
  ElfW(Ehdr) header{};
  struct stat info{};
  bool cut = false;
  if (::fstat(fd, &info) == 0 && ::pread(fd, &header, sizeof header, 0) == sizeof header &&
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_phentsize == sizeof(ElfW(Phdr))) {
    const auto size = static_cast<uint64_t>(info.st_size);
    for (size_t i = 0; i < header.e_phnum && !cut; ++i) {
      ElfW(Phdr) segment{};
      const auto at = static_cast<off_t>(header.e_phoff + i * sizeof segment);
      cut = ::pread(fd, &segment, sizeof segment, at) != sizeof segment || segment.p_offset > size ||
            segment.p_filesz > size - segment.p_offset;
    }
  }
  ::close(fd);
  return cut;
}

oc_status load(oc_module& module, const char* path) {
  // With a slash in it dlopen searches no path; resolved, the file of weights is found beside the library itself.
  char* resolved = ::realpath(path, nullptr);
  if (resolved == nullptr) return fail(OC_CANNOT_OPEN, path, std::strerror(errno));
  module.path = resolved;
  std::free(resolved);
  if (is_cut_short(module.path.c_str())) return fail(OC_CANNOT_OPEN, path, "truncated");
  module.handle = ::dlopen(module.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module.handle == nullptr) return fail(OC_CANNOT_OPEN, path, ::dlerror());
  module.library = static_cast<const oc_library_table*>(::dlsym(module.handle, "oc_library"));
  if (module.library == nullptr) return fail(OC_NOT_A_MODEL, path, nullptr);
  if (module.library->abi_version != OC_ABI_VERSION || module.library->size < sizeof(oc_library_table))
    return fail(OC_WRONG_ABI, path, nullptr);
  return read_weights(module);
}

constexpr oc_plan kNoPlan{};

constexpr oc_model kNothing = [] {
  oc_model model{};
  model.name = "";
  model.plans = &kNoPlan;
  model.num_plans = 1;
  return model;
}();

// What the answers about a module come from, null included.
const oc_model& model_of(const oc_module* module) {
  return module != nullptr ? module->model() : kNothing;
}
const oc_plan& largest_plan(const oc_module* module) {
  return *oc_largest_plan(&model_of(module));
}
const oc_plan& plan_of(const oc_session* session) {
  return session != nullptr ? *session->module->library->plan(session->instance) : kNoPlan;
}

// Of the module or session `of`.
oc_status describe(const void* of, const oc_tensor_info* infos, size_t count, size_t index, oc_tensor* out) {
  if (of == nullptr || out == nullptr) return fail(OC_NULL_ARGUMENT, "", nullptr);
  if (index >= count) return fail(OC_OUT_OF_RANGE, "", nullptr);
  const oc_tensor_info& info = infos[index];
  *out = {info.name, info.dtype, info.shape, info.rank, info.elements, info.bytes};
  return OC_OK;
}

}  // namespace

const char* oc_status_string(oc_status status) {
  switch (status) {
#define OC_STATUS(name, code, text) \
  case code: return text;
#include "opencompiler/status.inc"
#undef OC_STATUS
    default: return "unknown status";
  }
}

const char* oc_message() {
  return message;
}

oc_status oc_module_open(const char* path, oc_module** out) {
  if (path == nullptr || out == nullptr) return fail(OC_NULL_ARGUMENT, "oc_module_open", nullptr);
  *out = nullptr;
  try {
    auto* module = new oc_module;
    const oc_status status = load(*module, path);
    if (status == OC_OK) {
      *out = module;
    } else {
      module->release();
    }
    return status;
  } catch (const std::bad_alloc&) {
    return fail(OC_OUT_OF_MEMORY, path, nullptr);
  }
}

void oc_module_close(oc_module* module) {
  if (module != nullptr) module->release();
}

const char* oc_module_name(const oc_module* module) {
  return model_of(module).name;
}
size_t oc_module_num_inputs(const oc_module* module) {
  return model_of(module).num_inputs;
}
size_t oc_module_num_outputs(const oc_module* module) {
  return model_of(module).num_outputs;
}
size_t oc_module_num_metadata(const oc_module* module) {
  return model_of(module).num_metadata;
}
size_t oc_module_arena_bytes(const oc_module* module) {
  return model_of(module).arena_bytes;
}
size_t oc_module_weights_bytes(const oc_module* module) {
  return model_of(module).weights_bytes;
}
const void* oc_module_weights(const oc_module* module) {
  return module == nullptr || module->weights == nullptr ? nullptr : module->weights->memory;
}
size_t oc_module_num_steps(const oc_module* module) {
  return largest_plan(module).num_steps;
}

oc_status oc_module_input(const oc_module* module, size_t index, oc_tensor* out) {
  return describe(module, largest_plan(module).inputs, model_of(module).num_inputs, index, out);
}

oc_status oc_module_output(const oc_module* module, size_t index, oc_tensor* out) {
  return describe(module, largest_plan(module).outputs, model_of(module).num_outputs, index, out);
}

size_t oc_module_num_axes(const oc_module* module) {
  return model_of(module).num_axes;
}

oc_status oc_module_axis(const oc_module* module, size_t index, oc_axis_info* out) {
  if (module == nullptr || out == nullptr) return fail(OC_NULL_ARGUMENT, "oc_module_axis", nullptr);
  if (index >= module->model().num_axes) return fail(OC_OUT_OF_RANGE, "oc_module_axis", nullptr);
  const oc_axis& axis = module->model().axes[index];
  *out = {axis.name, axis.low, axis.high, axis.step, axis.num_dims};
  return OC_OK;
}

oc_status oc_module_axis_dim(const oc_module* module, size_t axis, size_t index, size_t* input, size_t* dim) {
  if (module == nullptr || input == nullptr || dim == nullptr)
    return fail(OC_NULL_ARGUMENT, "oc_module_axis_dim", nullptr);
  const oc_model& model = module->model();
  if (axis >= model.num_axes || index >= model.axes[axis].num_dims)
    return fail(OC_OUT_OF_RANGE, "oc_module_axis_dim", nullptr);
  *input = model.axes[axis].dims[index].input;
  *dim = model.axes[axis].dims[index].dim;
  return OC_OK;
}

oc_status oc_module_metadata(const oc_module* module, size_t index, const char** key, const char** value) {
  if (module == nullptr || key == nullptr || value == nullptr)
    return fail(OC_NULL_ARGUMENT, "oc_module_metadata", nullptr);
  if (index >= module->model().num_metadata) return fail(OC_OUT_OF_RANGE, "oc_module_metadata", nullptr);
  *key = module->model().metadata[index].key;
  *value = module->model().metadata[index].value;
  return OC_OK;
}

const char* oc_module_step(const oc_module* module, size_t index) {
  const oc_plan& plan = largest_plan(module);
  return index < plan.num_steps ? plan.steps[index].label : "";
}

oc_status oc_session_create(oc_module* module, const oc_session_options* given, oc_session** out) {
  if (module == nullptr || out == nullptr) return fail(OC_NULL_ARGUMENT, "oc_session_create", nullptr);
  *out = nullptr;
  oc_options options{sizeof(oc_options), 0, nullptr, 0, oc_module_weights(module)};
  if (given != nullptr) {
    if (given->size != sizeof(oc_session_options)) return fail(OC_BAD_OPTIONS, "oc_session_create", nullptr);
    options.num_threads = given->num_threads;
    options.arena = given->arena;
    options.arena_bytes = given->arena_bytes;
  }
  auto* session = new (std::nothrow) oc_session;
  if (session == nullptr) return fail(OC_OUT_OF_MEMORY, "oc_session_create", nullptr);
  const oc_status status = module->library->create(&session->instance, &options);
  if (status != OC_OK) {
    delete session;
    const bool cpu = status == OC_UNSUPPORTED_CPU;
    return fail(status, module->model().name, cpu ? module->library->last_error(nullptr) : nullptr);
  }
  session->module = module;
  module->references.fetch_add(1, std::memory_order_relaxed);
  *out = session;
  return OC_OK;
}

oc_status oc_session_run(oc_session* session, const void* const* inputs, void* const* outputs) {
  return oc_session_run_profiled(session, inputs, outputs, nullptr);
}

oc_status oc_session_run_profiled(oc_session* session, const void* const* inputs, void* const* outputs,
                                  uint64_t* nanoseconds) {
  if (session == nullptr) return fail(OC_NULL_ARGUMENT, "oc_session_run", nullptr);
  const oc_library_table& library = *session->module->library;
  const oc_status status = library.run_profiled(session->instance, inputs, outputs, nanoseconds);
  if (status == OC_OK) return OC_OK;
  const bool has_detail = status == OC_KERNEL_FAILED || status == OC_BRANCH_FAILED;
  const char* detail = has_detail ? library.last_error(session->instance) : nullptr;
  return fail(status, library.model->name, detail);
}

oc_status oc_session_set_shapes(oc_session* session, const int64_t* const* shapes) try {
  if (session == nullptr) return fail(OC_NULL_ARGUMENT, "oc_session_set_shapes", nullptr);
  const oc_model& model = session->module->model();
  for (uint32_t i = 0; i < model.num_inputs; ++i)
    if (shapes == nullptr || (shapes[i] == nullptr && oc_largest_plan(&model)->inputs[i].rank > 0))
      return fail(OC_NULL_ARGUMENT, "oc_session_set_shapes", nullptr);
  std::vector<int64_t> extents;
  for (uint32_t a = 0; a < model.num_axes; ++a) {
    const oc_axis_dim& first = model.axes[a].dims[0];
    extents.push_back(shapes[first.input][first.dim]);
  }
  const oc_plan* plan = oc_find_plan(&model, extents.data());
  for (uint32_t i = 0; plan != nullptr && i < model.num_inputs; ++i)
    if (!std::equal(shapes[i], shapes[i] + plan->inputs[i].rank, plan->inputs[i].shape)) plan = nullptr;
  if (plan == nullptr) return fail(OC_BAD_EXTENTS, model.name, nullptr);
  const oc_status status = session->module->library->set_extents(session->instance, extents.data());
  return status == OC_OK ? OC_OK : fail(status, model.name, nullptr);
} catch (const std::bad_alloc&) {
  return fail(OC_OUT_OF_MEMORY, "oc_session_set_shapes", nullptr);
}

oc_status oc_session_input(const oc_session* session, size_t index, oc_tensor* out) {
  const size_t count = session != nullptr ? session->module->model().num_inputs : 0;
  return describe(session, plan_of(session).inputs, count, index, out);
}

oc_status oc_session_output(const oc_session* session, size_t index, oc_tensor* out) {
  const size_t count = session != nullptr ? session->module->model().num_outputs : 0;
  return describe(session, plan_of(session).outputs, count, index, out);
}

size_t oc_session_num_steps(const oc_session* session) {
  return plan_of(session).num_steps;
}

const char* oc_session_step(const oc_session* session, size_t index) {
  const oc_plan& plan = plan_of(session);
  return index < plan.num_steps ? plan.steps[index].label : "";
}

int oc_session_num_threads(const oc_session* session) {
  return session != nullptr ? session->module->library->num_threads(session->instance) : 0;
}

void oc_session_destroy(oc_session* session) {
  if (session == nullptr) return;
  oc_module* module = session->module;
  module->library->destroy(session->instance);
  delete session;
  module->release();
}
