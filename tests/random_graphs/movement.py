"""Nodes that move elements: exact values stay so."""

import math

import numpy as np
from random_graphs.draw import FLOATS, MOST, NUMBERS, has_rank


def _transpose(maker):
    x = maker.pick()
    order = [int(d) for d in maker.random.permutation(len(x.shape))]
    attrs = {"perm": order} if order else {}
    shape = [x.shape[d] for d in order]
    return maker.node("Transpose", [x], x.dtype, shape, x.exact, **attrs)


def _reshape(maker):
    x = maker.pick()
    left, shape = math.prod(x.shape), []
    while left > 1 and len(shape) < 4:
        divisors = [n for n in range(1, min(left, 200) + 1) if left % n == 0]
        shape.append(int(maker.choice(divisors)))
        left //= shape[-1]
    shape.append(left)
    given = list(shape)
    if maker.chance(0.4):
        given[int(maker.random.integers(len(given)))] = -1
    inputs = [x, maker.constant(np.array(given, np.int64))]
    return maker.node("Reshape", inputs, x.dtype, shape, x.exact)


def _flatten(maker):
    x = maker.pick()
    axis = int(maker.random.integers(0, len(x.shape) + 1))
    shape = [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])]
    return maker.node("Flatten", [x], x.dtype, shape, x.exact, axis=axis)


def _unsqueeze(maker):
    x = maker.pick(fits=lambda v: len(v.shape) < 5)
    if x is None:
        return None
    axis = int(maker.random.integers(0, len(x.shape) + 1))
    shape = list(x.shape)
    shape.insert(axis, 1)
    axes = maker.constant(np.array([axis], np.int64))
    return maker.node("Unsqueeze", [x, axes], x.dtype, shape, x.exact)


def _squeeze(maker):
    x = maker.pick(fits=lambda v: 1 in v.shape)
    if x is None:
        return None
    axis = maker.choice([d for d, n in enumerate(x.shape) if n == 1])
    shape = [n for d, n in enumerate(x.shape) if d != axis]
    axes = maker.constant(np.array([axis], np.int64))
    return maker.node("Squeeze", [x, axes], x.dtype, shape, x.exact)


def _slice(maker):
    x = maker.pick(fits=lambda v: len(v.shape) > 0)
    if x is None:
        return None
    axis = maker.axis(x)
    extent = x.shape[axis]
    step = int(maker.choice([1, 1, 2, 3, -1, -2]))
    start, end = (int(n) for n in maker.random.integers(-extent - 2, extent + 3, 2))
    count = len(range(extent)[start:end:step])
    if count == 0:
        return None
    shape = list(x.shape)
    shape[axis] = count
    places = [np.array([n], np.int64) for n in (start, end, axis, step)]
    inputs = [x, *map(maker.constant, places)]
    return maker.node("Slice", inputs, x.dtype, shape, x.exact)


