"""Strings through the Python package and the command line, beside onnxruntime."""

import numpy as np
import onnxruntime
import opencompiler
import pytest
from harness import CLI, run
from harness import opencompiler as command
from onnx import TensorProto, helper

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
tensor = helper.make_tensor_value_info


def model_of(nodes, inputs, outputs, weights=(), opset=20):
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 4)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return model.SerializeToString()


def node_model(op, shapes, *outputs, opset=20, domain="", **attributes):
    """One op on inputs a, b … of strings; `outputs`: names with types."""
    names = "abc"[: len(shapes)]
    node = helper.make_node(
        op, list(names), [name for name, _ in outputs], domain=domain, **attributes
    )
    inputs = [
        tensor(name, STRING, shape) for name, shape in zip(names, shapes, strict=True)
    ]
    return model_of(
        [node], inputs, [tensor(*each, None) for each in outputs], (), opset
    )


def texts(*values):
    return np.array(values, object)


def check(model, feed, wanted=None):
    """Of both sessions or, where onnxruntime needs a locale that may be missing, of ours."""
    got = opencompiler.InferenceSession(model).run(None, feed)
    if wanted is None:
        wanted = onnxruntime.InferenceSession(model).run(None, feed)
    assert len(got) == len(wanted)
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_ops_agree_with_onnxruntime():
    pair = (("y", STRING), ("n", INT64))
    split = lambda **attributes: node_model("StringSplit", [["n"]], *pair, **attributes)
    check(split(delimiter="--"), {"a": texts("a--b", "--", "的--🙂--c")})
    check(split(), {"a": texts("", "  ", " a b  ", "的  b c")})
    check(split(maxsplit=1), {"a": texts(" a  b  c ", "a")})
    check(split(delimiter="-", maxsplit=0), {"a": texts("a-b")})
    concat = node_model("StringConcat", [[2, 1], [3]], ("y", STRING))
    check(concat, {"a": texts(["a"], ["的"]), "b": texts("x", "", "yz")})
    scalars = node_model("StringConcat", [[], []], ("y", STRING))
    check(scalars, {"a": np.array("的", object), "b": np.array("b", object)})
    normal = lambda **attributes: node_model(
        "StringNormalizer", [["n"]], ("y", STRING), opset=10, locale="C", **attributes
    )
    check(normal(case_change_action="UPPER", stopwords=["B"]), {"a": texts("ä", "b")})
    check(normal(stopwords=["B"]), {"a": texts("b", "B")})
    check(normal(stopwords=["B"], is_case_sensitive=1), {"a": texts("b", "B")})


def test_case_changes_one_to_one():
    model = node_model(
        "StringNormalizer", [[2]], ("y", STRING), opset=10, case_change_action="UPPER"
    )
    check(model, {"a": texts("straße", "éÿ")}, [texts("STRAßE", "ÉŸ")])


def test_labels_are_encoded_and_chosen_by_what_is_computed():
    encode = {"domain": "ai.onnx.ml", "keys_strings": ["cat", "dog"]}
    for kind, attributes in (
        (STRING, {"values_strings": ["katze", "hund"], "default_string": "?"}),
        (FLOAT, {"values_floats": [1.5, 2.5], "default_float": 7.0}),
        (INT64, {"values_int64s": [5, 6]}),
    ):
        model = node_model("LabelEncoder", [["n"]], ("y", kind), **encode | attributes)
        check(model, {"a": texts("dog", "cow", "cat")})
    nodes = [
        helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
        helper.make_node("Gather", ["labels", "i"], ["label"]),
        helper.make_node(
            "LabelEncoder", ["label"], ["code"], values_int64s=[5, 6], **encode
        ),
        helper.make_node("Equal", ["label", "dog"], ["is_dog"]),
    ]
    weights = [
        helper.make_tensor("labels", STRING, [3], ["cat", "dog", "größer"]),
        helper.make_tensor("dog", STRING, [], ["dog"]),
    ]
    outputs = [
        tensor("label", STRING, [4]),
        tensor("code", INT64, [4]),
        tensor("is_dog", TensorProto.BOOL, [4]),
    ]
    model = model_of(nodes, [tensor("x", FLOAT, [4, 3])], outputs, weights)
    x = np.eye(3, dtype=np.float32)[[2, 0, 1, 1]]
    check(model, {"x": x})


