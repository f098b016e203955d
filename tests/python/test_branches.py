"""If, with conditions of the data, of shapes and of inputs that are made constants."""

import ctypes

import numpy as np
import onnx
import onnxruntime
import opencompiler as oc
import pytest
from harness import CLI, MODELS, TARGETS, TOLERANCE, err, opencompiler, run
from onnx import TensorProto, helper

BRANCH_FAILED = 13  # runtime/include/opencompiler/status.inc
SILERO = MODELS / "silero_vad.onnx"
SILERO_SHAPES = ("--shape", "input=1x576", "--shape", "state=2x1x128")


def write_if(path, then_op, else_op, else_attributes=None):
    """y = then_op(x) if c else else_op(x)"""
    value = helper.make_tensor_value_info
    branches = {
        name: helper.make_graph(
            [helper.make_node(op, ["x"], [name], **attributes)],
            name,
            [],
            [value(name, TensorProto.FLOAT, None)],
        )
        for name, op, attributes in (
            ("then_branch", then_op, {}),
            ("else_branch", else_op, else_attributes or {}),
        )
    }
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], name="choice", **branches)],
        "g",
        [value("c", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, [3, 5])],
        [value("y", TensorProto.FLOAT, None)],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


@pytest.mark.parametrize("target", TARGETS)
def test_the_condition_chooses(target, tmp_path):
    write_if(tmp_path / "m.onnx", "Softmax", "Sigmoid")
    options = oc.SessionOptions()
    options.target = target
    ours = oc.InferenceSession(tmp_path / "m.onnx", options)
    theirs = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    for choice in (True, False, True):
        feed = {"c": np.array(choice), "x": x}
        assert err(ours.run(None, feed)[0], theirs.run(None, feed)[0]) <= 1e-5


