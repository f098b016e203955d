"""ONNX's backend interface (`onnx.backend.base`): `run_model(model, [array, …])`. Needs the package onnx."""

import onnx
from onnx import helper
from onnx.backend import base

from opencompiler.session import InferenceSession


class BackendRep(base.BackendRep):
    """A model ready to run; the first `run` compiles for the shapes it is given."""

    def __init__(self, model: onnx.ModelProto):
        self._session = InferenceSession(model.SerializeToString())

    def run(self, inputs, **_) -> tuple:
        names = [each.name for each in self._session.get_inputs()]
        if len(inputs) != len(names):
            raise ValueError(f"{len(inputs)} arrays given for the inputs {names}")
        return tuple(self._session.run(None, dict(zip(names, inputs, strict=True))))


def _declared(name, dtype, shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(dtype), shape
    )


class Backend(base.Backend):
    """What cannot be compiled raises Refusal, which names the node and the reason."""

    @classmethod
    def prepare(cls, model, device="CPU", **_) -> BackendRep:
        if not cls.supports_device(device):
            raise ValueError(f"device '{device}' is not supported; CPU is")
        return BackendRep(model)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs) -> tuple:
        """The outputs of one node; `outputs_info`, a (dtype, shape) each, may be left out."""
        super().run_node(node, inputs, device, outputs_info, **kwargs)  # checks it
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        # One input may stand in several places.
        given = dict(zip([name for name in node.input if name], inputs, strict=True))
        results = [name for name in node.output if name]
        takes = [
            _declared(name, array.dtype, array.shape) for name, array in given.items()
        ]
        if outputs_info is None:
            gives = [onnx.ValueInfoProto(name=name) for name in results]
        else:
            gives = [
                _declared(name, *info)
                for name, info in zip(results, outputs_info, strict=True)
            ]
        graph = helper.make_graph([node], "node", takes, gives)
        opsets = [helper.make_opsetid(node.domain, opset)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=onnx.IR_VERSION
        )
        return cls.run_model(model, list(given.values()), device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.partition(":")[0] == "CPU"


prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
