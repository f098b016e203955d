"""What exporters make of one layer."""

import math

import numpy as np
from random_graphs.draw import FLOATS, MOST, has_rank


def _pick(maker, fits):
    """Of f32, and not larger than what a node may make, as given factors may be: the first steps keep its shape."""
    return maker.pick(FLOATS[:1], lambda v: math.prod(v.shape) <= MOST and fits(v))


def _attention(maker):
    x = _pick(maker, lambda v: len(v.shape) in (2, 3) and v.shape[-1] >= 2)
    if x is None:
        return None
    depth = int(maker.choice([4, 7, 8, 16, 24]))
    rank, width = len(x.shape), x.shape[-1]

    def projected():
        weights = maker.constant(
            maker.numbers(x.dtype, [width, depth]) / np.float32(math.sqrt(width))
        )
        return maker.node(
            "MatMul", [x, weights], x.dtype, [*x.shape[:-1], depth], False
        )

    q, k, v = projected(), projected(), projected()
    if v is None:
        return None
    order = [*range(rank - 2), rank - 1, rank - 2]
    turned = [v.shape[d] for d in order]
    turned = maker.node("Transpose", [k], x.dtype, turned, False, perm=order)
    square = [*x.shape[:-1], x.shape[-2]]
    scores = maker.node("MatMul", [q, turned], x.dtype, square, False)
    if scores is None:
        return None
    scale = maker.constant(np.array(1 / math.sqrt(depth), x.dtype))
    scores = maker.node("Mul", [scores, scale], x.dtype, square, False)
    if maker.chance(0.5):
        mask = maker.fresh(x.dtype, [square[-1]] if maker.chance(0.5) else square[-2:])
        scores = maker.node("Add", [scores, mask], x.dtype, square, False)
    shares = maker.node("Softmax", [scores], x.dtype, square, False, axis=-1)
    return maker.node("MatMul", [shares, v], x.dtype, v.shape, False)


def _norm(maker):
    """LayerNormalization in single steps."""
    x = _pick(maker, lambda v: len(v.shape) > 0 and v.shape[-1] > 1)
    if x is None:
        return None
    row = [*x.shape[:-1], 1]
    last = maker.constant(np.array([-1], np.int64))

    def step(op, inputs, shape=x.shape):
        return maker.node(op, inputs, x.dtype, shape, False)

    def number(value):
        return maker.constant(np.array(value, x.dtype))

    centred = step("Sub", [x, step("ReduceMean", [x, last], row)])
    squares = step("Pow", [centred, number(2)])
    variance = step(
        "Add", [step("ReduceMean", [squares, last], row), number(1e-5)], row
    )
    normal = step("Div", [centred, step("Sqrt", [variance], row)])
    scale, shift = (maker.constant(maker.numbers(x.dtype, [x.shape[-1]])) for _ in "ab")
    return step("Add", [step("Mul", [normal, scale]), shift])


def _block(maker):
    """Convolution, batch norm, activation and a skip."""
    x = _pick(maker, has_rank(4))
    if x is None:
        return None
    channels = x.shape[1]
    weights = maker.matrix(x.dtype, [channels, channels, 3, 3], 9 * channels)
    y = maker.node(
        "Conv",
        [x, weights],
        x.dtype,
        x.shape,
        False,
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
    )
    scale, shift, mean = (
        maker.constant(maker.numbers(x.dtype, [channels])) for _ in "abc"
    )
    variance = maker.constant(
        np.abs(maker.numbers(x.dtype, [channels])) + np.float32(0.5)
    )
    y = maker.node(
        "BatchNormalization", [y, scale, shift, mean, variance], x.dtype, x.shape, False
    )
    y = maker.node("Relu", [y], x.dtype, x.shape, False)
    return maker.node("Add", [y, x], x.dtype, x.shape, False)


def gram(maker):
    """A product of two values that are computed."""
    a = _pick(maker, lambda v: len(v.shape) >= 2)
    if a is None:
        return None
    order = [*range(len(a.shape) - 2), len(a.shape) - 1, len(a.shape) - 2]
    turned = [a.shape[d] for d in order]
    b = maker.node("Transpose", [a], a.dtype, turned, a.exact, perm=order)
    return maker.node("MatMul", [a, b], a.dtype, [*a.shape[:-1], a.shape[-2]], False)


LAYERS = [_attention, _norm, _block]
