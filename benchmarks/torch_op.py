"""The product or the convolution that a model of the suites gemm or conv is, as torch computes it: on oneDNN with its own
packed weights where the model has constants, as torch's compiler has it. Runs in the environment of tests/models/fetch.py.
"""

import onnx
import torch
from onnx import numpy_helper

PACKED = torch.ops.mkldnn


def convolution(node, constants, x):
    a = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    w, bias = (constants[name] for name in node.input[1:])
    stride, dilation, pads = a["strides"], a["dilations"], a["pads"]
    one_row = w.dim() == 3  # one axis is an image of one row
    if one_row:
        w, x, stride, dilation = (
            w.unsqueeze(2),
            x.unsqueeze(2),
            [1, *stride],
            [1, *dilation],
        )
        pads = [0, pads[0], 0, pads[1]]
    top, left, bottom, right = pads
    # oneDNN's padding here is alike on both sides; another is a copy beforehand, part of the time.
    uneven = (left, right, top, bottom) if (top, left) != (bottom, right) else None
    padding = [0, 0] if uneven else [top, left]
    sizes = list(torch.nn.functional.pad(x, uneven).shape if uneven else x.shape)
    if node.op_type == "ConvTranspose":
        if uneven:
            raise SystemExit("torch: no uneven pads of transposed convolutions")
        reorder = PACKED._reorder_convolution_transpose_weight
        compute = PACKED._convolution_transpose_pointwise
        settings = (padding, [0, 0], stride, dilation, a["group"])
    else:
        reorder = PACKED._reorder_convolution_weight
        compute = PACKED._convolution_pointwise
        settings = (padding, stride, dilation, a["group"])
    packed = reorder(w, *settings, sizes)

    def run(x):
        if one_row:
            x = x.unsqueeze(2)
        if uneven:
            x = torch.nn.functional.pad(x, uneven)
        y = compute(x, packed, bias, *settings, "none", [], "")  # no activation
        return (y.squeeze(2) if one_row else y).contiguous()

    return run


def product(nodes, constants, x):
    transposed = nodes[0].op_type == "Transpose"
    if not constants:
        return lambda a, b: torch.matmul(a, b.mT if transposed else b)
    (b,) = constants.values()
    b = b.mT if transposed else b
    if b.dtype != torch.float32 or b.dim() != 2 or x.dim() != 2:
        return lambda a: torch.matmul(a, b)
    packed = PACKED._reorder_linear_weight(b.mT.contiguous(), x.shape[0])
    return lambda a: PACKED._linear_pointwise(a, packed, None, "none", [], "")


def load(file, inputs):
    """A function of the model's inputs in order, {name: tensor}, and the name of its output."""
    graph = onnx.load(file).graph
    constants = {
        each.name: torch.from_numpy(numpy_helper.to_array(each).copy())
        for each in graph.initializer
    }
    ops = [node.op_type for node in graph.node]
    x = next(iter(inputs.values()))
    if ops in (["MatMul"], ["Transpose", "MatMul"]):
        compute = product(graph.node, constants, x)
    elif ops in (["Conv"], ["ConvTranspose"]):
        compute = convolution(graph.node[0], constants, x)
    else:
        raise SystemExit(f"torch: {file} is neither a product nor a convolution")
    return compute, graph.output[0].name
