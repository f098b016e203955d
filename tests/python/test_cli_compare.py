"""`compare`: node by node against a reference."""

import json

import numpy as np
import onnx
import pytest
from harness import CLS, CLS_SHAPE, opencompiler
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """What it says of a model, its rows, and the cache it has filled."""
    folder = tmp_path_factory.mktemp("compare")
    done = opencompiler(
        *("compare", CLS, *CLS_SHAPE, "--threads", "1"),
        *("--json", folder / "rows.json"),
        OPENCOMPILER_CACHE=str(folder / "cache"),
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((folder / "rows.json").read_text())
    assert written["against"] == "onnxruntime"
    return done.stdout, written["rows"], folder / "cache"


def test_every_kernel_is_compared(compared):
    said, rows, _ = compared
    convolutions = [
        node for node in onnx.load(CLS).graph.node if node.op_type == "Conv"
    ]
    assert len(rows) >= len(convolutions)
    assert f"{len(rows)} of {len(rows)} values compared" in said
    assert all(row["err"] <= 1e-3 for row in rows)
    assert any(row["err"] > 0 for row in rows)
    order = {
        name: at
        for at, node in enumerate(onnx.load(CLS).graph.node)
        for name in node.output
    }
    assert all(order[row["name"]] >= 0 and row["op"] for row in rows)


def test_the_kernels_are_those_of_the_model(compared):
    *_, cache = compared
    done = opencompiler(
        *("compile", CLS, *CLS_SHAPE, "--cache", "--json", "--threads", "1"),
        OPENCOMPILER_CACHE=str(cache),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["built"] == 0
    assert report["kernels"] > 0


def test_the_first_value_above_the_tolerance_is_named(tmp_path):
    """Rounding differs between the two: with no tolerance some value is above it."""
    done = opencompiler(
        *("compare", CLS, *CLS_SHAPE, "--threads", "1", "--tolerance", "0"),
        *("--json", tmp_path / "rows.json"),
    )
    assert done.returncode == 1
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    above = [row for row in rows if row["err"] > 0]
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"{len(above)} above 0, the first: {above[0]['name']} (")


@pytest.mark.parametrize("against", ["onnxruntime", "reference"])
def test_values_that_folding_changed_are_not_taken_for_the_models(tmp_path, against):
    """y = relu(3·conv(x) + 1): the kernel makes y at once, conv's own result exists nowhere."""
    weights = np.random.default_rng(0).normal(size=(16, 16, 1, 1)).astype(np.float32)
    constants = [
        numpy_helper.from_array(value, name)
        for name, value in {
            "w": weights,
            "three": np.full(1, 3, np.float32),
            "one": np.full(1, 1, np.float32),
        }.items()
    ]
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "three"], ["m"]),
        helper.make_node("Add", ["m", "one"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2]),
        helper.make_node("Conv", ["p", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [1, 16, 9, 9])],
        [value("y", TensorProto.FLOAT, [1, 16, 8, 8])],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    model = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), model)
    done = opencompiler(
        "compare", model, "--against", against, "--json", tmp_path / "rows.json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["a", "p", "y"]


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--against", "nothing"], 2, "nothing not in {onnxruntime,reference}"),
        (["--tolerance", "-1"], 2, "--tolerance"),
        (["--input", "nothing=1"], 1, "the model has no such input"),
        (["--shape", "x=1x3x48"], 1, "x"),
    ],
)
def test_mistakes_are_named(flags, status, words):
    shape = [] if "--shape" in flags else CLS_SHAPE
    done = opencompiler("compare", CLS, *shape, *flags)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
