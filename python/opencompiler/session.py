"""`InferenceSession`: compiles a model for the shapes it is run with, keeps the results, runs them."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import typing

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
# Types whose elements are bytes to a library: the bits of a float, the number itself of an integer.
_BYTES = {
    "fp8e4m3fn": ml_dtypes.float8_e4m3fn,
    "fp8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "fp8e5m2": ml_dtypes.float8_e5m2,
    "fp8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "fp8e8m0": ml_dtypes.float8_e8m0fnu,
    "float4e2m1": ml_dtypes.float4_e2m1fn,
    "uint4": ml_dtypes.uint4,
    "int4": ml_dtypes.int4,
    "uint2": ml_dtypes.uint2,
    "int2": ml_dtypes.int2,
}
_ONNX_TYPES = {"float32": "float", "float64": "double", "bool": "bool"}


@dataclasses.dataclass
class SessionOptions:
    """`intra_op_num_threads` 0: what $OPENCOMPILER_NUM_THREADS says, else one per usable core.

    `database` and `target` are the command line's `--db` and `--target`. `use_deterministic_compute`: results are the
    same to the bit for any number of threads. `share_kernels`: kernels for extents that vary between the shapes that the
    model is run with, built once, serve them all; else each shape has its own.
    """

    intra_op_num_threads: int = 0
    database: str | None = None
    target: str = "host"
    use_deterministic_compute: bool = False
    share_kernels: bool = True


@dataclasses.dataclass(frozen=True)
class NodeArg:
    """An input or output: name, type as onnxruntime writes it, shape with a name or None for open dims."""

    name: str
    type: str
    shape: list[int | str | None] | None


class _Declared(typing.NamedTuple):
    """An input or output as the model has it; `dtype` "": none of ours; both are its elements' where it is no tensor."""

    name: str
    dtype: str
    shape: list[int | str | None] | None
    optional: bool
    sequence: bool

    def node_arg(self) -> NodeArg:
        numpy_name = _DTYPES.get(self.dtype, self.dtype)
        if self.dtype in _BYTES:
            numpy_name = self.dtype.replace("fp8", "float8")
        kind = f"tensor({_ONNX_TYPES.get(numpy_name, numpy_name)})"
        if self.sequence:
            kind = f"seq({kind})"
        if self.optional:
            kind = f"optional({kind})"
        return NodeArg(self.name, kind, self.shape)

    def elements(self, value) -> list | None:
        """A sequence's or an optional's, which are the library's inputs name[0], name[1], …; None: it is a tensor."""
        if not (self.optional or self.sequence):
            return None
        if self.optional and value is None:
            return []
        if not self.sequence:
            return [value]
        if self.optional and len(value) == 0:
            raise Refusal(
                f"input '{self.name}' is an optional with an empty sequence, which is not supported"
            )
        return list(value)

    def result(self, arrays: dict[str, np.ndarray]):
        """What a run gave for this output; a sequence is the library's outputs name[0], name[1], …"""

        def array(name):
            found = arrays[name]
            if self.dtype == "string":
                return _texts(found)
            return _restored(found, self.dtype) if self.dtype in _BYTES else found

        if self.name in arrays or not (self.sequence or self.optional):
            return array(self.name)
        elements = []
        while (name := f"{self.name}[{len(elements)}]") in arrays:
            elements.append(array(name))
        return None if self.optional and not elements else elements


_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def _numpy_dtype(dtype: str) -> np.dtype:
    return np.dtype(_BYTES.get(dtype) or _DTYPES.get(dtype, dtype))


def _buffer(array: np.ndarray) -> np.ndarray:
    """The same bytes; arrays of bfloat16 have no buffer."""
    return array.view(np.uint16) if array.dtype == _BFLOAT16 else array


def _stored(array: np.ndarray, dtype: str) -> np.ndarray:
    """An array of a declared type as the library takes it."""
    if "int" in dtype:
        return array.astype(np.uint8 if dtype.startswith("u") else np.int8)
    return array.view(np.uint8)


def _restored(array: np.ndarray, dtype: str) -> np.ndarray:
    wanted = _BYTES[dtype]
    return array.astype(wanted) if "int" in dtype else array.view(wanted)


def _identity(array: np.ndarray) -> bytes:
    """Stands for its elements."""
    data = array.tobytes()
    return data if len(data) <= 1024 else hashlib.sha256(data).digest()


def _texts(rows: np.ndarray) -> np.ndarray:
    """Rows of UTF-8 that end with zero bytes as an array of str."""
    texts = np.empty(rows.shape[:-1], object)
    width = rows.shape[-1]
    texts.flat = [
        row.tobytes().rstrip(b"\0").decode() for row in rows.reshape(-1, width)
    ]
    return texts


