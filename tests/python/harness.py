"""What the tests share: the command line, the models with their inputs, onnxruntime as the reference."""

import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import sqlite3
import subprocess
import time

import numpy as np
import onnxruntime
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
CLI = ROOT / ".venv/bin/opencompiler"
MODELS = ROOT / ".cache/models"
CLS = MODELS / "cls.onnx"
CLS_SHAPE = ("--shape", "x=1x3x48x192")
TARGETS = ("host", "x86-64-avx2")
TOLERANCE = 1e-3  # of a whole f32 model
SHAPES = {
    "cls": {"x": (1, 3, 48, 192)},
    "det": {"x": (1, 3, 640, 640)},
    "rec": {"x": (1, 3, 48, 320)},
    "ddddocr_det": {"images": (1, 3, 416, 416)},
    "minilm_l3": {"input_ids": (1, 128), "attention_mask": (1, 128)},
    "efficientnet_lite0": {"input": (1, 3, 224, 224)},
}
# Of `fetch.py --all`: for the long tests.
LARGE = {
    "resnet50": {"pixel_values": (1, 3, 224, 224)},
    "bert_base": {"input_ids": (1, 128), "attention_mask": (1, 128)},
    "whisper_tiny_encoder": {"input_features": (1, 80, 3000)},
    "gpt2_step": {"input_ids": (1, 1), "attention_mask": (1, 128)}
    | {
        f"past.{kind}.{layer}": (1, 12, 127, 64)
        for layer in range(12)
        for kind in ("key", "value")
    },
}


def content_hash(text):
    """As base/hash.h makes it; the library comes with the headers that the build takes."""

    class Hash(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

    xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    xxh3.restype = Hash
    data = text.encode()
    found = xxh3(data, ctypes.c_size_t(len(data)))
    return f"{found.high:016x}{found.low:016x}"


def resigned(row):
    """The line of a row of the tuning database, with the id that is right for it."""
    row.pop("id", None)
    canonical = lambda: json.dumps(
        row, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    row["id"] = content_hash(canonical())
    return canonical() + "\n"


def opencompiler(*arguments, **environment) -> subprocess.CompletedProcess:
    """The command line, whatever comes of it."""
    return subprocess.run(
        [CLI, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def run(*command, **options) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def committed(database) -> set[str]:
    """The trials on record while a tuner runs; none before the tables are there."""
    if not database.exists():
        return set()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            return {row[0] for row in connection.execute("select id from trial")}
        except sqlite3.OperationalError as error:
            if not str(error).startswith("no such table"):
                raise
            return set()


def wait_for_a_trial(tuner, database, known):
    """The tuner is at work: others than the `known` trials are on record."""
    deadline = time.monotonic() + 300
    while not committed(database) - known:
        assert tuner.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline, "no trial in five minutes"
        time.sleep(0.02)


# Before a command: in a namespace of its own, where it may mount what nobody else sees.
NAMESPACE = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-Urm"]


def small_disk(folder) -> pathlib.Path:
    """Where a command in a NAMESPACE may mount a small file system; skips the test where that is not allowed."""
    disk = folder / "disk"
    disk.mkdir()
    trial = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(disk)]
    if subprocess.run(trial, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system lets nobody mount a small file system here")
    return disk


def runtime_program(folder, source, *flags) -> pathlib.Path:
    """The C source compiled and linked with the runtime's library."""
    (folder / "main.c").write_text(source)
    runtime = BUILD / "runtime"
    run(
        *("cc", *flags, "-Wall", "-Werror", "main.c"),
        *(f"-I{ROOT}/runtime/include", f"-L{runtime}", f"-Wl,-rpath,{runtime}"),
        *("-lopencompiler_runtime", "-o", "main"),
        cwd=folder,
    )
    return folder / "main"


def err(a: np.ndarray, b: np.ndarray) -> float:
    """max |a − b| / max(|b|, 0.1·max|b|), b the reference."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 0.1 * np.max(np.abs(b)))))


def feed(session, shapes):
    random = np.random.default_rng(0)
    values = {}
    for spec in session.get_inputs():
        shape = shapes[spec.name]
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


@dataclasses.dataclass
class Reference:
    """A model, one set of inputs as files, and what onnxruntime makes of them."""

    model: pathlib.Path
    shape_flags: list[str]
    input_flags: list[str]
    outputs: dict[str, np.ndarray]

    def error_of(self, folder: pathlib.Path, runnable, *flags, threads=1) -> float:
        """Largest error of `opencompiler run` on the model, or on a library of it; files go into `folder`."""
        files = {name: folder / f"out{i}.npy" for i, name in enumerate(self.outputs)}
        wanted = [word for k, v in files.items() for word in ("--output", f"{k}=@{v}")]
        command = (CLI, "run", runnable, "--threads", threads, *self.input_flags)
        run(*command, *wanted, *flags)
        return max(err(np.load(files[k]), v) for k, v in self.outputs.items())


def reference(name: str, folder: pathlib.Path, model=None, shapes=None) -> Reference:
    """The inputs, written into `folder`, are those of model `name`; `model`: another that takes the same, or `shapes`."""
    model = model or MODELS / f"{name}.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    values = feed(session, shapes or (SHAPES | LARGE)[name])
    input_flags, shape_flags = [], []
    for key, value in values.items():
        np.save(folder / f"{key}.npy", value)
        input_flags += ["--input", f"{key}=@{folder / key}.npy"]
        shape_flags += ["--shape", f"{key}={'x'.join(map(str, value.shape))}"]
    names = [spec.name for spec in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, values), strict=True))
    return Reference(model, shape_flags, input_flags, outputs)
