"""Random nodes: each function takes a Maker and appends nodes of one kind to its graph, or returns None when nothing
that the graph has fits. MAKERS at the end lists them.

An op that jumps (Floor, Less, ArgMax, a cast to integers …) takes exact values only, those that do not depend on how
sums are rounded, lest an ulp make another result right.
"""

import math

import numpy as np
from onnx import helper

FLOATS = ("float32", "float64", "float16")
INTS = ("int64", "int32", "int8", "uint8", "int16", "uint16", "uint32")
NUMBERS = FLOATS[:2] + INTS[:4]
SIZES = (1, 2, 3, 7, 15, 17, 31, 33, 127, 4, 8, 16, 32, 64)
MOST = 1 << 15  # elements of a value
MOST_RANK = 5


def has_rank(*ranks):
    return lambda value: len(value.shape) in ranks


def _unary(op, dtypes, exact=False, keeps=False, **attrs):
    """exact: takes exact values only; keeps: exact values stay so."""

    def make(maker):
        x = maker.pick(dtypes, exact=exact)
        if x is None:
            return None
        given = {name: draw(maker.random) for name, draw in attrs.items()}
        stays = exact or (keeps and x.exact)
        return maker.node(op, [x], x.dtype, x.shape, stays, **given)

    return make


def near(low, high):
    return lambda random: round(float(random.uniform(low, high)), 3)


def _positive(op, dtypes):
    """Where negative values have no result: of |x| + 1/2."""

    def make(maker):
        x = maker.pick(dtypes)
        if x is None:
            return None
        size = maker.node("Abs", [x], x.dtype, x.shape, x.exact)
        half = maker.constant(np.array(0.5, x.dtype))
        above = maker.node("Add", [size, half], x.dtype, x.shape, False)
        return maker.node(op, [above], x.dtype, x.shape, False)

    return make


def _exp(maker):
    x = maker.pick(FLOATS[:2])
    if x is None:
        return None
    ends = [maker.constant(np.array(end, x.dtype)) for end in (-8, 4)]
    bounded = maker.node("Clip", [x, *ends], x.dtype, x.shape, x.exact)
    return maker.node("Exp", [bounded], x.dtype, x.shape, False)


def _clip(maker):
    x = maker.pick(NUMBERS)
    if x is None:
        return None
    low, high = sorted(int(n) for n in maker.random.integers(0, 9, 2))
    if np.dtype(x.dtype).kind != "u":
        low = -low
    ends = [maker.constant(np.array(end, x.dtype)) for end in (low, high)]
    if maker.chance(0.3):
        ends[int(maker.random.integers(2))] = None
    return maker.node("Clip", [x, *ends], x.dtype, x.shape, x.exact)


def _cast(maker):
    x = maker.pick((*NUMBERS, "bool", "float16"))
    if x is None:
        return None
    # Large integers are rounded to a float.
    exact = x.exact and (
        x.small or np.dtype(x.dtype).kind not in "iu" or np.dtype(x.dtype).itemsize < 4
    )
    kinds = ["float32", "float64", "float32"]
    if x.exact and (x.dtype == "bool" or np.dtype(x.dtype).kind in "iu"):
        kinds += ["int32", "int64", "bool", "int8"]
    elif x.exact and x.small:
        kinds += ["int32", "int64", "bool", "float16"]
    to = maker.choice(kinds)
    code = helper.np_dtype_to_tensor_dtype(np.dtype(to))
    return maker.node("Cast", [x], to, x.shape, exact and x.dtype != "float64", to=code)


def _binary(op, dtypes, exact=False, keeps=False, result=None):
    def make(maker):
        a = maker.pick(dtypes, exact=exact)
        if a is None:
            return None
        b = maker.partner(a, exact)
        if b is None:
            return None
        if maker.chance(0.5):
            a, b = b, a
        shape = np.broadcast_shapes(a.shape, b.shape)
        stays = exact or (keeps and a.exact and b.exact)
        stays = stays or (np.dtype(a.dtype).kind in "iub")
        if op in ("Add", "Sub", "Mul") and stays and not (a.small and b.small):
            return None  # integers that overflow have no result that is right
        return maker.node(op, [a, b], result or a.dtype, shape, stays)

    return make


def _compare(op):
    return _binary(op, NUMBERS, exact=True, result="bool")


def _divide(op, dtypes):
    """By a constant without zeros."""

    def make(maker):
        a = maker.pick(dtypes)
        if a is None:
            return None
        count = a.shape[-1] if a.shape and maker.chance(0.5) else 1
        low = 1 if np.dtype(a.dtype).kind in "iu" else 0.25
        by = maker.random.uniform(low, 9, count)
        if np.dtype(a.dtype).kind != "u":
            by *= maker.random.choice([-1, 1], count)
        by = by.astype(a.dtype).reshape([count] if a.shape else [])
        stays = np.dtype(a.dtype).kind in "iu"
        return maker.node(op, [a, maker.constant(by)], a.dtype, a.shape, stays)

    return make


