"""Is what our session makes of a random graph right?

The truth is the graph in f64, node by node by ONNX's reference evaluator. What a value may be off follows from the
graph itself: it is evaluated again with all that a node takes and gives off by random rounding errors of the types the graph
has; our error may be a few times the largest that these evaluations have, element by element. Exact values (graphs.py)
must be equal.
"""

import math

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from opencompiler import InferenceSession, Refusal, SessionOptions
from outcome import Outcome
from random_graphs.graphs import make

_NARROW = (TensorProto.FLOAT, TensorProto.FLOAT16)
_EPSILON = {"float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
_ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.NotImplemented,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.RuntimeException,
)
_EVALUATIONS = (
    12  # so many that of thousands of elements none is hit by small errors alone
)
_TIMES = 48  # that our error may be the largest of the evaluations'
# Ops computed by formulas whose errors go by 1 or x where the result is small.
_BY_FORMULA = {
    "Gelu",
    "Mish",
    "Erf",
    "Elu",
    "Selu",
    "Softplus",
    "Tanh",
    "LogSoftmax",
    "Atan",
}
# Winograd's errors go by the largest value of a tensor (docs/decisions/0002): _TIMES this.
_WINOGRAD = 6e-6


class Erf(OpRun):  # the evaluator's own rounds to f32
    def _run(self, x):
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


class Gelu(OpRun):  # the evaluator's own is made of that Erf
    def _run(self, x, approximate=None):
        assert approximate in (None, "none")
        return (
            x / 2 * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x / math.sqrt(2))),
        )


class LogSoftmax(OpRun):  # the evaluator's own is log(0) far below the maximum
    def _run(self, x, axis=None):
        below = x - np.max(x, axis=axis, keepdims=True)
        return (below - np.log(np.sum(np.exp(below), axis=axis, keepdims=True)),)


class MaxPool(
    OpRun
):  # the evaluator's own has other extents where pads differ from side to side
    def _run(self, x, dilations=None, kernel_shape=None, pads=None, strides=None, **_):
        spatial = len(kernel_shape)
        padding = [(0, 0), (0, 0), *zip(pads[:spatial], pads[spatial:], strict=True)]
        padded = np.pad(x, padding, constant_values=-np.inf)
        reach = [d * (k - 1) for k, d in zip(kernel_shape, dilations, strict=True)]
        result = None
        for tap in np.ndindex(*kernel_shape):
            taken = [
                slice(k * d, n - r + k * d, s)
                for k, d, n, r, s in zip(
                    *(tap, dilations, padded.shape[2:], reach, strides), strict=True
                )
            ]
            values = padded[(slice(None), slice(None), *taken)]
            result = values if result is None else np.maximum(result, values)
        return (result,)


class Softsign(OpRun):  # the evaluator's own takes no scalars
    def _run(self, x):
        return (x / (1 + np.abs(x)),)


class GatherElements(OpRun):  # the evaluator's own fails where extents differ
    def _run(self, x, indices, axis=0):
        return (np.take_along_axis(x, indices, axis),)


class GlobalMaxPool(OpRun):  # the evaluator's own reduces but two dims
    def _run(self, x):
        return (np.max(x, axis=tuple(range(2, x.ndim)), keepdims=True),)


_OWN = [Erf, Gelu, LogSoftmax, MaxPool, GlobalMaxPool, GatherElements, Softsign]


def _widened(node):
    """The node for f64 in place of f32 and f16."""
    wide = onnx.NodeProto()
    wide.CopyFrom(node)
    for attribute in wide.attribute:
        if node.op_type == "Cast" and attribute.i in _NARROW:
            attribute.i = TensorProto.DOUBLE
    return wide


class Truth:
    """Evaluates a graph in f64, exactly or with rounding errors as those of its own types."""

    def __init__(self, model, dtypes, exact):
        """`dtypes`: of every value; `exact`: names of those that do not depend on rounding."""
        self._exact, self._dtypes = exact, dtypes
        self._outputs = [each.name for each in model.graph.output]
        self._constants = {
            each.name: self._wide(numpy_helper.to_array(each))
            for each in model.graph.initializer
        }
        opsets = model.opset_import
        self._nodes = [
            (node, ReferenceEvaluator(_only(node, opsets), new_ops=_OWN))
            for node in map(_widened, model.graph.node)
        ]

    @staticmethod
    def _wide(array):
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    def _epsilon(self, name):
        return _EPSILON[self._dtypes[name]]

    def _rounded(self, name, array, random, largest=0.0):
        """With an error of its type's rounding each, and one of so much of the largest value."""
        if random is None or array.dtype.kind != "f":
            return array
        error = self._epsilon(name) * random.uniform(-1, 1, array.shape)
        result = array * (1 + error)
        if largest > 0:
            finite = np.abs(array[np.isfinite(array)])
            error = random.uniform(-largest, largest, array.shape)
            result = result + np.max(finite, initial=0) * error
        return result

    def outputs(self, inputs, random=None):
        """A list; `random`: with rounding errors, those inside a node as errors of what it takes."""
        known = self._constants | {name: self._wide(a) for name, a in inputs.items()}
        for node, evaluator in self._nodes:
            exact = all(name in self._exact for name in node.output)
            errors = None if exact else random
            feeds = {
                name: self._rounded(name, known[name], errors)
                for name in node.input
                if name
            }
            # A power that is not quite 2 is NaN of what is below 0.
            if node.op_type == "Pow" and node.input[1] in self._exact:
                feeds[node.input[1]] = known[node.input[1]]
            largest = _WINOGRAD if node.op_type in ("Conv", "ConvTranspose") else 0
            results = evaluator.run(None, feeds)
            for name, result in zip(node.output, results, strict=True):
                result = self._rounded(name, np.asarray(result), errors, largest)
                if errors is not None and node.op_type in _BY_FORMULA:
                    most = self._epsilon(name) * (1 + np.abs(feeds[node.input[0]]))
                    result = result + most * random.uniform(-1, 1, most.shape)
                known[name] = result
        return [known[name] for name in self._outputs]


