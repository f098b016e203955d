"""Products and windows."""

import math

import numpy as np
from random_graphs.draw import FLOATS, MOST, has_rank, near


def _matmul(maker):
    a = maker.pick(FLOATS[:2], lambda v: len(v.shape) > 0)
    if a is None:
        return None
    n = maker.size()
    batch = list(a.shape[:-2]) if maker.chance(0.5) else []
    shape = [*batch, a.shape[-1], n]
    if len(a.shape) > 1 and maker.chance(0.1):
        shape = [a.shape[-1]]
    if math.prod(shape) > 4 * MOST:
        return None
    b = maker.matrix(a.dtype, shape)
    out = np.matmul(np.empty(a.shape, "i1"), np.empty(shape, "i1")).shape
    if math.prod(out) > MOST:
        return None
    return maker.node("MatMul", [a, b], a.dtype, out, False)


def _gemm(maker):
    a = maker.pick(FLOATS[:2], has_rank(2))
    if a is None:
        return None
    flip_a, flip_b = (int(n) for n in maker.random.integers(0, 2, 2))
    m, k = a.shape[::-1] if flip_a else a.shape
    n = maker.size()
    b = maker.matrix(a.dtype, [n, k] if flip_b else [k, n])
    inputs = [a, b]
    if maker.chance(0.7):
        inputs.append(maker.fresh(a.dtype, maker.choice([[n], [m, n], [1, n], [m, 1]])))
    return maker.node(
        *("Gemm", inputs, a.dtype, [m, n], False),
        alpha=near(0.5, 2)(maker.random),
        beta=near(0.5, 2)(maker.random),
        transA=flip_a,
        transB=flip_b,
    )


def _reaches(extent, count, kernel, stride, dilation, before):
    """Has every window of an axis an element that is not padding?"""
    return all(
        any(0 <= o * stride + k * dilation - before < extent for k in range(kernel))
        for o in range(count)
    )


def _window(maker, extents):
    """kernel, strides, dilations, pads and what comes of the extents; None when the window does not fit."""
    kernel, strides, dilations, before, after, out = [], [], [], [], [], []
    for extent in extents:
        k = int(maker.choice([1, 2, 3, 3, 3, 5, 7]))
        s = int(maker.choice([1, 1, 1, 2, 3]))
        d = int(maker.choice([1, 1, 1, 2]))
        reach = d * (k - 1)
        b, a = (int(n) for n in maker.random.integers(0, min(reach, 3) + 1, 2))
        if extent + b + a <= reach or b >= k or a >= k:
            return None
        if not _reaches(extent, (extent + b + a - reach - 1) // s + 1, k, s, d, b):
            return None
        kernel.append(k), strides.append(s), dilations.append(d)
        before.append(b), after.append(a)
        out.append((extent + b + a - reach - 1) // s + 1)
    return {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": dilations,
        "pads": before + after,
    }, out


def _conv(maker):
    x = maker.pick(FLOATS[:1], has_rank(3, 4))
    window = x and _window(maker, x.shape[2:])
    if not window:
        return None
    attrs, out = window
    channels = x.shape[1]
    groups = maker.choice([1, 1, 1, channels, *([2] if channels % 2 == 0 else [])])
    each = maker.choice([1, 2, 3, 8, 16, 17]) if groups == channels else maker.size()
    filters = min(each, 33) * groups if groups < 16 else groups
    shape = [filters, channels // groups, *attrs["kernel_shape"]]
    result = [x.shape[0], filters, *out]
    if math.prod(shape) > 4 * MOST or math.prod(result) > MOST:
        return None
    inputs = [x, maker.matrix(x.dtype, shape, math.prod(shape[1:]))]
    if maker.chance(0.7):
        inputs.append(maker.constant(maker.numbers(x.dtype, [filters])))
    return maker.node("Conv", inputs, x.dtype, result, False, group=groups, **attrs)


def _conv_transpose(maker):
    x = maker.pick(FLOATS[:1], has_rank(3, 4))
    if x is None:
        return None
    kernel = [int(maker.choice([1, 2, 3, 4])) for _ in x.shape[2:]]
    strides = [int(maker.choice([1, 2])) for _ in x.shape[2:]]
    most = [min(k - 1, 1) for k in kernel]
    before, after = ([int(maker.random.integers(0, n + 1)) for n in most] for _ in "ab")
    out = [
        (n - 1) * s + k - b - a
        for n, s, k, b, a in zip(
            x.shape[2:], strides, kernel, before, after, strict=True
        )
    ]
    filters = min(maker.size(), 33)
    result = [x.shape[0], filters, *out]
    if min(out) < 1 or math.prod(result) > MOST:
        return None
    shape = [x.shape[1], filters, *kernel]
    return maker.node(
        *("ConvTranspose", [x, maker.matrix(x.dtype, shape)], x.dtype, result, False),
        kernel_shape=kernel,
        strides=strides,
        pads=before + after,
    )


def _pool(op):
    def make(maker):
        x = maker.pick(FLOATS[:1], has_rank(3, 4))
        window = x and _window(maker, x.shape[2:])
        if not window:
            return None
        attrs, out = window
        if op == "AveragePool":
            attrs["count_include_pad"] = int(maker.random.integers(2))
        shape = [*x.shape[:2], *out]
        return maker.node(op, [x], x.dtype, shape, op == "MaxPool" and x.exact, **attrs)

    return make


PRODUCTS = [_matmul, _matmul, _gemm]

WINDOWS = [_conv, _conv, _conv, _conv_transpose, _pool("MaxPool"), _pool("AveragePool")]
