"""What transfer from a database is worth: each case of a suite with the schedules that trials of other workloads give its
kernels, timed in turns with those of the formulas.

The case's own workloads are taken out of the database first, on every machine, and the shipped schedules are left out,
so that only the rungs other_epilogue and nearest_shape remain. A ratio is the formulas' time / that with transfer. A
case is flagged, and the exit status is 1, when the upper end of its ratio's interval is below 0.95: chance does not
explain it.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

from suite import CLI, HERE, cold_bytes, geomean, load, names, prepare, row

LEAST = 0.95


def printed(*command):
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def explained(arguments, model, options, *sources):
    """The groups of the model that have a kernel."""
    shown = printed(
        *(CLI, "explain", model, *options, "--format", "json", *sources),
        *("--threads", arguments.threads, "--target", arguments.target),
    )
    return [group for group in json.loads(shown)["groups"] if group["kernel"]]


def without(lines, kernels, path):
    """A database of the exported lines but for the trials of these kernels."""
    kept = path.with_suffix(".jsonl")
    with kept.open("w") as file:
        for line in lines:
            record = json.loads(line)
            if record["kind"] != "trial" or record["workload"] not in kernels:
                file.write(line)
    path.unlink(missing_ok=True)
    printed(CLI, "db", "import", kept, "--db", path)


def ratio(arguments, model, options, case, database, folder):
    figures = folder / "figures.json"
    command = [sys.executable, HERE / "compare.py", model, *options, "--untuned"]
    for name, number in case.get("inputs", {}).items():
        command += ["--input", f"{name}={number}"]
    command += ["--no-shipped", "--db", database, "--against", "", "--json", figures]
    command += ["--threads", arguments.threads, "--target", arguments.target]
    printed(*command, "--time", arguments.time, "--cold", arguments.cold)
    return row(json.loads(figures.read_text()), "untuned")


def run_case(arguments, case, lines, folder):
    """The ratio and its interval, None where no kernel is changed."""
    model, options, _ = prepare(arguments.suite, case, folder)
    groups = explained(arguments, model, options, "--untuned")
    database = folder / "others.db"
    without(lines, {group["kernel"] for group in groups}, database)
    groups = explained(arguments, model, options, "--no-shipped", "--db", database)
    rungs = {group["kernel"]: group["rung"] for group in groups}
    counts = collections.Counter(rungs.values())
    text = ", ".join(f"{count} {rung}" for rung, count in sorted(counts.items()))
    if set(counts) <= {"default"}:
        print(f"{case['name']:36} {'':31} {text}", flush=True)
        return None
    timed = ratio(arguments, model, options, case, database, folder)
    low, high = timed["interval"]
    flag = "SLOWER" if high < LEAST else ""
    print(
        f"{case['name']:36} {timed['ratio']:6.3f} ({low:.3f} to {high:.3f}) {flag:6} {text}",
        flush=True,
    )
    return timed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", choices=names())
    parser.add_argument("--db", required=True, help="trials of donors")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", default="host")
    parser.add_argument("--time", type=float, default=12.0, help="seconds a case")
    arguments = parser.parse_args()
    cases = load(arguments.suite)
    arguments.cold = cold_bytes(cases)
    print(f"{arguments.suite}, {arguments.threads} thread(s), {arguments.target}")
    results = []
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as temporary:
        folder = pathlib.Path(temporary)
        exported = folder / "all.jsonl"
        printed(CLI, "db", "export", exported, "--db", arguments.db)
        lines = exported.read_text().splitlines(keepends=True)
        for case in cases["cases"]:
            if arguments.only in case["name"]:
                results.append(run_case(arguments, case, lines, folder))
    changed = [each for each in results if each is not None]
    ratios = [each["ratio"] for each in changed]
    if changed:
        print(
            f"geomean {geomean(ratios):.3f}, lowest {min(ratios):.3f}, {len(changed)} of {len(results)} cases"
        )
    return 1 if any(each["interval"][1] < LEAST for each in changed) else 0


if __name__ == "__main__":
    sys.exit(main())
