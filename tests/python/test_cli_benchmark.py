"""The benchmark's arithmetic and its budget of time."""

import argparse
import json
import pathlib
import sys
import time

import compare
import numpy as np
import pytest
import report
import suite
from harness import CLS, CLS_SHAPE, ROOT, opencompiler, run


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
def test_nan_and_infinities_must_stand_in_the_same_places(ours, reference, equal):
    assert (compare.err(ours, reference) == 0) == equal
    assert compare.err(ours, reference) in (0, float("inf"))


@pytest.mark.parametrize(
    ("text", "dtype", "shape", "expected"),
    [
        ("16000", "i64", [], np.array(16000)),
        ("f32=0.5", "f32", [], np.array(0.5, np.float32)),
        ("1x3xf32=0.5", "f32", ["n", 3], np.full((1, 3), 0.5, np.float32)),
        ("9007199254740993", "i64", [], np.array(9007199254740993)),
        ("2xbool=1", "bool", [2], np.array([True, True])),
        ("@{}/x.npy", "f32", [2], np.array([1, 2], np.float32)),
        ("@{}/all.npz", "f32", [2], np.array([3, 4], np.float32)),
    ],
)
def test_inputs_are_written_as_for_run(tmp_path, text, dtype, shape, expected):
    np.save(tmp_path / "x.npy", np.array([1, 2], np.float32))
    np.savez(tmp_path / "all.npz", x=np.array([3, 4], np.float32))
    found = compare.read_input("x", text.format(tmp_path), dtype, shape)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("text", "dtype", "shape", "words"),
    [
        ("0.5", "f32", [1, 3], "1x3xf32=0.5"),
        ("0.5", "f32", None, "1x3xf32=0.5"),
        ("16000.7", "i64", [], "16000.7"),
        ("300", "u8", [], "300"),
        ("2", "bool", [], "2"),
        ("1x3=0.5", "f32", [1, 3], "no type"),
        ("axf32=0.5", "f32", [1], "'a'"),
        ("yes", "f32", [], "yes"),
        ("@none.npy", "f32", [], "none.npy"),
    ],
)
def test_what_is_no_input_is_said_in_one_line(text, dtype, shape, words):
    with pytest.raises(SystemExit) as stopped:
        compare.read_input("x", text, dtype, shape)
    assert stopped.value.code.startswith("error: input 'x': ")
    assert words in stopped.value.code
    assert "\n" not in stopped.value.code


def test_a_flag_without_a_value_is_said():
    assert compare.assignments(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(SystemExit, match="'x': write NAME=VALUE"):
        compare.assignments(["x"])


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--input", "1x3xf32=1"), ("--freeze", "1x3xf32=1"), ("--shape", "1x3")],
)
def test_an_input_that_the_model_does_not_have_is_said(flag, value):
    done = opencompiler("benchmark", CLS, *CLS_SHAPE, flag, f"nothing={value}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {flag} nothing: the model has no such")
    assert done.stderr.endswith(" it has: x\n")


class Noisy:
    """Its times never settle."""

    def __init__(self, name):
        self.name = name
        self.medians = []
        self.random = np.random.default_rng(len(name))

    def time(self, span):
        time.sleep(span)
        self.medians.append(self.random.uniform(1, 9))


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(compare, "SETTLE", 0)


def test_the_time_given_is_kept(no_pauses):
    contestants = [Noisy("ours"), Noisy("theirs!")]
    started = time.monotonic()
    serial = [Noisy("ours")]
    _, noisy = compare.compare(argparse.Namespace(time=0.5), contestants, serial, [])
    assert time.monotonic() - started < 3
    assert len(contestants[0].medians) == len(serial[0].medians) >= 15
    assert noisy


class SlowLimit:
    def time(self):
        time.sleep(0.05)


def test_rounds_go_on_while_intervals_are_wide_and_limits_take_nothing_of_the_time(
    no_pauses,
):
    contestants = [Noisy("ours"), Noisy("theirs!")]
    limit = SlowLimit()
    arguments = argparse.Namespace(time=0.5)  # less than 15 times the limit
    _, noisy = compare.compare(arguments, contestants, [], [limit])
    assert noisy
    assert len(contestants[0].medians) > compare.MIN_ROUNDS


class Steady(Noisy):
    def time(self, span):
        self.medians.append(2.0)


def test_rounds_end_when_intervals_are_narrow(no_pauses):
    contestants = [Steady("ours"), Steady("theirs")]
    ratios, noisy = compare.compare(argparse.Namespace(time=60), contestants, [], [])
    assert ratios["theirs"] == (1, 1, 1)
    assert not noisy
    assert len(contestants[0].medians) == compare.MIN_ROUNDS


