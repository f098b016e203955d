"""The file of weights beside a cached library: read whole when the library is opened, or refused."""

import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import onnx
import opencompiler as oc
import pytest
from harness import opencompiler, runtime_program
from onnx import TensorProto, helper, numpy_helper

BAD_WEIGHTS = 103  # runtime/include/opencompiler/status.inc
SMALL, LARGE = 16, 1024  # columns; weights beyond 2 MB lie in huge pages

# Opens the library, empties the file of weights, then runs y = x·w: what was read is the program's own. `read` of the
# program itself stands before libc's and may be interrupted, give little at a time, or come to an early end.
MAIN = """
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "opencompiler/runtime.h"
static long left = -1;
static int calls;
ssize_t read(int fd, void* to, size_t bytes) {
  if (left < 0) return syscall(SYS_read, fd, to, bytes);
  if (calls++ % 2 == 0) { errno = EINTR; return -1; }
  if (bytes > 1000003) bytes = 1000003;
  if ((long)bytes > left) bytes = (size_t)left;
  const long n = syscall(SYS_read, fd, to, bytes);
  left -= n > 0 ? n : 0;
  return n;
}
int main(int count, char** words) {
  oc_module* module = 0;
  oc_session* session = 0;
  if (count > 3) left = atol(words[3]);
  const oc_status status = oc_module_open(words[1], &module);
  left = -1;
  if (status) return printf("%d %s", status, oc_message()), module != 0;
  if (truncate(words[2], 0) || oc_session_create(module, 0, &session)) return 2;
  oc_tensor x, y;
  if (oc_module_input(module, 0, &x) || oc_module_output(module, 0, &y)) return 3;
  float *in = calloc(x.elements, 4), *out = calloc(y.elements, 4);
  for (size_t i = 0; i < x.elements; ++i) in[i] = 1;
  const void* inputs[] = {in};
  void* outputs[] = {out};
  if (oc_session_run(session, inputs, outputs)) return 4;
  for (size_t i = 0; i < y.elements; ++i) printf("%g ", out[i]);
  oc_session_destroy(session);
  oc_module_close(module);
  return 0;
}
"""


def weights_of(columns):
    return np.arange(columns * columns, dtype=np.float32).reshape(columns, columns) % 7


@pytest.fixture(scope="module", params=[SMALL, LARGE])
def made(request, tmp_path_factory):
    """A cached library of y = x·w, and the number of columns."""
    folder = tmp_path_factory.mktemp("made")
    columns = request.param
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [1, columns])],
        [value("y", TensorProto.FLOAT, [1, columns])],
        [numpy_helper.from_array(weights_of(columns), "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=opset), folder / "m.onnx"
    )
    done = opencompiler(
        *("compile", folder / "m.onnx", "--cache", "--json", "--threads", "1"),
        OPENCOMPILER_CACHE=str(folder / "cache"),
    )
    assert done.returncode == 0, done.stderr
    library = pathlib.Path(json.loads(done.stdout)["library"])
    weights = library.with_name("model.weights").stat().st_size
    assert (weights > 2 << 20) == (columns == LARGE)
    return library, columns


@pytest.fixture
def library(made, tmp_path):
    """A copy that a test may damage."""
    return (
        pathlib.Path(shutil.copytree(made[0].parent, tmp_path / "copy")) / "libmodel.so"
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    return runtime_program(folder, MAIN, "-std=c11", "-D_GNU_SOURCE")


def call(program, library, *left):
    done = subprocess.run(
        [program, library, library.with_name("model.weights"), *map(str, left)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done
    return done.stdout


def damage(file, how):
    size = file.stat().st_size
    if how == "missing":
        file.unlink()
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    else:
        os.truncate(file, {"emptied": 0, "short": size - 1, "long": size + 4096}[how])


DAMAGES = {
    "missing": "No such file",
    "a folder": "wrong size",
    "emptied": "wrong size",
    "short": "wrong size",
    "long": "wrong size",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_file_of_weights_that_does_not_fit_is_refused(program, library, how):
    weights = library.with_name("model.weights")
    damage(weights, how)
    status, message = call(program, library).split(" ", 1)
    assert int(status) == BAD_WEIGHTS
    assert "weights is missing or of another size" in message
    assert str(weights) in message
    assert DAMAGES[how] in message
    done = opencompiler("run", library, "--input", "x=1x1xf32=0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {library}: ")
    assert message in done.stderr


def test_a_file_that_ends_while_it_is_read_is_refused(program, library):
    size = library.with_name("model.weights").stat().st_size
    for left in (0, 1, size - 1):
        status, message = call(program, library, left).split(" ", 1)
        assert int(status) == BAD_WEIGHTS
        assert "truncated" in message


@pytest.mark.parametrize("interrupted", [False, True])
def test_weights_are_read_whole_and_stay_when_the_file_goes(
    program, made, library, interrupted
):
    size = library.with_name("model.weights").stat().st_size
    found = call(program, library, *((size,) if interrupted else ()))
    expected = weights_of(made[1]).sum(axis=0)
    assert np.allclose(np.array(found.split(), np.float32), expected, rtol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_an_embedding_stays_in_the_file(tmp_path, monkeypatch, tied):
    """Rows of a table that nothing else reads as it stands come from a mapping; `tied` to a product's transposed weights,
    the product has its own, packed."""
    rows, columns = 4000, 257
    table = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    outputs = [value("y", TensorProto.FLOAT, [3, columns])]
    if tied:
        nodes.append(helper.make_node("Transpose", ["table"], ["back"]))
        nodes.append(helper.make_node("MatMul", ["y", "back"], ["z"]))
        outputs.append(value("z", TensorProto.FLOAT, [3, rows]))
    graph = helper.make_graph(
        nodes,
        "g",
        [value("ids", TensorProto.INT64, [3])],
        outputs,
        [numpy_helper.from_array(table, "table")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=opset), tmp_path / "m.onnx"
    )
    monkeypatch.setenv("OPENCOMPILER_CACHE", str(tmp_path / "cache"))
    session = oc.InferenceSession(str(tmp_path / "m.onnx"))
    ids = np.array([0, rows - 1, -2])
    found = session.run(None, {"ids": ids})
    assert np.array_equal(found[0], table[ids])
    if tied:
        assert np.allclose(found[1], table[ids] @ table.T, rtol=1e-4, atol=1e-3)
    maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
    files = [line.split() for line in maps if str(tmp_path) in line]
    mapped = [file for file in files if file[-1].endswith("model.weights")]
    assert len(mapped) == 1
    assert (int(mapped[0][2], 16) > table.nbytes) == tied
