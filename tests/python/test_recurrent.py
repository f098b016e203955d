"""RNN, GRU and LSTM against onnxruntime: odd sizes, directions, states, lengths of sequences, weights in 8 bits."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import opencompiler as oc
import pytest
from harness import CLI, TARGETS, err, run
from one_node import Case
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
        values["lengths"] = np.arange(batch) * steps // max(batch - 1, 1)
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


@dataclasses.dataclass(frozen=True)
class Quantised:
    steps: int
    batch: int
    width: int
    hidden: int
    direction: str = "forward"
    dtype: type = np.int8
    columns: bool = False  # a scale for each, not one for the direction
    bias: bool = True
    states: bool = False
    lengths: bool = False
    peepholes: bool = False
    outputs: tuple = ("y", "last", "cell")
    attributes: dict = dataclasses.field(default_factory=dict)

    def weights(self, random, rows):
        """In 7 bits: where a machine lacks the instruction for 8, sums of products may overflow in onnxruntime."""
        directions = 1 + (self.direction == "bidirectional")
        signed = self.dtype == np.int8
        low, high = (-63, 64) if signed else (0, 128)
        shape = (directions, 4 * self.hidden) if self.columns else (directions,)
        scale = random.uniform(0.5, 1.5, shape) / (30 * np.sqrt(rows))
        # onnxruntime wants those of columns to be alike, and 0 when signed.
        zero = (
            random.integers(-9, 9, directions)
            if signed
            else random.integers(50, 70) + np.arange(directions) * (not self.columns)
        )
        if self.columns:
            zero = np.repeat(zero[:, None] * (not signed), shape[1], axis=1)
        return (
            random.integers(low, high, (directions, rows, 4 * self.hidden)).astype(
                self.dtype
            ),
            scale.astype(np.float32),
            zero.astype(self.dtype),
        )

    def case(self):
        random = np.random.default_rng(3)
        directions = 1 + (self.direction == "bidirectional")
        w, w_scale, w_zero = self.weights(random, self.width)
        r, r_scale, r_zero = self.weights(random, self.hidden)
        state = (directions, self.batch, self.hidden) if self.states else None
        # Without its first output onnxruntime quantises what it finds in place of the state of one without steps.
        shortest = int(not self.outputs[0])
        lengths = np.arange(self.batch) * (self.steps - 1) // max(self.batch - 1, 1)
        inputs = {
            "x": (self.steps, self.batch, self.width),
            "w": w,
            "r": r,
            "b": (directions, 8 * self.hidden) if self.bias else None,
            "lengths": (lengths + shortest).astype(np.int32) if self.lengths else None,
            "h": state,
            "c": state,
            "p": (directions, 3 * self.hidden) if self.peepholes else None,
            "w_scale": w_scale,
            "w_zero": w_zero,
            "r_scale": r_scale,
            "r_zero": r_zero,
        }
        attributes = {"direction": self.direction, "hidden_size": self.hidden}
        constants = ("w", "r", "w_scale", "w_zero", "r_scale", "r_zero")
        return Case(
            "DynamicQuantizeLSTM",
            inputs,
            attributes | self.attributes,
            self.outputs,
            constants,
        )


# What follows from a number that rounds the other way: a step of 1/255 of a state in one product.
ROUNDED = 1e-2
QUANTISED = [
    Quantised(1, 1, 7, 3),
    Quantised(7, 1, 17, 33, "reverse", np.uint8),
    Quantised(17, 1, 3, 7, "bidirectional", columns=True, states=True),
    Quantised(7, 3, 17, 17, "bidirectional", np.uint8, columns=True, bias=False),
    Quantised(7, 3, 33, 17, lengths=True, states=True),
    Quantised(7, 3, 17, 7, "bidirectional", lengths=True, states=True),
    Quantised(7, 3, 17, 7, "reverse", lengths=True, outputs=("", "last", "cell")),
    Quantised(3, 2, 7, 17, peepholes=True, attributes={"clip": 0.6}),
    Quantised(7, 1, 7, 3, outputs=("", "last")),
    Quantised(
        3, 1, 7, 3, bias=False, attributes={"activations": ["Sigmoid", "Relu", "Tanh"]}
    ),
    Quantised(33, 1, 128, 64, "bidirectional", np.uint8, columns=True),
]


@pytest.mark.parametrize("lstm", QUANTISED, ids=str)
def test_a_quantised_lstm_agrees_with_onnxruntime(lstm):
    case = lstm.case()
    case.check(case.theirs(), ROUNDED)


LSTM = Quantised(3, 1, 7, 3).case()


def changed(case, attributes=None, **inputs):
    return dataclasses.replace(
        case,
        inputs=case.inputs | inputs,
        attributes=case.attributes | (attributes or {}),
    )


REFUSED = [
    (changed(LSTM, {"input_forget": 1}), "input_forget"),
    (changed(LSTM, {"activations": ["Sigmoid", "Elu", "Tanh"]}), "activation 'Elu'"),
    (changed(LSTM, {"direction": "both"}), "direction 'both'"),
    (changed(LSTM, {"hidden_size": 7}), "hidden_size is 7"),
    (changed(LSTM, w=LSTM.inputs["r"]), "its W"),
    (changed(LSTM, w_scale=np.ones(12, np.float32)), "its scale"),
    (changed(LSTM, w_zero=np.zeros(1, np.uint8)), "f32 and i8"),
    (changed(LSTM, w=LSTM.inputs["w"].astype(np.int32)), "must be u8 or i8"),
]


@pytest.mark.parametrize(
    ("case", "message"), REFUSED, ids=lambda value: str(value)[:40]
)
def test_what_cannot_be_honoured_is_refused(case, message):
    with pytest.raises(oc.Refusal, match=f"it.*{message}"):
        case.ours()
