"""Inputs that are broken or made to harm, and what the command line answers to each: the rows of docs/bad-inputs.md.

`python tests/python/bad_inputs.py` writes the page; test_bad_inputs.py checks that every row still answers so.
"""

import json
import pathlib
import sqlite3
import subprocess
import tempfile

import numpy as np
from harness import CLI, ROOT
from onnx import TensorProto, helper, numpy_helper

PAGE = ROOT / "docs/bad-inputs.md"
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
LIMIT = 60  # seconds

CASES = {}  # by group, then by what the input is: makes it in a folder, gives the command line


def case(group, what):
    def add(make):
        CASES.setdefault(group, {})[what] = make
        return make

    return add


# ---- models


def value(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name, data):
    return numpy_helper.from_array(np.asarray(data), name)


def model(nodes, x=(2, 3), constants=(), opset=17, ir_version=8, **rest):
    """y from x through the nodes."""
    graph = helper.make_graph(
        nodes, "g", [value("x", x)], [value("y", None)], constants
    )
    opsets = [helper.make_opsetid("", opset)]
    made = helper.make_model(graph, opset_imports=opsets, **rest)
    made.ir_version = ir_version
    return made


def compiled(folder, data, *more):
    """The command that compiles the bytes or the model."""
    path = folder / "model.onnx"
    path.write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
    return ["compile", path, "-o", folder / "out", "--target", "x86-64-avx2", *more]


def relu():
    return model([helper.make_node("Relu", ["x"], ["y"])])


def node(section, what, op, constants=(), inputs=("x",), x=(2, 3), **attributes):
    """A row for a model of one node."""

    @case(section, what)
    def make(folder):
        made = helper.make_node(op, inputs, ["y"], **attributes)
        return compiled(folder, model([made], x, constants))


FILE = "Model files"
case(FILE, "text")(lambda folder: compiled(folder, b"I am no model\n"))
case(FILE, "an empty file")(lambda folder: compiled(folder, b""))
case(FILE, "a model cut in the middle")(
    lambda folder: compiled(folder, relu().SerializeToString()[:-20])
)
case(FILE, "a folder")(lambda folder: ["compile", folder, "-o", folder / "out"])
case(FILE, "no file")(
    lambda folder: ["compile", folder / "none.onnx", "-o", folder / "out"]
)
case(FILE, "IR version 99")(
    lambda folder: compiled(
        folder, model([helper.make_node("Relu", ["x"], ["y"])], ir_version=99)
    )
)
case(FILE, "opset 99")(
    lambda folder: compiled(
        folder, model([helper.make_node("Relu", ["x"], ["y"])], opset=99)
    )
)


@case(FILE, "two nodes of an op that nobody knows")
def _(folder):
    nodes = [helper.make_node("Frobnicate", [a], [b]) for a, b in ("xt", "ty")]
    return compiled(folder, model(nodes))


@case(FILE, "an op named with a zero byte, markup and bytes that are no UTF-8")
def _(folder):
    data = model([helper.make_node("Frobnicate", ["x"], ["y"])]).SerializeToString()
    return compiled(folder, data.replace(b"Frobnicate", b"<b>a\0\xff\x1b[1m"))


@case(FILE, "two values of one name")
def _(folder):
    return compiled(
        folder, model([helper.make_node("Relu", ["x"], ["y"]) for _ in range(2)])
    )


@case(FILE, "a node that reads what nothing makes")
def _(folder):
    return compiled(folder, model([helper.make_node("Relu", ["z"], ["y"])]))


@case(FILE, "a cycle")
def _(folder):
    nodes = [
        helper.make_node("Add", ["x", "y"], ["t"]),
        helper.make_node("Relu", ["t"], ["y"]),
    ]
    return compiled(folder, model(nodes))


