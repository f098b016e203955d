"""The Python package: the same program with one import changed."""

import numpy as np
import onnxruntime
import opencompiler
import pytest
from harness import CLS


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
