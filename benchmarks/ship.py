"""Tunes the cases of a suite and writes the winners to tuning_db/system/, where they ship with the compiler."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from suite import CLI, ROOT, load, names, prepare, tune


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=names())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", default="host")
    parser.add_argument("--tune", default="60s", help="how long each case")
    parser.add_argument("--db", required=True, help="keeps the trials; a rerun adds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as folder:
        for case in load(arguments.suite)["cases"]:
            print(case["name"], flush=True)
            model, options, _ = prepare(arguments.suite, case, pathlib.Path(folder))
            tune(arguments, model, options)
    shipped = ROOT / "tuning_db/system" / f"{arguments.suite}.jsonl"
    shipped.parent.mkdir(exist_ok=True)
    command = [CLI, "db", "export", "--best", shipped, "--db", arguments.db]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
