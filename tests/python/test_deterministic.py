"""`--deterministic`: the same bits whatever the number of threads."""

import numpy as np
import opencompiler
import pytest
from harness import LARGE, MODELS, SHAPES, feed
from onnx import TensorProto, helper

THREADS = (1, 2, 3, 8)


def outputs(model, given, threads, deterministic):
    options = opencompiler.SessionOptions(
        intra_op_num_threads=threads, use_deterministic_compute=deterministic
    )
    session = opencompiler.InferenceSession(model, options)
    if callable(given):
        given = given(session)
    return [each.tobytes() for each in session.run(None, given)]


@pytest.mark.parametrize(
    "name", [*SHAPES, *(pytest.param(name, marks=pytest.mark.long) for name in LARGE)]
)
def test_models_do_not_depend_on_threads(name):
    shapes = SHAPES.get(name) or LARGE[name]
    results = [
        outputs(
            MODELS / f"{name}.onnx", lambda session: feed(session, shapes), count, True
        )
        for count in THREADS
    ]
    assert results.count(results[0]) == len(THREADS)


def test_long_sums_are_cut_for_more_threads_unless_forbidden():
    shapes = {
        "a": (12, 65568),
        "b": (65568, 16),
    }  # whole tiles of vectors of 8 and of 16
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, (12, 16))
    graph = helper.make_graph([node], "sums", inputs, [output])
    model = helper.make_model(graph).SerializeToString()
    random = np.random.default_rng(0)
    given = {
        name: random.uniform(-1, 1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    alone, cut = (outputs(model, given, count, False) for count in (1, 2))
    assert alone != cut  # or the test below would show nothing
    for count in THREADS:
        assert outputs(model, given, count, True) == alone
