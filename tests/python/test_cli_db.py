"""`db` on a database with the schedules that ship: what is shown of a workload, and a damaged file made whole again."""

import json
import sqlite3

import pytest
from harness import ROOT, opencompiler

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


def add_trials(database, matches, nanoseconds):
    """Gives each workload whose text matches the schedules that others have, as trials."""
    with sqlite3.connect(database) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(trial)")]
        trials = [
            dict(zip(columns, row, strict=True))
            for row in db.execute(
                "SELECT trial.* FROM trial JOIN workload ON workload.key = trial.workload "
                "WHERE workload.text LIKE ?",
                (matches,),
            )
        ]
        schedules = sorted({trial["schedule"] for trial in trials})
        number = 1000
        for workload in sorted({trial["workload"] for trial in trials}):
            like = next(t for t in trials if t["workload"] == workload)
            for schedule in schedules:
                number += 1
                time = nanoseconds(number)
                row = like | {
                    "key": number,
                    "id": f"{number:032x}",
                    "schedule": schedule,
                    "median_ns": time,
                    "samples": f"[{time}]",
                }
                db.execute(
                    f"INSERT INTO trial VALUES ({','.join('?' * len(columns))})",
                    [row[name] for name in columns],
                )


def test_how_well_cost_models_rank_what_they_were_not_taught(database):
    add_trials(database, "%matmul(%0, %1)%", lambda number: 1000 + 37 * (number % 23))
    done = opencompiler("db", "stats", "--model", "--json", "--db", database)
    found = json.loads(done.stdout)
    assert found["enough"]
    for model in ("xgboost", "roofline"):
        assert -1 <= found[model]["spearman"] <= 1
        assert list(found[model]["families"]) == ["contraction"]
        ranked = found[model]["workloads"]
        assert len(ranked) == found["workloads"] >= 3
        assert all(row["trials"] >= 12 for row in ranked)
        mean = sum(row["spearman"] for row in ranked) / len(ranked)
        assert found[model]["spearman"] == pytest.approx(mean)
    text = opencompiler("db", "stats", "--model", "--db", database).stdout
    assert "xgboost" in text and "roofline" in text and "contraction" in text
