"""Runs ONNX's backend suites and writes docs/conformance.md and passing.txt; exit 1 if a result is wrong or one
that passed no longer does.

With --only nothing is written: it prints what does not pass.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/conformance.md"
CACHE = ROOT / ".cache/conformance"  # of compiled modules
STATUSES = ("passed", "refused", "wrong")
HEAD = """# Conformance

Made by `./dev conformance`; not edited by hand. ONNX's own backend suites (`onnx` {version}) run through
`opencompiler.backend`, each case in a process of its own, held to the tolerance of ONNX's runner. Refused: compiling says
which node or input it cannot take and why. Wrong: other values, or any fault.
"""


def reason(detail: str) -> str:
    """The refusal without what is the case's own: file, node name, numbers, names of values."""
    listed = re.findall(r"^  (\S+) ×\d+$", detail, re.MULTILINE)
    if listed:
        return "no such op: " + ", ".join(sorted(listed))
    text = detail.splitlines()[0]
    text = re.sub(r"^(error: )?\S*model\.onnx: ", "", text)
    node = re.match(r"node (?:'[^']*'|#\d+) \((\w+)\): (.*)", text)
    if node:
        text = f"{node[1]}: {node[2]}"
    text = re.sub(r"'[^']*'", "…", text)
    return re.sub(r"-?\b\d+(\.\d+)?\b", "N", text)


def table(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in lines)


def count(pairs):
    """(key, outcome) → rows of key, all, passed, refused, wrong, in the order in which keys come."""
    counts = {}
    for key, outcome in pairs:
        counts.setdefault(key, collections.Counter())[outcome.status] += 1
    return [
        (key, each.total(), *(each[status] for status in STATUSES))
        for key, each in counts.items()
    ]


def page(results, excluded, tolerances, version) -> str:
    suites = count((case.suite, outcome) for case, outcome in results)
    ops = count(
        sorted(
            ((case.op, outcome) for case, outcome in results if case.suite == "node"),
            key=lambda pair: pair[0],
        )
    )
    reasons = collections.Counter(
        reason(outcome.detail) for _, outcome in results if outcome.status == "refused"
    )
    wrong = [(c, o) for c, o in results if o.status == "wrong"]
    head = ("cases", *STATUSES)
    text = HEAD.format(version=version) + "\n" + table(("suite", *head), suites)
    if wrong:
        rows = [(c.full_name, " ".join(o.detail.split())[:120]) for c, o in wrong]
        text += "\n## Wrong\n\n" + table(("case", "what"), rows)
    text += "\n## Why cases are refused\n\n"
    rows = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    text += table(
        ("cases", "reason"), [(n, why.replace("|", "\\|")) for why, n in rows]
    )
    text += "\n## Node tests by op\n\nAn expanded case counts for the op it is the body of.\n\n"
    text += table(("op", *head), ops)
    text += "\n## Excluded\n\n" + table(("case", "why"), excluded.items())
    rows = [
        (name, each["rtol"], each["atol"], each["why"])
        for name, each in tolerances.items()
    ]
    text += "\n## Held to another tolerance\n\n"
    text += table(("case", "rtol", "atol", "why"), rows)
    return text


def parse():
    parser = argparse.ArgumentParser(prog="./dev conformance", description=__doc__)
    parser.add_argument(
        "--only", metavar="REGEX", help="cases whose suite/name matches"
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def main() -> int:
    options = parse()
    # What somebody tuned or compiled on this machine must not decide what is run.
    os.environ["OPENCOMPILER_CACHE"] = str(CACHE)
    os.environ["OPENCOMPILER_DB"] = str(CACHE / "none.db")
    os.environ["OPENCOMPILER_NUM_THREADS"] = "1"
    import onnx
    from cases import EXCLUDED, PASSING, TOLERANCES, all_cases, judge, passing
    from outcome import outcomes

    cases = [c for c in all_cases() if re.search(options.only or "", c.full_name)]
    results = []
    with contextlib.closing(outcomes(judge, cases, options.jobs)) as finished:
        for result in finished:
            results.append(result)
            if sys.stderr.isatty():
                end = "\n" if len(results) == len(cases) else ""
                print(f"\r{len(results)} of {len(cases)}", end=end, file=sys.stderr)
    counts = collections.Counter(outcome.status for _, outcome in results)
    for case, outcome in results:
        if outcome.status == "wrong" or (options.only and outcome.status == "refused"):
            print(f"{outcome.status:8}{case.full_name}: {outcome.detail}")
    print(", ".join(f"{counts[status]} {status}" for status in STATUSES))
    passed = {case.full_name for case, outcome in results if outcome.status == "passed"}
    lost = [
        name
        for name in passing()
        if re.search(options.only or "", name) and name not in passed
    ]
    for name in lost:
        print(f"{name} passed when passing.txt was written and does not now")
    if not options.only:
        PAGE.write_text(page(results, EXCLUDED, TOLERANCES, onnx.__version__))
        names = [c.full_name for c, _ in results if c.full_name in passed]
        PASSING.write_text("".join(f"{name}\n" for name in names))
    return 1 if counts["wrong"] or lost else 0


if __name__ == "__main__":
    sys.exit(main())