def recorded_row(name, ratio, width=0.0, err=0.0):
    interval = [ratio - width / 2, ratio + width / 2]
    row = {"name": name, "milliseconds": ratio, "ratio": ratio, "interval": interval}
    return row | {"err": err, "version": "1", "first_result_ms": 1, "peak_rss_mb": 1}


def recorded_case(*rows, name="square 64"):
    ours = [recorded_row("opencompiler", 1.0), recorded_row("untuned", 1.0)]
    case = {"name": name, "flops": None, "machine": "M", "peak_flops": None}
    return case | {"rows": [*ours, *rows]}


def test_ratios_of_wide_intervals_are_marked_and_counted():
    wide = recorded_case(
        recorded_row("onnxruntime", 1.5, 0.07), recorded_row("openvino", 1.2, 0.01)
    )
    text = report.run_table({"cases": [wide]})
    assert "| ~1.50 | 1.20 | 1.20 |" in text
    assert "1 of 3 ratios have an interval wider than 4 %" in text


def test_figures_of_another_build_than_the_newest_are_marked():
    case = recorded_case(recorded_row("onnxruntime", 1.5))
    whole = {"suite": "gemm", "target": "host", "about": "A", "cases": [case]}
    old = whole | {"threads": 1, "build": "a", "recorded": "2026-01-02T03:04:05+00:00"}
    new = whole | {"threads": 2, "build": "b", "recorded": "2026-01-02T03:04:06+00:00"}
    unnamed = whole | {"threads": 4}
    assert report.newest_build([new, old, unnamed]) == "b"
    assert report.newest_build([unnamed]) is None
    text = report.machine_section("id", [old, new, unnamed], "b")
    tables = text.split("### ")
    stale = [table.splitlines()[0] for table in tables if "Stale" in table]
    assert stale == ["gemm, 1 thread(s), host", "gemm, 4 thread(s), host"]
    assert "Stale" in report.machine_section("id", [unnamed], None)


def test_a_record_names_the_build(tmp_path):
    file = tmp_path / "gemm.json"
    command = [sys.executable, ROOT / "benchmarks/suite.py", "gemm", "--only", "odd 77"]
    run(*command, "--against", "onnxruntime", "--time", "0.2", "--json", file)
    recorded = json.loads(file.read_text())
    toolchain = json.loads(opencompiler("doctor", "--json", "--no-measure").stdout)
    assert recorded["build"].startswith(toolchain["toolchain"] + " shipped-")
    assert recorded["recorded"].startswith("20")
    assert [case["name"] for case in recorded["cases"]] == [
        "odd 77",
        "odd 77, both given",
    ]
    assert report.run_table(recorded).count("| odd 77") == 2


def test_the_page_says_the_shares_and_why_a_case_is_slower():
    peer = recorded_row("onnxruntime", 0.9)
    measured = {"flops": 5e8, "peak_flops": 1e12}  # in 1 ms: half the peak
    cases = [recorded_case(peer, name="square 256") | measured]
    cases.append(recorded_case(peer, name="gemv 4096") | measured | {"flops": 2e8})
    recorded = {"suite": "gemm", "threads": 1, "target": "host", "cases": cases}
    assert "; of those with m, n and k of 256 or more 50 %." in report.run_table(
        recorded
    )
    assert report.slower(recorded) == [
        "- gemm, 1 thread(s), host:",
        "  - square 256 0.90 onnxruntime",
        "  - gemv 4096 0.90 onnxruntime: everyone reads 64 MiB of b once, at the speed of memory",
    ]
    (first, *_) = report.slower(recorded | {"target": "x86-64-avx2"})
    assert first.endswith("exceed the peak of AVX2:")


def test_models_have_their_share_of_the_limit_and_the_time_of_a_cold_compile():
    limited = recorded_case(recorded_row("onnxruntime", 1.5)) | {"limit_ms": 0.75}
    plain = recorded_case(recorded_row("onnxruntime", 1.5))
    plain["cold_compile"] = {"jobs": 2, "asked": 20, "seconds": 12.34}
    text = report.run_table({"cases": [limited, plain]})
    lines = text.splitlines()
    assert lines[0].startswith("| case | ms | of limit | onnxruntime")
    assert lines[2].startswith("| square 64 | 1.000 | 75 % | 1.50")
    assert lines[3].startswith("| square 64 | 1.000 | – | 1.50")
    assert "Share of the limit of all kernels: geomean 75 %." in text
    assert "with an empty cache and 2 jobs: 12.3 s; asked for: at most 20 s." in text


