"""The benchmark's arithmetic and its budget of time, without a model."""

import argparse
import importlib.util
import json
import pathlib
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def harness():
    spec = importlib.util.spec_from_file_location(
        "compare", ROOT / "benchmarks/compare.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("ours", "reference", "equal"),
    [
        ([1, np.nan], [1, np.nan], True),
        ([1, np.inf], [1, np.inf], True),
        ([1, np.nan], [1, np.inf], False),
        ([1, np.inf], [1, np.nan], False),
        ([1, np.inf], [1, -np.inf], False),
        ([1, np.inf], [1, 2], False),
        ([np.nan, np.inf, 1], [np.inf, np.nan, 1], False),
        ([np.nan, np.nan], [np.nan, np.nan], True),
        ([np.nan, -np.inf], [np.nan, np.inf], False),
    ],
)
def test_nan_and_infinities_must_stand_in_the_same_places(
    harness, ours, reference, equal
):
    assert (harness.err(ours, reference) == 0) == equal
    assert harness.err(ours, reference) in (0, float("inf"))


class Noisy:
    """Its times never settle."""

    def __init__(self, name):
        self.name = name
        self.medians = []
        self.random = np.random.default_rng(len(name))

    def time(self, span):
        time.sleep(span)
        self.medians.append(self.random.uniform(1, 9))


def test_the_time_given_is_kept(harness):
    contestants = [Noisy("ours"), Noisy("theirs!")]
    started = time.monotonic()
    _, noisy = harness.compare(
        argparse.Namespace(time=0.5), contestants, contestants[0]
    )
    assert time.monotonic() - started < 3
    assert len(contestants[0].medians) >= 15
    assert noisy


def test_a_saved_run_is_compared(harness, tmp_path, capsys):
    file = tmp_path / "old.json"
    rows = [{"name": "opencompiler", "milliseconds": 3.0}]
    file.write_text(json.dumps({"threads": 1, "rows": rows}))
    now = [
        {"name": "opencompiler", "milliseconds": 1.5},
        {"name": "other", "milliseconds": 1},
    ]
    harness.print_change(file, argparse.Namespace(threads=1), now)
    assert "2.000" in capsys.readouterr().out
