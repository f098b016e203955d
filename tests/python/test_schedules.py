"""Any legal schedule is a right one: whole models with a random schedule for every kernel against onnxruntime."""

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

SEEDS = 20
SEEDS_BY_DEFAULT = 2


def seeds():
    """All of them, those beyond the default's marked as long."""
    return [
        pytest.param(s, marks=[pytest.mark.long] if s >= SEEDS_BY_DEFAULT else [])
        for s in range(SEEDS)
    ]


@pytest.fixture(scope="module")
def cls(tmp_path_factory):
    return reference("cls", tmp_path_factory.mktemp("cls"))


@pytest.fixture(scope="module", params=TARGETS)
def locked(request, cls, tmp_path_factory):
    """A target and the lock of the model's default schedules for it."""
    folder = tmp_path_factory.mktemp("default")
    flags = [*cls.shape_flags, "--target", request.param, "--threads", "2"]
    run(CLI, "compile", cls.model, *flags, "-o", folder, "--emit", "header")
    return flags, folder / "cls.lock"


@pytest.mark.parametrize("seed", seeds())
def test_random_schedules_agree_with_onnxruntime(cls, locked, seed, tmp_path):
    flags, lock = locked
    mixed = tmp_path / "random.lock"
    changed, kernels = run(BUILD / "tests/models/random_lock", lock, seed, mixed).split(
        " of "
    )
    assert int(changed) > int(kernels) / 2
    done = opencompiler(
        *("compile", cls.model, *flags, "-o", tmp_path, "--emit", "shared"),
        *("--lock", mixed),
    )
    assert done.returncode == 0, done.stderr
    assert f"schedules: {int(kernels)} random" in done.stderr
    assert cls.error_of(tmp_path, tmp_path / "libcls.so", threads=2) <= TOLERANCE