def _strings(name: str, value) -> np.ndarray:
    """The same as an array of numpy's strings, as wide as the longest: equal values are equal bytes."""
    # Of a list numpy would make strings of its own, which lose zeros at their ends.
    array = value if isinstance(value, np.ndarray) else np.array(value, object)
    texts = array.ravel().tolist()
    if array.dtype.kind not in "OU" or not all(isinstance(each, str) for each in texts):
        raise ValueError(f"input '{name}' is {array.dtype}, the model takes strings")
    if 4 * len(texts) * max(map(len, texts), default=0) > _MOST_TEXT:
        raise ValueError(f"input '{name}': more than {_MOST_TEXT} bytes of strings")
    for text in texts:
        # numpy's strings end where zeros do.
        if "\0" in text:
            raise ValueError(f"input '{name}': the text {text!r} holds a zero")
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            raise ValueError(f"input '{name}': the text {text!r} holds a surrogate")
    return np.array(texts, np.str_).reshape(array.shape)


def command_line() -> str:
    """Where the `opencompiler` program is: beside this interpreter, else on PATH."""
    beside = pathlib.Path(sys.executable).with_name("opencompiler")
    found = str(beside) if beside.exists() else shutil.which("opencompiler")
    if found is None:
        raise FileNotFoundError("the program `opencompiler` is not installed")
    return found


_MOST_FIXED = 64
_MOST_TEXT = 1 << 26  # bytes of a tensor of strings, each as wide as the longest


class Refusal(ValueError):
    """The model cannot be compiled for these inputs; says which node or input it is and why."""


def _may_be_fixed(array: np.ndarray) -> bool:
    """Is it sizes, bounds, axes, as shapes follow from, rather than data?"""
    if array.dtype.kind == "U":  # nothing else can be done with them
        return True
    if array.dtype == _BFLOAT16:  # which no .npy file holds
        return array.ndim == 0
    return array.ndim <= 1 and array.size <= _MOST_FIXED


