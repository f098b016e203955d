"""What the Python package takes from onnxruntime's calls, and what it keeps in memory."""

import pathlib

import numpy as np
import onnxruntime
import opencompiler
import pytest

MODELS = pathlib.Path(__file__).resolve().parents[2] / ".cache/models"
CLS = MODELS / "cls.onnx"
CPU = ["CPUExecutionProvider"]


@pytest.fixture(autouse=True)
def no_database(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCOMPILER_DB", str(tmp_path / "none.db"))
    monkeypatch.setenv("OPENCOMPILER_NUM_THREADS", "1")


def x(width=192):
    random = np.random.default_rng(1)
    return {"x": random.uniform(-1, 1, (1, 3, 48, width)).astype(np.float32)}


def test_calls_as_onnxruntime_takes_them():
    session = opencompiler.InferenceSession(CLS, None, CPU, [{}])
    (first,) = session.run(None, x(), None)
    (second,) = session.run(output_names=None, input_feed=x(), run_options=None)
    assert np.array_equal(first, second)
    by_name = opencompiler.InferenceSession(path_or_bytes=CLS, providers=CPU)
    assert np.array_equal(by_name.run(None, x())[0], first)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_model_may_be_bytes(kind):
    session = opencompiler.InferenceSession(kind(CLS.read_bytes()))
    assert session.get_inputs()[0].name == "x"


@pytest.mark.parametrize("name", ["cls", "rec", "minilm_l3"])
def test_shapes_are_those_of_onnxruntime(name):
    model = MODELS / f"{name}.onnx"
    peer = onnxruntime.InferenceSession(model, providers=CPU)
    ours = opencompiler.InferenceSession(model)
    assert [n.shape for n in ours.get_inputs()] == [n.shape for n in peer.get_inputs()]


def test_memory_of_many_shapes_is_bounded(monkeypatch):
    session = opencompiler.InferenceSession(CLS)
    monkeypatch.setattr(session, "MAX_BYTES", 1)
    results = {width: session.run(None, x(width))[0] for width in (192, 96, 192, 96)}
    assert len(session._compiled) == 1
    monkeypatch.setattr(session, "MAX_BYTES", 1 << 30)
    for width in (192, 96):
        assert np.array_equal(session.run(None, x(width))[0], results[width])
    assert len(session._compiled) == 2


def test_warnings_of_the_compiler_are_passed_on(tmp_path, monkeypatch, capfd):
    database = tmp_path / "bad.db"
    database.write_text("no database at all")
    monkeypatch.setenv("OPENCOMPILER_DB", str(database))
    opencompiler.InferenceSession(CLS).run(None, x())
    text = capfd.readouterr().err
    assert text.count("warning:") == 1
    assert "bad.db" in text