@case(FILE, "a function that calls itself")
def _(folder):
    body = [helper.make_node("again", ["a"], ["b"], domain="d")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    function = helper.make_function("d", "again", ["a"], ["b"], body, opsets)
    made = model(
        [helper.make_node("again", ["x"], ["y"], domain="d")], functions=[function]
    )
    made.opset_import.append(helper.make_opsetid("d", 1))
    return compiled(folder, made)


@case(FILE, "branches in branches, 10,000 deep")
def _(folder):
    def field(number, data):  # of protobuf, length-delimited
        size, length = len(data), b""
        while size > 127:
            length, size = length + bytes([size % 128 + 128]), size // 128
        return bytes([number * 8 + 2]) + length + bytes([size]) + data

    graph = b""
    for _ in range(10_000):  # graph → node → attribute → graph
        graph = field(1, field(5, field(6, graph) + b"\xa0\x01\x05") + field(4, b"If"))
    return compiled(folder, b"\x08\x08" + field(8, b"\x10\x11") + field(7, graph))


@case(FILE, "a tensor that says it lies in the process's memory")
def _(folder):
    made = external("*/_ORT_MEM_ADDR_/*", offset="94000000000000")
    return compiled(folder, made)


# ---- weights in other files

OUTSIDE = "Weights in other files"


def external(location, **entries):
    """y = x + w, w of six floats."""
    w = constant("w", np.ones((2, 3), np.float32))
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    for key, text in {"location": str(location), **entries}.items():
        w.external_data.add(key=key, value=text)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], constants=[w])


def outside(what, location, **entries):
    @case(OUTSIDE, what)
    def make(folder):
        (folder / "w.bin").write_bytes(bytes(24))
        (folder / "m").mkdir()
        (folder / "m/w.bin").write_bytes(bytes(24))
        (folder / "m/link").symlink_to("../w.bin")
        (folder / "m/inner").symlink_to("..")
        command = compiled(folder / "m", external(location, **entries))
        return command


outside("../", "../w.bin")
outside("an absolute path", "/etc/hostname")
outside("a link to a file elsewhere", "link")
outside("a link to a folder elsewhere", "inner/w.bin")
outside("a device", "/dev/zero")
outside("a file that is not there", "none.bin")
outside("a negative offset", "w.bin", offset="-8")
outside("an offset that is no number", "w.bin", offset="0x8")
outside(
    "offset + length beyond 2^64", "w.bin", offset="18446744073709551608", length="24"
)
outside("more bytes than the file has", "w.bin", offset="8", length="24")
outside("a length that is not the tensor's", "w.bin", length="20")


# ---- shapes and attributes

SHAPES = "Shapes and attributes"


def tensor(what, dims, count=6):
    @case(SHAPES, what)
    def make(folder):
        w = TensorProto(name="w", data_type=FLOAT, dims=dims, raw_data=bytes(4 * count))
        nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
        return compiled(folder, model(nodes, constants=[w]))


tensor("a tensor of a negative extent", [-2, 3])
tensor("extents whose product passes 2^63", [1 << 32, 1 << 32])
tensor("fewer bytes than the shape needs", [2, 30])
tensor("a tensor of 40 dims", [1] * 40, 1)
W = np.ones((4, 3, 3, 3), np.float32)
CONV = {"inputs": ("x", "w"), "x": (1, 3, 8, 8), "constants": [constant("w", W)]}
node(SHAPES, "Conv, dilations of one number", "Conv", dilations=[1], **CONV)
node(SHAPES, "Conv, a stride of zero", "Conv", strides=[0, 1], **CONV)
node(SHAPES, "Conv, a group of zero", "Conv", group=0, **CONV)
node(SHAPES, "Conv, weights of other channels", "Conv", **CONV | {"x": (1, 5, 8, 8)})
node(
    SHAPES, "Conv, a window wider than its input", "Conv", **CONV | {"x": (1, 3, 2, 2)}
)
node(
    SHAPES,
    "MaxPool, pads beyond its window",
    "MaxPool",
    x=(1, 1, 8, 8),
    kernel_shape=[2, 2],
    pads=[3] * 4,
)
node(SHAPES, "Softmax, axis 7", "Softmax", axis=7)
node(SHAPES, "Softmax, an axis that is a text", "Softmax", axis="last")
node(
    SHAPES, "DepthToSpace, blocks of zero", "DepthToSpace", x=(1, 4, 2, 2), blocksize=0
)
node(
    SHAPES,
    "Split, parts that do not add up",
    "Split",
    [constant("s", [1, 1])],
    ("x", "s"),
)
node(
    SHAPES,
    "Reshape to a size that is another",
    "Reshape",
    [constant("s", [5])],
    ("x", "s"),
)
node(
    SHAPES,
    "Gather, a constant index out of range",
    "Gather",
    [constant("i", [9])],
    ("x", "i"),
)
node(SHAPES, "Transpose, a dim twice", "Transpose", perm=[0, 0])
node(
    SHAPES,
    "Add, extents that do not broadcast",
    "Add",
    [constant("w", np.ones(4, np.float32))],
    ("x", "w"),
)
node(SHAPES, "Einsum, a label that is no letter", "Einsum", equation="i1->i")

