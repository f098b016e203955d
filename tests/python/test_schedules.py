"""Any legal schedule is a right one: whole models with a random schedule for every kernel against onnxruntime."""

import re

import onnx
import pytest
from harness import (
    BUILD,
    CLI,
    TARGETS,
    TOLERANCE,
    opencompiler,
    reference,
    run,
)
from onnx import TensorProto, helper

# By model: how many seeds, and how many of them are tried by default, the rest being long.
SEEDS = {
    "cls": (20, 2),
    "contractions": (20, 2),
    "minilm_l3": (6, 1),
    "gpt2_step": (3, 0),
    "whisper_tiny_encoder": (2, 0),
}
CASES = [
    pytest.param(name, seed, marks=[pytest.mark.long] if seed >= default else [])
    for name, (count, default) in SEEDS.items()
    for seed in range(count)
]


# Products of computed tensors, [m, k] × [k, n]: of odd extents, of a long sum, of rows with rows.
PRODUCTS = {"odd": (33, 70, 41), "long": (8, 8192, 32), "rows": (20, 520, 7)}


def write_contractions(path):
    value = helper.make_tensor_value_info
    nodes, inputs, outputs = [], [], []
    for name, (m, k, n) in PRODUCTS.items():
        b, second = f"{name}.b", (k, n)
        if name == "rows":
            nodes.append(helper.make_node("Transpose", [b], ["t"], perm=[1, 0]))
            b, second = "t", (n, k)
        nodes.append(helper.make_node("MatMul", [f"{name}.a", b], [name]))
        inputs += [
            value(f"{name}.a", TensorProto.FLOAT, [m, k]),
            value(f"{name}.b", TensorProto.FLOAT, second),
        ]
        outputs.append(value(name, TensorProto.FLOAT, [m, n]))
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), path)
    return {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in inputs
    }


@pytest.fixture(scope="module")
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param != "contractions":
        return reference(request.param, folder)
    path = folder / "contractions.onnx"
    return reference("contractions", folder, path, write_contractions(path))


@pytest.fixture(scope="module", params=TARGETS)
def locked(request, model, tmp_path_factory):
    """A target and the lock of the model's default schedules for it."""
    folder = tmp_path_factory.mktemp("default")
    flags = [*model.shape_flags, "--target", request.param, "--threads", "2"]
    flags += ["--name", "m"]
    run(CLI, "compile", model.model, *flags, "-o", folder, "--emit", "header")
    return flags, folder / "m.lock"


def randomise(lock, seed, mixed):
    """Writes the lock with random schedules; how many there are, and how many differ from the lock's own."""
    changed, _, kernels = run(
        BUILD / "tests/models/random_lock", lock, seed, mixed
    ).split()
    return int(kernels), int(changed)


@pytest.mark.parametrize(("model", "seed"), CASES, indirect=["model"])
def test_random_schedules_agree_with_onnxruntime(model, locked, seed, tmp_path):
    flags, lock = locked
    mixed = tmp_path / "random.lock"
    kernels, changed = randomise(lock, seed, mixed)
    assert changed > kernels / 2
    done = opencompiler(
        *("compile", model.model, *flags, "-o", tmp_path, "--emit", "shared"),
        *("--lock", mixed),
    )
    assert done.returncode == 0, done.stderr
    assert f"schedules: {kernels} random" in done.stderr
    assert model.error_of(tmp_path, tmp_path / "libm.so", threads=2) <= TOLERANCE


@pytest.mark.parametrize("model", ["contractions"], indirect=True)
def test_random_schedules_reach_every_form_of_a_contraction(locked, tmp_path):
    _, lock = locked
    texts = ""
    for seed in range(8):
        randomise(lock, seed, tmp_path / "random.lock")
        texts += (tmp_path / "random.lock").read_text()
    for form in (r"copy [^\n\\]*b=yes", r"slices=[2-9]", r"vector along=k"):
        assert re.search(form, texts), form
