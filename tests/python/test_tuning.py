"""What tuning finds is used where it holds, is named in the lock, and computes the same."""

import json
import shutil
import sqlite3

import onnx.utils
import pytest
from harness import BUILD, CLI, CLS, ROOT, SHAPES, TARGETS, TOLERANCE, reference, run

TRIALS = 40  # for the model below: several of each kernel


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The first blocks of cls: convolutions, a depthwise one, a mean, elementwise kernels."""
    folder = tmp_path_factory.mktemp("small")
    model = folder / "small.onnx"
    onnx.utils.extract_model(CLS, model, ["x"], ["batch_norm_3.tmp_2"])
    return reference("cls", folder, model)


@pytest.fixture(scope="module")
def database(small, tmp_path_factory):
    """Tuned for the host and one thread."""
    path = tmp_path_factory.mktemp("tuned") / "tuning.db"
    tune(small, path, "--trials", TRIALS)
    return path


def tune(model, database, *flags):
    run(
        *(CLI, "tune", model.model, *model.shape_flags, "--threads", "1"),
        *("--no-shipped", "--db", database, *flags),
    )
    statuses = trial_counts(database)
    assert statuses["ok"] > 0
    # A candidate may run out of time on a busy machine; none may be wrong.
    assert set(statuses) <= {"ok", "compile_timeout", "run_timeout"}


def trial_counts(database):
    """Trials by status."""
    with sqlite3.connect(database) as connection:
        return dict(
            connection.execute("select status, count(*) from trial group by status")
        )


def compiled(model, folder, *flags, threads=1):
    """The kernels of the lock that a compile writes, after its library has been compared with onnxruntime."""
    run(
        *(
            CLI,
            "compile",
            model.model,
            *model.shape_flags,
            "--no-shipped",
            "-o",
            folder,
        ),
        *("--name", "m", "--emit", "shared", "--threads", threads, *flags),
    )
    assert model.error_of(folder, folder / "libm.so", threads=threads) <= TOLERANCE
    return json.loads((folder / "m.lock").read_text())["kernels"]


def trials_of(database):
    """(workload, schedule, threads) by trial id."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select trial.id, workload.text, schedule.text, threads from trial"
            " join workload on workload.key = workload join schedule on schedule.key = schedule"
        )
        return {row[0]: row[1:] for row in rows}


def rungs(kernels):
    return {kernel["rung"] for kernel in kernels}


def test_a_tuned_compile_names_the_trials_it_used(small, database, tmp_path):
    kernels = compiled(small, tmp_path, "--db", database)
    assert rungs(kernels) == {"exact"}
    trials = trials_of(database)
    for kernel in kernels:
        found = (kernel["workload"], kernel["schedule"], 1)
        assert trials[kernel["trial"]] == found


def test_without_a_database_schedules_are_the_defaults(small, tmp_path):
    kernels = compiled(small, tmp_path)
    assert {(kernel["rung"], kernel["trial"]) for kernel in kernels} == {
        ("default", "default")
    }


def test_schedules_of_a_team_are_used_unless_untuned_is_said(small, database, tmp_path):
    kernels = compiled(small, tmp_path, "--team-db", database)
    assert rungs(kernels) == {"exact"}
    assert {kernel["trial"] for kernel in kernels} <= trials_of(database).keys()
    kernels = compiled(small, tmp_path, "--team-db", database, "--untuned")
    assert rungs(kernels) == {"default"}


def test_every_shipped_row_is_sound(tmp_path):
    files = sorted((ROOT / "tuning_db/system").glob("*.jsonl"))
    assert files
    assert sum(file.stat().st_size for file in files) < 2 << 20
    for file in files:
        report = run(CLI, "db", "import", file, "--db", tmp_path / f"{file.stem}.db")
        assert ", skipped 0\n" in report
        assert not report.startswith("added 0")


def test_another_thread_count_is_a_rung_of_its_own(small, database, tmp_path):
    kernels = compiled(small, tmp_path, "--db", database, threads=2)
    assert rungs(kernels) == {"other_threads", "default"}
    trials = trials_of(database)
    for kernel in kernels:
        if kernel["rung"] == "other_threads":
            assert trials[kernel["trial"]][2] == 1
            assert (
                "parallel" not in kernel["schedule"]
                or "tasks=1\n" in kernel["schedule"]
            )
        else:  # one thread's schedule would leave the other idle
            assert "tasks=1\n" not in kernel["schedule"]


