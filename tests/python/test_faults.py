"""What a compiled library does when the system refuses it something."""

import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / ".venv/bin/opencompiler"

# posix_memalign of the program itself stands before libc's; after `left` calls it has no more memory.
MAIN = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conv.h"
static float x[CONV_X_ELEMENTS], first[CONV_Y_ELEMENTS], second[CONV_Y_ELEMENTS];
static int left = 1 << 30;
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (left-- <= 0) return ENOMEM;
  *out = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return *out ? 0 : ENOMEM;
}
int main(void) {
  int starved = 0;
  for (size_t i = 0; i < sizeof x / sizeof *x; ++i) x[i] = (float)(i % 17) / 17;
  conv* good = 0;
  if (conv_create(&good, 0) || conv_run(good, x, first)) return 2;
  conv_destroy(good);
  for (int budget = 0; budget < 40; ++budget) {
    conv* model = 0;
    left = budget;
    const int created = conv_create(&model, 0);
    const int status = created ? created : conv_run(model, x, second);
    if (status && strcmp(conv_error_string(status), "out of memory")) return 3;
    starved += !created && status;
    left = 1 << 30; /* memory is back: the same instance works */
    if (!created && (conv_run(model, x, second) || memcmp(first, second, sizeof first))) return 4;
    conv_destroy(model);
  }
  printf("%d", starved);
  return 0;
}
"""


def padded_convolution(path):
    """Its input is padded in memory, and more of it stands beside: temporaries of a kernel."""
    weights = np.random.default_rng(0).normal(size=(16, 16, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 48, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 48, 48])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)


@pytest.mark.parametrize("threads", [1, 2])
def test_out_of_memory_in_a_kernel_is_an_error_code(tmp_path, threads):
    padded_convolution(tmp_path / "conv.onnx")
    command = [CLI, "compile", tmp_path / "conv.onnx", "-o", tmp_path, "--name", "conv"]
    command += ["--threads", str(threads)]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "main.c").write_text(MAIN)
    link = ["main.c", "libconv.a", "-lm", "-lpthread", "-o", "main"]
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", *link], check=True, cwd=tmp_path)
    done = subprocess.run(
        ["./main"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert int(done.stdout) > 0, "no run was short of memory: the test tests nothing"
