"""Real models through the command line against onnxruntime."""

import pathlib
import subprocess

import numpy as np
import onnxruntime
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / ".venv/bin/opencompiler"
MODELS = ROOT / ".cache/models"
TOLERANCE = 1e-3
SHAPES = {
    "cls": {"x": (1, 3, 48, 192)},
    "det": {"x": (1, 3, 640, 640)},
    "rec": {"x": (1, 3, 48, 320)},
    "ddddocr_det": {"images": (1, 3, 416, 416)},
    "minilm_l3": {"input_ids": (1, 128), "attention_mask": (1, 128)},
    "efficientnet_lite0": None,
}


def err(a: np.ndarray, b: np.ndarray) -> float:
    """max |a − b| / max(|b|, 0.1·max|b|), b the reference."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 0.1 * np.max(np.abs(b)))))


def feed(session, shapes):
    random = np.random.default_rng(0)
    values = {}
    for spec in session.get_inputs():
        shape = shapes[spec.name] if shapes else spec.shape
        if "int64" in spec.type:
            ids = (
                random.integers(0, 20000, shape)
                if "ids" in spec.name
                else np.ones(shape)
            )
            values[spec.name] = ids.astype(np.int64)
        else:
            # What pictures look like after normalisation.
            values[spec.name] = random.uniform(-1, 1, shape).astype(np.float32)
    return values


@pytest.mark.parametrize("target", ["host", "x86-64-avx2"])
@pytest.mark.parametrize("name", list(SHAPES))
def test_agrees_with_onnxruntime(name, target, tmp_path, monkeypatch):
    model = MODELS / f"{name}.onnx"
    monkeypatch.setenv("OPENCOMPILER_DB", str(tmp_path / "none.db"))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    values = feed(session, SHAPES[name])
    command = [CLI, "run", model, "--target", target, "--threads", "1"]
    for key, value in values.items():
        np.save(tmp_path / f"{key}.npy", value)
        command += ["--input", f"{key}=@{tmp_path / key}.npy"]
    for i, spec in enumerate(session.get_outputs()):
        command += ["--output", f"{spec.name}=@{tmp_path}/out{i}.npy"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for i, expected in enumerate(session.run(None, values)):
        assert err(np.load(tmp_path / f"out{i}.npy"), expected) <= TOLERANCE
