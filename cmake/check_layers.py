"""Checks who includes whom against layers.json: a folder includes itself and the folders listed for it."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Headers from elsewhere that belong to a few rooms. Halide.h is slow to parse; opencompiler/dsl.h brings it along.
ONLY_IN = {
    "Halide.h": ("dsl/", "schedules/apply", "generators/build.cpp", "cmake/", "tests/"),
    "xgboost/": ("autotune/cost_models/",),
}
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
            for header, rooms in ONLY_IN.items():
                if target.startswith(header) and not name.startswith(rooms):
                    problems.append(
                        f"{name}:{number}: includes {target}; only {', '.join(rooms)} may"
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
