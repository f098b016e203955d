"""Prints the distinct convolutions of ONNX files as rows of suites/conv.json: distinct_convs.py FILE [NAME=1x3x224x224 …] …

A file is followed by the shapes of its inputs that are not fixed; the rest follows by ONNX's shape inference. What
differs in weights alone is one row.
"""

import argparse
import json
import pathlib
import re
import sys

import onnx
from suite import CONV_DEFAULTS


def of_all_axes(values):
    """[2, 2] → 2, as a suite writes what is the same for every axis."""
    return values[0] if len(set(values)) == 1 else list(values)


def with_shapes(model, shapes):
    """The model with these extents for its inputs, {name: extents}, and the shapes of all its values inferred."""
    known = {value.name: value for value in model.graph.input}
    for name, extents in shapes.items():
        if name not in known:
            raise SystemExit(
                f"distinct_convs: no input '{name}'; the model has: {' '.join(known)}"
            )
        dims = known[name].type.tensor_type.shape.dim
        if len(dims) != len(extents):
            raise SystemExit(f"distinct_convs: input '{name}' has rank {len(dims)}")
        for dim, extent in zip(dims, extents, strict=True):
            dim.dim_value = extent
    # What the file says of them may be for other shapes.
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def row(node, x, w):
    """One convolution; x and w are the extents of its input and of its weights."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    rank = len(w) - 2
    unknown = (
        attributes.get("auto_pad", b"NOTSET") != b"NOTSET",
        any(attributes.get("output_padding", [])),
        "output_shape" in attributes,
    )
    if any(unknown):
        raise SystemExit(
            f"distinct_convs: {node.name}: auto_pad, output_padding and output_shape are nothing that a suite has"
        )
    group = attributes.get("group", 1)
    transposed = node.op_type == "ConvTranspose"
    return {
        "x": list(x),
        "out_channels": w[1] * group if transposed else w[0],
        "kernel": list(w[2:]),
        "stride": of_all_axes(attributes.get("strides", [1] * rank)),
        "pads": list(attributes.get("pads", [0] * 2 * rank)),
        "dilation": of_all_axes(attributes.get("dilations", [1] * rank)),
        "group": group,
        "op": node.op_type,
    }


def complete(case):
    """A suite's row with what it leaves to defaults and without its name, as row() makes them."""
    own = {key: value for key, value in case.items() if key not in ("name", "why")}
    return CONV_DEFAULTS | own


def key(case):
    """Equal for rows that say the same."""
    return json.dumps(complete(case), sort_keys=True)


def extents_of(value):
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]


def distinct(file, shapes):
    """Rows without names, in the order of the nodes."""
    model = with_shapes(onnx.load(file, load_external_data=False), shapes)
    graph = model.graph
    known = {v.name: extents_of(v) for v in (*graph.input, *graph.value_info)}
    known |= {constant.name: list(constant.dims) for constant in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            known[node.output[0]] = list(node.attribute[0].t.dims)
    rows = {}
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose"):
            continue
        x, w = (known.get(name) for name in node.input[:2])
        if not x or not w or None in x:
            raise SystemExit(
                f"distinct_convs: {file}: {node.name} has an input of open shape; give the shapes of all inputs"
            )
        found = row(node, x, w)
        rows.setdefault(key(found), found)
    return list(rows.values())


def times(values):
    """640 for [640, 640], 48x320 for [48, 320], 2 for 2."""
    one = of_all_axes(values) if isinstance(values, list) else values
    return "x".join(map(str, one)) if isinstance(one, list) else str(one)


def name(model, case):
    """det depthwise 96 5x5/2 40, det transposed 24-24 2x2/2 160, det 96-24 1x1 160."""
    channels, out, case = case["x"][1], case["out_channels"], complete(case)
    kind = "transposed " if case["op"] == "ConvTranspose" else ""
    depthwise = case["group"] == channels == out
    what = f"depthwise {out}" if depthwise else f"{channels}-{out}"
    kernel = "x".join(map(str, case["kernel"]))
    stride = "" if case["stride"] == 1 else f"/{times(case['stride'])}"
    words = [f"{model} {kind}{what}", kernel + stride]
    if case["dilation"] != 1:
        words.append(f"d{times(case['dilation'])}")
    if case["group"] > 1 and not depthwise:
        words.append(f"g{case['group']}")
    return " ".join([*words, times(case["x"][2:])])


def brief(model, case):
    """As a suite writes it: a name first, no defaults."""
    kept = {k: v for k, v in case.items() if v != CONV_DEFAULTS.get(k)}
    return {"name": name(model, case)} | kept


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="+", metavar="FILE [NAME=SHAPE …]")
    files = []
    for word in parser.parse_args().words:
        if not re.fullmatch(r"[^=]+=\d+(x\d+)*", word):
            files.append((pathlib.Path(word), {}))
        elif files:
            input_name, extents = word.split("=")
            files[-1][1][input_name] = [int(extent) for extent in extents.split("x")]
        else:
            parser.error(f"{word} stands before any file")
    seen = set()
    for file, shapes in files:
        for found in distinct(file, shapes):
            if key(found) not in seen:
                seen.add(key(found))
                print(json.dumps(brief(file.stem, found)) + ",")
    return 0


if __name__ == "__main__":
    sys.exit(main())
