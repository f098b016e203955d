"""The register tiles of arm64: hot loops are vector multiply-adds and keep everything in registers."""

import json
import re

import pytest
from harness import CLI, CLS, CLS_SHAPE, run

EXPLAIN = (CLI, "explain", CLS, *CLS_SHAPE, "--target", "arm-64-linux")
BRANCH = re.compile(r"\s*(?:b|b\.\w+|cbn?z|tbn?z)\s.*#(-\d+)$")
SPILL = re.compile(r"\s*(?:ld|st)u?[rp]\s+[qvds]\d.*\[sp")
MULTIPLY_ADD = re.compile(r"\s*fmla\s+v\d+\.4s")


def innermost_loops(assembly):
    """Bodies of the loops that hold no other; an instruction is four bytes, branches tell their distance in bytes."""
    code = [line for line in assembly.splitlines() if not line.endswith(":")]
    loops = []
    for at, line in enumerate(code):
        if match := BRANCH.match(line):
            loops.append(range(at + int(match[1]) // 4, at + 1))
    return [
        [code[i] for i in loop]
        for loop in loops
        if not any(o != loop and o[0] >= loop[0] and o[-1] <= loop[-1] for o in loops)
    ]


def matches(pattern, body):
    return [line for line in body if pattern.match(line)]


@pytest.fixture(scope="module")
def hottest():
    """The most expensive kernels that sum over channels; depthwise ones, whose loop over kx is unrolled, stream."""
    flags = ("--threads", "1", "--format", "json")
    groups = json.loads(run(*EXPLAIN, *flags))["groups"]
    flops = {
        group["kernel"]: group["flops"]
        for group in groups
        if group["kernel"]
        and (group["family"] == "contraction" or " kx=0" in group["schedule"])
    }
    return sorted(flops, key=flops.get, reverse=True)[:5]


def test_hot_loops_multiply_vectors_and_do_not_spill(hottest):
    for kernel in hottest:
        shown = run(*EXPLAIN, "--threads", "1", "--kernel", kernel)
        _, assembly = shown.split("== assembly\n")
        loops = innermost_loops(assembly)
        hot = max(loops, key=lambda body: len(matches(MULTIPLY_ADD, body)))
        assert len(matches(MULTIPLY_ADD, hot)) >= len(hot) / 2
        assert matches(SPILL, hot) == [], kernel


def test_a_spill_in_an_inner_loop_would_be_seen():
    outer, inner = innermost_loops(NESTED), innermost_loops(INNER)
    assert outer == inner == [INNER.splitlines()]
    assert matches(SPILL, inner[0]) == ["\tstr\tq3, [sp, #16]", "\tldp\tq1, q2, [sp]"]


INNER = """\
\tstr\tq3, [sp, #16]
\tldp\tq1, q2, [sp]
\tldr\tq4, [x0], #16
\tfmla\tv8.4s, v13.4s, v9.s[0]
\tb.ne\t#-16"""
NESTED = f"""\
kernel:
\tstr\tq8, [sp, #32]
{INNER}
\tcbnz\tx3, #-24
\tret"""