def test_the_time_of_wrong_outputs_counts_nowhere():
    right = recorded_case(
        recorded_row("onnxruntime", 2.0), recorded_row("openvino", 1.5)
    )
    wrong = recorded_case(
        recorded_row("onnxruntime", 2.0), recorded_row("openvino", 0.5, 1.0, err=0.9)
    )
    text = report.run_table({"cases": [right, wrong]})
    assert text.splitlines()[3] == "| square 64 | 1.000 | 2.00 | wrong (~0.50) | 2.00 |"
    assert "Better peer / ours: geomean 1.73, lowest 1.50" in text
    assert "onnxruntime / ours: geomean 2.00 of 2 cases." in text
    assert "OpenVINO / ours: geomean 1.50 of 1 case." in text
    assert (
        "OpenVINO's outputs are wrong in 1 of 2; what it takes for them / ours: geomean 0.50."
        in text
    )
    assert "0 of 5 ratios" in text


def test_torch_has_a_column_and_is_not_the_better_peer():
    case = recorded_case(recorded_row("onnxruntime", 2.0), recorded_row("torch", 0.5))
    lines = report.run_table({"cases": [case]}).splitlines()
    assert lines[0] == "| case | ms | onnxruntime | torch | untuned, better |"
    assert lines[2] == "| square 64 | 1.000 | 2.00 | 0.50 | 2.00 |"
    recorded = {"suite": "gemm", "threads": 1, "target": "host", "cases": [case]}
    assert report.slower(recorded)[1:] == ["  - square 64 0.50 torch"]


TORCH_CASES = [
    ("gemm", {"a": [5, 12], "b": [12, 7], "constant": True}),
    ("gemm", {"a": [2, 5, 12], "b": [2, 7, 12], "constant": False, "transposed": True}),
    ("gemm", {"a": [5, 12], "b": [12, 7], "constant": True, "dtype": "f64"}),
    ("conv", {"x": [1, 6, 9, 11], "kernel": [3, 3], "pads": [0, 1, 1, 2]}),
    ("conv", {"x": [1, 6, 9, 11], "kernel": [3, 2], "pads": [1, 0] * 2, "group": 2}),
    ("conv", {"x": [1, 6, 30], "kernel": [3], "pads": [1, 1], "dilation": 2}),
    (
        "conv",
        {
            "x": [1, 6, 9, 8],
            "kernel": [4, 2],
            "pads": [1, 0] * 2,
            "op": "ConvTranspose",
        },
    ),
]


@pytest.mark.parametrize(("kind", "case"), TORCH_CASES)
def test_torch_computes_what_the_model_says(tmp_path, kind, case):
    if not compare.INTERPRETERS["torch"].exists():
        pytest.skip("no torch environment; tests/models/fetch.py --all makes it")
    if kind == "conv":
        case = {"out_channels": 4, "stride": 2} | case
    write = {"gemm": suite.write_gemm, "conv": suite.write_conv}[kind]
    write(case, tmp_path / "case.onnx")
    file = tmp_path / "figures.json"
    command = [sys.executable, ROOT / "benchmarks/compare.py", tmp_path / "case.onnx"]
    run(*command, "--against", "onnxruntime,torch", "--time", "0.1", "--json", file)
    rows = json.loads(file.read_text())["rows"]
    assert [each["name"] for each in rows] == ["opencompiler", "onnxruntime", "torch"]
    assert all(each["err"] <= compare.TOLERANCE for each in rows)


def test_the_suite_goes_on_without_a_peer_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setitem(suite.INTERPRETERS, "torch", pathlib.Path("/nowhere/python"))
    assert suite.present(["onnxruntime", "torch"]) == ["onnxruntime"]
    assert "without torch: /nowhere/python is not there" in capsys.readouterr().out


def test_scaling_is_the_median_of_the_rounds_ratios():
    all_threads, one = Noisy("ours"), Noisy("ours")
    all_threads.medians, one.medians = [1.0, 2.0, 10.0], [2.0, 3.0, 11.0]
    peer = Noisy("theirs")
    assert compare.scaling([all_threads, peer], [one]) == {"ours": 1.5}


def test_a_saved_run_is_compared(tmp_path, capsys):
    file = tmp_path / "old.json"
    rows = [{"name": "opencompiler", "milliseconds": 3.0}]
    file.write_text(json.dumps({"threads": 1, "rows": rows}))
    now = [
        {"name": "opencompiler", "milliseconds": 1.5},
        {"name": "other", "milliseconds": 1},
    ]
    compare.print_change(file, argparse.Namespace(threads=1), now)
    assert "2.000" in capsys.readouterr().out


def test_the_page_of_figures_is_what_was_recorded():
    run(sys.executable, ROOT / "benchmarks/report.py", "--check")
