"""When the demo tunes: its script with a compiler that only writes down what it is asked."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("rung", "budget", "tunes"),
    [
        ("default", (), 2),
        ("exact", (), 0),
        ("exact", ("--budget", "5s"), 2),
    ],
)
def test_the_demo_tunes_once_unless_told(tmp_path, rung, budget, tunes):
    (tmp_path / "demo").mkdir()
    shutil.copy(ROOT / "demo/run.sh", tmp_path / "demo")
    stub = tmp_path / ".venv/bin/opencompiler"
    stub.parent.mkdir(parents=True)
    stub.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\necho \'"rung": "{rung}"\'\n'
        '[ "$1" != compile ]\n'
    )
    stub.chmod(0o755)
    subprocess.run(
        ["bash", tmp_path / "demo/run.sh", *budget], check=False, capture_output=True
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    tuned = [call for call in calls if call.startswith("tune ")]
    assert len(tuned) == tunes
    assert all(f"--time {budget[1] if budget else '60s'}" in call for call in tuned)
    assert calls[-1].startswith("compile ")
