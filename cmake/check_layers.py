"""Checks who includes whom against layers.json: a folder includes itself and the folders listed for it."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Halide.h is slow to parse; opencompiler/dsl.h brings it along.
HALIDE_IN = ("dsl/", "schedules/apply", "generators/build.cpp", "cmake/")
PUBLIC = {
    "opencompiler/dsl.h": "dsl",
    "opencompiler/runtime.h": "runtime",
    "opencompiler/runtime.hpp": "runtime",
}


def main() -> int:
    layers = json.loads((ROOT / "cmake/layers.json").read_text())
    listed = subprocess.run(
        ["git", "ls-files", "*.cpp", "*.h", "*.hpp", "*.c"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    problems = []
    for name in listed.stdout.split():
        folder = name.split("/")[0]
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            target = match.group(1)
            if target == "Halide.h" and not name.startswith((*HALIDE_IN, "tests/")):
                problems.append(
                    f"{name}:{number}: includes Halide.h; only {', '.join(HALIDE_IN)} may"
                )
            if folder not in layers:
                continue
            other = PUBLIC.get(target, target.split("/")[0])
            if other in layers and other != folder and other not in layers[folder]:
                problems.append(f"{name}:{number}: {folder} may not include {target}")
    print("\n".join(problems) or "layers: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
