"""Functions that a model defines, against onnxruntime."""

import numpy as np
import onnxruntime
import opencompiler
import pytest
from onnx import TensorProto, helper, numpy_helper

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
X = np.random.default_rng(3).normal(size=(3, 5)).astype(np.float32)


def node(op, inputs, outputs, refers=None, **attributes):
    """`refers`: attributes that take the value of one of the function's."""
    domain = "d" if op[0].islower() else ""
    made = helper.make_node(op, inputs, outputs, domain=domain, **attributes)
    for name, (theirs, kind) in (refers or {}).items():
        attribute = made.attribute.add(name=name, ref_attr_name=theirs)
        attribute.type = kind
    return made


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), opsets=OPSETS):
    return helper.make_function(
        "d", name, inputs, outputs, nodes, opsets, attributes, defaults
    )


def model(nodes, functions, inputs=("x",), constants=()):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value(name, TensorProto.FLOAT, X.shape) for name in inputs],
        [value("y", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(
        graph, opset_imports=OPSETS, functions=functions, ir_version=10
    )


FLOAT = 1  # AttributeProto.FLOAT
ALPHA = ("alpha", FLOAT)
LEAKY = function(
    "leaky",
    ["a"],
    ["b"],
    [node("LeakyRelu", ["a"], ["b"], refers={"alpha": ALPHA})],
    defaults=[helper.make_attribute("alpha", 0.25)],
)
SCALED = function(
    "scaled",
    ["a"],
    ["c"],
    [
        node("Constant", [], ["k"], refers={"value_float": ("by", FLOAT)}),
        node("leaky", ["a"], ["b"], refers={"alpha": ("slope", FLOAT)}),
        node("Mul", ["b", "k"], ["c"]),
    ],
    attributes=["by", "slope"],
)


def agrees(made, **more):
    given = {"x": X, **more}
    reference = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = reference.run(None, given)
    session = opencompiler.InferenceSession(made.SerializeToString())
    for ours, theirs in zip(session.run(None, given), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-6, 1e-6)


def test_attributes_reach_the_nodes_that_refer_to_them():
    nodes = [
        node("leaky", ["x"], ["p"]),  # the default
        node("leaky", ["p"], ["q"], alpha=-2.0),
        node("scaled", ["q"], ["r"], by=3.0, slope=0.5),
        node("scaled", ["r"], ["y"], by=-1.0, slope=1.5),
    ]
    agrees(model(nodes, [LEAKY, SCALED]))


def test_names_inside_are_their_own():
    inner = function(
        "inner",
        ["x"],
        ["y"],
        [
            node("Constant", [], ["k"], value=numpy_helper.from_array(np.float32(2))),
            node("Mul", ["x", "k"], ["y"]),
        ],
    )
    outer = function(
        "outer",
        ["y", "k"],
        ["x"],
        [node("inner", ["y"], ["t"]), node("Add", ["t", "k"], ["x"])],
    )
    nodes = [node("outer", ["x", "k"], ["t"]), node("outer", ["t", "x"], ["y"])]
    k = numpy_helper.from_array(np.ones(5, np.float32), "k")
    agrees(model(nodes, [outer, inner], constants=[k]))


def test_inputs_may_be_left_out_and_results_unread():
    clipped = function(
        "clipped",
        ["a", "low", "high"],
        ["b", "c"],
        [node("Clip", ["a", "low", "high"], ["b"]), node("Neg", ["a"], ["c"])],
    )
    low = numpy_helper.from_array(np.float32(-0.5), "low")
    nodes = [
        node("clipped", ["x", "", "low"], ["p", ""]),
        node("clipped", ["x", "low"], ["q"]),
        node("Add", ["p", "q"], ["y"]),
    ]
    made = model(nodes, [clipped], constants=[low])
    session = opencompiler.InferenceSession(made.SerializeToString())
    (y,) = session.run(None, {"x": X})
    expected = np.minimum(X, np.float32(-0.5)) + np.maximum(X, np.float32(-0.5))
    np.testing.assert_allclose(y, expected, 1e-6)


def test_branches_call_functions_and_functions_branch():
    def branch(op, *inputs):
        value = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
        made = node(op, inputs, ["t"], **({"alpha": 0.1} if op == "leaky" else {}))
        return helper.make_graph([made], op, [], [value])

    chosen = function(
        "chosen",
        ["a", "p"],
        ["b"],
        [
            node(
                "If",
                ["p"],
                ["b"],
                then_branch=branch("leaky", "a"),
                else_branch=branch("Neg", "a"),
            )
        ],
    )
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["p"]),
        node("chosen", ["x", "p"], ["y"]),
    ]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    made = model(nodes, [chosen, LEAKY], constants=[zero])
    for sign in (1, -1):
        agrees(made, x=X * sign)


def test_a_function_has_opsets_of_its_own():
    """Softmax of opset 11 flattens what follows its axis."""
    old = [helper.make_opsetid("", 11)]
    soft = function(
        "soft", ["a"], ["b"], [node("Softmax", ["a"], ["b"], axis=0)], opsets=old
    )
    made = model([node("soft", ["x"], ["y"])], [soft])
    session = opencompiler.InferenceSession(made.SerializeToString())
    (y,) = session.run(None, {"x": X})
    expected = np.exp(X) / np.exp(X).sum()
    np.testing.assert_allclose(y, expected, 1e-5)


def again(count):
    """Functions that each call two of the next."""
    functions = []
    for i in range(count):
        callee = f"f{i + 1}" if i + 1 < count else "Neg"
        body = [node(callee, [a], [b]) for a, b in ("ab", "bc")]
        functions.append(function(f"f{i}", ["a"], ["c"], body))
    return functions


def chain(count):
    functions = []
    for i in range(count):
        callee = f"f{i + 1}" if i + 1 < count else "Neg"
        functions.append(function(f"f{i}", ["a"], ["c"], [node(callee, ["a"], ["c"])]))
    return functions


@pytest.mark.parametrize(
    ("functions", "call", "message"),
    [
        ([function("f0", ["a"], ["b"], [node("f0", ["a"], ["b"])])], ["x"], "the function calls itself"),
        (
            [
                function("f0", ["a"], ["b"], [node("f1", ["a"], ["b"])]),
                function("f1", ["a"], ["b"], [node("f0", ["a"], ["b"])]),
            ],
            ["x"],
            "the function calls itself",
        ),
        (again(40), ["x"], "functions make more than"),
        (chain(5000), ["x"], "more than 100 deep"),
        ([function("f0", ["a"], ["b"], [node("Neg", ["a"], ["b"])])], ["x", "x"], "has 2 inputs, the function takes 1"),
        ([function("f0", ["a"], ["b"], [node("Frobnicate", ["a"], ["b"])])], ["x"], "Frobnicate ×1"),
        ([LEAKY, LEAKY], ["x"], "is defined twice"),
        ([function("f0", ["a"], ["b"], [node("Neg", ["a"], ["b"])], opsets=[helper.make_opsetid("", 99)])], ["x"], "opset 99"),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_are_refused(functions, call, message):
    made = model([node("f0", call, ["y"])], functions)
    session = opencompiler.InferenceSession(made.SerializeToString())
    with pytest.raises(ValueError, match=message):
        session.run(None, {"x": X})
