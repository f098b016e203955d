"""`profile`: a time for every step, beside what the machine allows; a trace that viewers can nest."""

import json

from harness import CLI, CLS, CLS_SHAPE, run

COMMAND = (CLI, "profile", CLS, *CLS_SHAPE, "--threads", "1", "--time", "0.1")


def test_every_step_has_a_time_and_kernels_have_a_limit():
    result = json.loads(run(*COMMAND, "--json"))
    assert result["runs"] >= 5
    steps = result["steps"]
    assert all(step["nanoseconds"] > 0 for step in steps)
    kernels = [step for step in steps if "kernel" in step]
    assert len(kernels) > 40
    convolutions = [step for step in kernels if "conv" in step["step"]]
    assert all(step["flops"] > 0 for step in convolutions)
    assert all(step["limit_nanoseconds"] > 0 for step in kernels)
    table = run(*COMMAND).splitlines()
    assert len(table) == len(steps) + 2
    assert table[-1].split()[1:4] == ["us", "in", str(len(steps))]


def test_the_trace_is_nested(tmp_path):
    run(*COMMAND, "--trace", tmp_path / "trace.json")
    whole, *steps = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    end = 0.0
    for step in steps:
        assert step["ts"] >= end - 1e-6
        end = step["ts"] + step["dur"]
    assert end <= whole["ts"] + whole["dur"] + 1e-6


def test_a_compiled_library_can_be_profiled(tmp_path):
    run(CLI, "compile", CLS, *CLS_SHAPE, "-o", tmp_path, "--name", "cls")
    text = run(CLI, "profile", tmp_path / "libcls.so", "--time", "0.1")
    assert "conv" in text