def _where(maker):
    condition = maker.pick(("bool",))
    a = maker.pick(NUMBERS)
    if condition is None or a is None:
        return None
    b = maker.partner(a, False)
    if b is None:
        return None
    try:
        shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
    except ValueError:
        return None
    return maker.node("Where", [condition, a, b], a.dtype, shape, a.exact and b.exact)


def _square(maker):
    x = maker.pick(FLOATS[:2])
    if x is None:
        return None
    two = maker.constant(np.array(2, x.dtype))
    return maker.node("Pow", [x, two], x.dtype, x.shape, False)


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


# --- movement: exact values stay so


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


# --- products and windows


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


def _quantize(maker):
    x = maker.pick(FLOATS[:1], exact=True)
    if x is None:
        return None
    to = maker.choice(["uint8", "int8"])
    scale = maker.constant(np.array(1 / 32, np.float32))
    zero = maker.constant(np.array(3, to))
    stored = maker.node("QuantizeLinear", [x, scale, zero], to, x.shape, True)
    if stored is None or maker.chance(0.3):
        return stored
    inputs = [stored, scale, zero]
    return maker.node("DequantizeLinear", inputs, x.dtype, x.shape, True)


# --- what exporters make of one layer


def _attention(maker):
    x = maker.pick(FLOATS[:1], lambda v: len(v.shape) in (2, 3) and v.shape[-1] >= 2)
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
    x = maker.pick(FLOATS[:1], lambda v: len(v.shape) > 0 and v.shape[-1] > 1)
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
    x = maker.pick(FLOATS[:1], has_rank(4))
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


def _gram(maker):
    """A product of two values that are computed."""
    a = maker.pick(FLOATS[:2], lambda v: len(v.shape) >= 2)
    if a is None:
        return None
    order = [*range(len(a.shape) - 2), len(a.shape) - 1, len(a.shape) - 2]
    turned = [a.shape[d] for d in order]
    b = maker.node("Transpose", [a], a.dtype, turned, a.exact, perm=order)
    return maker.node("MatMul", [a, b], a.dtype, [*a.shape[:-1], a.shape[-2]], False)


_F = FLOATS[:2]
# How often nodes of a kind are tried, and the kind's functions.
MAKERS = [
    (
        5,
        [
            *(_unary(op, _F) for op in ("Sigmoid", "Tanh", "Softplus", "Softsign")),
            _unary(
                "Erf", FLOATS[:1]
            ),  # onnxruntime has no other, ONNX's evaluator rounds to f32
            *(_unary(op, _F) for op in ("Sin", "Cos", "Atan")),
            *(_unary(op, FLOATS[:1]) for op in ("HardSwish", "Mish", "Gelu", "Selu")),
            *(_unary(op, NUMBERS[:4], keeps=True) for op in ("Abs", "Neg")),
            _unary("Relu", _F, keeps=True),
            _unary("Identity", NUMBERS, keeps=True),
            *(_unary(op, _F, exact=True) for op in ("Floor", "Ceil", "Round", "Sign")),
            _unary("Not", ("bool",), exact=True),
            _unary("LeakyRelu", FLOATS[:1], alpha=near(0, 0.5)),
            _unary("Elu", FLOATS[:1], alpha=near(0.5, 2)),
            _unary(
                "HardSigmoid", FLOATS[:1], alpha=near(0.1, 0.5), beta=near(0.2, 0.8)
            ),
            *(_positive(op, _F) for op in ("Sqrt", "Log", "Reciprocal")),
            *(_exp, _square, _clip, _cast, _cast, _quantize),
        ],
    ),
    (
        5,
        [
            *(_binary(op, NUMBERS) for op in ("Add", "Add", "Sub", "Mul", "Mul")),
            *(_binary(op, NUMBERS, keeps=True) for op in ("Min", "Max")),
            *(_compare(op) for op in ("Less", "Greater", "Equal", "GreaterOrEqual")),
            *(_binary(op, ("bool",)) for op in ("And", "Or", "Xor")),
            *(_divide("Div", _F + INTS[:2]), _divide("Mod", INTS[:2]), _where),
        ],
    ),
    (
        4,
        [
            *(_softmax(op) for op in ("Softmax", "LogSoftmax")),
            _reduce("ReduceSum", _F + INTS[:2]),
            *(_reduce(op, _F) for op in ("ReduceMean", "ReduceL2", "ReduceL1")),
            *(_reduce(op, _F) for op in ("ReduceSumSquare", "ReduceLogSumExp")),
            *(
                _reduce(op, NUMBERS[:4], keeps=True)
                for op in ("ReduceMax", "ReduceMin")
            ),
            *(_arg("ArgMax"), _arg("ArgMin"), _topk, _cumsum),
            *(_batch_norm, _layer_norm, _layer_norm, _instance_norm),
            *(_global_pool("GlobalAveragePool"), _global_pool("GlobalMaxPool")),
        ],
    ),
    (
        5,
        [
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
        ],
    ),
    (4, [_matmul, _matmul, _gemm, _gram]),
    (5, [_conv, _conv, _conv, _conv_transpose, _pool("MaxPool"), _pool("AveragePool")]),
    (3, [_attention, _norm, _block]),
]