def test_a_session_compiles_for_each_value():
    model = node_model("Equal", [["n"], [1]], ("y", TensorProto.BOOL))
    session = opencompiler.InferenceSession(model)
    assert session.get_inputs()[0].type == "tensor(string)"
    for a, b, wanted in (
        (["a", "b"], "b", [False, True]),
        (["a", "b"], "a", [True, False]),
        (["bc", "b", "b"], "b", [False, True, True]),
        (["a", "b"], "b", [False, True]),
        ([], "b", []),
    ):
        (got,) = session.run(None, {"a": np.array(a, np.str_), "b": [b]})
        np.testing.assert_array_equal(got, np.array(wanted, bool))
    session.MAX_VALUES = 5
    with pytest.raises(opencompiler.Refusal, match=r"strings.*'a'.*--freeze a="):
        session.run(None, {"a": texts("new"), "b": texts("newer")})


def test_more_texts_than_inputs_that_give_sizes_may_have():
    words = texts(*[f"word {i}" for i in range(500)])
    model = node_model("Identity", [["n"]], ("y", STRING))
    check(model, {"a": words})
    check(model, {"a": words[:0]})
    check(model, {"a": texts("", "x" * 100_000)})


def test_a_sequence_of_strings():
    kind = helper.make_tensor_sequence_value_info
    nodes = [helper.make_node("SequenceInsert", ["s", "a", "at"], ["y"])]
    inputs = [
        kind("s", STRING, ["n"]),
        tensor("a", STRING, [1]),
        tensor("at", INT64, []),
    ]
    model = model_of(nodes, inputs, [kind("y", STRING, ["n"])])
    feed = {"s": [texts("b", "c"), texts("d")], "a": texts("a"), "at": np.array(0)}
    (got,) = opencompiler.InferenceSession(model).run(None, feed)
    assert [each.tolist() for each in got] == [["a"], ["b", "c"], ["d"]]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (texts("a", 1), "input 'a' is object, the model takes strings"),
        (np.array([b"a", b"b"]), r"input 'a' is \|S1, the model takes strings"),
        (np.zeros(2), "input 'a' is float64, the model takes strings"),
        (None, "input 'a' is object, the model takes strings"),
        (texts("a", "b\0"), r"input 'a': the text 'b\\x00' holds a zero"),
        (texts("a", "\ud800"), r"input 'a': the text '\\ud800' holds a surrogate"),
        (texts("a"), r"the given shape has 1 in dim 0, where the model is fixed to 2"),
    ],
)
def test_what_is_no_text_is_told(value, why):
    model = node_model("Identity", [[2]], ("y", STRING))
    with pytest.raises(ValueError, match=why):
        opencompiler.InferenceSession(model).run(None, {"a": value})


def test_what_numbers_alone_do_is_refused():
    cast = node_model("Cast", [[1]], ("y", FLOAT), to=FLOAT)
    with pytest.raises(opencompiler.Refusal, match=r"\(Cast\): takes strings"):
        opencompiler.InferenceSession(cast).run(None, {"a": texts("1")})
    to_text = model_of(
        [helper.make_node("Cast", ["x"], ["y"], to=STRING)],
        [tensor("x", FLOAT, [1])],
        [tensor("y", STRING, [1])],
    )
    with pytest.raises(opencompiler.Refusal, match=r"\(Cast\): .*type string"):
        opencompiler.InferenceSession(to_text).run(None, {"x": np.zeros(1, np.float32)})


def test_pad_fills_strings_with_none():
    def padded(*value):
        node = helper.make_node("Pad", ["a", "pads", *value], ["y"])
        weights = [
            helper.make_tensor("pads", INT64, [2], [0, 1]),
            helper.make_tensor("value", FLOAT, [], [3e9]),
        ]
        inputs = [tensor("a", STRING, [2])]
        return model_of([node], inputs, [tensor("y", STRING, None)], weights, 13)

    feed = {"a": texts("a", "b")}
    check(padded(), feed, [texts("a", "b", "")])
    with pytest.raises(opencompiler.Refusal, match=r"\(Pad\): fills strings"):
        opencompiler.InferenceSession(padded("value")).run(None, feed)


def test_texts_that_stand_often_are_refused():
    long = node_model(
        "StringNormalizer", [["n"]], ("y", STRING), opset=10, stopwords=["b"]
    )
    split = node_model("StringSplit", [[]], ("y", STRING), ("n", INT64), delimiter="a")
    with pytest.raises(ValueError, match="more than 67108864 bytes"):
        opencompiler.InferenceSession(long).run(None, {"a": texts(*["a" * 10**6] * 64)})
    grow = [
        helper.make_node("StringConcat", [f"a{i}", f"a{i}"], [f"a{i + 1}"])
        for i in range(27)
    ]
    pieces = helper.make_node("StringSplit", ["a27"], ["y", "n"], delimiter="a")
    weights = [helper.make_tensor("a0", STRING, [], [b"a"])]
    model = model_of([*grow, pieces], [], [tensor("n", INT64, [])], weights)
    with pytest.raises(opencompiler.Refusal, match="left for folding"):
        opencompiler.InferenceSession(model).run(None, {})
    check(split, {"a": np.array("xay", object)})


