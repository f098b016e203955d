"""The Python package: the same program with one import changed."""

import ml_dtypes
import numpy as np
import onnxruntime
import opencompiler
import opencompiler.backend
import pytest
from harness import CLS
from onnx import TensorProto, helper


@pytest.fixture
def session():
    options = opencompiler.SessionOptions(intra_op_num_threads=1)
    return opencompiler.InferenceSession(CLS, options)


def test_agrees_with_onnxruntime_at_two_shapes(session):
    peer = onnxruntime.InferenceSession(CLS, providers=["CPUExecutionProvider"])
    for width in (192, 96):
        x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 48, width))
        feed = {"x": x.astype(np.float32)}
        (ours,), (theirs,) = session.run(None, feed), peer.run(None, feed)
        assert np.max(np.abs(ours - theirs)) <= 1e-3 * np.max(np.abs(theirs))


def test_describes_itself_as_onnxruntime_does(session):
    peer = onnxruntime.InferenceSession(CLS, providers=["CPUExecutionProvider"])
    ours, theirs = session.get_inputs(), peer.get_inputs()
    assert [(n.name, n.type) for n in ours] == [(n.name, n.type) for n in theirs]
    assert [n.name for n in session.get_outputs()] == [
        n.name for n in peer.get_outputs()
    ]


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ({}, r"missing: \['x'\]"),
        ({"z": np.zeros(1, np.float32)}, "not in the model"),
        ({"x": np.zeros((1, 3, 48, 192))}, "float64"),
        ({"x": np.zeros((1, 4, 48, 192), np.float32)}, "x"),
    ],
)
def test_wrong_inputs_are_value_errors(session, feed, message):
    with pytest.raises(ValueError, match=message):
        session.run(None, feed)


def test_a_file_that_is_no_model_is_a_value_error():
    with pytest.raises(ValueError, match="model"):
        opencompiler.InferenceSession(b"not a model")


def model_of(node, inputs, output):
    """`inputs`, `output`: ONNX types and shapes."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [value(k, *info) for k, info in zip(node.input, inputs, strict=True)],
        [value(node.output[0], *output)],
    )
    opset = [helper.make_opsetid("", 21)]
    return helper.make_model(
        graph, opset_imports=opset, ir_version=10
    ).SerializeToString()


def test_an_input_that_gives_a_shape_is_compiled_for_its_value():
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    inputs = [(TensorProto.FLOAT, [2, 6]), (TensorProto.INT64, [2])]
    session = opencompiler.InferenceSession(
        model_of(node, inputs, (TensorProto.FLOAT, [None, None]))
    )
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    for shape in ([3, 4], [4, 3], [12, 1], [3, 4]):
        (y,) = session.run(None, {"x": x, "shape": np.array(shape)})
        np.testing.assert_array_equal(y, x.reshape(shape))


def reshaping_session():
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    inputs = [(TensorProto.FLOAT, ["n"]), (TensorProto.INT64, ["rank"])]
    return opencompiler.InferenceSession(
        model_of(node, inputs, (TensorProto.FLOAT, None))
    )


def test_values_that_change_while_they_are_compiled_for_are_not_taken_for_others(
    monkeypatch,
):
    session = reshaping_session()
    x, shape = np.arange(12, dtype=np.float32), np.array([3, 4])
    compiled_for = session._compile

    def changed_meanwhile(arrays):
        compiled = compiled_for(arrays)
        shape[:] = [4, 3]
        return compiled

    monkeypatch.setattr(session, "_compile", changed_meanwhile)
    (first,) = session.run(None, {"x": x, "shape": shape})
    (second,) = session.run(None, {"x": x, "shape": np.array([4, 3])})
    assert (first.shape, second.shape) == ((3, 4), (4, 3))


def test_an_input_is_compiled_for_few_and_small_values_only(monkeypatch):
    node = helper.make_node("Expand", ["x", "shape"], ["y"])
    inputs = [(TensorProto.FLOAT, [1]), (TensorProto.INT64, ["rank"])]
    session = opencompiler.InferenceSession(
        model_of(node, inputs, (TensorProto.FLOAT, None))
    )
    monkeypatch.setattr(session, "MAX_VALUES", 2)
    x = np.ones(1, np.float32)

    def shape_for(*shape):
        return session.run(None, {"x": x, "shape": np.array(shape)})[0].shape

    assert shape_for(2) == (2,)
    assert shape_for(3) == (3,)
    refusal = "Expand.*--freeze shape="
    with pytest.raises(opencompiler.Refusal, match=refusal):
        shape_for(4)
    assert shape_for(2) == (2,)
    monkeypatch.setattr(session, "MAX_VALUES", 64)
    with pytest.raises(opencompiler.Refusal, match=refusal):
        shape_for(*[1] * 65)


def test_data_that_gives_a_shape_is_refused():
    node = helper.make_node("NonZero", ["x"], ["y"])
    session = opencompiler.InferenceSession(
        model_of(node, [(TensorProto.FLOAT, [2, 6])], (TensorProto.INT64, [None, None]))
    )
    with pytest.raises(opencompiler.Refusal, match=r"NonZero.*elements.*--freeze x="):
        session.run(None, {"x": np.ones((2, 6), np.float32)})


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "int4"])
def test_types_of_bytes_have_the_names_onnxruntime_gives_them(kind):
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(getattr(ml_dtypes, kind)))
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    model = model_of(node, [(dtype, [3])], (TensorProto.FLOAT, [3]))
    (ours,) = opencompiler.InferenceSession(model).get_inputs()
    assert ours.type == f"tensor({kind.replace('_', '')})"


def test_a_node_may_take_an_input_twice():
    node = helper.make_node("Add", ["x", "x"], ["y"])
    x = np.arange(3, dtype=np.float32)
    (y,) = opencompiler.backend.run_node(node, [x, x])
    np.testing.assert_array_equal(y, x + x)


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "int4", "uint2"])
def test_types_of_ml_dtypes_go_in_and_out(kind):
    dtype = np.dtype(getattr(ml_dtypes, kind))
    onnx_type = helper.np_dtype_to_tensor_dtype(dtype)
    shape = [3, 5]
    x = np.linspace(-2, 2, 15, dtype=np.float32).reshape(shape)
    into = helper.make_node("Cast", ["x"], ["y"], to=onnx_type)
    back = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    typed, plain = (onnx_type, shape), (TensorProto.FLOAT, shape)
    (y,) = opencompiler.InferenceSession(model_of(into, [plain], typed)).run(
        None, {"x": x}
    )
    assert y.dtype == dtype
    np.testing.assert_array_equal(
        y.astype(np.float32), x.astype(dtype).astype(np.float32)
    )
    (z,) = opencompiler.InferenceSession(model_of(back, [typed], plain)).run(
        None, {"x": y}
    )
    np.testing.assert_array_equal(z, y.astype(np.float32))