BOMBS = "Small files that ask for much"
HUGE = 1 << 40
node(
    BOMBS,
    "Expand to 2^40 elements",
    "Expand",
    [constant("s", [HUGE])],
    ("x", "s"),
    x=(1,),
)
node(
    BOMBS,
    "Tile a million times a million",
    "Tile",
    [constant("r", [10**6, 10**6])],
    ("x", "r"),
)
node(
    BOMBS, "ConstantOfShape of 2^40", "ConstantOfShape", [constant("s", [HUGE])], ("s",)
)
node(
    BOMBS,
    "Range to 10^12",
    "Range",
    [
        constant("a", np.int64(0)),
        constant("b", np.int64(10**12)),
        constant("d", np.int64(1)),
    ],
    ("a", "b", "d"),
)
node(
    BOMBS,
    "OneHot of 2^40 classes",
    "OneHot",
    [
        constant("i", [1, 2]),
        constant("d", np.int64(HUGE)),
        constant("v", np.float32([0, 1])),
    ],
    ("i", "d", "v"),
)
node(BOMBS, "Pad by 2^40", "Pad", [constant("p", [0, HUGE, 0, 0])], ("x", "p"))


@case(BOMBS, "a Loop of 10^9 iterations")
def _(folder):
    body = helper.make_graph(
        [
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Identity", ["c"], ["d"]),
        ],
        "body",
        [value("i", [], INT64), value("c", [], TensorProto.BOOL), value("a", [2, 3])],
        [value("d", [], TensorProto.BOOL), value("b", [2, 3])],
    )
    loop = helper.make_node("Loop", ["n", "t", "x"], ["y"], body=body)
    constants = [constant("n", np.int64(10**9)), constant("t", np.bool_(True))]
    return compiled(folder, model([loop], constants=constants))


@case(BOMBS, "functions that call two of the next, 40 deep")
def _(folder):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    functions = []
    for i in range(40):
        callee = f"f{i + 1}" if i < 39 else "Relu"
        domain = "d" if i < 39 else ""
        body = [
            helper.make_node(callee, [a], [b], domain=domain) for a, b in ("ab", "bc")
        ]
        functions.append(helper.make_function("d", f"f{i}", ["a"], ["c"], body, opsets))
    made = model(
        [helper.make_node("f0", ["x"], ["y"], domain="d")], functions=functions
    )
    made.opset_import.append(helper.make_opsetid("d", 1))
    return compiled(folder, made)


# ---- the command line

LINE = "The command line"


def line(what, *words):
    """`…/` in a word is the folder, where relu.onnx and some files lie."""

    @case(LINE, what)
    def make(folder):
        (folder / "relu.onnx").write_bytes(relu().SerializeToString())
        np.save(folder / "f64.npy", np.ones((2, 3)))
        np.save(folder / "short.npy", np.ones((2, 2), np.float32))
        (folder / "text.npy").write_text("no array")
        (folder / "text.lock").write_text("no lock")
        return [word.replace("…", str(folder)) for word in words]


RUN = ("run", "…/relu.onnx", "--input")
line("an input of another type", *RUN, "x=@…/f64.npy")
line("an input of another shape", *RUN, "x=@…/short.npy")
line("an input that is no array", *RUN, "x=@…/text.npy")
line("an input that the model does not have", *RUN, "z=2x3xf32=1")
line("an input left out", "run", "…/relu.onnx")
line("a shape of letters", "compile", "…/relu.onnx", "-o", "…/out", "--shape", "x=axb")
line(
    "a shape of another rank",
    "compile",
    "…/relu.onnx",
    "-o",
    "…/out",
    "--shape",
    "x=2x3x4",
)
for what, shape in {
    "a range without bounds": "x=?x3",
    "a range that ends before it begins": "x=[8..2]x3",
    "a range of a million shapes": "x=[1..1000000]x3",
    "a range where the model is fixed": "x=[1..4]x3",
}.items():
    line(what, "compile", "…/relu.onnx", "-o", "…/out", "--shape", shape)