@pytest.fixture
def concat(tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(node_model("StringConcat", [["n"], []], ("y", STRING)))
    np.save(tmp_path / "a.npy", np.array(["的", "", "abc"]))
    return file


def rows_of(file):
    return [row.tobytes() for row in np.load(file)]


def test_the_command_line_freezes_strings(concat, tmp_path):
    out = tmp_path / "y.npy"
    frozen = ("--freeze", f"a=@{tmp_path}/a.npy", "--freeze", "b=-é")
    run(CLI, "run", concat, *frozen, "--output", f"y=@{out}")
    assert rows_of(out) == [
        b"\xe7\x9a\x84-\xc3\xa9\0",
        b"-\xc3\xa9\0\0\0\0",
        b"abc-\xc3\xa9\0",
    ]
    run(CLI, "compile", concat, "-o", tmp_path / "out", *frozen)
    library = tmp_path / "out/libm.so"
    run(CLI, "run", library, "--output", f"y=@{out}")
    assert len(rows_of(out)) == 3
    assert 'out y: u8 [3, 7] ("y")' in (tmp_path / "out/m.h").read_text()


def test_strings_that_are_not_frozen_are_refused_by_name(concat, tmp_path):
    done = command("compile", concat, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "takes strings ('a', 'b')" in done.stderr
    assert "--freeze a=@file.npy --freeze b=@file.npy" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros(3), "dtype <f8, must be strings"),
        (np.array([b"a"]), "dtype |S1, must be strings"),
        (np.array(["a"]).astype(">U1"), "dtype >U1, must be strings"),
        (np.array(["a\0b"]), "a string holds 0x0, which no text has"),
        (np.array(["\udc00"]), "a string holds 0xdc00"),
        (np.array([0x110000], np.uint32).view("<U1"), "a string holds 0x110000"),
    ],
)
def test_files_that_hold_no_text_are_refused(concat, tmp_path, array, why):
    np.save(tmp_path / "a.npy", array)
    flags = ("--freeze", f"a=@{tmp_path}/a.npy", "--freeze", "b=x")
    done = command("run", concat, *flags)
    assert done.returncode == 1
    assert f"a.npy: {why}" in done.stderr


def test_broken_files_and_texts_for_arrays_are_refused(concat, tmp_path):
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-4])
    done = command("run", concat, "--freeze", f"a=@{tmp_path}/a.npy", "--freeze", "b=x")
    assert done.returncode == 1
    assert "32 bytes of data, the shape needs 36" in done.stderr
    for dtype in ("<Ux", "<U0"):
        (tmp_path / "a.npy").write_bytes(whole.replace(b"<U3", dtype.encode()))
        done = command(
            "run", concat, "--freeze", f"a=@{tmp_path}/a.npy", "--freeze", "b=x"
        )
        assert done.returncode == 1
        assert f"dtype {dtype} is not supported" in done.stderr
    done = command("run", concat, "--freeze", "a=x", "--freeze", "b=x")
    assert done.returncode == 1
    assert "--freeze a=x: 'a' is of strings: write a=@file.npy" in done.stderr


def test_a_comparison_takes_strings_and_refuses_to_give_them(concat, tmp_path):
    model = tmp_path / "equal.onnx"
    model.write_bytes(node_model("Equal", [[3], [3]], ("y", TensorProto.BOOL)))
    frozen = ("--freeze", f"a=@{tmp_path}/a.npy", "--freeze", f"b=@{tmp_path}/a.npy")
    assert "1 of 1 values compared" in run(CLI, "compare", model, *frozen)
    done = command("compare", model)
    assert done.returncode == 1
    assert "input 'a' is string; give --freeze a=@file.npy" in done.stderr
    done = command("compare", concat, *frozen)
    assert done.returncode == 1
    assert "output 'y' is of strings: not compared" in done.stderr


def test_strings_for_numbers_are_refused(tmp_path):
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    model = model_of(nodes, [tensor("x", FLOAT, [1])], [tensor("y", FLOAT, [1])])
    (tmp_path / "m.onnx").write_bytes(model)
    np.save(tmp_path / "x.npy", np.array(["1"]))
    for flag in ("--freeze", "--input"):
        done = command("run", tmp_path / "m.onnx", flag, f"x=@{tmp_path}/x.npy")
        assert done.returncode == 1
        assert "dtype <U1 is not supported" in done.stderr
