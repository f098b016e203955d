"""ONNX's backend suites: of each op the first case that passed when the list was written still does."""

import os
import re

import pytest
from cases import EXCLUDED, all_cases, judge, passing
from outcome import outcomes


@pytest.fixture(scope="module")
def cases():
    return all_cases()


def test_what_passed_passes(cases, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCOMPILER_CACHE", str(tmp_path))
    monkeypatch.setenv("OPENCOMPILER_NUM_THREADS", "1")
    passed = set(passing())
    first = {}
    for case in cases:
        if case.full_name in passed and case.op:
            first.setdefault(case.op, case)
    assert len(first) > 100
    jobs = len(os.sched_getaffinity(0))
    failed = [
        f"{case.full_name} {result.status}: {result.detail}"
        for case, result in outcomes(judge, list(first.values()), jobs)
        if result.status != "passed"
    ]
    assert not failed, "\n".join(failed)


def test_the_lists_name_cases_that_there_are(cases):
    names = {case.full_name for case in cases}
    assert set(passing()) <= names
    assert not names & set(EXCLUDED)
    assert len(names) + len(EXCLUDED) == 1884 + 9 + 23 + 82 + 35


def test_a_refusal_names_node_op_and_reason(cases):
    name = "node/test_maxpool_with_argmax_2d_precomputed_pads"
    case = next(c for c in cases if c.full_name == name)
    [(_, result)] = outcomes(judge, [case], 1)
    assert result.status == "refused"
    what = r"node #0 \(MaxPool\): its output Indices is not supported"
    assert re.fullmatch(rf"error: \S+/model\.onnx: {what}", result.detail)
