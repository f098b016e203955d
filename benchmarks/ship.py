"""Tunes the cases of a suite and writes the winners to a file of this machine in tuning_db/system/, where they ship with the compiler.

A case's winners ship only if they make the whole case faster than the formulas do, by at least a hundredth, timed in
turns, with every number of threads: what wins alone may lose among others, and what was found with one number serves
others, too.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from suite import (
    CLI,
    HERE,
    ROOT,
    cold_bytes,
    load,
    machine_id,
    names,
    prepare,
    row,
    tune,
)

LEAST_GAIN = 1.01  # times as fast: less changes from one comparison to the next


def gain(arguments, model, options, case, folder):
    """The untuned library's time / that with the schedules of arguments.db."""
    figures = folder / "figures.json"
    command = [sys.executable, HERE / "compare.py", model, *options, "--untuned"]
    command += ["--threads", str(arguments.threads), "--target", arguments.target]
    for name, number in case.get("inputs", {}).items():
        command += ["--input", f"{name}={number}"]
    command += [
        "--against",
        "",
        "--time",
        "12",
        "--db",
        arguments.db,
        "--json",
        figures,
    ]
    command += ["--no-shipped", "--cold", str(arguments.cold)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return row(json.loads(figures.read_text()), "untuned")["ratio"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=names())
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--target", default="host")
    parser.add_argument("--tune", default="60s", help="how long each case")
    arguments = parser.parse_args()
    suite = load(arguments.suite)
    arguments.cold = cold_bytes(suite)
    arguments.shipped = False  # what shipped before has no part in it
    of_target = "" if arguments.target == "host" else f"-{arguments.target}"
    name = f"{arguments.suite}-{machine_id()}{of_target}.jsonl"
    shipped = ROOT / "tuning_db/system" / name
    shipped.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as temporary:
        folder = pathlib.Path(temporary)
        winners = folder / "winners.db"
        for number, case in enumerate(suite["cases"]):
            model, options, _ = prepare(arguments.suite, case, folder)
            own, ratios = argparse.Namespace(**vars(arguments)), []
            own.db = folder / f"{number}.db"
            for own.threads in arguments.threads:
                tune(own, model, options)
            for own.threads in arguments.threads:
                ratios.append(gain(own, model, options, case, folder))
                print(
                    f"{case['name']}, {own.threads} thread(s): {ratios[-1]:.3f}",
                    flush=True,
                )
            if min(ratios) >= LEAST_GAIN:
                merge = [CLI, "db", "merge", own.db, "--db", winners]
                subprocess.run(merge, check=True, stdout=subprocess.DEVNULL)
        if winners.exists():
            export = [CLI, "db", "export", "--best", shipped, "--db", winners]
            subprocess.run(export, check=True)
        else:
            shipped.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