def _only(node, opsets):
    """A model of one node; nothing is said of its types."""
    inputs = [
        onnx.ValueInfoProto(name=name) for name in dict.fromkeys(node.input) if name
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = onnx.helper.make_graph([node], "node", inputs, outputs)
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _difference(ours, truth, samples):
    """What is wrong with an inexact output, or None."""
    narrow = truth.astype(ours.dtype)  # with that type's infinities
    finite = np.isfinite(narrow) & np.all([np.isfinite(s) for s in samples], axis=0)
    if np.any(np.isnan(ours) != np.isnan(narrow)):
        return "NaN in other places"
    sure = np.isinf(narrow) & np.all(
        [sample.astype(ours.dtype) == narrow for sample in samples], axis=0
    )
    if np.any(ours[sure] != narrow[sure]):
        return "not infinite where that is sure"
    wide, exact = ours.astype(np.float64)[finite], truth[finite]
    spread = np.max([np.abs(s[finite] - exact) for s in samples], axis=0, initial=0)
    ulp = _EPSILON[ours.dtype.name] * np.abs(exact) + np.finfo(ours.dtype).tiny
    with np.errstate(invalid="ignore"):
        excess = np.abs(wide - exact) / (_TIMES * (spread + ulp))
    if excess.size == 0 or np.max(excess) <= 1:  # an infinity of ours is above, too
        return None
    at = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    return f"{wide[at]:.8g}, not {exact[at]:.8g}: {excess[at]:.2g} times what it may be off"


def types_of(model):
    """The dtype of every value, by name."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {
        each.name: each.type.tensor_type.elem_type
        for each in (*graph.input, *graph.value_info, *graph.output)
    }
    types |= {each.name: each.data_type for each in graph.initializer}
    return {
        name: onnx.helper.tensor_dtype_to_np_dtype(code).name
        for name, code in types.items()
    }


class Expected:
    """What a graph gives for these inputs, and what that may be off."""

    def __init__(self, model, exact, inputs):
        self._exact = exact
        self._dtypes = types_of(model)
        self._names = [each.name for each in model.graph.output]
        truth = Truth(model, self._dtypes, exact)
        self._wide = truth.outputs(inputs)
        random = np.random.default_rng(0)
        self._samples = [truth.outputs(inputs, random) for _ in range(_EVALUATIONS)]

    def outputs(self):
        """Of the model's own types."""
        return [
            wide.astype(self._dtypes[name])
            for name, wide in zip(self._names, self._wide, strict=True)
        ]

    def differences(self, outputs):
        """What is wrong with our outputs, a line each."""
        lines = []
        for i, (name, wanted) in enumerate(
            zip(self._names, self.outputs(), strict=True)
        ):
            ours, what = outputs[i], None
            if (ours.dtype, ours.shape) != (wanted.dtype, wanted.shape):
                what = f"{ours.dtype}{ours.shape}, not {wanted.dtype}{wanted.shape}"
            elif name in self._exact or ours.dtype.kind != "f":
                if not np.array_equal(ours, wanted, equal_nan=ours.dtype.kind == "f"):
                    what = (
                        f"{np.sum(ours != wanted)} of {ours.size} exact elements differ"
                    )
            else:
                samples = [sample[i] for sample in self._samples]
                what = _difference(ours, self._wide[i], samples)
            if what is not None:
                lines.append(f"{name}: {what}")
        return lines


def second_opinion(model, expected, inputs):
    """What differs in onnxruntime's outputs; a line that says why it has none."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        outputs = session.run(None, inputs)
    except _ORT_ERRORS as error:
        return [f"no answer: {str(error).splitlines()[0][:80]}"]
    return expected.differences(outputs)


def judge(seed: int) -> Outcome:
    model, inputs, exact = make(seed)
    given = {name: array.copy() for name, array in inputs.items()}
    try:
        options = SessionOptions(intra_op_num_threads=1 + seed % 3)
        session = InferenceSession(model.SerializeToString(), options)
        outputs = session.run(None, inputs)
        again = session.run(None, inputs)
    except Refusal as error:
        return Outcome("refused", str(error))
    except (RuntimeError, ValueError) as error:  # any other ends the process
        return Outcome("wrong", f"{type(error).__name__}: {error}")
    expected = Expected(model, exact, inputs)
    lines = expected.differences(outputs)
    if lines:
        theirs = second_opinion(model, expected, inputs)
        lines.append(f"onnxruntime: {'; '.join(theirs) or 'nothing differs'}")
    same = zip(outputs, again, strict=True)
    if any(a.tobytes() != b.tobytes() for a, b in same):
        lines.append("a second run gives other bits")
    if any(array.tobytes() != given[name].tobytes() for name, array in inputs.items()):
        lines.append("a run has written to its inputs")
    return Outcome("wrong", "; ".join(lines)) if lines else Outcome("passed")


def save(seed: int, folder):
    """The model and its inputs, for `opencompiler compare`."""
    model, inputs, _ = make(seed)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **inputs)
    return folder
