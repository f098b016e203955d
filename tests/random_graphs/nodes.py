"""Random nodes: each function takes a Maker and appends nodes of one kind to its graph, or returns None when nothing
that the graph has fits. MAKERS lists them.

An op that jumps (Floor, Less, ArgMax, a cast to integers …) takes exact values only, those that do not depend on how
sums are rounded, lest an ulp make another result right.
"""

from random_graphs.elementwise import BINARY, UNARY
from random_graphs.layers import LAYERS, gram
from random_graphs.movement import MOVEMENT
from random_graphs.reductions import REDUCTIONS
from random_graphs.windows import PRODUCTS, WINDOWS

# How often nodes of a kind are tried, and the kind's functions.
MAKERS = [
    (5, UNARY),
    (5, BINARY),
    (4, REDUCTIONS),
    (5, MOVEMENT),
    (4, [*PRODUCTS, gram]),
    (5, WINDOWS),
    (3, LAYERS),
]
