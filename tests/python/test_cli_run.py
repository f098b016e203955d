"""`run`, `explain`, `db`, `doctor` and `tune` on the command line."""

import itertools
import json
import os
import pathlib
import sqlite3
import struct
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / ".venv/bin/opencompiler"


@pytest.fixture
def opencompiler(tmp_path):
    def call(*arguments):
        environment = {**os.environ, "OPENCOMPILER_DB": str(tmp_path / "none.db")}
        return subprocess.run(
            [CLI, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )

    return call


@pytest.fixture
def good(opencompiler):
    def call(*arguments):
        done = opencompiler(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture
def model(tmp_path):
    """y = relu(x), z = x·x, both float[2, 3]."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["y"]),
            helper.make_node("Mul", ["x", "x"], ["z"]),
        ],
        "g",
        [value("x", TensorProto.FLOAT, [2, 3])],
        [value(name, TensorProto.FLOAT, [2, 3]) for name in "yz"],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(
            graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
        ),
        path,
    )
    return path


X = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
BYTES = X.tobytes()


def refused(done, *words):
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    first = done.stderr.splitlines()[0]
    assert all(word in first for word in words), first


def test_an_unknown_output_is_said_before_anything_is_written(
    opencompiler, model, tmp_path
):
    np.save(tmp_path / "x.npy", X)
    done = opencompiler(
        *("run", model, "--input", "x=@x.npy"),
        *("--output", "y=@y.npy", "--output", "nope=@n.npy"),
    )
    refused(done, "nope", "y z")
    assert not (tmp_path / "y.npy").exists()


def test_a_file_name_may_hold_an_equals_sign(good, model, tmp_path):
    np.save(tmp_path / "a=x.npy", X)
    good("run", model, "--input", "x=@a=x.npy", "--output", "y=@a=b.npy")
    assert np.array_equal(np.load(tmp_path / "a=b.npy"), np.maximum(X, 0))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("given", ["@in.npz", "x=@in.npz"])
def test_archives_in_and_out(good, model, tmp_path, save, given):
    save(tmp_path / "in.npz", x=X)
    good("run", model, "--input", given, "--output", "@out.npz")
    out = np.load(tmp_path / "out.npz")
    assert sorted(out) == ["y", "z"]
    assert np.array_equal(out["y"], np.maximum(X, 0))
    assert np.array_equal(out["z"], X * X)


@pytest.mark.parametrize(
    ("number", "dtype", "stored"),
    [
        ("9007199254740993", "i64", 9007199254740993),
        ("18446744073709551615", "u64", 18446744073709551615),
        ("-128", "i8", -128),
        ("16000.7", "i64", None),
        ("9223372036854775808", "i64", None),
        ("-1", "u64", None),
        ("128", "i8", None),
        ("2", "bool", None),
    ],
)
def test_integers_are_taken_exactly_or_not_at_all(
    opencompiler, good, tmp_path, number, dtype, stored
):
    proto = getattr(
        TensorProto,
        {"i64": "INT64", "u64": "UINT64", "i8": "INT8", "bool": "BOOL"}[dtype],
    )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "g",
        [value("x", proto, [2])],
        [value("y", proto, [2, 1])],
        [helper.make_tensor("shape", TensorProto.INT64, [2], [2, 1])],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=opset), tmp_path / "m.onnx"
    )
    command = ("run", "m.onnx", "--input", f"x=2x{dtype}={number}")
    if stored is None:
        refused(opencompiler(*command), f"'{number}' is no value of type {dtype}")
    else:
        good(*command, "--output", "y=@y.npy")
        assert np.load(tmp_path / "y.npy").ravel().tolist() == [stored] * 2


def test_damaged_archives_are_user_errors(opencompiler, model, tmp_path):
    np.savez_compressed(tmp_path / "good.npz", x=X)
    content = (tmp_path / "good.npz").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "in.npz").write_bytes(content[:length])
        refused(opencompiler("run", model, "--input", "@in.npz"), "in.npz")
    for at in range(0, len(content), 5):
        flipped = bytearray(content)
        flipped[at] ^= 0x55
        (tmp_path / "in.npz").write_bytes(flipped)
        done = opencompiler("run", model, "--input", "@in.npz")
        assert done.returncode in (0, 1), (at, done.stderr)


def npy(header, data=BYTES, version=1):
    header = header.encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no .npy"),
        (npy(GOOD)[:30], "cut off"),
        (npy("{'descr': '" + "x" * 65000 + "'}"), "shape"),
        (npy("(" * 200_000, version=2), "limit"),
        (npy("{'descr': '<f4', 'shape': (" + "1," * 30000 + ")}"), "at most"),
        (npy("{'descr': '<f4', 'shape': (" + "9" * 60000 + ",)}"), "shape"),
        (npy("{'descr': '<f4', 'shape': (2, -3)}"), "shape"),
        (npy("{'descr': '<f4', 'shape': (4294967296, 4294967296)}"), "shape needs"),
        (npy("{'descr': '<f4', 'shape': (2000000000,)}"), "shape needs"),
        (npy("{'descr': '<f4', 'shape': (2, 3"), "shape"),
        (npy("{'descr': [('a', '<f4')], 'shape': (2, 3)}"), "dtype"),
        (npy("{'descr': '<c8', 'shape': (2, 3)}"), "<c8"),
        (npy(GOOD.replace("False", "True")), "Fortran"),
        (npy(GOOD, X.tobytes()[:-1]), "23 bytes"),
    ],
)
def test_hostile_npy_headers(opencompiler, model, tmp_path, content, word):
    (tmp_path / "x.npy").write_bytes(content)
    done = opencompiler("run", model, "--input", "x=@x.npy")
    refused(done, "x.npy", word)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_npy_versions(good, model, tmp_path, version):
    (tmp_path / "x.npy").write_bytes(npy(GOOD, version=version))
    good("run", model, "--input", "x=@x.npy", "--output", "y=@y.npy")
    assert np.array_equal(np.load(tmp_path / "y.npy"), np.maximum(X, 0))


def test_flags_that_come_too_late_for_a_library(opencompiler, good, model):
    good("compile", model, "-o", "out")
    for verb, flag in itertools.product(
        ("run", "profile"),
        (
            ("--shape", "x=2x3"),
            ("--freeze", "x=2x3xf32=1"),
            ("--target", "x86-64-avx2"),
            ("--target", "host"),
            ("--db", "t.db"),
            ("--team-db", "t.db"),
            ("--no-shipped",),
            ("--no-transfer",),
            ("--untuned",),
        ),
    ):
        done = opencompiler(verb, "out/libm.so", "--input", "x=2x3xf32=1", *flag)
        refused(done, flag[0], "out/libm.so", "compiled already")


def test_run_as_json(good, model, tmp_path):
    np.save(tmp_path / "x.npy", X)
    (y, z) = json.loads(good("run", model, "--input", "x=@x.npy", "--json"))["outputs"]
    assert (y["name"], y["dtype"], y["shape"]) == ("y", "f32", [2, 3])
    assert (y["min"], y["max"], y["first"]) == (0, 5, [1, 0, 3, 0, 5, 0])
    assert z["max"] == 36


def test_tuning_a_model_that_is_not_there_makes_no_database(opencompiler, tmp_path):
    done = opencompiler("tune", "nowhere.onnx", "--trials", "1", "--db", "new.db")
    refused(done, "nowhere.onnx")
    assert not (tmp_path / "new.db").exists()


def test_tune_keeps_as_many_trials_as_it_is_asked_for(good, tmp_path):
    cls = (ROOT / ".cache/models/cls.onnx", "--shape", "x=1x3x48x192")
    good("tune", *cls, "--trials", "12", "--threads", "1", "--db", "t.db")
    rows = sqlite3.connect(tmp_path / "t.db").execute("select count(*) from trial")
    assert rows.fetchone()[0] == 12
    stats = json.loads(good("db", "stats", "--json", "--db", "t.db"))
    assert stats["trials"] == 12
    listed = json.loads(good("db", "ls", "--json", "--db", "t.db"))
    assert sum(row["trials"] for row in listed) == 12
    assert all(row["workload"].startswith("graph") for row in listed)


def test_doctor_as_json(good):
    facts = json.loads(good("doctor", "--json", "--no-measure"))
    assert facts["cores"] >= 1
    assert "halide" in facts["toolchain"]


def test_explain_shows_the_passes(good, model):
    passes = json.loads(good("explain", model, "--passes", "--format", "json"))
    rows = {row["pass"]: row for row in passes["passes"]}
    assert rows["fold_constants"]["nodes_before"] == 2
    assert all(row["milliseconds"] >= 0 for row in rows.values())
    assert "fold_constants" in good("explain", model, "--passes")


def test_explain_of_one_kernel(opencompiler, good, model):
    groups = json.loads(good("explain", model, "--format", "json"))["groups"]
    assert len({group["kernel"] for group in groups}) == 2
    kernel = groups[0]["kernel"]
    shown = json.loads(
        good("explain", model, "--kernel", kernel[:8], "--format", "json")
    )
    assert shown["kernel"] == kernel
    assert shown["schedule"] == groups[0]["schedule"]
    assert "produce" in shown["loop_nest"]
    assert "ret" in shown["assembly"]


def test_an_ambiguous_kernel_lists_what_it_may_be(opencompiler, tmp_path):
    names = [f"v{i}" for i in range(18)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", [f"x{name}"], [name]) for name in names],
        "g",
        [value(f"x{name}", TensorProto.FLOAT, [1 + i]) for i, name in enumerate(names)],
        [value(name, TensorProto.FLOAT, [1 + i]) for i, name in enumerate(names)],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=opset), tmp_path / "w.onnx"
    )
    shown = json.loads(
        opencompiler("explain", "w.onnx", "--format", "json").stdout or "{}"
    )
    hashes = sorted(group["kernel"] for group in shown["groups"])
    digit = next(a[0] for a, b in itertools.pairwise(hashes) if a[0] == b[0])
    done = opencompiler("explain", "w.onnx", "--kernel", digit)
    refused(done, "--kernel " + digit, "more digits")
    listed = [line.split()[0] for line in done.stderr.splitlines()[1:]]
    assert sorted(listed) == [each for each in hashes if each[0] == digit]


def test_texts_of_the_kernels(good, model, tmp_path):
    files = good(
        *("compile", model, "-o", tmp_path / "out", "--emit", "static,asm,stmt")
    ).split()
    for ending, word in ((".s", "ret"), (".stmt", "produce")):
        texts = [pathlib.Path(file) for file in files if file.endswith(ending)]
        assert len(texts) == 2
        assert all(word in text.read_text() for text in texts)
        assert all(text.name.startswith("m.") for text in texts)
    assert not list((tmp_path / "out").glob("*.so"))


def test_several_targets_have_a_folder_each(opencompiler, good, model, tmp_path):
    good("compile", model, "-o", "out", "--target", "x86-64-avx2,arm-64-linux")
    for target in ("x86-64-avx2", "arm-64-linux"):
        manifest = json.loads((tmp_path / "out" / target / "m.json").read_text())
        assert manifest["target"].startswith(target[:6])
    refused(
        opencompiler("compile", model, "-o", "no", "--target", "host,nonsense"),
        "nonsense",
    )
    assert not (tmp_path / "no").exists()


def test_several_targets_take_a_lock_each(opencompiler, good, model, tmp_path):
    command = ("compile", model, "--target", "x86-64-avx2,arm-64-linux", "-o")
    good(*command, "out")
    locks = [
        tmp_path / "out" / name / "m.lock" for name in ("arm-64-linux", "x86-64-avx2")
    ]
    for lock in locks:
        kept = json.loads(lock.read_text())
        kept["kernels"][0]["rung"] = "from this lock"
        lock.write_text(json.dumps(kept))
    good(*command, "again", "--lock", locks[0], "--lock", locks[1])
    for lock in locks:
        again = tmp_path / "again" / lock.parent.name / "m.lock"
        assert json.loads(again.read_text()) == json.loads(lock.read_text())
    refused(opencompiler(*command, "no", "--lock", locks[0]), "--lock", "2 targets")
    twice = ("--lock", locks[0], "--lock", locks[0])
    refused(opencompiler(*command, "no", *twice), "--lock", "m.lock", "x86-64")
    assert not (tmp_path / "no").exists()