def test_branches_of_different_shapes_need_a_known_condition(tmp_path):
    model = tmp_path / "m.onnx"
    write_if(model, "Softmax", "Transpose", {"perm": [1, 0]})
    done = opencompiler("compile", model, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert (
        "node 'choice' (If): its branches give f32 of [3, 5] and f32 of [5, 3]"
        in done.stderr
    )
    assert "--freeze" in done.stderr
    for choice, shape in ((1, "3x5"), (0, "5x3")):
        out = run(
            CLI, "run", model, "--freeze", f"c={choice}", "--input", "x=3x5xf32=2"
        )
        assert f"y: f32 of {shape}" in out


def test_an_unsupported_branch_fails_only_when_it_is_chosen(tmp_path):
    model = tmp_path / "m.onnx"
    write_if(model, "Softmax", "Frobnicate")
    command = ("run", model, "--input", "x=3x5xf32=2", "--input")
    good, bad = opencompiler(*command, "c=bool=1"), opencompiler(*command, "c=bool=0")
    assert good.returncode == 0
    assert "warning" in good.stderr
    assert "Frobnicate" in good.stderr
    assert bad.returncode == 1
    assert (
        "the inputs choose a branch of the model that could not be compiled"
        in bad.stderr
    )
    assert opencompiler(*command[:-1], "--freeze", "c=0").returncode == 1


def test_a_library_tells_that_a_branch_is_missing_and_runs_on(tmp_path):
    model = tmp_path / "m.onnx"
    write_if(model, "Softmax", "Frobnicate")
    run(CLI, "compile", model, "-o", tmp_path, "--name", "m")
    library = ctypes.CDLL(tmp_path / "libm.so")
    library.m_last_error.restype = ctypes.c_char_p
    instance = ctypes.c_void_p()
    assert library.m_create(ctypes.byref(instance), None) == 0
    x, y = np.ones((3, 5), np.float32), np.empty((3, 5), np.float32)

    def status(choice):
        c = np.array(choice)
        inputs = (ctypes.c_void_p * 2)(c.ctypes.data, x.ctypes.data)
        outputs = (ctypes.c_void_p * 1)(y.ctypes.data)
        return library.m_run_arrays(instance, inputs, outputs)

    for _ in range(2):
        y[:] = 0
        assert status(True) == 0
        assert np.allclose(y, 0.2)
        assert status(False) == BRANCH_FAILED
        assert b"chose a branch" in library.m_last_error(instance)
    library.m_destroy(instance)


def test_a_frozen_input_is_no_input(tmp_path, monkeypatch):
    model = tmp_path / "m.onnx"
    write_if(model, "Softmax", "Sigmoid")
    run(CLI, "compile", model, "-o", tmp_path, "--name", "m", "--freeze", "c=1")
    assert "c" not in (tmp_path / "m.json").read_text().split('"')
    monkeypatch.chdir(tmp_path)
    np.savez("constants.npz", x=np.zeros((3, 5), np.float32))
    done = opencompiler("compile", model, "-o", tmp_path, "--freeze", "d=1")
    assert done.returncode == 1
    for flag, message in (
        ("d=f32=1", "a constant is given for 'd', which is no input of the model"),
        ("c=f32=1", "input 'c': the constant given is f32, the model takes bool"),
        ("x=2x5xf32=1", "has 2 in dim 0, where the model is fixed to 3"),
        ("c=yes", "'yes' is no number"),
        ("c=2", "'2' is no value of type bool"),
        ("c=0.5", "'0.5' is no value of type bool"),
        ("x=1", "'1' is no tensor"),
        ("c=@constants.npz", "holds no array 'c'"),
    ):
        done = opencompiler("compile", model, "-o", tmp_path / "out", "--freeze", flag)
        assert done.returncode == 1
        assert message in done.stderr


def test_all_forms_of_a_constant_decide_alike(tmp_path):
    """softmax of equal numbers is 1/5, sigmoid(2) 0.88"""
    model = tmp_path / "m.onnx"
    write_if(model, "Softmax", "Sigmoid")
    for choice, value in ((True, "0.2"), (False, "0.880797")):
        np.save(tmp_path / "c.npy", np.array(choice))
        np.savez(tmp_path / "all.npz", c=np.array(choice))
        for text in (
            f"{choice:d}",
            f"bool={choice:d}",
            f"@{tmp_path}/c.npy",
            f"@{tmp_path}/all.npz",
        ):
            out = run(
                CLI, "run", model, "--freeze", f"c={text}", "--input", "x=3x5xf32=2"
            )
            assert f"y: f32 of 3x5, {value} to {value}" in out


def if_model(then_nodes, else_nodes, inputs, more=()):
    """`inputs` by name, type and shape each; both branches give "z", the model "y", made of "z" by `more` if given."""
    value = helper.make_tensor_value_info
    branches = {
        name: helper.make_graph(nodes, name, [], [onnx.ValueInfoProto(name="z")])
        for name, nodes in (("then_branch", then_nodes), ("else_branch", else_nodes))
    }
    output = "z" if more else "y"
    choice = helper.make_node("If", ["c"], [output], name="choice", **branches)
    declared = {"c": (TensorProto.BOOL, [])} | inputs
    graph = helper.make_graph(
        [choice, *more],
        "g",
        [value(name, *info) for name, info in declared.items()],
        [value("y", TensorProto.FLOAT, None)],
    )
    opset = [helper.make_opsetid("", 21)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    return model.SerializeToString()


@pytest.mark.parametrize("both", [False, True])
def test_a_branch_that_needs_values_is_compiled_for_them(both):
    reshape = helper.make_node("Reshape", ["x", "shape"], ["s"])
    then = [helper.make_node("Neg", ["x"], ["z"])]
    if both:
        then = [reshape, helper.make_node("Neg", ["s"], ["z"])]
    otherwise = [reshape, helper.make_node("Abs", ["s"], ["z"])]
    inputs = {"x": (TensorProto.FLOAT, [3, 4]), "shape": (TensorProto.INT64, [2])}
    session = oc.InferenceSession(if_model(then, otherwise, inputs))
    x = np.full((3, 4), 2, np.float32)
    for choice, expected in ((True, -x), (False, x)):
        feed = {"c": np.array(choice), "x": x, "shape": np.array([3, 4])}
        np.testing.assert_array_equal(session.run(None, feed)[0], expected)


def test_a_branch_that_needs_data_does_not_keep_the_other_from_running(capfd):
    where = helper.make_node("NonZero", ["x"], ["i"])
    otherwise = [where, helper.make_node("Cast", ["i"], ["z"], to=TensorProto.FLOAT)]
    then = [helper.make_node("Neg", ["x"], ["z"])]
    inputs = {"x": (TensorProto.FLOAT, [3, 4])}
    session = oc.InferenceSession(if_model(then, otherwise, inputs))
    x = np.full((3, 4), 2, np.float32)
    (y,) = session.run(None, {"c": np.array(True), "x": x})
    np.testing.assert_array_equal(y, -x)
    assert "its else_branch is chosen" in capfd.readouterr().err


def test_what_branches_give_keeps_its_type():
    fp8, other = TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2
    then = [helper.make_node("Cast", ["x"], ["z"], to=fp8)]
    negative = helper.make_node("Neg", ["x"], ["n"])
    otherwise = [negative, helper.make_node("Cast", ["n"], ["z"], to=fp8)]
    back = [helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT)]
    inputs = {"x": (TensorProto.FLOAT, [3])}
    session = oc.InferenceSession(if_model(then, otherwise, inputs, back))
    x = np.array([1, -2, 0.5], np.float32)
    for choice, expected in ((True, x), (False, -x)):
        (y,) = session.run(None, {"c": np.array(choice), "x": x})
        np.testing.assert_array_equal(y, expected)
    otherwise = [helper.make_node("Cast", ["x"], ["z"], to=other)]
    session = oc.InferenceSession(if_model(then, otherwise, inputs, back))
    with pytest.raises(oc.Refusal, match="fp8e4m3fn of .* and fp8e5m2 of"):
        session.run(None, {"c": np.array(True), "x": x})


def like_speech(rate, chunks, samples):
    """Syllables of a voice whose pitch and formants wander, pauses between them, and a little noise."""
    random, t = np.random.default_rng(0), np.arange(chunks * samples) / rate
    wave = lambda frequency: np.sin(2 * np.pi * frequency * t)
    phase = 2 * np.pi * np.cumsum(140 + 30 * wave(0.7)) / rate
    voice, shift = 0, 1 + 0.3 * wave(1.7)
    for k in range(1, rate // 2 // 170):
        for formant, width in ((600, 100), (1200, 150), (2600, 200)):
            near = 1 + ((140 * k - formant * shift) / width) ** 2
            voice = voice + np.sin(k * phase) / near / k**0.3
    loudness = np.clip(wave(3), 0, 1) * (np.sin(0.9 * t) > 0)
    sound = 0.1 * loudness * voice + 0.003 * random.normal(size=t.size)
    return sound.astype(np.float32).reshape(chunks, 1, samples)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("rate", "samples"), [(16000, 512), (8000, 256)])
def test_silero_streams_like_onnxruntime(rate, samples, target):
    """A chunk comes with the end of the one before; the state is fed back."""
    options = oc.SessionOptions()
    options.target = target
    ours = oc.InferenceSession(SILERO, options)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    theirs = onnxruntime.InferenceSession(SILERO, quiet)
    states = [np.zeros((2, 1, 128), np.float32)] * 2
    before = np.zeros((1, samples // 8), np.float32)
    heard = []
    for chunk in like_speech(rate, 1000, samples):
        sound = np.concatenate([before, chunk], axis=1)
        before = chunk[:, -before.shape[1] :]
        results = [
            session.run(
                None, {"input": sound, "state": state, "sr": np.array(rate, np.int64)}
            )
            for session, state in zip((ours, theirs), states, strict=True)
        ]
        (mine, _), (reference, _) = results
        assert np.abs(mine - reference).max() <= 1e-4
        heard.append(float(reference.item()))
        states = [outputs[1] for outputs in results]
    assert err(*states) <= TOLERANCE
    assert min(heard) < 0.1
    assert max(heard) > 0.9  # the model takes it for speech


def test_silero_fails_as_onnxruntime_does_for_a_rate_that_the_shape_rules_out():
    given = ("--input", "input=1x576xf32=0", "--input", "state=2x1x128xf32=0")
    done = opencompiler("run", SILERO, *given, "--input", "sr=i64=8000")
    assert done.returncode == 1
    assert "select (If_0) chose a branch" in done.stderr
    frozen = opencompiler("run", SILERO, *given, "--freeze", "sr=16000")
    assert frozen.returncode == 0
    assert "warning" not in frozen.stderr
