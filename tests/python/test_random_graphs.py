"""Random ONNX graphs, and that their judge sees what is wrong."""

import collections
import os

import numpy as np
import pytest
from outcome import outcomes
from random_graphs.graphs import make
from random_graphs.judge import Expected, judge, second_opinion
from random_graphs.nodes import MAKERS

GRAPHS = 60


def test_the_same_number_makes_the_same_graph():
    for seed in range(20):
        (model, inputs, exact), (again, others, _) = make(seed), make(seed)
        assert model.SerializeToString() == again.SerializeToString()
        assert {k: v.tobytes() for k, v in inputs.items()} == {
            k: v.tobytes() for k, v in others.items()
        }
        assert exact


def test_every_maker_makes_nodes(monkeypatch):
    made = collections.Counter()

    def counted(maker_of):
        def call(maker):
            before = len(maker.nodes)
            maker_of(maker)
            made[maker_of] += len(maker.nodes) > before

        return call

    monkeypatch.setattr(
        "random_graphs.graphs.MAKERS",
        [(often, [counted(each) for each in makers]) for often, makers in MAKERS],
    )
    for seed in range(1500):
        make(seed)
    missing = [each for _, makers in MAKERS for each in makers if made[each] == 0]
    assert not missing


def test_onnxruntime_passes_the_judge():
    """So that what it says of ours is not an accident of the graphs or of its tolerance."""
    answers = collections.Counter()
    for seed in range(GRAPHS):
        model, inputs, exact = make(seed)
        lines = second_opinion(model, Expected(model, exact, inputs), inputs)
        answers["none" if lines and lines[0].startswith("no answer") else "some"] += 1
        assert not lines or lines[0].startswith("no answer"), (seed, lines)
    assert answers["some"] > GRAPHS / 2


def with_last(array, value):
    other = array.copy()
    other.flat[-1] = value
    return other


def gross_faults(array):
    yield array.astype(np.float64 if array.dtype == np.float32 else np.float32)
    yield array[..., None]
    if array.dtype.kind == "f":
        yield with_last(array, np.nan)
        yield with_last(array, np.inf)
    else:
        yield with_last(array, array.flat[-1] + array.dtype.type(1))


def small_fault(array):
    return with_last(
        array, array.flat[-1] * array.dtype.type(1.001) + array.dtype.type(1e-3)
    )


def test_the_judge_sees_one_wrong_element():
    """A small fault where the graph does not make more of the rounding of its inputs."""
    gross = small = seen = 0
    for seed in range(30):
        model, inputs, exact = make(seed)
        expected = Expected(model, exact, inputs)
        right = expected.outputs()
        assert not expected.differences(right), seed
        for i, array in enumerate(right):
            if array.dtype.kind == "b" or not np.all(np.isfinite(array)):
                continue
            for fault in gross_faults(array):
                gross += 1
                wrong = [*right[:i], fault, *right[i + 1 :]]
                assert expected.differences(wrong), (seed, i)
            if array.dtype in (np.float32, np.float64):
                small += 1
                wrong = [*right[:i], small_fault(array), *right[i + 1 :]]
                seen += bool(expected.differences(wrong))
    assert gross > 100
    assert seen > 0.75 * small > 20


def test_outcomes_of_what_crashes_and_hangs(monkeypatch):
    monkeypatch.setattr("outcome.SECONDS", 2)

    def judged(case):
        if case == "crash":
            os.abort()
        if case == "hang":
            os.system("sleep 60")
        return case

    cases = ["a", "crash", "b", "hang", "c"]
    found = [result for _, result in outcomes(judged, cases, 2)]
    assert [found[0], found[2], found[4]] == ["a", "b", "c"]
    assert found[1].detail == "the process ended with -6"
    assert found[3].detail == "no answer after 2 s"


def test_random_graphs_are_right(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCOMPILER_CACHE", str(tmp_path))
    jobs = len(os.sched_getaffinity(0))
    failed = [
        f"{seed} {result.status}: {result.detail}"
        for seed, result in outcomes(judge, range(GRAPHS), jobs)
        if result.status != "passed"
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.long
def test_many_random_graphs_are_right(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCOMPILER_CACHE", str(tmp_path))
    jobs = len(os.sched_getaffinity(0))
    failed = [
        f"{seed} {result.status}: {result.detail}"
        for seed, result in outcomes(judge, range(GRAPHS, 1000), jobs)
        if result.status != "passed"
    ]
    assert not failed, "\n".join(failed)
