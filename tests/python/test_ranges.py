"""One library for many shapes: `compile --shape x=[1..8]x3x[32..960:32]`."""

import itertools
import json
import subprocess

import _opencompiler
import numpy as np
import onnxruntime
import pytest
from harness import CLI, MODELS, TOLERANCE, err, opencompiler, run
from onnx import TensorProto, helper, numpy_helper
from open_models import picture_model, sentences

DTYPES = {"f32": np.float32, "i64": np.int64}
PICTURES = "x=[1..2]x3x[32..96:32]x[16..64:24]"
PICTURE_EXTENTS = list(itertools.product((1, 2), (32, 64, 96), (16, 40, 64)))
MINILM = MODELS / "minilm_l3.onnx"


def compile_model(model, folder, *more):
    threads = () if "--threads" in more else ("--threads", "1")
    run(CLI, "compile", model, "-o", folder, "--name", "m", *threads, *more)


def peer(model):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def run_session(session, arrays):
    """The outputs, with room for exactly what the session says."""
    session.set_shapes([array.shape for array in arrays])
    outputs = [np.empty(shape, DTYPES[dtype]) for _, dtype, shape in session.outputs]
    session.run(arrays, outputs)
    return outputs


def check(session, reference, feeds):
    ours = run_session(session, [feeds[name] for name, _, _ in session.inputs])
    for array, expected in zip(ours, reference.run(None, feeds), strict=True):
        assert array.shape == expected.shape
        assert err(array, expected) < TOLERANCE, {k: v.shape for k, v in feeds.items()}


