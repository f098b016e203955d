"""Elementwise nodes."""

import numpy as np
from onnx import helper
from random_graphs.draw import FLOATS, INTS, NUMBERS, near


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


_F = FLOATS[:2]
UNARY = [
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
    _unary("HardSigmoid", FLOATS[:1], alpha=near(0.1, 0.5), beta=near(0.2, 0.8)),
    *(_positive(op, _F) for op in ("Sqrt", "Log", "Reciprocal")),
    *(_exp, _square, _clip, _cast, _cast, _quantize),
]

BINARY = [
    *(_binary(op, NUMBERS) for op in ("Add", "Add", "Sub", "Mul", "Mul")),
    *(_binary(op, NUMBERS, keeps=True) for op in ("Min", "Max")),
    *(_compare(op) for op in ("Less", "Greater", "Equal", "GreaterOrEqual")),
    *(_binary(op, ("bool",)) for op in ("And", "Or", "Xor")),
    *(_divide("Div", _F + INTS[:2]), _divide("Mod", INTS[:2]), _where),
]