class _Compiled:
    """One library with its free sessions; `run` may be called from several threads."""

    def __init__(self, library: str, num_threads: int):
        self.module = _opencompiler.Module(library)
        self.bytes = self.module.arena_bytes + pathlib.Path(library).stat().st_size
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

    The first `run` with new input shapes compiles for them (seconds, then kept in the cache folder), as the first with
    new values of an input that gives sizes (Reshape's shape, Slice's bounds) or is of strings. In memory stay the
    models of the shapes used last, `MAX_BYTES` of them and one at least. `providers` and what else onnxruntime takes is
    ignored: there is one CPU. A mistake in the model or the inputs raises ValueError; `Refusal`, one of them, when it
    cannot be compiled, as for more than `MAX_VALUES` values of inputs that give sizes or strings: those are data.
    """

    MAX_BYTES = 1 << 30
    MAX_VALUES = 64

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
        declared = _opencompiler.read_model(str(path))
        self._inputs = [_Declared(*each) for each in declared["inputs"]]
        self._outputs = [_Declared(*each) for each in declared["outputs"]]
        self._compiled: dict[tuple, _Compiled] = {}  # the one used last stands last
        self.kernels_built = 0  # by this session; the rest came from the cache folder
        # Inputs that are compiled for their values, each with the refusal that asked for them.
        self._fixed: dict[str, str] = {}
        self._values: set[tuple[str, bytes]] = set()  # that it was compiled for
        self._lock = threading.Lock()

    def get_inputs(self) -> list[NodeArg]:
        return [each.node_arg() for each in self._inputs]

    def get_outputs(self) -> list[NodeArg]:
        return [each.node_arg() for each in self._outputs]

    def _compile(self, arrays: dict[str, np.ndarray]) -> _Compiled:
        threads = self._options.intra_op_num_threads
        command = [command_line(), "compile", str(self._path), "--cache", "--json"]
        command += ["--target", self._options.target, "--threads", str(threads)]
        # Which kernels there are, and so how sums are rounded, depends on the shapes met before.
        if self._options.share_kernels and not self._options.use_deterministic_compute:
            command.append("--vary")
        if self._options.database:
            command += ["--db", self._options.database]
        if self._options.use_deterministic_compute:
            command.append("--deterministic")
        with tempfile.TemporaryDirectory(prefix="opencompiler-") as folder:
            for i, (name, array) in enumerate(arrays.items()):
                if name in self._fixed and array.dtype == _BFLOAT16:
                    command += ["--freeze", f"{name}=bf16={float(array)}"]
                elif name in self._fixed:
                    np.save(f"{folder}/{i}.npy", array)
                    command += ["--freeze", f"{name}=@{folder}/{i}.npy"]
                elif array.shape:
                    command += ["--shape", f"{name}={'x'.join(map(str, array.shape))}"]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr.strip() or f"exit {done.returncode}")
        answer = json.loads(done.stdout or "{}")
        if done.returncode == 1:
            refusal = done.stderr.strip()
            needed = set(answer.get("needs_values_of", ())) - set(self._fixed)
            if not needed or any(not _may_be_fixed(arrays[name]) for name in needed):
                raise Refusal(refusal)
            self._fixed |= dict.fromkeys(needed, refusal)
            return self._compile(arrays)
        for line in done.stderr.splitlines():
            if line.startswith("warning:"):
                print(line, file=sys.stderr)
        self.kernels_built += answer["built"]
        return _Compiled(answer["library"], threads)

    def _check_values(self, arrays: dict[str, np.ndarray]) -> None:
        for name, refusal in self._fixed.items():
            if name not in arrays:  # an element that a shorter sequence lacks
                continue
            array = arrays[name]
            if not _may_be_fixed(array):
                raise Refusal(refusal)
            new = (name, _identity(array)) not in self._values
            if new and len(self._values) >= self.MAX_VALUES:
                raise Refusal(refusal)

    def _key(self, arrays: dict[str, np.ndarray]) -> tuple:
        return tuple(
            (array.shape, _identity(array) if name in self._fixed else None)
            for name, array in arrays.items()
        )

    def _compiled_for(self, arrays: dict[str, np.ndarray]) -> _Compiled:
        with self._lock:
            self._check_values(arrays)
            compiled = self._compiled.pop(self._key(arrays), None)
            if compiled is not None:
                self._compiled[self._key(arrays)] = compiled
                return compiled
            compiled = self._compile(arrays)
            fixed = self._fixed.keys() & arrays.keys()
            self._values |= {(name, _identity(arrays[name])) for name in fixed}
            self._compiled[self._key(arrays)] = compiled
            while len(self._compiled) > 1 and self._bytes() > self.MAX_BYTES:
                del self._compiled[next(iter(self._compiled))]
        return compiled

    def _bytes(self) -> int:
        """Of all that is compiled; what several share counts once."""
        compiled = self._compiled.values()
        shared = dict(each.module.weights for each in compiled)
        return sum(shared.values()) + sum(each.bytes for each in compiled)

    def _array(self, name: str, value, dtype: str) -> np.ndarray:
        if dtype == "string":
            return _strings(name, value)
        array = np.asarray(value)
        if array.dtype != _numpy_dtype(dtype):
            raise ValueError(
                f"input '{name}' is {array.dtype}, the model takes {dtype}"
            )
        # What may be fixed is copied: its key, what is compiled and what is run must be one, whatever the caller
        # writes to it meanwhile.
        array = np.array(array, order="C", copy=_may_be_fixed(array) or None)
        return _stored(array, dtype) if dtype in _BYTES else array

    def _arrays(self, input_feed) -> dict[str, np.ndarray]:
        """By the library's names; a sequence has an entry of its own, whose shape is the number of its elements."""
        arrays = {}
        for declared in self._inputs:
            name, dtype = declared.name, declared.dtype
            if not dtype:
                raise Refusal(f"input '{name}' is no tensor of a supported type")
            value = input_feed.get(name)
            elements = declared.elements(value)
            if elements is None:
                arrays[name] = self._array(name, value, dtype)
                continue
            arrays[name] = np.empty(len(elements), np.uint8)
            for i, element in enumerate(elements):
                arrays[f"{name}[{i}]"] = self._array(f"{name}[{i}]", element, dtype)
        return arrays

    def run(self, output_names, input_feed, run_options=None) -> list:
        """Outputs in the order of `output_names`, None: all, as the model orders them; `run_options` is ignored.

        A sequence is a list of arrays, an optional without a value None; an optional input may be left out.
        """
        wanted = [each.name for each in self._inputs]
        required = {each.name for each in self._inputs if not each.optional}
        unknown = sorted(set(input_feed) - set(wanted))
        missing = sorted(required - set(input_feed))
        if unknown or missing:
            raise ValueError(
                f"inputs missing: {missing or 'none'}, not in the model: {unknown or 'none'}; "
                f"the model's inputs are {wanted}"
            )
        outputs = {each.name: each for each in self._outputs}
        names = list(outputs) if output_names is None else output_names
        for name in names:
            if name not in outputs:
                raise ValueError(f"the model has no output '{name}'")
        arrays = self._arrays(input_feed)
        compiled = self._compiled_for(arrays)
        inputs = [_buffer(arrays[name]) for name, _, _ in compiled.module.inputs]
        results = compiled.run(inputs)
        return [outputs[name].result(results) for name in names]
