"""Models of one node, for what is said of an op: ours against onnxruntime's result or another."""

import dataclasses

import numpy as np
import onnxruntime
import opencompiler as oc
from harness import err
from onnx import TensorProto, helper, numpy_helper

EXACT = 5e-5  # but for the order of additions


@dataclasses.dataclass(frozen=True)
class Case:
    """One node. Inputs by name in the order of the op: a shape of normal numbers, an array, or None, left out."""

    op: str
    inputs: dict
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: tuple = ("y",)  # "" = left out
    constants: tuple = ()  # inputs that are the model's
    domain: str = "com.microsoft"

    def __str__(self):
        shapes = [str(getattr(v, "shape", v)) for v in self.inputs.values()]
        return f"{self.op}-{'-'.join(shapes)}-{self.attributes}".replace(" ", "")

    def arrays(self):
        random = np.random.default_rng(5)
        make = lambda v: random.normal(size=v).astype(np.float32)
        return {
            name: make(value) if isinstance(value, tuple) else value
            for name, value in self.inputs.items()
            if value is not None
        }

    def model(self):
        arrays = self.arrays()
        names = [name if name in arrays else "" for name in self.inputs]
        value = lambda name, array: helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        graph = helper.make_graph(
            [
                helper.make_node(
                    self.op,
                    names,
                    self.outputs,
                    name="it",
                    domain=self.domain,
                    **self.attributes,
                )
            ],
            "g",
            [value(k, v) for k, v in arrays.items() if k not in self.constants],
            [
                helper.make_tensor_value_info(
                    name,
                    TensorProto.INT32 if name == "mask_index" else TensorProto.FLOAT,
                    None,
                )
                for name in self.outputs
                if name
            ],
            [numpy_helper.from_array(arrays[k], k) for k in self.constants],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=8
        ).SerializeToString()

    def feed(self):
        return {k: v for k, v in self.arrays().items() if k not in self.constants}

    def ours(self):
        return oc.InferenceSession(self.model()).run(None, self.feed())

    def theirs(self):
        """On one thread: how onnxruntime cuts a batch to quantise it depends on their number."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            self.model(), options, providers=["CPUExecutionProvider"]
        )
        return session.run(None, self.feed())

    def check(self, expected, tolerance=EXACT):
        for mine, reference in zip(self.ours(), expected, strict=True):
            assert mine.dtype == reference.dtype
            assert mine.shape == reference.shape
            if mine.dtype.kind == "f":
                assert err(mine, reference) <= tolerance
            else:
                np.testing.assert_array_equal(mine, reference)
