"""Nodes that reduce or normalise."""

import math

import numpy as np
from random_graphs.draw import FLOATS, INTS, NUMBERS, has_rank


def _softmax(op):
    def make(maker):
        x = maker.pick(FLOATS[:2], lambda v: len(v.shape) > 0)
        if x is None:
            return None
        axis = maker.axis(x)
        return maker.node(op, [x], x.dtype, x.shape, False, axis=axis)

    return make


def _reduce(op, dtypes, keeps=False):
    def make(maker):
        x = maker.pick(dtypes, lambda v: len(v.shape) > 0)
        if x is None:
            return None
        rank = len(x.shape)
        axes = sorted(
            int(a)
            for a in maker.random.choice(
                rank, int(maker.random.integers(1, rank + 1)), replace=False
            )
        )
        keep = int(maker.random.integers(2))
        shape = [
            1 if d in axes else n
            for d, n in enumerate(x.shape)
            if keep or d not in axes
        ]
        given = [a - rank if maker.chance(0.3) else a for a in axes]
        inputs = [x, maker.constant(np.array(given, np.int64))]
        if len(axes) == rank and maker.chance(0.5):
            inputs = [x]
        integers = np.dtype(x.dtype).kind in "iu"
        if integers and not keeps and not x.small:
            return None  # a sum that may overflow
        return maker.node(
            op, inputs, x.dtype, shape, integers or (keeps and x.exact), keepdims=keep
        )

    return make


def _arg(op):
    def make(maker):
        x = maker.pick(NUMBERS, lambda v: len(v.shape) > 0, exact=True)
        if x is None:
            return None
        axis, keep = maker.axis(x), int(maker.random.integers(2))
        shape = list(x.shape)
        shape[axis] = 1
        if not keep:
            del shape[axis % len(x.shape)]
        last = int(maker.random.integers(2))
        return maker.node(
            op,
            [x],
            "int64",
            shape,
            True,
            axis=axis,
            keepdims=keep,
            select_last_index=last,
        )

    return make


def _topk(maker):
    x = maker.pick(FLOATS[:2] + INTS[:2], lambda v: len(v.shape) > 0, exact=True)
    if x is None:
        return None
    axis = maker.axis(x)
    k = int(maker.random.integers(1, x.shape[axis] + 1))
    shape = list(x.shape)
    shape[axis] = k
    largest = int(maker.random.integers(2))
    k = maker.constant(np.array([k], np.int64))
    return maker.node(
        *("TopK", [x, k], [x.dtype, "int64"], [shape, shape], True),
        axis=axis,
        largest=largest,
    )


def _cumsum(maker):
    x = maker.pick(FLOATS[:2] + INTS[:2], lambda v: len(v.shape) > 0)
    if x is None or (np.dtype(x.dtype).kind == "i" and not x.small):
        return None
    axis = maker.constant(np.array(maker.axis(x), np.int64))
    return maker.node(
        *("CumSum", [x, axis], x.dtype, x.shape, np.dtype(x.dtype).kind == "i"),
        exclusive=int(maker.random.integers(2)),
        reverse=int(maker.random.integers(2)),
    )


def _global_pool(op):
    def make(maker):
        x = maker.pick(FLOATS[:1], has_rank(3, 4))
        if x is None:
            return None
        shape = [*x.shape[:2], *[1 for _ in x.shape[2:]]]
        return maker.node(op, [x], x.dtype, shape, op == "GlobalMaxPool" and x.exact)

    return make


def _batch_norm(maker):
    x = maker.pick(FLOATS[:1], has_rank(2, 3, 4))
    if x is None:
        return None
    scale, shift, mean = (maker.numbers(x.dtype, [x.shape[1]]) for _ in "abc")
    variance = np.abs(maker.numbers(x.dtype, [x.shape[1]])) + np.float32(0.5)
    inputs = [x, *map(maker.constant, (scale, shift, mean, variance))]
    return maker.node("BatchNormalization", inputs, x.dtype, x.shape, False)


def _layer_norm(maker):
    x = maker.pick(FLOATS[:1], lambda v: len(v.shape) > 0 and v.shape[-1] > 1)
    if x is None:
        return None
    inputs = [x, maker.fresh(x.dtype, [x.shape[-1]])]
    if maker.chance(0.7):
        inputs.append(maker.fresh(x.dtype, [x.shape[-1]]))
    return maker.node("LayerNormalization", inputs, x.dtype, x.shape, False, axis=-1)


def _instance_norm(maker):
    x = maker.pick(
        FLOATS[:1], lambda v: len(v.shape) > 2 and math.prod(v.shape[2:]) > 2
    )
    if x is None:
        return None
    inputs = [x, *(maker.constant(maker.numbers(x.dtype, [x.shape[1]])) for _ in "ab")]
    return maker.node("InstanceNormalization", inputs, x.dtype, x.shape, False)


_F = FLOATS[:2]
REDUCTIONS = [
    *(_softmax(op) for op in ("Softmax", "LogSoftmax")),
    _reduce("ReduceSum", _F + INTS[:2]),
    *(_reduce(op, _F) for op in ("ReduceMean", "ReduceL2", "ReduceL1")),
    *(_reduce(op, _F) for op in ("ReduceSumSquare", "ReduceLogSumExp")),
    *(_reduce(op, NUMBERS[:4], keeps=True) for op in ("ReduceMax", "ReduceMin")),
    *(_arg("ArgMax"), _arg("ArgMin"), _topk, _cumsum),
    *(_batch_norm, _layer_norm, _layer_norm, _instance_norm),
    *(_global_pool("GlobalAveragePool"), _global_pool("GlobalMaxPool")),
]
