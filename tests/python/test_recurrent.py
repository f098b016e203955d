"""RNN, GRU and LSTM against onnxruntime: odd sizes, directions, states, lengths of sequences."""

import numpy as np
import onnx
import onnxruntime
import pytest
from harness import CLI, TARGETS, err, run
from onnx import TensorProto, helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
# op, steps, batch, width, hidden, direction, states and lengths are inputs, attributes
CASES = [
    ("LSTM", 1, 1, 128, 128, "forward", True, False, {}),
    ("LSTM", 33, 1, 7, 15, "bidirectional", False, False, {}),
    ("LSTM", 7, 3, 17, 31, "bidirectional", True, True, {"clip": 0.4}),
    ("GRU", 17, 2, 3, 15, "reverse", True, False, {}),
    ("GRU", 7, 3, 15, 33, "bidirectional", False, True, {"linear_before_reset": 1}),
    ("RNN", 15, 2, 7, 17, "bidirectional", True, True, {}),
]


def write(path, case):
    op, steps, batch, width, hidden, direction, states, lengths, attributes = case
    random = np.random.default_rng(3)
    directions, gates = 1 + (direction == "bidirectional"), GATES[op] * hidden
    values = {"x": random.normal(size=(steps, batch, width))}
    weights = {
        "w": random.normal(size=(directions, gates, width)) / np.sqrt(width),
        "r": random.normal(size=(directions, gates, hidden)) / np.sqrt(hidden),
        "b": random.normal(size=(directions, 2 * gates)),
    }
    names = ["x", "w", "r", "b", ""]
    if lengths:
        names[4] = "lengths"
        values["lengths"] = np.arange(batch) * (steps - 1) // max(batch - 1, 1) + 1
    if states:
        names += ["h", "c"] if op == "LSTM" else ["h"]
        for name in names[5:]:
            values[name] = random.normal(size=(directions, batch, hidden))
    values = {
        k: v.astype(np.int32 if k == "lengths" else np.float32)
        for k, v in values.items()
    }
    outputs = ["y", "last", "cell"] if op == "LSTM" else ["y", "last"]
    node = helper.make_node(
        op, names, outputs, hidden_size=hidden, direction=direction, **attributes
    )
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(
                k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape
            )
            for k, v in values.items()
        ],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return values


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[5]}"
)
def test_agrees_with_onnxruntime(case, target, tmp_path):
    model = tmp_path / "model.onnx"
    values = write(model, case)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    command = [CLI, "run", model, "--target", target]
    for name, value in values.items():
        np.save(tmp_path / f"{name}.npy", value)
        command += ["--input", f"{name}=@{tmp_path / name}.npy"]
    for name in names:
        command += ["--output", f"{name}=@{tmp_path}/{name}.out.npy"]
    run(*command)
    for name, expected in zip(names, session.run(None, values), strict=True):
        found = np.load(tmp_path / f"{name}.out.npy")
        assert found.shape == expected.shape
        assert err(found, expected) <= 1e-4
