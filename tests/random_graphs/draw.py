"""From what nodes are drawn, and how large they may be."""

FLOATS = ("float32", "float64", "float16")
INTS = ("int64", "int32", "int8", "uint8", "int16", "uint16", "uint32")
NUMBERS = FLOATS[:2] + INTS[:4]
SIZES = (1, 2, 3, 7, 15, 17, 31, 33, 127, 4, 8, 16, 32, 64)
MOST = 1 << 15  # elements of a value
MOST_RANK = 5


def has_rank(*ranks):
    return lambda value: len(value.shape) in ranks


def near(low, high):
    return lambda random: round(float(random.uniform(low, high)), 3)