line("an unknown target", "compile", "…/relu.onnx", "-o", "…/out", "--target", "z80")
line("100,000 threads", "compile", "…/relu.onnx", "-o", "…/out", "--threads", "100000")
line(
    "a lock that is none",
    "compile",
    "…/relu.onnx",
    "-o",
    "…/out",
    "--lock",
    "…/text.lock",
)


@case(LINE, "a schedule that unrolls a million times")
def _(folder):
    command = compiled(folder, relu())
    explain = [CLI, "explain", *command[1:2], "--format", "json"]
    shown = subprocess.run(explain, check=True, capture_output=True).stdout
    kernel = json.loads(shown)["groups"][0]["kernel"]
    (folder / "unroll.txt").write_text("elementwise v1\nvector unroll=1000000\n")
    return [*command, "--schedule", f"{kernel}={folder / 'unroll.txt'}"]


line(
    "a result to where nobody may write",
    *RUN,
    "x=2x3xf32=1",
    "--output",
    "y=@/proc/y.npy",
)

BUILT = "Compiled libraries"


@case(BUILT, "a library cut in the middle")
def _(folder):
    command = compiled(folder, relu(), "--emit", "shared")
    subprocess.run([CLI, *command], check=True, capture_output=True)
    library = folder / "out/libmodel.so"
    library.write_bytes(library.read_bytes()[:5000])
    return ["run", library, "--input", "x=2x3xf32=1"]


@case(BUILT, "a library of somebody else")
def _(folder):
    (folder / "other.c").write_text("int other;\n")
    command = ["cc", "-shared", folder / "other.c", "-o", folder / "other.so"]
    subprocess.run(command, check=True)
    return ["run", folder / "other.so", "--input", "x=2x3xf32=1"]


DATABASES = "Databases"


def database(what, write, *words):
    @case(DATABASES, what)
    def make(folder):
        (folder / "relu.onnx").write_bytes(relu().SerializeToString())
        write(folder / "t.db")
        return [word.replace("…", str(folder)) for word in words]


TUNE = ("tune", "…/relu.onnx", "--db", "…/t.db", "--time", "1s")


def newer(path):
    empty = path.with_suffix(".jsonl")
    empty.write_text("")
    subprocess.run(
        [CLI, "db", "import", empty, "--db", path], check=True, capture_output=True
    )
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1000000")


def of_another_program(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t(a)")


database("text", lambda path: path.write_text("no database"), *TUNE)
database("a database of another program", of_another_program, *TUNE)
database("a database of a newer schema", newer, *TUNE)
database("a folder", lambda path: path.mkdir(), *TUNE)
database(
    "a trial that is not there",
    lambda path: None,
    "db",
    "mark",
    "pin",
    "f" * 32,
    "--db",
    "…/t.db",
)


# ---- what they answer


def answer(make) -> tuple[int, str]:
    """Exit code and the first line of what is said, the folder written as `…`."""
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as name:
        folder = pathlib.Path(name)
        done = subprocess.run(
            [CLI, *map(str, make(folder))],
            check=False,
            capture_output=True,
            timeout=LIMIT,
        )
        said = done.stderr.decode(errors="replace").strip().replace(str(folder), "…")
        lines = [each.strip() for each in said.splitlines()] or [""]
        return done.returncode, " ".join(lines[:2])


def row(what, code, text) -> str:
    text = text.replace("|", "\\|")
    tick = "``" if "`" in text else "`"
    return f"| {what} | {code} | {tick} {text} {tick} |"


def page() -> str:
    text = "# Bad inputs\n\nWhat the command line answers to inputs that are broken or made to harm: the exit code and the first two lines on stderr, `…` for\nthe folder. Made by `tests/python/bad_inputs.py`; a test checks every row. 1: the user's mistake, nothing was written; 2: wrong usage.\n"
    for group, cases in CASES.items():
        text += f"\n## {group}\n\n| input | exit | answer |\n|---|---|---|\n"
        for what, make in cases.items():
            text += row(what, *answer(make)) + "\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
