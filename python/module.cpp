// _opencompiler: the runtime's C++ API and the declared inputs of a model file, for Python. Compiling is the command
// line's work: a child process, so that a fault there cannot take the interpreter with it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "base/error.h"
#include "frontends/onnx/import.h"
#include "opencompiler/runtime.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// A dim is a number, or where the model leaves it open its name, None if it has none: as in onnxruntime.
nb::object declared_shape(const std::optional<oc::Shape>& shape) {
  if (!shape) return nb::none();
  nb::list dims;
  for (const oc::Dim& dim : *shape) {
    if (dim.known())
      dims.append(dim.extent);
    else if (!dim.symbol.empty())
      dims.append(dim.symbol);
    else
      dims.append(nb::none());
  }
  return dims;
}

std::string element_name(const oc::ModelInput& tensor) {
  if (!tensor.format.empty()) return tensor.format;
  return tensor.dtype ? std::string(oc::dtype_name(*tensor.dtype)) : std::string();
}

nb::list declared(const std::vector<oc::ModelInput>& tensors) {
  nb::list result;
  for (const oc::ModelInput& tensor : tensors)
    result.append(nb::make_tuple(tensor.name, element_name(tensor), declared_shape(tensor.shape), tensor.optional,
                                 tensor.sequence));
  return result;
}

nb::dict read_model(const std::string& path) {
  const oc::ModelInputs model = oc::read_model_inputs(path);
  nb::dict result;
  result["inputs"] = declared(model.inputs);
  result["outputs"] = declared(model.outputs);
  result["metadata"] = model.metadata;
  return result;
}

struct BufferView {
  Py_buffer view{};
  BufferView(nb::handle object, bool writable) {
    const int flags = PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object.ptr(), &view, flags) != 0) nb::raise_python_error();
  }
  BufferView(BufferView&& other) noexcept : view(other.view) { other.view.obj = nullptr; }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
  BufferView& operator=(BufferView&&) = delete;
  ~BufferView() { PyBuffer_Release(&view); }
};

std::vector<BufferView> view_all(const nb::sequence& arrays, const std::vector<opencompiler::TensorInfo>& wanted,
                                 bool writable) {
  std::vector<BufferView> views;
  if (nb::len(arrays) != wanted.size())
    throw nb::value_error(("expected " + std::to_string(wanted.size()) + " arrays").c_str());
  for (size_t i = 0; i < wanted.size(); ++i) {
    views.emplace_back(arrays[i], writable);
    if (static_cast<size_t>(views.back().view.len) != wanted[i].bytes)
      throw nb::value_error(("'" + wanted[i].name + "' takes " + std::to_string(wanted[i].bytes) + " bytes, not " +
                             std::to_string(views.back().view.len))
                                .c_str());
  }
  return views;
}

struct PySession {
  opencompiler::Session session;
  std::vector<opencompiler::TensorInfo> inputs = session.inputs(), outputs = session.outputs();

  PySession(const opencompiler::Module& module, int num_threads) : session(module, {.num_threads = num_threads}) {}

  void set_shapes(const std::vector<std::vector<int64_t>>& shapes) {
    session.set_shapes(shapes);
    inputs = session.inputs();
    outputs = session.outputs();
  }

  void run(const nb::sequence& in, const nb::sequence& out) {
    const std::vector<BufferView> from = view_all(in, inputs, false), to = view_all(out, outputs, true);
    std::vector<const void*> from_pointers;
    std::vector<void*> to_pointers;
    for (const BufferView& v : from) from_pointers.push_back(v.view.buf);
    for (const BufferView& v : to) to_pointers.push_back(v.view.buf);
    nb::gil_scoped_release release;
    session.run(from_pointers, to_pointers);
  }
};

nb::list infos(const std::vector<opencompiler::TensorInfo>& tensors) {
  nb::list result;
  for (const auto& tensor : tensors) result.append(nb::make_tuple(tensor.name, tensor.dtype, tensor.shape));
  return result;
}

}  // namespace

NB_MODULE(_opencompiler, m) {
  // UserError is the caller's mistake: ValueError. Everything else keeps nanobind's RuntimeError.
  nb::register_exception_translator(
      [](const std::exception_ptr& error, void*) {
        try {
          std::rethrow_exception(error);
        } catch (const oc::UserError& e) {
          PyErr_SetString(PyExc_ValueError, e.what());
        }
      },
      nullptr);
  m.def("read_model", &read_model, "path"_a,
        "What an ONNX file declares: inputs and outputs as (name, dtype, shape), metadata.");
  nb::class_<opencompiler::Module>(m, "Module")
      .def(nb::init<const std::string&>(), "path"_a)
      .def_prop_ro("inputs", [](const opencompiler::Module& self) { return infos(self.inputs()); })
      .def_prop_ro("outputs", [](const opencompiler::Module& self) { return infos(self.outputs()); })
      // Extents that a library for several shapes leaves open: name, lowest, highest, step.
      .def_prop_ro("axes",
                   [](const opencompiler::Module& self) {
                     nb::list axes;
                     for (const opencompiler::AxisInfo& axis : self.axes())
                       axes.append(nb::make_tuple(axis.name, axis.low, axis.high, axis.step));
                     return axes;
                   })
      .def_prop_ro("metadata", [](const opencompiler::Module& self) { return self.metadata(); })
      .def_prop_ro("arena_bytes", &opencompiler::Module::arena_bytes)
      // Where they lie, which modules share, and how many bytes.
      .def_prop_ro("weights", [](const opencompiler::Module& self) {
        return std::pair(reinterpret_cast<uintptr_t>(self.weights()), self.weights_bytes());
      });
  nb::class_<PySession>(m, "Session")
      .def(nb::init<const opencompiler::Module&, int>(), "module"_a, "num_threads"_a = 0)
      // At the shapes chosen.
      .def_prop_ro("inputs", [](const PySession& self) { return infos(self.inputs); })
      .def_prop_ro("outputs", [](const PySession& self) { return infos(self.outputs); })
      .def("set_shapes", &PySession::set_shapes, "shapes"_a, "Of the runs from now on, one for each input.")
      .def_prop_ro("num_threads", [](const PySession& self) { return self.session.num_threads(); })
      .def("run", &PySession::run, "inputs"_a, "outputs"_a,
           "Runs once: C-contiguous buffers in the module's order; outputs are written. One thread at a time.");
}
