"""Ops of com.microsoft against onnxruntime: odd sizes, inputs present and left out, and what is refused."""

import numpy as np
import opencompiler as oc
import pytest
from one_node import Case


def vectors(width, *names):
    return dict.fromkeys(names, (width,))


def skip(shape, other, **more):
    return {"x": shape, "skip": other, "gamma": (shape[-1],)} | more


def embedding(batch, sequence, width, segments=True, mask=False, position_ids=None):
    random = np.random.default_rng(7)
    integers = lambda high, shape: random.integers(0, high, shape).astype(np.int32)
    return {
        "ids": integers(33, (batch, sequence)),
        "segments": integers(2, (batch, sequence)) if segments else None,
        "words": (33, width),
        "positions": (40, width),
        "segment_table": (2, width) if segments else None,
        **vectors(width, "gamma", "beta"),
        "mask": integers(2, (batch, sequence)) if mask else None,
        "position_ids": (
            None if position_ids is None else integers(40, (position_ids, sequence))
        ),
    }


SKIP, SIMPLE = "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"
EMBED = "EmbedLayerNormalization"
CONV = {"x": (1, 3, 7, 9), "w": (8, 3, 3, 3), "b": (8,)}

CASES = [
    Case("BiasGelu", {"x": (3, 7, 17), "bias": (17,)}),
    Case("BiasGelu", {"x": (1, 33), "bias": (33,)}),
    Case("FastGelu", {"x": (3, 7, 17), "bias": (17,)}),
    Case("FastGelu", {"x": (1, 1, 33)}),
    Case("QuickGelu", {"x": (7, 17)}),
    Case("QuickGelu", {"x": (3, 33)}, {"alpha": 0.7}),
    Case("Gelu", {"x": (7, 33)}),
    Case("FusedMatMul", {"a": (3, 7, 17), "b": (17, 33)}, {"alpha": 0.3}),
    Case("FusedMatMul", {"a": (3, 17, 7), "b": (3, 17, 33)}, {"transA": 1}),
    Case("FusedMatMul", {"a": (17, 1), "b": (33, 17)}, {"transA": 1, "transB": 1}),
    Case("FusedMatMul", {"a": (7, 3, 17), "b": (3, 17, 33)}, {"transBatchA": 1}),
    Case(
        "FusedMatMul",
        {"a": (17, 3, 2, 7), "b": (3, 2, 33, 17)},
        {"transBatchA": 1, "transA": 1, "transB": 1, "alpha": 2.0},
    ),
    Case(
        "FusedMatMul",
        {"a": (3, 7, 17), "b": (33, 3, 17)},
        {"transBatchB": 1, "transB": 1},
    ),
    Case("FusedConv", CONV),
    Case("FusedConv", CONV, {"activation": "Relu", "pads": [1, 1, 1, 1]}),
    Case("FusedConv", CONV | {"z": (1, 8, 5, 7)}, {"activation": "Relu"}),
    Case("FusedConv", CONV | {"b": None}, {"activation": "Tanh"}),
    Case("FusedConv", CONV, {"activation": "Sigmoid", "strides": [2, 2]}),
    Case("FusedConv", CONV, {"activation": "LeakyRelu", "activation_params": [0.3]}),
    Case("FusedConv", CONV, {"activation": "Clip", "activation_params": [-0.5, 1.5]}),
    Case(
        "FusedConv",
        CONV,
        {"activation": "HardSigmoid", "activation_params": [0.2, 0.4]},
    ),
    Case(SKIP, skip((3, 7, 17), (3, 7, 17))),
    Case(SKIP, skip((1, 1, 33), (1, 1, 33), beta=(33,)), {"epsilon": 1e-5}),
    Case(
        SKIP,
        skip((3, 7, 33), (1, 7, 33), beta=(33,), bias=(33,)),
        outputs=("y", "", "", "sum"),
    ),
    Case(SKIP, skip((3, 7, 17), (7, 17), beta=None, bias=(17,))),
    Case(SKIP, skip((7, 17), (7, 17), beta=(17,)), outputs=("y", "", "", "sum")),
    Case(SIMPLE, skip((3, 7, 17), (3, 7, 17))),
    Case(SIMPLE, skip((1, 33), (1, 33)), {"epsilon": 1e-5}),
    Case(
        SIMPLE,
        skip((3, 7, 33), (7, 33), bias=(33,)),
        outputs=("y", "", "", "sum"),
    ),
    Case("SimplifiedLayerNormalization", {"x": (3, 7, 17), "scale": (17,)}, domain=""),
    Case(
        "SimplifiedLayerNormalization",
        {"x": (7, 33), "scale": (33,)},
        {"axis": -1, "epsilon": 1e-3, "stash_type": 1},
        outputs=("y", "inv_std_var"),
        domain="",
    ),
    Case(EMBED, embedding(3, 7, 17), outputs=("y", "mask_index")),
    Case(
        EMBED,
        embedding(1, 33, 33, segments=False),
        {"epsilon": 1e-5, "mask_index_type": 0},
    ),
    Case(
        EMBED,
        embedding(3, 17, 33, mask=True),
        {"mask_index_type": 1},
        outputs=("y", "mask_index", "sum"),
    ),
    Case(EMBED, embedding(3, 7, 17, position_ids=3), {"mask_index_type": 0}),
    Case(EMBED, embedding(3, 7, 17, position_ids=1), {"mask_index_type": 0}),
]


