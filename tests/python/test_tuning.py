"""What tuning finds is used where it holds, is named in the lock, and computes the same."""

import json
import re
import shutil
import signal
import sqlite3
import subprocess

import onnx.utils
import pytest
from harness import (
    BUILD,
    CLI,
    CLS,
    ROOT,
    SHAPES,
    TARGETS,
    TOLERANCE,
    committed,
    reference,
    resigned,
    run,
    wait_for_a_trial,
)

TRIALS = 40  # for the model below: several of each kernel


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The first blocks of cls: convolutions, a depthwise one, a mean, elementwise kernels."""
    folder = tmp_path_factory.mktemp("small")
    model = folder / "small.onnx"
    onnx.utils.extract_model(CLS, model, ["x"], ["batch_norm_3.tmp_2"])
    return reference("cls", folder, model)


@pytest.fixture(scope="module")
def tuned(small, tmp_path_factory):
    """For the host and one thread: the database, and what the tuner said."""
    path = tmp_path_factory.mktemp("tuned") / "tuning.db"
    return path, tune(small, path, "--trials", TRIALS, "--author", "Ada")


@pytest.fixture(scope="module")
def database(tuned):
    return tuned[0]


def tuning(model, database, *flags):
    return [
        *(CLI, "tune", model.model, *model.shape_flags, "--threads", "1"),
        *("--no-shipped", "--db", database, *map(str, flags)),
    ]


def tune(model, database, *flags):
    said = run(*tuning(model, database, *flags))
    statuses = trial_counts(database)
    assert statuses["ok"] > 0
    # A candidate may run out of time on a busy machine; none may be wrong.
    assert set(statuses) <= {"ok", "compile_timeout", "run_timeout"}
    return said


def start(model, database, *flags):
    return subprocess.Popen(
        tuning(model, database, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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


WHOLE_MODEL = re.compile(
    r"^model ([\d.]+) ms -> ([\d.]+) ms \(([\d.]+), ([\d.]+) to ([\d.]+)\)$",
    re.MULTILINE,
)


def test_at_the_end_the_whole_model_is_timed(tuned):
    said = tuned[1]
    found = WHOLE_MODEL.search(said)
    assert found, said
    before, now, ratio, low, high = map(float, found.groups())
    assert 0 < low <= ratio <= high
    # The quotient of medians is near the median of quotients.
    assert before / now == pytest.approx(ratio, rel=0.2)
    assert said.index("model ") < found.start() < said.index("kept in")


def test_kernels_that_make_the_model_slower_are_named(small, database, tmp_path):
    """Somebody pins the worst schedule of every kernel while the tuner runs."""
    path = tmp_path / "tuning.db"
    shutil.copy(database, path)
    with sqlite3.connect(path) as connection:
        worst = connection.execute(
            "select id, max(median_ns) from trial where status = 'ok' group by workload"
        ).fetchall()
    tuner = start(small, path, "--time", "6s")
    wait_for_a_trial(tuner, path, committed(path))
    for trial, _ in worst:
        run(CLI, "db", "mark", "pin", trial, "--db", path)
    said, complaint = tuner.communicate(timeout=300)
    assert tuner.returncode == 0, complaint
    assert float(WHOLE_MODEL.search(said)[5]) < 0.99, said
    assert "the whole model is slower with the new schedules" in complaint
    assert "compile --untuned" in complaint
    losers = re.findall(r"db mark quarantine (\w+) --db (\S+)`", complaint)
    assert losers
    assert set(losers) <= {(trial, str(path)) for trial, _ in worst}
    for trial, _ in losers:
        run(CLI, "db", "mark", "quarantine", trial, "--db", path)
    picked = {k["trial"] for k in compiled(small, tmp_path / "out", "--db", path)}
    assert not picked & {trial for trial, _ in losers}


def test_where_no_schedule_changes_nothing_is_timed(small, tmp_path):
    path = tmp_path / "tuning.db"
    said = tune(small, path, "--trials", "1")
    assert "model: every kernel keeps the schedule it had\n" in said
    assert not WHOLE_MODEL.search(said)


def test_an_interrupted_tuner_does_not_time_the_whole_model(small, tmp_path):
    path = tmp_path / "tuning.db"
    tuner = start(small, path, "--time", "10m")
    wait_for_a_trial(tuner, path, set())
    tuner.send_signal(signal.SIGINT)
    said, complaint = tuner.communicate(timeout=120)
    assert tuner.returncode == 0
    assert complaint.endswith("stopped; run the same command again to go on\n")
    assert "timing the whole model" not in complaint
    assert "model: " not in said
    assert not WHOLE_MODEL.search(said)


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


def test_show_tells_authors_and_which_trials_are_suspect(database, tmp_path):
    mine, lines = tmp_path / "mine.db", tmp_path / "older.jsonl"
    shutil.copy(database, mine)
    rows = map(json.loads, run(CLI, "db", "export", "-", "--db", mine).splitlines())
    own = next(row for row in rows if row["kind"] == "trial" and row["status"] == "ok")
    older = own | {"build": "0" * 32, "author": "Grace", "samples_ns": [1]}
    lines.write_text(resigned(older))
    run(CLI, "db", "import", lines, "--db", mine)
    shown = run(CLI, "db", "show", own["workload"], "--db", mine).splitlines()
    line_of = lambda row: next(line for line in shown if row["id"] in line)
    assert re.search(r" build \w{8}  by Ada  run ", line_of(own))
    assert " build 00000000 suspect  by Grace  run " in line_of(older)
    assert sum(line.startswith("* ") for line in shown) == 1
    assert not line_of(older).startswith("* "), "however fast it looks"


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
