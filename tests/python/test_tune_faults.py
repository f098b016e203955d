"""What becomes of tuning and its database when something fails: killed tuners, two at once, full disks, files that cannot
be written. The messages are compared whole."""

import contextlib
import json
import os
import pathlib
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from harness import (
    CLI,
    CLS,
    CLS_SHAPE,
    NAMESPACE,
    committed,
    opencompiler,
    resigned,
    small_disk,
    wait_for_a_trial,
)
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two kernels that build in no time: a matrix product with its epilogue, a softmax."""
    weights = np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Softmax", ["b"], ["y"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [48, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [48, 96])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def command(model, database, *more):
    shape = CLS_SHAPE if model == CLS else ()
    words = (CLI, "tune", model, *shape, "--threads", "1", "--db", database, *more)
    return [str(word) for word in words]


def tune(model, database, *more, **options):
    return subprocess.run(
        command(model, database, *more),
        check=False,
        capture_output=True,
        text=True,
        **options,
    )


def query(database, sql):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def trials(database):
    return {row[0] for row in query(database, "select id from trial")}


def healthy(database):
    done = opencompiler("db", "doctor", "--db", database)
    return done.returncode == 0 and done.stdout.endswith("healthy\n")


def session_alive(leader):
    """Whether a process of the session that `leader` led still runs (zombies do not)."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            return True
    return False


