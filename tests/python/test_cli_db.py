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
