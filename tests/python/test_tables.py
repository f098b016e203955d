"""The commands of docs/architecture.md that make tables of times run, and go on where they were stopped."""

import json
import re
import shlex

import pytest
from harness import BUILD, ROOT, run

SMALL = """graph {
  %0: f32[32,1024] = input
  %1: f32[32,1024] = softmax(%0) {axis=1}
  return %1
}
"""


def commands():
    text = (ROOT / "docs/architecture.md").read_text()
    return re.findall(r"`(build/release/tests/autotune/exhaust\b[^`]*)`", text)


@pytest.mark.parametrize("command", commands())
def test_a_command_makes_tables_and_goes_on_with_them(command, tmp_path):
    words = shlex.split(command)
    exhaust = (BUILD.parents[1] / words[0], *words[1:], "--tables", tmp_path)
    wanted = words[words.index("--only") + 1] if "--only" in words else "softmax"
    (tmp_path / f"{wanted}.workload").write_text(SMALL)
    run(*exhaust)
    table = tmp_path / f"{wanted}.tsv"
    header, *rows, trailer = table.read_text().splitlines()
    header, trailer = json.loads(header), json.loads(trailer)
    assert header["workload"] == SMALL
    (values,) = header["knobs"].values()
    assert [int(row.split("\t")[0]) for row in rows] == values
    assert all(int(row.split("\t")[1]) > 0 for row in rows)
    default = [row for row in rows if row.startswith(f"{header['starts'][0][0]}\t")]
    assert len(default) == 1
    ratios = [best["of_default"] for best in trailer["retimed"]]
    assert ratios == sorted(ratios) and 0 < ratios[0] <= 1.1

    made = table.read_text()
    assert "complete" in run(*exhaust)
    assert table.read_text() == made
    table.write_text("\n".join(made.splitlines()[:3]) + "\n8")
    assert f"{len(rows) - 2} of {len(rows)} schedules to time" in run(*exhaust)
    again = table.read_text().splitlines()
    assert json.loads(again[0]) == header
    assert len(again) == len(made.splitlines())


def test_there_are_commands():
    assert len(commands()) == 2