def test_trials_count_on_the_machine_they_were_measured_on(small, database, tmp_path):
    moved = tmp_path / "moved.db"
    shutil.copy(database, moved)

    def rename_machine(old, new):
        with sqlite3.connect(moved) as connection:
            sql = "update machine set hash = ? where hash = ?"
            assert connection.execute(sql, (new, old)).rowcount == 1

    with sqlite3.connect(moved) as connection:
        ((own,),) = connection.execute("select hash from machine")
    rename_machine(own, "f" * 32)
    assert rungs(compiled(small, tmp_path, "--db", moved)) == {"default"}
    rename_machine("f" * 32, own)
    assert rungs(compiled(small, tmp_path, "--db", moved)) == {"exact"}


def test_what_a_sibling_machine_found_is_used_unless_no_transfer_is_said(
    small, tmp_path
):
    compiled(small, tmp_path / "plain")
    sibling = tmp_path / "sibling.db"
    tool = BUILD / "tests/models/sibling_database"
    run(tool, tmp_path / "plain/m.lock", sibling)
    kernels = compiled(small, tmp_path / "transfer", "--db", sibling)
    assert "sibling" in rungs(kernels) <= {"sibling", "default"}
    trials = trials_of(sibling)
    for kernel in kernels:
        if kernel["rung"] == "sibling":
            found = (kernel["workload"], kernel["schedule"], 1)
            assert trials[kernel["trial"]] == found

    sources = (*small.shape_flags, "--threads", "1", "--no-shipped", "--db", sibling)
    shown = json.loads(run(CLI, "explain", small.model, *sources, "--format", "json"))[
        "groups"
    ]
    assert {group["trial"] for group in shown if group.get("rung") == "sibling"} == {
        kernel["trial"] for kernel in kernels if kernel["rung"] == "sibling"
    }
    mine = tmp_path / "mine.db"
    tune(small, mine, "--trials", "1", "--team-db", sibling)
    tuned = compiled(small, tmp_path / "tuned", "--db", mine, "--team-db", sibling)
    schedules = lambda kernels: {k["workload"]: k["schedule"] for k in kernels}
    assert "exact" in rungs(tuned)
    assert schedules(tuned) == schedules(kernels), "one trial makes nothing slower"

    off = run(CLI, "explain", small.model, *sources, "--no-transfer")
    assert "(default)" in off
    assert "sibling" not in off
    on = run(CLI, "explain", small.model, *sources)
    trial = next(k["trial"] for k in kernels if k["rung"] == "sibling")
    assert f"(sibling {trial[:12]})" in on

    lock = tmp_path / "transfer/m.lock"
    replayed = compiled(small, tmp_path / "replayed", "--lock", lock)
    assert replayed == kernels
    for file in ("libm.so", "m.lock"):
        before = (tmp_path / "transfer" / file).read_bytes()
        assert (tmp_path / "replayed" / file).read_bytes() == before


@pytest.mark.parametrize("target", TARGETS)
def test_a_tuned_library_agrees_with_onnxruntime(small, database, target, tmp_path):
    if target == "host":
        tuned = database
    else:
        tuned = tmp_path / "tuning.db"
        tune(small, tuned, "--trials", TRIALS, "--target", target)
    kernels = compiled(small, tmp_path, "--db", tuned, "--target", target)
    assert rungs(kernels) == {"exact"}
    defaults = compiled(small, tmp_path / "default", "--target", target)
    assert [k["schedule"] for k in kernels] != [k["schedule"] for k in defaults]


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", list(SHAPES))
def test_every_tuned_model_agrees_with_onnxruntime(name, target, tmp_path):
    model = reference(name, tmp_path)
    tuned = tmp_path / "tuning.db"
    tune(model, tuned, "--time", "40s", "--target", target)
    kernels = compiled(model, tmp_path, "--db", tuned, "--target", target)
    assert "exact" in rungs(kernels)
