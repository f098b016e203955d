"""`db` on a database with the schedules that ship: what is shown of a workload, and a damaged file made whole again."""

import json
import sqlite3
import time

import pytest
from harness import CLS, CLS_SHAPE, ROOT, content_hash, opencompiler, resigned

SHIPPED = max(
    (ROOT / "tuning_db/system").glob("*.jsonl"), key=lambda file: file.stat().st_size
)
PAGE = 4096


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "mine.db"
    assert opencompiler("db", "import", SHIPPED, "--db", path).returncode == 0
    return path


def rows(kind):
    lines = map(json.loads, SHIPPED.read_text().splitlines())
    return [row for row in lines if row["kind"] == kind]


def test_show_tells_where_trials_come_from(database):
    trial = rows("trial")[0]
    done = opencompiler("db", "show", trial["workload"], "--db", database)
    assert done.returncode == 0
    assert trial["id"] in done.stdout
    machine = next(row for row in rows("machine") if row["id"] == trial["machine"])
    assert f"machine {machine['id'][:8]}  {machine['description']}\n" in done.stdout
    build = next(row for row in rows("build") if row["id"] == trial["build"])
    assert (
        f"build {build['id'][:8]}  {build['version']} {build['toolchain']}"
        in done.stdout
    )


def test_an_export_of_the_best_is_the_best(tmp_path):
    """One trial of each key and the workload it names."""
    lines, database = tmp_path / "trials.jsonl", tmp_path / "t.db"
    lines.write_text("".join(trials_of_three_products()))
    assert opencompiler("db", "import", lines, "--db", database).returncode == 0
    done = opencompiler("db", "export", "--best", "-", "--db", database)
    assert done.returncode == 0, done.stderr
    exported = [json.loads(line) for line in done.stdout.splitlines()]
    trials = [row for row in exported if row["kind"] == "trial"]
    assert len(exported) == 6
    assert {row["workload"] for row in trials} == {
        row["id"] for row in exported if row["kind"] == "workload"
    }
    for row in trials:
        assert best_of(database, row["workload"]) == [row["id"]]


def mark(*arguments):
    return opencompiler("db", "mark", *arguments)


def marks_of(database, trial):
    with sqlite3.connect(database) as db:
        query = "SELECT kind, note FROM mark WHERE trial = ? ORDER BY unix_ms"
        return db.execute(query, (trial,)).fetchall()


def best_of(database, workload):
    """The trials with a star."""
    shown = opencompiler("db", "show", workload, "--db", database).stdout
    return [line.split()[1] for line in shown.splitlines() if line.startswith("*")]


def test_marks_decide_which_trial_is_best(tmp_path):
    lines, database = tmp_path / "trials.jsonl", tmp_path / "t.db"
    lines.write_text("".join(trials_of_three_products()))
    assert opencompiler("db", "import", lines, "--db", database).returncode == 0
    trials = [json.loads(line) for line in lines.read_text().splitlines()[1:17]]
    fastest, next_best, slow = sorted(trials, key=lambda row: row["samples_ns"])[:3]
    decisions = (
        (None, None, fastest),
        ("confirm", next_best, next_best),
        ("pin", slow, slow),
        ("clear", slow, next_best),
        ("quarantine", next_best, fastest),
    )
    for kind, trial, best in decisions:
        if kind:
            done = mark(kind, trial["id"], "--db", database, "--note", "because")
            assert (done.returncode, done.stderr) == (0, "")
        assert best_of(database, trials[0]["workload"]) == [best["id"]], kind
    assert marks_of(database, slow["id"]) == [("pin", "because"), ("clear", "because")]