@pytest.mark.parametrize(
    "kills", [5, pytest.param(100, marks=pytest.mark.long)], ids=str
)
def test_a_killed_tuner_loses_nothing_and_a_rerun_resumes(tmp_path, kills):
    database, scratch = tmp_path / "tuning.db", tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    chance = random.Random(kills)
    kept = set()
    for kill in range(kills):
        tuner = subprocess.Popen(
            command(CLS, database, "--time", "10m"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )
        # At any moment of its start, or of its work: builds, timings, commits.
        if kill % 2 == 1:
            wait_for_a_trial(tuner, database, kept)
        time.sleep(chance.uniform(0, 3))
        seen = committed(database)
        time.sleep(chance.uniform(0, 0.1))
        tuner.kill()
        assert tuner.wait() == -signal.SIGKILL, "it ended by itself"
        deadline = time.monotonic() + 3
        while session_alive(tuner.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not session_alive(tuner.pid), "orphans"
        if not database.exists() or database.stat().st_size == 0:
            assert not kept | seen
            continue
        assert healthy(database)
        now = trials(database)
        assert now >= kept | seen
        kept = now

    # What the killed have left of temporary files goes once it is ten minutes old and its process is no more.
    long_ago = time.time() - 11 * 60
    for left in scratch.iterdir():
        os.utime(left, (long_ago, long_ago))
    done = tune(CLS, database, "--trials", "3", env=environment)
    assert done.returncode == 0, done.stderr
    assert not list(scratch.iterdir())
    assert healthy(database)
    assert trials(database) > kept
    assert len(trials(database)) == len(kept) + 3


CONFIRMED = """
select workload.hash, trial.id, mark.note, trial.median_ns from mark
join trial on trial.id = mark.trial join workload on workload.key = trial.workload
where mark.kind = 'confirm' order by mark.unix_ms, mark.id
"""


def test_two_tuners_on_one_file_lose_nothing(tmp_path):
    database = tmp_path / "tuning.db"
    tuners = [
        subprocess.Popen(
            command(CLS, database, "--trials", "15", "--seed", seed, "--author", who),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed, who in (("1", "Ada"), ("2", "Grace"))
    ]
    for tuner in tuners:
        said, complaint = tuner.communicate()
        assert tuner.returncode == 0, complaint
        assert said.endswith(f"kept in {database}\n")
    authors = dict(
        query(database, "select author, count(*) from trial group by author")
    )
    assert authors == {"Ada": 15, "Grace": 15}
    assert healthy(database)

    # What was confirmed last is used, and who only came first yields to who won, whoever timed it.
    confirmed = {}
    for workload, *rest in query(database, CONFIRMED):
        confirmed.setdefault(workload, []).append(rest)
    out = tmp_path / "out"
    words = ("--db", database, "--no-shipped", "--threads", "1")
    done = opencompiler("compile", CLS, *CLS_SHAPE, "-o", out, *words)
    assert done.returncode == 0, done.stderr
    kernels = json.loads((out / "cls.lock").read_text())["kernels"]
    used = {kernel["workload_hash"]: kernel["trial"] for kernel in kernels}
    assert confirmed
    for workload, trials_of_it in confirmed.items():
        won = [trial for trial, note, _ in trials_of_it if note != "without a duel"]
        first = min(trials_of_it, key=lambda each: (each[2], each[0]))[0]
        assert used[workload] == (won[-1] if won else first)


FULL_DISK = """
set -eu
mount -t tmpfs -o size=256k tmpfs {disk}
{tune} --trials 2 >/dev/null 2>&1
left=$(df --output=avail -k {disk} | tail -1)
head -c $(((left - 24) * 1024)) /dev/zero >{disk}/filler
{tune} --trials 400 >{out}/said 2>{out}/complaint && status=0 || status=$?
echo $status >{out}/status
{cli} db doctor --db {database} >{out}/doctor
{cli} db export {out}/full.jsonl --db {database}
rm {disk}/filler
mount -o remount,size=16m {disk}
{tune} --trials 3 >{out}/again
{cli} db doctor --db {database} >>{out}/doctor
{cli} db export {out}/again.jsonl --db {database}
"""


def test_a_full_disk_keeps_what_was_committed(tmp_path):
    """A small file system of the test's own; mounting it takes a namespace."""
    disk, out = small_disk(tmp_path), tmp_path / "out"
    out.mkdir()
    database = disk / "tuning.db"
    script = FULL_DISK.format(
        disk=disk,
        out=out,
        database=database,
        cli=CLI,
        tune=shlex.join(command(CLS, database)),
    )
    subprocess.run([*NAMESPACE, "sh", "-c", script], check=True)
    assert (out / "status").read_text() == "1\n"
    assert (out / "complaint").read_text().splitlines()[-1] == (
        f"error: tuning database {database}: the disk is full; free some space, then run this again"
        " (database or disk is full)"
    )
    assert (out / "said").read_text() == ""
    assert (out / "doctor").read_text().count("healthy\n") == 2
    full, again = (
        set((out / f"{name}.jsonl").read_text().splitlines())
        for name in ("full", "again")
    )
    assert full < again, "what stood on the full disk stands, and a rerun goes on"
    kept = [line for line in full if '"kind":"trial"' in line]
    assert len(kept) > 2, "trials were added until the disk was full"


FULL_SCRATCH = """
set -eu
mount -t tmpfs -o size=64m tmpfs {disk}
export TMPDIR={disk}
{tune} --trials 400 >{out}/said 2>{out}/complaint & tuner=$!
until [ "$({count} 2>/dev/null)" -ge 3 ] 2>/dev/null; do sleep 0.2; done
cat /dev/zero >{disk}/filler 2>/dev/null || true
wait $tuner && status=0 || status=$?
echo $status >{out}/status
rm {disk}/filler
{tune} --trials 3 >{out}/again
"""


def test_no_room_for_temporary_files_is_no_fault_of_schedules(tmp_path):
    disk, out = small_disk(tmp_path), tmp_path / "out"
    out.mkdir()
    database = tmp_path / "tuning.db"
    rows = "select count(*) from trial"
    count = f"import sqlite3; print(*sqlite3.connect('{database}').execute('{rows}').fetchone())"
    script = FULL_SCRATCH.format(
        disk=disk,
        out=out,
        tune=shlex.join(command(CLS, database)),
        count=shlex.join([sys.executable, "-c", count]),
    )
    subprocess.run([*NAMESPACE, "sh", "-c", script], check=True, timeout=300)
    assert (out / "status").read_text() == "1\n"
    complaint = (out / "complaint").read_text().splitlines()[-1]
    assert complaint.startswith(
        f"error: this machine cannot build and time kernels now: cannot write {disk}/opencompiler-"
    )
    assert complaint.endswith(
        "No space left on device; free what is missing, then run this again"
    )
    statuses = dict(
        query(database, "select status, count(*) from trial group by status")
    )
    assert set(statuses) == {"ok"}, "no schedule has failed for want of room"
    assert statuses["ok"] >= 6


def as_an_ordinary_user(words):
    """Root may write whatever the modes say; without this it may not."""
    drop = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    return [*drop, *words]


def edit(database, sql):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(sql)


def truncate(database):
    os.truncate(database, database.stat().st_size - 1)


UNUSABLE = {
    "text": (
        lambda db: db.write_text("no database at all"),
        "tuning database {db}: this is not a tuning database; name another file (file is not a database)",
    ),
    "another program's": (
        lambda db: (db.unlink(), edit(db, "create table contacts(name)")),
        "tuning database {db}: it belongs to another program; name another file",
    ),
    "a folder": (
        lambda db: (db.unlink(), db.mkdir()),
        "tuning database {db}: it is not a file; name another",
    ),
    "truncated": (
        truncate,
        (
            "tuning database {db}: it is truncated: {size} bytes of {whole}; get another copy of it, or save the rest by"
            " `opencompiler db doctor --repair`"
        ),
    ),
    "newer": (
        lambda db: edit(db, "pragma user_version = 99"),
        (
            "{db}: cannot be written, so nothing that tuning finds would be kept: its schema version 99 is newer than this"
            " program's 2; update OpenCompiler to write to it"
        ),
    ),
    "newer with other tables": (
        lambda db: edit(
            db,
            "alter table trial rename column samples to sketches; pragma user_version = 99",
        ),
        "tuning database {db}: its schema version 99 cannot be read by this program, which knows 2; update OpenCompiler",
    ),
    "a read-only file": (
        lambda db: db.chmod(0o444),
        (
            "{db}: cannot be written, so nothing that tuning finds would be kept: the file cannot be written to; check its"
            " permissions"
        ),
    ),
    "in a read-only folder": (
        lambda db: db.parent.chmod(0o555),
        (
            "{db}: cannot be written, so nothing that tuning finds would be kept: its folder cannot be written to; check its"
            " permissions"
        ),
    ),
    "missing from a read-only folder": (
        lambda db: (db.unlink(), db.parent.chmod(0o555)),
        "tuning database {db}: it does not exist and its folder cannot be written to; name another place",
    ),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_file_that_cannot_be_tuned_into_is_left_alone(model, tmp_path, fault):
    break_it, message = UNUSABLE[fault]
    folder = tmp_path / "folder"
    folder.mkdir()
    database = folder / "tuning.db"
    nothing = tmp_path / "nothing.jsonl"
    nothing.touch()
    assert opencompiler("db", "import", nothing, "--db", database).returncode == 0
    whole = database.stat().st_size
    break_it(database)
    before = database.read_bytes() if database.is_file() else None
    words = as_an_ordinary_user(command(model, database, "--trials", "1"))
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    size = database.stat().st_size if before is not None else 0
    message = message.format(db=database, size=size, whole=whole)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {message}\n"
    if before is not None:
        assert database.read_bytes() == before
    folder.chmod(0o755)
    assert [each.name for each in folder.iterdir()] in ([], ["tuning.db"])


HOSTILE_SCHEDULES = {
    "contraction v1\ntile m=1000000000 n=2\n": "schedule line 2: 'tile.m' must be 1 to 32; got 1000000000",
    "contraction v1\nunroll k=1000000\n": "schedule line 2: 'unroll.k' must be 1 to 16; got 1000000",
    "contraction v1\nsystem rm=1\n": "schedule line 2: unknown directive 'system' for family contraction",
    "nonsense": (
        "schedule line 1: '<family> v<version>' expected, the family one of elementwise, reduction, contraction, window,"
        " movement, attention; got 'nonsense'"
    ),
    "contraction v99\n": "schedule line 1: this build speaks 'contraction v1'; got 'contraction v99'",
    "window v1\n": "a window schedule for a contraction kernel",
}


@pytest.mark.parametrize("nanoseconds", [1, 1_000_000_000], ids=["fast", "slow"])
@pytest.mark.parametrize("schedule", HOSTILE_SCHEDULES)
def test_hostile_schedules_of_others_are_passed_over(
    model, tmp_path, schedule, nanoseconds
):
    """Rows that are sound but for what their schedule says, pinned: the fastest of all, or to be beaten by any."""
    database, lines = tmp_path / "tuning.db", tmp_path / "lines.jsonl"
    assert tune(model, database, "--trials", "2").returncode == 0
    assert opencompiler("db", "export", lines, "--db", database).returncode == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    own = [r["id"] for r in rows if r.get("schedule", "").startswith("contraction")]
    trial = next(
        row
        for row in rows
        if row["kind"] == "trial" and row["schedule"].startswith("contraction")
    )
    trial |= {
        "schedule": schedule,
        "samples_ns": [nanoseconds],
        "unix_ms": trial["unix_ms"] + 1,
    }
    hostile = resigned(trial)
    mark = {"kind": "mark", "mark": "pin", "trial": trial["id"], "unix_ms": 1, "id": ""}
    lines.write_text(hostile + resigned(mark))
    done = opencompiler("db", "import", lines, "--db", database)
    assert (done.returncode, done.stdout) == (0, "added 2, known 0, skipped 0\n")

    words = ("--db", database, "--no-shipped", "--threads", "1")
    done = opencompiler("compile", model, "-o", tmp_path / "out", *words)
    assert done.returncode == 0
    assert done.stderr.splitlines()[:-1] == [
        (
            f"warning: {database}: the schedule of trial {trial['id']} for kernel {trial['workload']} is not usable"
            f" ({HOSTILE_SCHEDULES[schedule]}); that of trial {own[0]} (exact) is used"
        )
    ]
    of_the_contraction = (
        "select count(*) from trial join workload on workload.key = trial.workload"
        f" where workload.hash = '{trial['workload']}'"
    )
    before = query(database, of_the_contraction)[0][0]
    done = tune(model, database, "--trials", "6")
    assert done.returncode == 0, done.stderr
    assert query(database, of_the_contraction)[0][0] >= before + 2


def test_an_impossible_time_of_others_settles_nothing(model, tmp_path):
    """A schedule that works, said to have won in a nanosecond: it is timed here, and the search goes on."""
    team, lines = tmp_path / "team.db", tmp_path / "lines.jsonl"
    assert tune(model, team, "--trials", "2").returncode == 0
    assert opencompiler("db", "export", lines, "--db", team).returncode == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    trial = next(r for r in rows if r.get("schedule", "").startswith("contraction"))
    trial |= {"samples_ns": [1], "unix_ms": trial["unix_ms"] + 1}
    lie = resigned(trial)
    mark = {"kind": "mark", "mark": "confirm", "trial": trial["id"]}
    mark["unix_ms"] = int(time.time() * 1000)
    lines.write_text(lie + resigned(mark))
    done = opencompiler("db", "import", lines, "--db", team)
    assert (done.returncode, done.stdout) == (0, "added 2, known 0, skipped 0\n")

    mine = tmp_path / "mine.db"
    done = tune(model, mine, "--team-db", team, "--no-shipped", "--trials", "8")
    assert done.returncode == 0, done.stderr
    timed = query(
        mine,
        "select schedule.text, median_ns from trial join schedule on schedule.key = trial.schedule"
        " join workload on workload.key = trial.workload"
        f" where workload.hash = '{trial['workload']}' order by unix_ms",
    )
    assert len(timed) > 2
    assert timed[0][0] == trial["schedule"]
    assert timed[0][1] > 100
