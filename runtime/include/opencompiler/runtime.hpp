// C++ on top of runtime.h: owners that clean up, errors as exceptions. Header only, C++17.
//
//   opencompiler::Module module("libmodel.so");
//   opencompiler::Session session(module);
//   session.run({x.data()}, {y.data()});
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "opencompiler/runtime.h"

namespace opencompiler {

struct Error : std::runtime_error {
  Error(oc_status s, const std::string& message) : std::runtime_error(message), status(s) {}
  oc_status status;
};

inline void check(oc_status status) {
  if (status != OC_OK) throw Error(status, oc_message());
}

struct TensorInfo {
  std::string name, dtype;
  std::vector<int64_t> shape;
  size_t elements = 0, bytes = 0;
};

// An extent that is the caller's to choose: low, low + step, … high; which dims of which inputs it is.
struct AxisInfo {
  std::string name;
  int64_t low = 0, high = 0, step = 1;
  std::vector<std::pair<size_t, size_t>> dims;
};

// Tensors that `query` says, of a module or a session.
template <class Handle>
std::vector<TensorInfo> describe_all(const Handle* handle, size_t count,
                                     oc_status (*query)(const Handle*, size_t, oc_tensor*)) {
  std::vector<TensorInfo> all;
  for (size_t i = 0; i < count; ++i) {
    oc_tensor t{};
    check(query(handle, i, &t));
    all.push_back({t.name, t.dtype, std::vector<int64_t>(t.shape, t.shape + t.rank), t.elements, t.bytes});
  }
  return all;
}

struct Options {
  int num_threads = 0;
  void* arena = nullptr;
  size_t arena_bytes = 0;
};

// A library; copies share it.
class Module {
 public:
  explicit Module(const std::string& path) {
    oc_module* module = nullptr;
    check(oc_module_open(path.c_str(), &module));
    module_ = std::shared_ptr<oc_module>(module, oc_module_close);
  }
  [[nodiscard]] std::string name() const { return oc_module_name(get()); }
  // Of a library for several shapes the largest.
  [[nodiscard]] std::vector<TensorInfo> inputs() const {
    return describe_all<oc_module>(get(), oc_module_num_inputs(get()), oc_module_input);
  }
  [[nodiscard]] std::vector<TensorInfo> outputs() const {
    return describe_all<oc_module>(get(), oc_module_num_outputs(get()), oc_module_output);
  }
  // Extents that are the caller's to choose: Session::set_shapes.
  [[nodiscard]] std::vector<AxisInfo> axes() const {
    std::vector<AxisInfo> all;
    for (size_t a = 0; a < oc_module_num_axes(get()); ++a) {
      oc_axis_info axis{};
      check(oc_module_axis(get(), a, &axis));
      all.push_back({axis.name, axis.low, axis.high, axis.step, {}});
      for (size_t d = 0; d < axis.num_dims; ++d) {
        size_t input = 0, dim = 0;
        check(oc_module_axis_dim(get(), a, d, &input, &dim));
        all.back().dims.emplace_back(input, dim);
      }
    }
    return all;
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> metadata() const {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (size_t i = 0; i < oc_module_num_metadata(get()); ++i) {
      const char *key = nullptr, *value = nullptr;
      check(oc_module_metadata(get(), i, &key, &value));
      pairs.emplace_back(key, value);
    }
    return pairs;
  }
  [[nodiscard]] std::vector<std::string> steps() const {
    std::vector<std::string> labels;
    for (size_t i = 0; i < oc_module_num_steps(get()); ++i) labels.emplace_back(oc_module_step(get(), i));
    return labels;
  }
  [[nodiscard]] size_t arena_bytes() const { return oc_module_arena_bytes(get()); }
  [[nodiscard]] size_t weights_bytes() const { return oc_module_weights_bytes(get()); }
  [[nodiscard]] const void* weights() const { return oc_module_weights(get()); }
  [[nodiscard]] oc_module* get() const { return module_.get(); }

 private:
  std::shared_ptr<oc_module> module_;
};

// One caller's memory and threads; used by one thread at a time.
class Session {
 public:
  explicit Session(const Module& module, const Options& options = {}) {
    const oc_session_options c_options{sizeof(oc_session_options), options.num_threads, options.arena,
                                       options.arena_bytes};
    oc_session* session = nullptr;
    check(oc_session_create(module.get(), &c_options, &session));
    session_.reset(session);
    num_inputs_ = oc_module_num_inputs(module.get());
    num_outputs_ = oc_module_num_outputs(module.get());
  }
  // The shapes of the runs from now on, one for each input. Error OC_BAD_EXTENTS: not those of the library.
  void set_shapes(const std::vector<std::vector<int64_t>>& shapes) {
    const std::vector<TensorInfo> now = inputs();
    bool fits = shapes.size() == now.size();
    std::vector<const int64_t*> pointers;
    for (size_t i = 0; fits && i < now.size(); ++i) {
      fits = shapes[i].size() == now[i].shape.size();
      pointers.push_back(shapes[i].data());
    }
    if (!fits) throw Error(OC_BAD_EXTENTS, oc_status_string(OC_BAD_EXTENTS));
    check(oc_session_set_shapes(session_.get(), pointers.data()));
  }
  // At the shapes chosen, at first the largest.
  [[nodiscard]] std::vector<TensorInfo> inputs() const {
    return describe_all<oc_session>(get(), num_inputs_, oc_session_input);
  }
  [[nodiscard]] std::vector<TensorInfo> outputs() const {
    return describe_all<oc_session>(get(), num_outputs_, oc_session_output);
  }
  [[nodiscard]] std::vector<std::string> steps() const {
    std::vector<std::string> labels;
    for (size_t i = 0; i < oc_session_num_steps(get()); ++i) labels.emplace_back(oc_session_step(get(), i));
    return labels;
  }
  void run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs) {
    check_counts(inputs, outputs);
    check(oc_session_run(session_.get(), inputs.data(), outputs.data()));
  }
  // Nanoseconds of each step.
  [[nodiscard]] std::vector<uint64_t> run_profiled(const std::vector<const void*>& inputs,
                                                   const std::vector<void*>& outputs) {
    check_counts(inputs, outputs);
    std::vector<uint64_t> nanoseconds(oc_session_num_steps(get()));
    check(oc_session_run_profiled(session_.get(), inputs.data(), outputs.data(), nanoseconds.data()));
    return nanoseconds;
  }
  [[nodiscard]] int num_threads() const { return oc_session_num_threads(session_.get()); }
  [[nodiscard]] oc_session* get() const { return session_.get(); }

 private:
  void check_counts(const std::vector<const void*>& inputs, const std::vector<void*>& outputs) const {
    if (inputs.size() != num_inputs_ || outputs.size() != num_outputs_)
      throw Error(OC_NULL_TENSOR, "expected " + std::to_string(num_inputs_) + " inputs and " +
                                      std::to_string(num_outputs_) + " outputs, got " + std::to_string(inputs.size()) +
                                      " and " + std::to_string(outputs.size()));
  }
  struct Destroy {
    void operator()(oc_session* session) const { oc_session_destroy(session); }
  };
  std::unique_ptr<oc_session, Destroy> session_;
  size_t num_inputs_ = 0, num_outputs_ = 0;
};

}  // namespace opencompiler