def test_marks_that_make_no_sense_are_refused(database):
    trials = [row["id"] for row in rows("trial")]
    first = min(trials)
    several = sum(trial[0] == first[0] for trial in trials)
    assert several > 1
    for kind, trial, message in (
        ("like", first, "'like' is no mark"),
        ("pin", "0" * 32, f"no trial in {database} or of those that ship has an id"),
        ("pin", "' OR 1", f"no trial in {database} or of those that ship has an id"),
        ("pin", first[0], f"{several} trials have an id that begins with '{first[0]}'"),
    ):
        done = mark(kind, trial, "--db", database)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {message}"), done.stderr
    with sqlite3.connect(database) as db:
        (count,) = db.execute("SELECT count(*) FROM mark").fetchone()
    assert count == len(rows("mark"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("x" * 5000, " bytes"), ("a\x1b[2Jb", "is not plain text")],
    ids=["long", "control"],
)
def test_texts_that_no_row_can_hold_are_refused_before_any_work(
    tmp_path, text, message
):
    """The database is not even made."""
    mine, trial = tmp_path / "mine.db", rows("trial")[0]["id"]
    for flag, command in (
        ("--note", ("db", "mark", "pin", trial)),
        ("--author", ("tune", CLS, *CLS_SHAPE, "--trials", "1")),
    ):
        done = opencompiler(*command, "--db", mine, flag, text)
        assert done.returncode == 2
        assert f"{flag}: the text " in done.stderr
        assert message in done.stderr
        assert not mine.exists()


def test_trials_of_other_databases_can_be_marked(tmp_path):
    lines, team = tmp_path / "trials.jsonl", tmp_path / "team.db"
    lines.write_text("".join(trials_of_three_products()))
    assert opencompiler("db", "import", lines, "--db", team).returncode == 0
    shared = json.loads(lines.read_text().splitlines()[1])["id"]
    shipped = rows("trial")[0]["id"]
    mine = tmp_path / "folder" / "mine.db"
    assert mark("pin", shared[:12], "--db", mine).returncode == 1
    assert not mine.exists()
    for trial, flags in ((shared, ("--team-db", team)), (shipped, ())):
        # As `explain` shows it.
        done = mark("quarantine", trial[:12], "--db", mine, *flags)
        assert (done.returncode, done.stderr) == (0, "")
        assert marks_of(mine, trial) == [("quarantine", "")]
    assert marks_of(team, shared) == []


def test_a_mark_is_later_than_those_of_a_fast_clock(tmp_path):
    """A team pinned the trial twelve hours from now; what is decided here afterwards holds."""
    lines, team = tmp_path / "trials.jsonl", tmp_path / "team.db"
    trial = json.loads(list(trials_of_three_products())[1])["id"]
    ahead = int((time.time() + 12 * 3600) * 1000)
    pin = {"kind": "mark", "mark": "pin", "trial": trial, "unix_ms": ahead}
    lines.write_text("".join(trials_of_three_products()) + resigned(pin))
    assert opencompiler("db", "import", lines, "--db", team).returncode == 0
    assert marks_of(team, trial) == [("pin", "")]
    mine = tmp_path / "mine.db"
    done = mark("quarantine", trial, "--db", mine, "--team-db", team)
    assert (done.returncode, done.stderr) == (0, "")
    assert opencompiler("db", "merge", team, "--db", mine).returncode == 0
    assert marks_of(mine, trial) == [("pin", ""), ("quarantine", "")]