def heads(batch, queries, keys, width, values=None, **more):
    values = values or width
    bias = (2 * width + values,) if more.pop("bias", True) else None
    return {
        "q": (batch, queries, width),
        "k": (batch, keys, width),
        "v": (batch, keys, values),
        "bias": bias,
        "mask": more.get("mask"),
        "scores_bias": more.get("scores_bias"),
        "past_key": more.get("past"),
        "past_value": more.get("past"),
    }


def packed(batch, sequence, width, columns=None, **more):
    columns = columns or 3 * width
    return {
        "x": (batch, sequence, width),
        "w": (width, columns),
        "bias": (columns,) if more.pop("bias", True) else None,
        "mask": more.get("mask"),
        "past": more.get("past"),
        "scores_bias": more.get("scores_bias"),
    }


def mask_of(*shape):
    """Each row has a key to attend to."""
    mask = np.random.default_rng(9).integers(0, 2, shape).astype(np.int32)
    mask[..., 0] = 1
    return mask


PRESENT = ("y", "present_key", "present_value")
CASES += [
    Case("MultiHeadAttention", heads(3, 7, 7, 18), {"num_heads": 3}),
    Case(
        "MultiHeadAttention",
        heads(1, 1, 17, 33, 6, bias=False, scores_bias=(1, 3, 1, 17)),
        {"num_heads": 3, "scale": 0.3},
    ),
    Case(
        "MultiHeadAttention",
        heads(3, 7, 17, 14, mask=mask_of(3, 17)),
        {"num_heads": 2, "mask_filter_value": -50.0},
    ),
    Case(
        "MultiHeadAttention",
        heads(2, 3, 3, 14, past=(2, 2, 5, 7)),
        {"num_heads": 2, "unidirectional": 1},
        PRESENT,
    ),
    Case(  # the keys that a query may see are all masked
        "MultiHeadAttention",
        heads(1, 3, 3, 14, mask=np.array([[0, 0, 1]], np.int32)),
        {
            "num_heads": 2,
            "unidirectional": 1,
            "mask_filter_value": float(np.finfo(np.float32).min),
        },
    ),
    Case("Attention", packed(3, 7, 17, 63), {"num_heads": 3}),
    Case(
        "Attention",
        packed(2, 17, 12, mask=mask_of(2, 17), bias=False),
        {"num_heads": 3, "scale": 0.2},
    ),
    Case(
        "Attention",
        packed(2, 7, 12, 36, mask=mask_of(2, 7, 7), scores_bias=(2, 2, 7, 7)),
        {"num_heads": 2},
    ),
    Case(
        "Attention",
        packed(1, 7, 33, 40),
        {"num_heads": 2, "qkv_hidden_sizes": [12, 12, 16], "unidirectional": 1},
    ),
    Case(
        "Attention",
        packed(2, 3, 14, past=(2, 2, 2, 5, 7)),
        {"num_heads": 2, "unidirectional": 1},
        ("y", "present"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnxruntime(case):
    case.check(case.theirs())


def group_norm(x, gamma, beta, groups, epsilon, activation):
    """Of a picture with the channels last."""
    n, h, w, c = x.shape
    cut = x.astype(np.float64).reshape(n, h * w, groups, c // groups)
    mean = cut.mean((1, 3), keepdims=True)
    unit = (cut - mean) / np.sqrt(cut.var((1, 3), keepdims=True) + epsilon)
    y = unit.reshape(x.shape) * gamma + beta
    return y / (1 + np.exp(-y)) if activation else y


@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("channels_last", [0, 1])
def test_group_norm(channels_last, activation):
    """Which onnxruntime has for other processors only."""
    attributes = {"groups": 3, "epsilon": 1e-3, "activation": activation}
    shape = (2, 7, 5, 33) if channels_last else (2, 33, 7, 5)
    case = Case(
        "GroupNorm",
        {"x": shape, **vectors(33, "gamma", "beta")},
        attributes | ({} if channels_last else {"channels_last": 0}),
    )
    x, gamma, beta = case.arrays().values()
    if channels_last:
        expected = group_norm(x, gamma, beta, **attributes)
    else:
        expected = group_norm(np.moveaxis(x, 1, 3), gamma, beta, **attributes)
        expected = np.moveaxis(expected, 3, 1)
    case.check([expected.astype(np.float32)])


def test_the_statistics_of_a_skip_norm():
    """Which onnxruntime declares and does not fill on this processor."""
    outputs = ("y", "mean", "inv_std_var", "sum")
    case = Case(SKIP, skip((3, 7, 17), (7, 17), beta=(17,)), {"epsilon": 1e-3}, outputs)
    x, other, gamma, beta = case.arrays().values()
    total = x.astype(np.float64) + other
    mean = total.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt(total.var(-1, keepdims=True) + 1e-3)
    y = (total - mean) * inverse * gamma + beta
    case.check([each.astype(np.float32) for each in (y, mean, inverse, total)])


GROUPS = {"x": (2, 7, 5, 33), **vectors(33, "gamma", "beta")}


REFUSED = [
    (Case("BiasGelu", {"x": (3, 17), "bias": (1,)}), "its bias"),
    (Case("BiasGelu", {"x": (3, 17)}), "lacks its input 1"),
    (Case("FastGelu", {"x": (3, 17), "bias": (3, 17)}), "its bias"),
    (
        Case("FusedMatMul", {"a": (7, 17), "b": (17, 3)}, {"transBatchA": 1}),
        "one rank, 3 or more",
    ),
    (Case("FusedMatMul", {"a": (7, 17), "b": (17, 3)}, {"transA": 2}), "transA"),
    (Case("FusedConv", CONV, {"activation": "Mish"}), "activation 'Mish'"),
    (
        Case("FusedConv", CONV, {"activation": "Clip", "activation_params": [1.0]}),
        "2 activation_params",
    ),
    (Case("FusedConv", CONV | {"z": (1, 8, 1, 1)}), "its Z"),
    (Case(SKIP, skip((3, 7, 17), (17,))), "its skip"),
    (Case(SKIP, skip((3, 7, 17), (3, 1, 17))), "its skip"),
    (Case(SKIP, skip((2, 3, 7, 17), (2, 3, 7, 17))), "rank 4"),
    (Case(SKIP, skip((7, 17), (7, 17), beta=(1,))), "its beta"),
    (Case(SKIP, skip((7, 17), (7, 17), beta=None, bias=(7, 17))), "its bias"),
    (
        Case(SIMPLE, skip((7, 17), (7, 17)), outputs=("y", "mean")),
        "output 1 is not supported",
    ),
    (
        Case(
            "SimplifiedLayerNormalization",
            {"x": (7, 17), "scale": (17,)},
            {"stash_type": 10},
            domain="",
        ),
        "stash_type 10",
    ),
    (
        Case(EMBED, embedding(3, 7, 17) | {"segment_table": None}),
        "only one of segment_ids",
    ),
    (Case(EMBED, embedding(3, 7, 17) | {"positions": (3, 17)}), "positions, needs 7"),
    (Case(EMBED, embedding(3, 7, 17) | {"words": (33, 7)}), "must be .count, 7"),
    (Case("GroupNorm", GROUPS, {"groups": 4, "activation": 0}), "4 groups"),
    (Case("GroupNorm", GROUPS, {"groups": 3, "activation": 2}), "'activation' is 2"),
    (
        Case("GroupNorm", GROUPS | {"x": (7, 5, 33)}, {"groups": 3, "activation": 0}),
        "rank 3",
    ),
    (
        Case("MultiHeadAttention", {"q": (2, 7, 3, 3, 7)}, {"num_heads": 3}),
        "packed in one input",
    ),
    (
        Case(
            "MultiHeadAttention",
            heads(2, 3, 5, 14, mask=np.array([3, 5], np.int32)),
            {"num_heads": 2},
        ),
        "its mask",
    ),
    (Case("Attention", packed(2, 3, 14), {"num_heads": 2, "do_rotary": 1}), "do_rot"),
    (Case("Attention", packed(2, 3, 14), {"num_heads": 3}), "into 3 heads"),
    (Case("Attention", packed(2, 3, 14, 41), {"num_heads": 2}), "41 columns"),
]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused(case, message):
    with pytest.raises(oc.Refusal, match=f"it.*{message}"):
        case.ours()