def picture(random, n, height, width):
    return random.normal(size=(n, 3, height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    model = folder / "m.onnx"
    model.write_bytes(picture_model())
    compile_model(model, folder, "--shape", PICTURES)
    return folder


def test_all_shapes_of_pictures_are_right(pictures):
    module = _opencompiler.Module(str(pictures / "libm.so"))
    assert module.axes == [("n", 1, 2, 1), ("h", 32, 96, 32), ("w", 16, 64, 24)]
    session = _opencompiler.Session(module, 1)
    reference = peer(pictures / "m.onnx")
    random = np.random.default_rng(0)
    # There and back: what one shape leaves behind must not be seen by the next.
    for extents in PICTURE_EXTENTS + PICTURE_EXTENTS[::-1]:
        check(session, reference, {"x": picture(random, *extents)})


def test_sentences_of_all_lengths_are_right_and_share_the_weights(tmp_path):
    """The other input follows: the model gives the same names to its dims. Positions are constants of every length."""
    compile_model(MINILM, tmp_path, "--shape", "input_ids=[1..3]x[1..9]")
    module = _opencompiler.Module(str(tmp_path / "libm.so"))
    session = _opencompiler.Session(module, 1)
    reference = peer(MINILM)
    random = np.random.default_rng(1)
    for batch, length in itertools.product(range(1, 4), range(1, 10)):
        check(session, reference, sentences(random, batch, length))
    assert (tmp_path / "libm.so").stat().st_size < 1.1 * MINILM.stat().st_size


def test_what_is_not_among_the_shapes_is_refused_and_changes_nothing(pictures):
    module = _opencompiler.Module(str(pictures / "libm.so"))
    session = _opencompiler.Session(module, 1)
    assert session.inputs == module.inputs == [("x", "f32", [2, 3, 96, 64])]
    session.set_shapes([(1, 3, 32, 16)])
    for shape in [(3, 3, 32, 16), (0, 3, 32, 16), (1, 3, 48, 16), (1, 4, 32, 16),
                  (1, 3, -32, 16), (1, 3, 2**62, 16), (1, 3, 32)]:  # fmt: skip
        with pytest.raises(RuntimeError, match="was not compiled for these shapes"):
            session.set_shapes([shape])
    assert session.inputs == [("x", "f32", [1, 3, 32, 16])]
    check(
        session,
        peer(pictures / "m.onnx"),
        {"x": picture(np.random.default_rng(2), 1, 32, 16)},
    )


def test_the_command_line_runs_the_shape_of_the_tensor(pictures, tmp_path):
    random = np.random.default_rng(3)
    for extents in [(1, 64, 40), (2, 32, 64)]:
        x = picture(random, *extents)
        np.save(tmp_path / "x.npy", x)
        run(
            *(CLI, "run", pictures / "libm.so", "--input", f"x=@{tmp_path}/x.npy"),
            *("--output", f"y=@{tmp_path}/y.npy", "--output", f"z=@{tmp_path}/z.npy"),
        )
        expected = peer(pictures / "m.onnx").run(["y"], {"x": x})[0]
        assert err(np.load(tmp_path / "y.npy"), expected) < TOLERANCE
    done = opencompiler("run", pictures / "libm.so", "--input", "x=1x3x33x16xf32=1")
    assert done.returncode == 1
    assert "h, dim 2 of 'x': from 32 to 96 by 32" in done.stderr


def test_the_manifest_lists_the_extents(pictures):
    manifest = json.loads((pictures / "m.json").read_text())
    assert manifest["axes"][2] == {"name": "w", "parameter": "w", "low": 16, "high": 64, "step": 24,
                                   "dims": [{"input": "x", "dim": 3}]}  # fmt: skip
    assert manifest["inputs"][0]["shape"] == [2, 3, 96, 64]


MAIN = """
#include <stdio.h>
#include "m.h"
static float x[M_X_ELEMENTS], y[M_Y_ELEMENTS], z[M_Z_ELEMENTS];
int main(void) {
  m* instance = 0;
  int64_t n, h, w, i, elements;
  if (m_create(&instance, 0)) return 1;
  if (m_set_extents(instance, 3, 32, 16) == 0 || m_set_extents(instance, 1, 32, 17) == 0) return 2;
  for (n = 1; n <= 2; ++n)
    for (h = 32; h <= 96; h += 32)
      for (w = 16; w <= 64; w += 24) {
        const int64_t* shape;
        if (fread(x, sizeof *x * n * 3 * h * w, 1, stdin) != 1) return 3;
        if (m_set_extents(instance, n, h, w) || m_run(instance, x, y, z)) return 4;
        shape = m_output_shape(instance, 0);
        for (elements = 1, i = 0; i < 4; ++i) elements *= shape[i];
        if (fwrite(y, sizeof *y * elements, 1, stdout) != 1) return 5;
      }
  return m_output_shape(instance, 2) != 0 || m_destroy(instance);
}
"""


def test_a_c99_program_chooses_extents(pictures):
    (pictures / "main.c").write_text(MAIN)
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    run("cc", *strict, "main.c", "libm.a", "-lm", "-lpthread", "-o", "main", cwd=pictures)  # fmt: skip
    random = np.random.default_rng(4)
    arrays = [picture(random, *extents) for extents in PICTURE_EXTENTS]
    given = b"".join(array.tobytes() for array in arrays)
    made = subprocess.run([pictures / "main"], input=given, capture_output=True, check=True)  # fmt: skip
    reference = peer(pictures / "m.onnx")
    expected = [reference.run(["y"], {"x": x})[0].ravel() for x in arrays]
    ours = np.frombuffer(made.stdout, np.float32)
    assert err(ours, np.concatenate(expected)) < TOLERANCE


def test_a_shape_that_was_tuned_keeps_its_own_kernels(tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(picture_model())
    database = ["--db", tmp_path / "tuning.db", "--no-shipped"]
    tune = [*database, "--threads", "1", "--trials", "40"]
    run(CLI, "tune", model, "--shape", "x=1x3x64x40", *tune)

    def own_kernels(folder, *schedules):
        compile_model(model, folder, "--shape", PICTURES, "--emit", "asm", *schedules)
        return [file for file in folder.glob("*.s") if "varies" not in file.name]

    tuned = own_kernels(tmp_path / "tuned", *database)
    assert len(tuned) > len(own_kernels(tmp_path / "untuned", "--untuned"))


def small_model(folder, nodes, inputs, outputs, constants=()):
    """Of i64 inputs where the name begins with s, else f32."""

    def info(name, shape):
        kind = TensorProto.INT64 if name.startswith("s") else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes,
        "g",
        [info(name, shape) for name, shape in inputs.items()],
        [info(name, None) for name in outputs],
        constants,
    )
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def test_room_is_for_the_largest_output_which_may_come_of_the_smallest_input(tmp_path):
    """y = table[n:], so that it is shorter the longer x is."""
    table = np.arange(100, dtype=np.float32)
    constants = [numpy_helper.from_array(table, "table"),
                 numpy_helper.from_array(np.array([100]), "end")]  # fmt: skip
    nodes = [helper.make_node("Shape", ["x"], ["n"]), helper.make_node("Slice", ["table", "n", "end"], ["y"]),
             helper.make_node("Relu", ["x"], ["z"])]  # fmt: skip
    model = small_model(tmp_path, nodes, {"x": ["n"]}, ["y", "z"], constants)
    compile_model(model, tmp_path, "--shape", "x=[1..8]")
    assert "#define M_Y_ELEMENTS 99\n" in (tmp_path / "m.h").read_text()
    session = _opencompiler.Session(_opencompiler.Module(str(tmp_path / "libm.so")), 1)
    for n in (8, 1, 5):
        y, _ = run_session(session, [np.ones(n, np.float32)])
        assert np.array_equal(y, table[n:])


def test_outputs_whose_rank_depends_on_shapes_are_refused(tmp_path):
    squeeze = [helper.make_node("Squeeze", ["x"], ["y"])]
    model = small_model(tmp_path, squeeze, {"x": ["a", 3, "b"]}, ["y"])
    says = refusal(model, "compile", "-o", tmp_path / "out", "--shape", "x=[1..2]x3x[1..4]")  # fmt: skip
    assert "or their ranks, depend on shapes" in says and "with x=" in says


def test_a_program_learns_which_values_are_needed(tmp_path):
    reshape = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    model = small_model(tmp_path, reshape, {"x": ["n", 4], "s": [2]}, ["y"])
    done = opencompiler("compile", model, "-o", tmp_path, "--json", "--shape", "x=[1..2]x4")  # fmt: skip
    assert json.loads(done.stdout) == {"needs_values_of": ["s"]}


def test_inputs_that_must_be_alike_without_a_name_of_the_model(tmp_path):
    add = [helper.make_node("Add", ["a", "b"], ["c"])]
    model = small_model(tmp_path, add, {"a": [None, 4], "b": [None, 4]}, ["c"])
    shapes = ["--shape", "a=[2..5]x4", "--shape", "b=[2..5]x4"]
    assert "take one name: [n:1..8], and [n]" in refusal(model, "compile", "-o", tmp_path, *shapes)  # fmt: skip


def test_no_lock_of_an_earlier_library_stays(tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(picture_model())
    compile_model(model, tmp_path, "--shape", "x=1x3x32x16")
    assert (tmp_path / "m.lock").exists()
    compile_model(model, tmp_path, "--shape", "x=1x3x[32..64:32]x16")
    assert not (tmp_path / "m.lock").exists()


def test_two_threads_and_a_run_of_other_inputs_fail_by_name(tmp_path):
    compile_model(MINILM, tmp_path, "--shape", "input_ids=[2..3]x[16..48:16]", "--threads", "2")  # fmt: skip
    module = _opencompiler.Module(str(tmp_path / "libm.so"))
    session = _opencompiler.Session(module, 2)
    reference = peer(MINILM)
    random = np.random.default_rng(6)
    for batch, length in itertools.product((2, 3), (16, 32, 48)):
        check(session, reference, sentences(random, batch, length))
    ids, mask = "input_ids=2x32xi64=7", "attention_mask=2x16xi64=1"
    left_out = opencompiler("run", tmp_path / "libm.so", "--input", ids)
    assert "'attention_mask' (i64 of 2x32) is missing" in left_out.stderr
    unlike = opencompiler("run", tmp_path / "libm.so", "--input", ids, "--input", mask)
    assert "'attention_mask' is i64 of 2x16, the model takes i64 of 2x32" in unlike.stderr  # fmt: skip
    run(CLI, "profile", tmp_path / "libm.so", "--time", "0.1", "--input", ids)


def refusal(model, *arguments):
    done = opencompiler(*arguments[:1], model, *arguments[1:])
    assert done.returncode == 1, done
    return done.stderr


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("x=?x3x32x32", "? has no bounds"),
        ("x=[8..1]x3x32x32", "is no shape"),
        ("x=[0..8]x3x32x32", "is no shape"),
        ("x=[1..8:0]x3x32x32", "is no shape"),
        ("x=[1..8x3x32x32", "is no shape"),
        ("x=[1..8]x3x32x", "is no shape"),
        ("x=[1..99999999999999999999]x3x32x32", "is no shape"),
        ("x=[k]x3x32x32", "[k] has no range"),
        ("x=[1..100]x3x[1..100]x32", "more than 4096 shapes"),
        ("x=[1..9223372036854775807]x3x[1..9223372036854775807]x32", "more than 4096"),
        ("x=[1..2]x[3..4]x32x32", "the model is fixed to 3"),
        ("x=[1..2]x3x32", "has 3 dims, the model declares 4"),
        ("x=[1..2]x3x[32..34]x64", "with x=2x3x34x64"),
        ("nothing=[1..2]x3", "no input of the model"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(tmp_path, shape, says):
    model = tmp_path / "m.onnx"
    model.write_bytes(picture_model())
    assert says in refusal(model, "compile", "-o", tmp_path / "out", "--shape", shape)
    assert not (tmp_path / "out").exists()


def test_where_there_are_no_ranges_they_are_refused(tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(picture_model())
    ranges = ["--shape", PICTURES]
    for verb in ("explain", "tune", "profile"):
        assert "only `compile -o` takes ranges" in refusal(model, verb, *ranges)
    assert "--cache takes one shape" in refusal(model, "compile", "--cache", *ranges)


def test_dims_of_one_name_are_one_extent(tmp_path):
    """Given by the command line where the model has none; the second input's range is that of the first."""
    add = [helper.make_node("Add", ["a", "b"], ["c"])]
    model = small_model(tmp_path, add, {"a": [None, 4], "b": [None, 1]}, ["c"])
    compile_model(model, tmp_path, "--shape", "a=[k:2..5]x4", "--shape", "b=[k]x1")
    session = _opencompiler.Session(_opencompiler.Module(str(tmp_path / "libm.so")), 1)
    random = np.random.default_rng(5)
    for rows in range(2, 6):
        a, b = (random.normal(size=(rows, width)).astype(np.float32) for width in (4, 1))  # fmt: skip
        assert np.array_equal(run_session(session, [a, b])[0], a + b)
    with pytest.raises(RuntimeError, match="was not compiled"):
        session.set_shapes([(2, 4), (3, 1)])
    clash = ["--shape", "a=[k:2..5]x4", "--shape", "b=[k:2..6]x1"]
    assert "is [2..5] and [2..6]" in refusal(model, "compile", "-o", tmp_path, *clash)
