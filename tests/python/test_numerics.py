"""NaN, infinities and values that overflow go through functions as in onnxruntime, also fused behind a convolution."""

import numpy as np
import onnx
import onnxruntime
import opencompiler
import pytest
from harness import CLI, TARGETS, run
from onnx import TensorProto, helper, numpy_helper

FUNCTIONS = "Elu Erf Exp HardSigmoid HardSwish LeakyRelu Relu Sigmoid Softplus Tanh"
SPECIAL = (np.nan, np.inf, -np.inf, 1000, -1000, 89.5, -89.5, 88, 1e-40, -0.0)
SHAPE = (1, 16, 8, 64)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Every function on its own and behind a convolution, each an output of its own."""
    nodes = []
    for function in FUNCTIONS.split():
        nodes.append(helper.make_node(function, ["x"], [function]))
        nodes.append(helper.make_node("Conv", ["x", "w"], [f"{function}_in"]))
        nodes.append(
            helper.make_node(function, [f"{function}_in"], [f"conv_{function}"])
        )
    value = helper.make_tensor_value_info
    outputs = [name for node in nodes for name in node.output if "_in" not in name]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, SHAPE)],
        [value(name, TensorProto.FLOAT, SHAPE) for name in outputs],
        [numpy_helper.from_array(np.eye(16, dtype=np.float32)[..., None, None], "w")],
    )
    path = tmp_path_factory.mktemp("numerics") / "functions.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.mark.parametrize("target", TARGETS)
def test_special_values(model, target, tmp_path):
    x = np.random.default_rng(6).normal(size=SHAPE).astype(np.float32)
    # Along the columns of one channel, so that the sums of other columns stay finite.
    x[0, 3, 2, : len(SPECIAL)] = SPECIAL
    np.save(tmp_path / "x.npy", x)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [spec.name for spec in session.get_outputs()]
    wanted = [w for n in names for w in ("--output", f"{n}=@{tmp_path / n}.npy")]
    command = (CLI, "run", model, "--target", target, "--threads", "1")
    run(*command, "--input", f"x=@{tmp_path}/x.npy", *wanted)
    for name, expected in zip(names, session.run(None, {"x": x}), strict=True):
        ours = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(ours, expected, 1e-5, 1e-6, err_msg=name)


def agrees(nodes, shapes, feed, constants, tolerance=1e-6):
    """The model of these nodes, whose output is "y", gives what onnxruntime makes of it."""
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    types = {k: helper.np_dtype_to_tensor_dtype(v.dtype) for k, v in feed.items()}
    inputs = [helper.make_tensor_value_info(k, types[k], shapes[k]) for k in feed]
    graph = helper.make_graph(
        nodes, "g", inputs, [onnx.ValueInfoProto(name="y")], tensors
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    model = onnx.shape_inference.infer_shapes(model).SerializeToString()
    peer = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (expected,) = peer.run(None, feed)
    (ours,) = opencompiler.InferenceSession(model).run(None, feed)
    np.testing.assert_allclose(ours, expected, tolerance, tolerance)


def test_a_mask_of_infinities_masks():
    """Of where(mask, 0, -inf), fused, the compiler must not make 0; nor of a Pad with -inf."""
    random = np.random.default_rng(3)
    feed = {
        "scores": random.normal(size=(2, 5, 9)).astype(np.float32),
        "mask": random.uniform(size=(5, 9)) < 0.5,
    }
    feed["mask"][:, 0] = True
    shapes = {name: array.shape for name, array in feed.items()}
    constants = {
        "zero": np.float32(0),
        "infinity": np.float32(-np.inf),
        "pads": np.array([0, 0, 0, 0, 0, 3]),
    }
    nodes = [
        helper.make_node("Where", ["mask", "zero", "infinity"], ["bias"]),
        helper.make_node("Add", ["scores", "bias"], ["masked"]),
        helper.make_node("Pad", ["masked", "pads", "infinity"], ["padded"]),
        helper.make_node("Softmax", ["padded"], ["y"]),
    ]
    agrees(nodes, shapes, feed, constants)


def test_f64_to_f16_and_integer_exponents():
    feed = {
        "x": np.linspace(0.5, 3, 37, dtype=np.float32),
        "n": np.arange(37, dtype=np.int32) % 5,
    }
    shapes = {name: array.shape for name, array in feed.items()}
    nodes = [
        helper.make_node("Pow", ["x", "n"], ["power"]),
        helper.make_node("Cast", ["power"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["wide"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["y"], to=TensorProto.FLOAT),
    ]
    agrees(nodes, shapes, feed, {}, 1e-3)


def results(node, feed, opset=21):
    """What one node gives; `feed` in the order of its inputs."""
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in feed.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "g", inputs, outputs)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=11)
    model = onnx.shape_inference.infer_shapes(model).SerializeToString()
    return opencompiler.InferenceSession(model).run(None, feed)


def test_quantising_with_f16_scales_is_exact():
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
    fine, zero = np.float16(1 / 256), np.uint8(0)
    a, b = np.full((1, 4), 255, np.uint8), np.full((4, 1), 254, np.uint8)
    values = [a, fine, zero, b, fine, zero, np.float16(1 / 16), zero]
    feed = dict(zip(names, map(np.asarray, values), strict=True))
    (y,) = results(helper.make_node("QLinearMatMul", names, ["y"]), feed)
    assert y == round(4 * 255 * 254 / 256**2 * 16)  # the sum is beyond f16
    x = np.array([3000, 65504, 0, -9], np.float16)
    feed = {"x": x, "scale": np.array(1, np.float16), "zero": np.array(103, np.uint16)}
    (y,) = results(helper.make_node("QuantizeLinear", list(feed), ["y"]), feed)
    np.testing.assert_array_equal(y, [3103, 65535, 103, 94])


def test_quantising_divides_in_the_precision_asked_for():
    random = np.random.default_rng(5)
    x = random.uniform(0, 25, 2000).astype(np.float16)
    feed = {"x": x, "scale": np.array(0.1, np.float16), "zero": np.array(0, np.uint8)}
    exact = np.rint(x.astype(np.float32) / np.float32(feed["scale"]))
    assert np.any(exact != np.rint(x / feed["scale"]))
    node = helper.make_node(
        "QuantizeLinear", list(feed), ["y"], precision=TensorProto.FLOAT
    )
    np.testing.assert_array_equal(results(node, feed, 23)[0], exact)


def test_zeros_are_quantised_with_a_scale_of_one():
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"])
    y, scale, zero = results(node, {"x": np.zeros(5, np.float32)})
    np.testing.assert_array_equal(y, np.zeros(5, np.uint8))
    assert (scale, zero) == (1, 0)


def test_a_grid_of_doubles_is_sampled_in_doubles():
    ramp = np.arange(1001, dtype=np.float64)[None, None, None]
    grid = np.zeros((1, 1, 50, 2))
    grid[..., 0] = np.linspace(-0.99, 0.98, 50)
    node = helper.make_node("GridSample", ["x", "grid"], ["y"], align_corners=1)
    (y,) = results(node, {"x": ramp, "grid": grid})
    np.testing.assert_allclose(y[0, 0, 0], (grid[0, 0, :, 0] + 1) * 500, 1e-12)


@pytest.mark.parametrize("alpha", [-1.0, -0.5, 0.5])
def test_celu_of_either_sign_is_what_it_is_defined_as(alpha):
    x = np.array([-100, -2, -0.5, -0.0, 0, 0.5, 2, 100, np.nan], np.float32)
    (y,) = results(helper.make_node("Celu", ["x"], ["y"], alpha=alpha), {"x": x})
    with np.errstate(over="ignore"):
        growth = np.float32(alpha) * (np.exp(x / np.float32(alpha)) - 1)
    expected = np.maximum(x, 0) + np.minimum(growth, 0)
    np.testing.assert_allclose(y, expected, 1e-5, 1e-6)