def page_of_rows(database, content, table):
    """Where a page begins that holds some of the table's rows: https://sqlite.org/fileformat2.html, section 1.6."""
    with sqlite3.connect(database) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = db.execute(query, (table,)).fetchone()
    integer = lambda at, size: int.from_bytes(content[at : at + size], "big")
    interior, leaf = 5, 13
    while content[at := (page - 1) * PAGE] == interior:
        cells = integer(at + 3, 2)
        page = integer(at + integer(at + 12 + 2 * (cells // 2), 2), 4)
    assert content[at] == leaf
    return at


def test_doctor_repairs_a_damaged_file(database):
    whole = opencompiler("db", "export", "-", "--db", database).stdout.splitlines()
    content = bytearray(database.read_bytes())
    damaged = page_of_rows(database, content, "trial")
    content[damaged : damaged + PAGE] = bytes(PAGE)
    database.write_bytes(content)
    sick = opencompiler("db", "doctor", "--db", database)
    assert sick.returncode == 1
    done = opencompiler("db", "doctor", "--repair", "--db", database)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("saved ")
    assert done.stdout.endswith("healthy\n")
    saved = opencompiler("db", "export", "-", "--db", database).stdout.splitlines()
    assert set(saved) < set(whole)
    assert len(saved) > len(whole) // 2
    kept = list(database.parent.glob("mine.db.damaged-*"))
    assert [each.read_bytes() for each in kept] == [content]
    again = opencompiler("db", "doctor", "--repair", "--db", database)
    assert again.stdout.endswith("healthy\n")
    assert "saved" not in again.stdout


def test_too_little_to_judge_a_cost_model_by(database):
    line = opencompiler("db", "stats", "--model", "--db", database)
    assert line.returncode == 0
    assert line.stdout.startswith("too little to judge a cost model by: 0 workloads")
    done = opencompiler("db", "stats", "--model", "--json", "--db", database)
    assert json.loads(done.stdout) == {
        "enough": False,
        "trials_to_rank": 12,
        "workloads": 0,
    }


def trials_of_three_products():
    """Lines of 16 trials each, their times those of a machine that likes tiles of 6 x 2."""
    for m, k, n in ((37, 201, 155), (37, 155, 77), (37, 77, 99)):
        text = (
            f"graph {{\n  %0: f32[{m},{k}] = input\n  %1: f32[{k},{n}] = weight\n"
            f"  %2: f32[{m},{n}] = matmul(%0, %1)\n  return %2\n}}\n"
        )
        workload = {
            "kind": "workload",
            "family": "contraction",
            "id": content_hash(text),
            "text": text,
        }
        yield json.dumps(workload) + "\n"
        for tile_m in (1, 2, 4, 6):
            for tile_n in (1, 2, 3, 4):
                nanoseconds = (
                    m * k * n // 50 + 999 * abs(tile_m - 6) + 888 * abs(tile_n - 2)
                )
                yield resigned(
                    {
                        "kind": "trial",
                        "workload": workload["id"],
                        "schedule": f"contraction v1\ntile m={tile_m} n={tile_n}\n",
                        "machine": "0" * 32,
                        "features": "x86-64-linux-avx-avx2-f16c-fma-sse41",
                        "threads": 1,
                        "build": "0" * 32,
                        "status": "ok",
                        "samples_ns": [nanoseconds],
                        "relative_error": 0.0,
                        "unix_ms": 1,
                    }
                )


def test_how_well_cost_models_rank_what_they_were_not_taught(tmp_path):
    lines, database = tmp_path / "trials.jsonl", tmp_path / "t.db"
    lines.write_text("".join(trials_of_three_products()))
    done = opencompiler("db", "import", lines, "--db", database)
    assert (done.returncode, done.stdout) == (0, "added 51, known 0, skipped 0\n"), (
        done.stderr
    )
    done = opencompiler("db", "stats", "--model", "--json", "--db", database)
    found = json.loads(done.stdout)
    assert found["enough"]
    for name in ("xgboost", "roofline"):
        assert list(found[name]["families"]) == ["contraction"]
        ranked = found[name]["workloads"]
        assert len(ranked) == found["workloads"] == 3
        assert all(row["trials"] == 16 for row in ranked)
        assert all(-1 <= row["spearman"] <= 1 for row in ranked)
        mean = sum(row["spearman"] for row in ranked) / len(ranked)
        assert found[name]["spearman"] == pytest.approx(mean)
    text = opencompiler("db", "stats", "--model", "--db", database).stdout
    assert "xgboost" in text and "roofline" in text and "contraction" in text
