"""Random ONNX graphs with inputs: the same seed makes the same graph."""

import dataclasses
import math

import numpy as np
import onnx
from onnx import helper, numpy_helper
from random_graphs.draw import FLOATS, INTS, MOST, MOST_RANK, SIZES
from random_graphs.nodes import MAKERS

OPSET = 21
_CHANCES = np.array([often for often, _ in MAKERS]) / sum(often for often, _ in MAKERS)


@dataclasses.dataclass(frozen=True)
class Value:
    name: str
    dtype: str
    shape: tuple[int, ...]
    exact: bool  # does not depend on how sums are rounded
    small: bool  # given or moved from there, not computed: at most 9, so that integers do not overflow


class Maker:
    """A graph in the making. `random` is numpy's generator; the nodes' functions draw everything from it."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.values, self.constants, self.inputs = [], [], [], {}
        self.known = []  # values of the constants
        self._count = 0

    def chance(self, share):
        return bool(self.random.random() < share)

    def choice(self, these):
        return these[int(self.random.integers(len(these)))]

    def size(self):
        return int(self.choice(SIZES))

    def axis(self, value):
        """Of a value of rank 1 or more; counted from the end at times."""
        rank = len(value.shape)
        return int(self.random.integers(-rank if self.chance(0.3) else 0, rank))

    def numbers(self, dtype, shape):
        """Within 2, multiples of 1/64: often equal, so that ties and halves come up; integers within 9."""
        kind = np.dtype(dtype).kind
        if kind == "b":
            return self.random.integers(0, 2, shape).astype(bool)
        if kind in "iu":
            low = 0 if kind == "u" else -9
            return self.random.integers(low, 10, shape).astype(dtype)
        return (self.random.integers(-128, 129, shape) / 64).astype(dtype)

    def _named(self, array):
        self._count += 1
        small = array.size == 0 or bool(np.all(np.abs(array.astype("f8")) <= 9))
        return Value(f"v{self._count}", array.dtype.name, array.shape, True, small)

    def constant(self, array):
        value = self._named(np.asarray(array))
        self.constants.append(numpy_helper.from_array(np.asarray(array), value.name))
        self.known.append(value)
        return value

    def input(self, array):
        value = self._named(np.asarray(array))
        self.inputs[value.name] = np.asarray(array)
        self.values.append(value)
        return value

    def given(self, array):
        """By the caller or by the model."""
        return self.input(array) if self.chance(0.3) else self.constant(array)

    def fresh(self, dtype, shape):
        return self.given(self.numbers(dtype, shape))

    def matrix(self, dtype, shape, terms=None):
        """A factor of a product; scaled so that sums of `terms` products stay near 1."""
        terms = terms or (shape[-2] if len(shape) > 1 else shape[0])
        array = self.numbers(dtype, shape) / np.dtype(dtype).type(math.sqrt(terms))
        return self.given(array.astype(dtype))

    def pick(self, dtypes=None, fits=lambda value: True, exact=False):
        """A value of the graph so far, a late one rather than an early one; None when there is no such value."""
        found = [
            value
            for value in self.values
            if (dtypes is None or value.dtype in dtypes)
            and (value.exact or not exact)
            and fits(value)
        ]
        if not found:
            return None
        late = self.random.triangular(0, len(found), len(found))
        return found[min(int(late), len(found) - 1)]

    def partner(self, value, exact):
        """Another of the type that broadcasts with it."""

        def fits(other):
            try:
                shape = np.broadcast_shapes(value.shape, other.shape)
            except ValueError:
                return False
            return math.prod(shape) <= MOST and len(shape) <= MOST_RANK

        if self.chance(0.5):
            return self.pick((value.dtype,), fits, exact)
        shape = [n if self.chance(0.7) else 1 for n in value.shape]
        return self.fresh(
            value.dtype, shape[int(self.random.integers(len(shape) + 1)) :]
        )

    def node(self, op, inputs, dtypes, shapes, exact, **attrs):
        """The last of its outputs; `dtypes` and `shapes` are lists for an op with several. None, and no node, when one
        would be too large."""
        made = (
            [(dtypes, shapes)]
            if isinstance(dtypes, str)
            else list(zip(dtypes, shapes, strict=True))
        )
        if any(math.prod(shape) > MOST or len(shape) > MOST_RANK for _, shape in made):
            return None
        names = []
        for dtype, shape in made:
            self._count += 1
            moved = [v for v in inputs if v is not None and v.dtype == inputs[0].dtype]
            small = exact and op in _MOVES and all(v.small for v in moved)
            names.append(f"v{self._count}")
            self.values.append(Value(names[-1], dtype, tuple(shape), exact, small))
        taken = [value.name if value else "" for value in inputs]
        while taken and taken[-1] == "":
            taken.pop()
        self.nodes.append(
            helper.make_node(op, taken, names, f"{op}_{self._count}", **attrs)
        )
        return self.values[-1]


_MOVES = {
    *(
        "Transpose",
        "Reshape",
        "Flatten",
        "Unsqueeze",
        "Squeeze",
        "Slice",
        "Concat",
        "Split",
    ),
    *("Expand", "Tile", "Gather", "GatherElements", "Abs", "Neg", "Relu", "Identity"),
}


def _shape(maker):
    rank = int(maker.choice([0, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5]))
    shape = [maker.size() for _ in range(rank)]
    while math.prod(shape) > MOST // 2:
        shape[int(np.argmax(shape))] = int(maker.choice(SIZES[:4]))
    return shape


def make(seed: int, most_nodes: int = 10):
    """A checked model, its inputs by name, the names of its exact values. Outputs are all values that no node takes, and
    some that one does."""
    maker = Maker(seed)
    dtypes = ["float32"] * 6 + ["float64", "float16", *INTS[:4], "bool"]
    for _ in range(int(maker.random.integers(1, 4))):
        maker.input(maker.numbers(maker.choice(dtypes), _shape(maker)))
    if not any(value.dtype in FLOATS for value in maker.values):
        maker.input(maker.numbers("float32", _shape(maker)))
    wanted = int(maker.random.integers(1, most_nodes + 1))
    for _ in range(20 * wanted):
        if len(maker.nodes) >= wanted:
            break
        maker.choice(MAKERS[int(maker.random.choice(len(MAKERS), p=_CHANCES))][1])(
            maker
        )
    if not maker.nodes:
        x = maker.values[0]
        maker.node("Identity", [x], x.dtype, x.shape, x.exact)
    taken = {name for node in maker.nodes for name in node.input}
    made = {name for node in maker.nodes for name in node.output}
    outputs = [
        value
        for value in maker.values
        if value.name in made and (value.name not in taken or maker.chance(0.15))
    ]
    graph = helper.make_graph(
        maker.nodes,
        f"random{seed}",
        [_info(value) for value in maker.values if value.name in maker.inputs],
        [_info(value) for value in outputs],
        [each for each in maker.constants if each.name in taken],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10
    )
    onnx.checker.check_model(model, full_check=True)
    exact = {value.name for value in (*maker.values, *maker.known) if value.exact}
    return model, maker.inputs, exact


def _info(value):
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return helper.make_tensor_value_info(value.name, dtype, value.shape)
