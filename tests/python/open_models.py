"""Models, and inputs of models, whose extents are open."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def model_of(nodes, inputs, outputs, weights):
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    ]
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs
    ]
    constants = [
        numpy_helper.from_array(array, name) for name, array in weights.items()
    ]
    graph = helper.make_graph(nodes, "g", infos, results, constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    ).SerializeToString()


def picture_model():
    """Convolutions of several forms, a skip, pooling, upsampling by 2."""
    random = np.random.default_rng(0)

    def weight(*shape):
        return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(
            np.float32
        )

    weights = {
        "w1": weight(32, 3, 3, 3),
        "w2": weight(32, 32, 3, 3),
        "w3": weight(32, 1, 3, 3),
        "w4": weight(48, 32, 1, 1),
        "w5": weight(48, 48, 3, 3),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    same, half = [1, 1, 1, 1], [2, 2]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=same, strides=half),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=same),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("Conv", ["d", "w3"], ["e"], pads=same, group=32),
        helper.make_node("Conv", ["e", "w4"], ["f"]),
        helper.make_node("MaxPool", ["f"], ["p"], kernel_shape=[2, 2], strides=half),
        helper.make_node("Conv", ["p", "w5"], ["q"], pads=same),
        helper.make_node("Resize", ["q", "", "scales"], ["u"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Add", ["u", "f"], ["y"]),
        helper.make_node("GlobalAveragePool", ["y"], ["z"]),
    ]  # fmt: skip
    return model_of(nodes, {"x": ["n", 3, "h", "w"]}, ["y", "z"], weights)


def sentences(random, batch, length):
    mask = np.ones((batch, length), np.int64)
    mask[:, length - length // 3 :] = 0
    return {
        "input_ids": random.integers(0, 20000, (batch, length)),
        "attention_mask": mask,
    }
