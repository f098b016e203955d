"""Compiles and runs random ONNX graphs and looks whether every output is right; exit 1 if one is wrong or refused.

A graph is made from a number alone, so that --first N --count 1 does one again. What is wrong is left in build/random.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import shutil
import sys
import tempfile

from outcome import outcomes
from random_graphs.judge import judge, save

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRONG = ROOT / "build/random"


def parse():
    parser = argparse.ArgumentParser(prog="./dev random", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def report(results):
    """Prints what is wrong and the counts, which it returns."""
    counts, reasons = collections.Counter(), collections.Counter()
    for seed, outcome in results:
        counts[outcome.status] += 1
        if outcome.status == "refused":
            reason = re.sub(r".*?model\.onnx: ", "", outcome.detail.splitlines()[0])
            reasons[re.sub(r"node '[^']*' ", "", reason)] += 1
        if outcome.status == "wrong":
            folder = save(seed, WRONG / str(seed)).relative_to(ROOT)
            print(f"wrong: {seed}: {outcome.detail} ({folder})", flush=True)
        if sys.stderr.isatty():
            print(f"\r{counts.total()}", end="", file=sys.stderr)
    for reason, count in reasons.most_common():
        print(f"refused: {count} × {reason}")
    names = ("passed", "refused", "wrong")
    print(", ".join(f"{counts[name]} {name}" for name in names))
    return counts


def main() -> int:
    options = parse()
    shutil.rmtree(WRONG, ignore_errors=True)
    cache = tempfile.mkdtemp(prefix="opencompiler-")
    # What somebody tuned or compiled on this machine must not decide what is run.
    os.environ["OPENCOMPILER_CACHE"] = cache
    os.environ["OPENCOMPILER_DB"] = f"{cache}/none.db"
    seeds = range(options.first, options.first + options.count)
    try:
        with contextlib.closing(outcomes(judge, seeds, options.jobs)) as results:
            counts = report(results)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    return 0 if counts["passed"] == options.count else 1


if __name__ == "__main__":
    sys.exit(main())