def _concat(maker):
    x = maker.pick(fits=lambda v: len(v.shape) > 0)
    if x is None:
        return None
    axis = maker.axis(x)

    def fits(v):
        return len(v.shape) == len(x.shape) and all(
            a == b
            for d, (a, b) in enumerate(zip(v.shape, x.shape, strict=True))
            if d != axis % len(x.shape)
        )

    parts = [x]
    for _ in range(int(maker.random.integers(1, 4))):
        parts.append(maker.pick((x.dtype,), fits))
    shape = list(x.shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    exact = all(part.exact for part in parts)
    return maker.node("Concat", parts, x.dtype, shape, exact, axis=axis)


def _split(maker):
    x = maker.pick(fits=lambda v: len(v.shape) > 0 and max(v.shape) > 1)
    if x is None:
        return None
    axis = maker.choice([d for d, n in enumerate(x.shape) if n > 1])
    at = int(maker.random.integers(1, x.shape[axis]))
    sizes, shapes = [at, x.shape[axis] - at], []
    for size in sizes:
        shape = list(x.shape)
        shape[axis] = size
        shapes.append(shape)
    inputs = [x, maker.constant(np.array(sizes, np.int64))]
    dtypes = [x.dtype, x.dtype]
    return maker.node("Split", inputs, dtypes, shapes, x.exact, axis=axis)


def _pad(maker):
    x = maker.pick(NUMBERS, lambda v: len(v.shape) > 0)
    if x is None:
        return None
    mode = maker.choice(["constant", "constant", "reflect", "edge", "wrap"])
    most = [min(3, n - 1) if mode == "reflect" else min(3, n) for n in x.shape]
    before, after = ([int(maker.random.integers(0, n + 1)) for n in most] for _ in "ab")
    shape = [b + n + a for b, n, a in zip(before, x.shape, after, strict=True)]
    inputs = [x, maker.constant(np.array(before + after, np.int64))]
    if mode == "constant" and maker.chance(0.5):
        inputs.append(maker.constant(np.array(3, x.dtype)))
    return maker.node("Pad", inputs, x.dtype, shape, x.exact, mode=mode)


def _expand(maker):
    x = maker.pick()
    shape = [maker.size() if n == 1 and maker.chance(0.7) else n for n in x.shape]
    if maker.chance(0.3):
        shape = [maker.size(), *shape]
    if math.prod(shape) > MOST or len(shape) > 5:
        return None
    inputs = [x, maker.constant(np.array(shape, np.int64))]
    return maker.node("Expand", inputs, x.dtype, shape, x.exact)


def _tile(maker):
    x = maker.pick(fits=lambda v: len(v.shape) > 0)
    if x is None:
        return None
    repeats = [int(maker.random.integers(1, 4)) for _ in x.shape]
    shape = [n * r for n, r in zip(x.shape, repeats, strict=True)]
    if math.prod(shape) > MOST:
        return None
    inputs = [x, maker.constant(np.array(repeats, np.int64))]
    return maker.node("Tile", inputs, x.dtype, shape, x.exact)


def _gather(maker):
    x = maker.pick(fits=lambda v: len(v.shape) > 0)
    if x is None:
        return None
    axis = maker.axis(x)
    places = [maker.size() for _ in range(int(maker.random.integers(0, 3)))]
    shape = [*x.shape[:axis], *places, *x.shape[axis:][1:]]
    if axis == -1:
        shape = [*x.shape[:-1], *places]
    if math.prod(shape) > MOST or len(shape) > 5:
        return None
    low = -x.shape[axis] if maker.chance(0.5) else 0
    indices = maker.random.integers(low, x.shape[axis], places).astype(np.int64)
    indices = maker.given(np.asarray(indices))
    return maker.node("Gather", [x, indices], x.dtype, shape, x.exact, axis=axis)


def _gather_elements(maker):
    x = maker.pick(fits=lambda v: len(v.shape) > 0)
    if x is None:
        return None
    axis = maker.axis(x)
    shape = list(x.shape)
    shape[axis] = min(maker.size(), 2 * shape[axis])
    indices = maker.random.integers(0, x.shape[axis], shape).astype(np.int64)
    inputs = [x, maker.given(indices)]
    return maker.node("GatherElements", inputs, x.dtype, shape, x.exact, axis=axis)


def _scatter_elements(maker):
    x = maker.pick(NUMBERS, lambda v: len(v.shape) > 0)
    if x is None:
        return None
    axis = maker.axis(x)
    shape = [int(maker.random.integers(1, n + 1)) for n in x.shape]
    # No place twice: which one stays is nobody's promise.
    order = np.argsort(maker.random.random(tuple(x.shape)), axis)
    indices = order[tuple(slice(n) for n in shape)].astype(np.int64)
    updates = maker.fresh(x.dtype, shape)
    inputs = [x, maker.given(indices), updates]
    return maker.node("ScatterElements", inputs, x.dtype, x.shape, x.exact, axis=axis)


def _space(op):
    def make(maker):
        def fits(v):
            n = 4 if op == "DepthToSpace" else 1
            even = v.shape[2:] if op == "SpaceToDepth" else (2,)
            return v.shape[1] % n == 0 and all(d % 2 == 0 for d in even)

        x = maker.pick(FLOATS[:2], lambda v: len(v.shape) == 4 and fits(v))
        if x is None:
            x = maker.fresh(
                "float32",
                [
                    1,
                    4 * int(maker.choice([1, 2, 5])),
                    *(2 * maker.choice([1, 3, 8]) for _ in "yx"),
                ],
            )
        n, c, h, w = x.shape
        if op == "DepthToSpace":
            shape, attrs = (
                [n, c // 4, h * 2, w * 2],
                {"mode": maker.choice(["DCR", "CRD"])},
            )
        else:
            shape, attrs = [n, c * 4, h // 2, w // 2], {}
        return maker.node(op, [x], x.dtype, shape, x.exact, blocksize=2, **attrs)

    return make


def _trilu(maker):
    x = maker.pick(NUMBERS, lambda v: len(v.shape) >= 2)
    if x is None:
        return None
    k = maker.constant(np.array(int(maker.random.integers(-3, 4)), np.int64))
    upper = int(maker.random.integers(2))
    return maker.node("Trilu", [x, k], x.dtype, x.shape, x.exact, upper=upper)


def _resize(maker):
    x = maker.pick(FLOATS[:1], has_rank(4))
    if x is None:
        return None
    mode = maker.choice(["nearest", "linear"])
    # By whole numbers, so that nobody rounds a coordinate across the middle.
    factor = int(maker.choice([1, 2, 3]))
    shape = [*x.shape[:2], *[n * factor for n in x.shape[2:]]]
    if math.prod(shape) > MOST:
        return None
    inputs = [x, None, None, maker.constant(np.array(shape, np.int64))]
    exact = x.exact and mode == "nearest"
    way = maker.choice(["asymmetric", "half_pixel"])
    attrs = {"mode": mode, "coordinate_transformation_mode": way}
    if mode == "nearest":
        attrs["nearest_mode"] = maker.choice(["floor", "round_prefer_floor"])
    return maker.node("Resize", inputs, x.dtype, shape, exact, **attrs)


MOVEMENT = [
    *(
        _transpose,
        _transpose,
        _reshape,
        _reshape,
        _flatten,
        _unsqueeze,
        _squeeze,
    ),
    *(_slice, _slice, _concat, _concat, _split, _pad, _pad, _expand, _tile),
    *(_gather, _gather, _gather_elements, _scatter_elements, _trilu, _resize),
    *(_space("DepthToSpace"), _space("SpaceToDepth")),
]
