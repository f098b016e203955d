// What `run` and `profile` share: tensors given on the command line, and the library that takes them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "cli/verb.h"
#include "compiler/compile.h"
#include "opencompiler/runtime.hpp"

namespace oc::cli {

void add_inputs(CLI::App& verb, std::vector<std::string>& flags);
// NAME=@file.npy, NAME=@file.npz (its entry of that name), @file.npz (all its entries), NAME=1x3xf32=0.5. UserError
// when the number is no value of the type.
[[nodiscard]] std::map<std::string, Tensor> parse_inputs(const std::vector<std::string>& flags);
// The values of --freeze: NAME=… as above, or NAME=16000, a number for what `model` declares as a scalar. For strings
// NAME=@file.npy and, of a scalar, NAME=text; they come as rows of UTF-8.
[[nodiscard]] std::map<std::string, Tensor> parse_constants(const std::vector<std::string>& flags,
                                                            const std::string& model);

// Does the command line name a compiled library instead of a model?
[[nodiscard]] bool is_library(const ModelFlags& flags);
// The model compiled into the cache for this machine, in the shapes of the tensors given.
[[nodiscard]] CompileResult compile_for_run(const ModelFlags& flags, const std::map<std::string, Tensor>& given);
// Its shared library, or the library that was named, for which flags about its making come too late: UserError.
[[nodiscard]] std::string library_of(const ModelFlags& flags, const std::map<std::string, Tensor>& given);
// A session of a library for several shapes gets those of the tensors; extents of which none is given are the largest.
// UserError naming the extents that there are.
void choose_shapes(const opencompiler::Module& module, opencompiler::Session& session,
                   const std::map<std::string, Tensor>& given);
// Inputs not given are zeros: times depend on them only where they choose branches.
[[nodiscard]] std::map<std::string, Tensor> with_zeros(const opencompiler::Session& session,
                                                       std::map<std::string, Tensor> given);
// Room for the session's outputs, in its order, by name.
[[nodiscard]] std::vector<std::pair<std::string, Tensor>> make_outputs(const opencompiler::Session& session);
[[nodiscard]] std::vector<void*> addresses(std::vector<std::pair<std::string, Tensor>>& outputs);
// Addresses in the session's order. UserError when a tensor is missing, unknown or of another type.
[[nodiscard]] std::vector<const void*> bind_inputs(const opencompiler::Session& session,
                                                   const std::map<std::string, Tensor>& given);

}  // namespace oc::cli
