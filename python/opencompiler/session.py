"""`InferenceSession`: compiles a model for the shapes it is run with, keeps the results, runs them."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

import _opencompiler
import ml_dtypes
import numpy as np

_DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "f16": "float16",
    "bf16": "bfloat16",
    "i8": "int8",
    "u8": "uint8",
    "i16": "int16",
    "u16": "uint16",
    "i32": "int32",
    "u32": "uint32",
    "i64": "int64",
    "u64": "uint64",
    "bool": "bool",
}
_ONNX_TYPES = {"float32": "float", "float64": "double", "bool": "bool"}


@dataclasses.dataclass
class SessionOptions:
    """`intra_op_num_threads` 0: what $OPENCOMPILER_NUM_THREADS says, else one per usable core.

    `database` and `target` are the command line's `--db` and `--target`.
    """

    intra_op_num_threads: int = 0
    database: str | None = None
    target: str = "host"


@dataclasses.dataclass(frozen=True)
class NodeArg:
    """An input or output: name, type as onnxruntime writes it, shape with a name or None for open dims."""

    name: str
    type: str
    shape: list[int | str | None] | None


def _node_arg(name, dtype, shape) -> NodeArg:
    numpy_name = _DTYPES.get(dtype, dtype)
    return NodeArg(name, f"tensor({_ONNX_TYPES.get(numpy_name, numpy_name)})", shape)


_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def _buffer(array: np.ndarray) -> np.ndarray:
    """The same bytes; arrays of bfloat16 have no buffer."""
    return array.view(np.uint16) if array.dtype == _BFLOAT16 else array


def command_line() -> str:
    """Where the `opencompiler` program is: beside this interpreter, else on PATH."""
    beside = pathlib.Path(sys.executable).with_name("opencompiler")
    found = str(beside) if beside.exists() else shutil.which("opencompiler")
    if found is None:
        raise FileNotFoundError("the program `opencompiler` is not installed")
    return found


class _Compiled:
    """One library with its free sessions; `run` may be called from several threads."""

    def __init__(self, library: str, num_threads: int):
        self.module = _opencompiler.Module(library)
        weights = pathlib.Path(library).with_suffix(".weights")
        self.bytes = self.module.arena_bytes + sum(
            file.stat().st_size
            for file in (pathlib.Path(library), weights)
            if file.exists()
        )
        self.num_threads = num_threads
        self.free = []
        self.lock = threading.Lock()

    def run(self, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
        with self.lock:
            session = self.free.pop() if self.free else None
        if session is None:
            session = _opencompiler.Session(self.module, self.num_threads)
        outputs = {
            name: np.empty(shape, _DTYPES[dtype])
            for name, dtype, shape in self.module.outputs
        }
        session.run(inputs, [_buffer(each) for each in outputs.values()])
        with self.lock:
            self.free.append(session)
        return outputs


class InferenceSession:
    """Runs an ONNX model. `path_or_bytes` is a path or the model's bytes.

    The first `run` with new input shapes compiles for them (seconds, then kept in the cache folder). In memory stay the
    models of the shapes used last, `MAX_BYTES` of them and one at least. `providers` and what else onnxruntime takes is
    ignored: there is one CPU. A mistake in the model or the inputs raises ValueError.
    """

    MAX_BYTES = 1 << 30

    def __init__(
        self,
        path_or_bytes,
        sess_options: SessionOptions | None = None,
        providers=None,
        provider_options=None,
        **_ignored,
    ):
        self._options = sess_options or SessionOptions()
        self._folder = None
        if isinstance(path_or_bytes, bytes | bytearray | memoryview):
            self._folder = tempfile.TemporaryDirectory(prefix="opencompiler-")
            path = pathlib.Path(self._folder.name) / "model.onnx"
            path.write_bytes(path_or_bytes)
        else:
            path = pathlib.Path(os.fspath(path_or_bytes))
        self._path = path
        self._declared = _opencompiler.read_model(str(path))
        self._compiled: dict[tuple, _Compiled] = {}  # the one used last stands last
        self._lock = threading.Lock()

    def get_inputs(self) -> list[NodeArg]:
        return [_node_arg(*each) for each in self._declared["inputs"]]

    def get_outputs(self) -> list[NodeArg]:
        return [_node_arg(*each) for each in self._declared["outputs"]]

    def _compile(self, shapes: dict[str, tuple]) -> _Compiled:
        threads = self._options.intra_op_num_threads
        command = [command_line(), "compile", str(self._path), "--cache", "--json"]
        command += ["--target", self._options.target, "--threads", str(threads)]
        for name, shape in shapes.items():
            if shape:
                command += ["--shape", f"{name}={'x'.join(map(str, shape))}"]
        if self._options.database:
            command += ["--db", self._options.database]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 1:
            raise ValueError(done.stderr.strip())
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"exit {done.returncode}")
        for line in done.stderr.splitlines():
            if line.startswith("warning:"):
                print(line, file=sys.stderr)
        return _Compiled(json.loads(done.stdout)["library"], threads)

    def _for_shapes(self, shapes: dict[str, tuple]) -> _Compiled:
        key = tuple(shapes.values())
        with self._lock:
            compiled = self._compiled.pop(key, None) or self._compile(shapes)
            self._compiled[key] = compiled
            while (
                len(self._compiled) > 1
                and sum(each.bytes for each in self._compiled.values()) > self.MAX_BYTES
            ):
                del self._compiled[next(iter(self._compiled))]
        return compiled

    def run(self, output_names, input_feed, run_options=None) -> list[np.ndarray]:
        """Outputs in the order of `output_names`, None: all, as the model orders them; `run_options` is ignored."""
        wanted = {name: dtype for name, dtype, _ in self._declared["inputs"]}
        unknown = sorted(set(input_feed) - set(wanted))
        missing = sorted(set(wanted) - set(input_feed))
        if unknown or missing:
            raise ValueError(
                f"inputs missing: {missing or 'none'}, not in the model: {unknown or 'none'}; "
                f"the model's inputs are {list(wanted)}"
            )
        arrays = {}
        for name, dtype in wanted.items():
            if not dtype:
                raise ValueError(f"input '{name}' is no tensor of a supported type")
            array = np.asarray(input_feed[name])
            if array.dtype != np.dtype(_DTYPES.get(dtype, dtype)):
                raise ValueError(
                    f"input '{name}' is {array.dtype}, the model takes {dtype}"
                )
            arrays[name] = np.asarray(array, order="C")
        compiled = self._for_shapes({n: array.shape for n, array in arrays.items()})
        inputs = [_buffer(arrays[name]) for name, _, _ in compiled.module.inputs]
        results = compiled.run(inputs)
        names = (
            [name for name, _, _ in self._declared["outputs"]]
            if output_names is None
            else output_names
        )
        for name in names:
            if name not in results:
                raise ValueError(f"the model has no output '{name}'")
        return [results[name] for name in names]
