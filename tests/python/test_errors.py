"""One user mistake each: exit 1, a first line that says what, where and what to do, nothing written."""

import os
import resource
import signal
import subprocess

import numpy as np
import onnx
import pytest
from harness import CLI, CLS, CLS_SHAPE, opencompiler
from onnx import TensorProto, helper, numpy_helper


def write_unknown_op(path):
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Frobnicate", [a], [b]) for a, b in ("xt", "ty")]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [2])],
        [value("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path
    )


def test_truncated_model(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(CLS.read_bytes()[:1000])
    check(
        tmp_path,
        opencompiler("compile", tmp_path / "broken.onnx", "-o", tmp_path / "out"),
        "broken.onnx",
        "truncated",
    )


def check(tmp_path, done, *words):
    assert done.returncode == 1, done.stderr
    first = done.stderr.splitlines()[0]
    assert all(word in first for word in words), first
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_unknown_op_is_listed_with_its_count(tmp_path):
    write_unknown_op(tmp_path / "unknown.onnx")
    done = opencompiler("compile", tmp_path / "unknown.onnx", "-o", tmp_path / "out")
    check(tmp_path, done, "unknown.onnx", "not supported")
    assert "Frobnicate ×2" in done.stderr


def test_missing_shape_names_the_input(tmp_path):
    done = opencompiler("compile", CLS, "-o", tmp_path / "out")
    check(tmp_path, done, "cls.onnx", "not known")
    assert "--shape x=" in done.stderr


@pytest.mark.parametrize("shape", ["1x4x48x192", "1x3x48"])
def test_wrong_input_shape(tmp_path, shape):
    done = opencompiler("run", CLS, "--input", f"x={shape}xf32=0")
    check(tmp_path, done, "'x'", "shape")


@pytest.mark.parametrize("verb", ["compile", "tune"])
def test_corrupt_database_named_on_the_command_line(tmp_path, verb):
    database = tmp_path / "bad.db"
    database.write_text("no database at all")
    more = ("-o", tmp_path / "out") if verb == "compile" else ()
    done = opencompiler(verb, CLS, *CLS_SHAPE, "--db", database, *more)
    check(tmp_path, done, "bad.db", "not a tuning database")
    assert database.read_text() == "no database at all"


def test_corrupt_default_database_is_one_warning(tmp_path):
    database = tmp_path / "bad.db"
    database.write_text("no database at all")
    command = ("run", CLS, "--input", "x=1x3x48x192xf32=0.5")
    done = opencompiler(*command, OPENCOMPILER_DB=str(database))
    good = opencompiler(*command, OPENCOMPILER_DB=str(tmp_path / "none.db"))
    assert done.returncode == 0
    assert done.stderr.count("warning:") == 1
    assert done.stdout == good.stdout != ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("window v1\ntile x=0 c=1\n", ("line 2", "tile.x")),
        ("window v1\nfrobnicate x=3\n", ("line 2", "frobnicate")),
        ("window v1\ntile x=99999999999999999999 c=1\n", ("line 2",)),
    ],
)
def test_hostile_schedule(tmp_path, text, words):
    shown = opencompiler("explain", CLS, *CLS_SHAPE).stdout
    kernel = shown.split("kernel ")[1].split()[0]
    (tmp_path / "schedule.txt").write_text(text)
    forced = ("--schedule", f"{kernel}={tmp_path / 'schedule.txt'}")
    done = opencompiler("compile", CLS, *CLS_SHAPE, *forced, "-o", tmp_path / "out")
    check(tmp_path, done, *words)


def test_folder_that_cannot_be_written(tmp_path):
    # Root may write anywhere a mode forbids it, so the folder is one that the system forbids.
    done = opencompiler("compile", CLS, *CLS_SHAPE, "-o", "/proc/nowhere")
    check(tmp_path, done, "/proc/nowhere", "cannot write")


@pytest.fixture
def relu(tmp_path):
    """y = relu(x), float[2, 3]."""
    return save(
        tmp_path / "relu.onnx", [helper.make_node("Relu", ["x"], ["y"])], [2, 3], [2, 3]
    )


def save(path, nodes, x, y, *constants):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, x)],
        [value("y", TensorProto.FLOAT, y)],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), path)
    return path


@pytest.mark.parametrize("verb", ["run", "run --json", "explain", "db path", "--help"])
def test_results_that_do_not_arrive_are_an_error(relu, verb):
    """Where stdout is full, as on a disk."""
    more = {"run": [relu, "--input", "x=2x3xf32=1"], "explain": [relu]}
    command = [CLI, *verb.split(), *more.get(verb.split()[0], [])]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write the results to stdout\n"


def test_outputs_may_go_to_a_fifo(relu, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    given = ("--input", "x=2x3xf32=1", "--output", f"y=@{fifo}")
    done = opencompiler("run", relu, *given)
    assert done.returncode == 0, done.stderr
    found = os.read(reader, 4096)
    os.close(reader)
    assert found.startswith(b"\x93NUMPY")
    assert found.endswith(np.ones(6, np.float32).tobytes())
    assert fifo.is_fifo()


@pytest.mark.parametrize("reader", ["--lock", "--input", "db import"])
def test_a_fifo_is_not_waited_for(relu, tmp_path, reader):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = {
        "--lock": ("compile", relu, "-o", tmp_path / "out", "--lock", fifo),
        "--input": ("run", relu, "--input", f"x=@{fifo}"),
        "db import": ("db", "import", fifo, "--db", tmp_path / "t.db"),
    }[reader]
    done = subprocess.run(
        [CLI, *command], check=False, capture_output=True, text=True, timeout=60
    )
    check(tmp_path, done, str(fifo), "not a regular file")
    assert not (tmp_path / "t.db").exists()


def test_a_tensor_beyond_32_bits_is_named(tmp_path):
    """Of 2^31 elements; no memory is taken for it."""
    sizes = numpy_helper.from_array(np.array([1 << 15, 1 << 16]), "sizes")
    nodes = [
        helper.make_node("Expand", ["x", "sizes"], ["large"]),
        helper.make_node("Transpose", ["large"], ["y"]),
    ]
    shape = [1 << 15, 1 << 16]
    path = save(tmp_path / "large.onnx", nodes, [1 << 15, 1], shape[::-1], sizes)
    done = opencompiler("compile", path, "-o", tmp_path / "out")
    check(tmp_path, done, "large.onnx", "'large' has 2147483648 elements")


@pytest.mark.parametrize("folder", ["/nowhere", "/proc"])
def test_without_a_place_for_temporary_files(relu, tmp_path, folder):
    command = ("compile", relu, "-o", tmp_path / "out")
    cache = {"OPENCOMPILER_CACHE": str(tmp_path / "cache")}
    check(tmp_path, opencompiler(*command, TMPDIR=folder, **cache), "TMPDIR")


def test_compiling_onto_a_full_disk(relu, tmp_path):
    """Files end at a page, when the kernels are in the cache already."""
    environment = {**os.environ, "OPENCOMPILER_CACHE": str(tmp_path / "cache")}
    command = [CLI, "compile", relu, "-o", tmp_path / "made"]
    subprocess.run(command, check=True, capture_output=True, env=environment)

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    command[-1] = tmp_path / "full"
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        preexec_fn=full,
    )
    assert done.returncode == 1, done.stderr
    assert "error: " + str(tmp_path / "full") in done.stderr
    assert "File too large" in done.stderr
    assert list((tmp_path / "full").iterdir()) == []
