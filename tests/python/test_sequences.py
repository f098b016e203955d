"""Sequences, optionals and loops through the Python package, beside onnxruntime."""

import numpy as np
import onnxruntime
import opencompiler
import pytest
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
tensor = helper.make_tensor_value_info


def sequence(name, dtype=FLOAT, shape=("n",)):
    return helper.make_tensor_sequence_value_info(name, dtype, shape)


def model_of(nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()


def arrays(*lengths):
    rng = np.random.default_rng(0)
    return [rng.normal(size=length).astype(np.float32) for length in lengths]


def doubled_and_inserted():
    """y: each element of x twice as large, and z at position `at`."""
    body = helper.make_graph(
        [helper.make_node("Add", ["each", "each"], ["twice"])],
        "body",
        [tensor("each", FLOAT, ["n"])],
        [tensor("twice", FLOAT, ["n"])],
    )
    nodes = [
        helper.make_node("SequenceMap", ["x"], ["t"], body=body),
        helper.make_node("SequenceInsert", ["t", "z", "at"], ["y"], name="insert"),
    ]
    inputs = [sequence("x"), tensor("z", FLOAT, [2]), tensor("at", INT64, [])]
    return model_of(nodes, inputs, [sequence("y")])


def test_sequences_go_in_and_out():
    model = doubled_and_inserted()
    ours, theirs = (
        opencompiler.InferenceSession(model),
        onnxruntime.InferenceSession(model),
    )
    for session in (ours, theirs):
        assert session.get_inputs()[0].type == "seq(tensor(float))"
    z = np.array([7, 8], np.float32)
    for lengths, at in (((3, 1, 4), 1), ((3, 1, 4), -1), ((5,), 0), ((), 0)):
        feed = {"x": arrays(*lengths), "z": z, "at": np.array(at)}
        (got,) = ours.run(None, feed)
        wanted = [2 * each for each in feed["x"]]
        wanted.insert(at, z)
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a, b)
        if lengths:  # onnxruntime cannot be given an empty sequence
            for a, b in zip(got, theirs.run(None, feed)[0], strict=True):
                np.testing.assert_array_equal(a, b)


def test_what_does_not_fit_a_sequence_is_told():
    session = opencompiler.InferenceSession(doubled_and_inserted())
    feed = {"x": arrays(3, 3), "z": np.zeros(2, np.float32), "at": np.array(0)}
    with pytest.raises(ValueError, match=r"input 'x\[1\]' is float64"):
        session.run(None, feed | {"x": [feed["x"][0], np.zeros(3)]})
    with pytest.raises(
        opencompiler.Refusal, match=r"\(SequenceInsert\): its position 5 "
    ):
        session.run(None, feed | {"at": np.array(5)})


def test_an_optional_may_be_left_out():
    optional = helper.make_optional_type_proto(
        helper.make_tensor_type_proto(FLOAT, [2])
    )
    nodes = [
        helper.make_node("OptionalHasElement", ["o"], ["has"]),
        helper.make_node("Identity", ["o"], ["back"]),
    ]
    inputs = [helper.make_value_info("o", optional)]
    outputs = [
        tensor("has", TensorProto.BOOL, []),
        helper.make_value_info("back", optional),
    ]
    session = opencompiler.InferenceSession(model_of(nodes, inputs, outputs))
    assert session.get_inputs()[0].type == "optional(tensor(float))"
    value = np.array([1, 2], np.float32)
    for feed, has in (({"o": value}, True), ({"o": None}, False), ({}, False)):
        got, back = session.run(None, feed)
        assert got == has
        if has:
            np.testing.assert_array_equal(back, value)
        else:
            assert back is None


def loop_of(steps):
    """h ← tanh(h·w + b_i) for each of `steps` steps, all h collected."""
    rng = np.random.default_rng(0)
    w = (rng.normal(size=(8, 8)) / 4).astype(np.float32)
    b = rng.normal(size=(steps, 8)).astype(np.float32)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["again"]),
            helper.make_node("MatMul", ["h", "w"], ["product"]),
            helper.make_node("Gather", ["b", "i"], ["row"]),
            helper.make_node("Add", ["product", "row"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["next"]),
            helper.make_node("Identity", ["next"], ["seen"]),
        ],
        "body",
        [
            tensor("i", INT64, []),
            tensor("c", TensorProto.BOOL, []),
            tensor("h", FLOAT, [4, 8]),
        ],
        [
            tensor("again", TensorProto.BOOL, []),
            tensor("next", FLOAT, [4, 8]),
            tensor("seen", FLOAT, [4, 8]),
        ],
    )
    weights = [
        helper.make_tensor(n, FLOAT, a.shape, a.tobytes(), raw=True)
        for n, a in (("w", w), ("b", b))
    ]
    weights.append(helper.make_tensor("count", INT64, [], [steps]))
    loop = helper.make_node("Loop", ["count", "", "x"], ["y", "all"], body=body)
    return model_of(
        [loop],
        [tensor("x", FLOAT, [4, 8])],
        [tensor("y", FLOAT, [4, 8]), tensor("all", FLOAT, [steps, 4, 8])],
        weights,
    )


def test_a_loop_agrees_with_onnxruntime():
    model = loop_of(20)
    feed = {"x": np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)}
    ours = opencompiler.InferenceSession(model).run(None, feed)
    theirs = onnxruntime.InferenceSession(model).run(None, feed)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_a_loop_carries_goes_before_a_default_of_its_body():
    """An initializer of an input's name is the value of an input that is not given."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["a", "a"], ["b"]),
            helper.make_node("Identity", ["c"], ["d"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [2]),
        ],
        [numpy_helper.from_array(np.zeros(2, np.float32), "a")],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    graph = helper.make_graph(
        [loop],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.int64(3), "n")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    session = opencompiler.InferenceSession(model.SerializeToString())
    (y,) = session.run(None, {"x": np.float32([1, 2])})
    np.testing.assert_array_equal(y, [8, 16])
