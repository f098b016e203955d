"""Every command of README.md's section on use runs as it stands there, on a small model and with small budgets."""

import re
import shlex

import numpy as np
import onnx
import onnxruntime
import opencompiler
import pytest
from harness import CLS, ROOT, TOLERANCE, err, run

SMALLER = {"5m": "5s", "onnxruntime,openvino": "onnxruntime"}
MORE = {"benchmark": ["--time", "2s"]}
MAIN = """
#include <stdio.h>
#include "out/model.h"
static float x[MODEL_X_ELEMENTS], y[MODEL_Y_ELEMENTS];
int main(void) {
  if (model_run_once(x, y)) return 1;
  for (int i = 0; i < MODEL_Y_ELEMENTS; ++i) printf("%.9g\\n", y[i]);
  return 0;
}
"""


def use_section():
    return (ROOT / "README.md").read_text().split("## Use")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with what the commands name: .venv, model.onnx from x to y, x.npy, main.c."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    model = onnx.load(CLS)
    # The first is open.
    dims = model.graph.input[0].type.tensor_type.shape.dim[1:]
    for dim, extent in zip(dims, (3, 48, 192), strict=True):
        dim.dim_value = extent
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["y" if name == output.name else name for name in node.output]
    output.name = "y"
    onnx.save(model, folder / "model.onnx")
    x = np.random.default_rng(5).uniform(-1, 1, (1, 3, 48, 192)).astype(np.float32)
    np.save(folder / "x.npy", x)
    (folder / "main.c").write_text(MAIN)
    return folder


@pytest.fixture(scope="module")
def peer(home):
    return onnxruntime.InferenceSession(
        home / "model.onnx", providers=["CPUExecutionProvider"]
    )


def test_every_command_runs(home, peer, monkeypatch):
    monkeypatch.setenv("OPENCOMPILER_DB", str(home / "tuning.db"))
    verbs = set()
    for command in re.findall(r"^    (.+)$", use_section(), re.MULTILINE):
        words = [
            SMALLER.get(word, word) for word in shlex.split(command, comments=True)
        ]
        verbs.add(words[1])
        printed = run(*words, *MORE.get(words[1], []), cwd=home)
        assert printed or words[0] == "cc", command
    assert verbs >= {"tune", "compile", "run", "benchmark", "explain", "db", "doctor"}
    (expected,) = peer.run(None, {"x": np.load(home / "x.npy")})
    assert err(np.load(home / "y.npy"), expected) <= TOLERANCE
    (expected,) = peer.run(None, {"x": np.zeros((1, 3, 48, 192), np.float32)})
    linked = np.array(run("./a.out", cwd=home).split(), np.float32)
    assert err(linked, expected.ravel()) <= TOLERANCE


def test_the_line_of_python_stands_where_that_of_onnxruntime_did(home, peer):
    (line,) = re.findall(r"`(opencompiler\.InferenceSession.*?)`", use_section())
    names = {"path": home / "model.onnx", "array": np.load(home / "x.npy")}
    (ours,) = eval(line, {"opencompiler": opencompiler, **names})
    (theirs,) = peer.run(None, {"x": names["array"]})
    assert err(ours, theirs) <= TOLERANCE
