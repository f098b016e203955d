"""Times a model against peers: interleaved rounds, outputs compared, median of the per-round ratios.

The protocol: a process per contestant started once; at least 15 rounds, each timing every contestant for the same
span after a pause and a warm-up run; the ratio is peer time / our time (above 1: we are faster), its median with a
bootstrap 95 % interval; rounds go on until the interval is at most 4 % wide or so much time of --time, else a
minute, has gone into runs. The limits' measuring and the pauses are not counted.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from contestant import DTYPES

HERE = pathlib.Path(__file__).resolve().parent
CLI = HERE.parent / ".venv/bin/opencompiler"
MIN_ROUNDS = 15
# Whose outputs are taken as right; the last contestant's where it does not run.
REFERENCE = "onnxruntime"
TOLERANCE = 1e-3
SETTLE = 0.05  # seconds until threads of the contestant before no longer spin
WIDTH = (
    0.04  # of the interval, as a part of the ratio: when it is this narrow, rounds end
)
LONGEST = 60.0  # seconds, when nobody says --time
# Whose packages are not in our own environment: tests/models/fetch.py --all makes it.
INTERPRETERS = {"torch": HERE.parent / ".cache/torch-venv/bin/python"}
# Instructions that peers are to do without when ours do: oneDNN (OpenVINO, torch) and torch's own kernels listen.
# Neither onnxruntime nor OpenVINO's own kernels do; where those meet oneDNN's, its outputs may be wrong
# (openvinotoolkit/openvino#38190).
RESTRICTIONS = {
    "x86-64-avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
}


def err(a, b) -> float:
    """max |a − b| / max(|b|, 0.1·max|b|), b the reference; infinite where NaN, +Inf or −Inf differ in place."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    finite = np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), finite):
        return float("inf")
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    a, b = a[finite], b[finite]
    scale = np.maximum(np.abs(b), 0.1 * np.max(np.abs(b)))
    return float(np.max(np.abs(a - b) / np.where(scale > 0, scale, 1)))


class Contestant:
    def __init__(self, name, kind, arguments, folder, threads, **paths):
        self.name = name
        self.outputs_file = folder / f"{name}-{threads}.npz"
        python = INTERPRETERS.get(kind, sys.executable)
        command = [python, HERE / "contestant.py", kind]
        for key, value in paths.items():
            command += [f"--{key}", value]
        command += ["--threads", str(threads), "--cold", str(arguments.cold)]
        command += ["--inputs", folder / "inputs.npz", "--outputs", self.outputs_file]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | RESTRICTIONS.get(arguments.target, {}),
        )
        self.about = self._answer()
        self.medians = []

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"error: {self.name} failed to open the model")
        return json.loads(line)

    def time(self, span):
        self.process.stdin.write(json.dumps({"span": span}) + "\n")
        self.process.stdin.flush()
        self.medians.append(statistics.median(self._answer()["nanoseconds"]) / 1e6)

    def outputs(self):
        return dict(np.load(self.outputs_file))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interval(ratios, random):
    """Median and its bootstrap 95 % interval."""
    ratios = np.asarray(ratios)
    resampled = np.median(
        ratios[random.integers(0, len(ratios), (2000, len(ratios)))], axis=1
    )
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def doctor(*flags):
    """What `opencompiler doctor` says of this machine."""
    done = subprocess.run(
        [CLI, "doctor", "--json", *flags], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


class Limit:
    """What the machine can do at best, measured in the same rounds as the contestants."""

    def __init__(self, target, threads):
        self.flags = ["--target", target, "--threads", str(threads)]
        self.figures = []

    def time(self):
        self.figures.append(doctor(*self.flags)["measured"])

    def median(self, name):
        return statistics.median(each[name] for each in self.figures)

    def over(self, other, name):
        """The median of the rounds' ratios."""
        mine, its = ([each[name] for each in one.figures] for one in (self, other))
        return float(np.median(np.divide(mine, its)))


def compile_library(arguments, shapes, threads, untuned=False) -> str:
    """The library in the cache."""
    command = [CLI, "compile", arguments.model, "--cache", "--json"]
    command += ["--threads", str(threads), "--target", arguments.target]
    for text in arguments.freeze:
        command += ["--freeze", text]
    for name, shape in shapes.items():
        command += ["--shape", f"{name}={'x'.join(map(str, shape))}"]
    if untuned:
        command += ["--untuned"]
    elif arguments.db:
        command += ["--db", arguments.db]
    command += ["--no-shipped"] if arguments.no_shipped else []
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout)["library"]


def assignments(texts) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise SystemExit(f"error: '{text}': write NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def filled(extents, dtype, number) -> np.ndarray:
    if dtype not in DTYPES:
        raise ValueError(f"'{dtype}' is no type that the benchmark fills")
    element = np.dtype(DTYPES[dtype])
    value = float(number) if element.kind == "f" else int(number)
    if element.kind == "b" and value not in (0, 1):
        raise ValueError(f"'{number}' is no value of type bool")
    return np.full(extents, value, element)


def read_input(name, text, dtype, shape) -> np.ndarray:
    """@file.npy, @file.npz for its array `name`, 1x3xf32=0.5, or the number that a scalar input has."""
    try:
        if text.startswith("@"):
            stored = np.load(text[1:])
            return stored if isinstance(stored, np.ndarray) else stored[name]
        if "=" in text:
            kind, number = text.split("=", 1)
            *extents, given = kind.split("x")
            return filled([int(extent) for extent in extents], given, number)
        if shape is None or len(shape) > 0:
            raise ValueError("a number is for scalars; write 1x3xf32=0.5")
        return filled([], dtype, text)
    except (OSError, EOFError, KeyError, ValueError, OverflowError) as error:
        raise SystemExit(f"error: input '{name}': {error}") from None


def refuse_unknown(flag, given, known):
    for name in given:
        if name not in known:
            raise SystemExit(
                f"error: {flag} {name}: the model has no such input; it has: {' '.join(known)}"
            )


def make_inputs(arguments) -> dict[str, np.ndarray]:
    """Given ones, else random: floats in [−1, 1]; integers that may be indices stay small; masks are ones."""
    import _opencompiler

    random = np.random.default_rng(0)
    given, frozen, shapes = map(
        assignments, (arguments.input, arguments.freeze, arguments.shape)
    )
    model = _opencompiler.read_model(arguments.model)
    declared = model["inputs"]
    for name, dtype, *_ in model["outputs"]:
        if dtype == "string":
            raise SystemExit(f"error: output '{name}' is of strings: not compared")
    known = [name for name, *_ in declared]
    refuse_unknown("--input", given, known)
    refuse_unknown("--freeze", frozen, known)
    refuse_unknown("--shape", shapes, known)
    values, inputs = given | frozen, {}
    for name, dtype, shape, optional, sequence in declared:
        if optional or sequence:
            raise SystemExit(f"error: input '{name}' is no tensor, which all can run")
        if name in values:
            inputs[name] = read_input(name, values[name], dtype, shape)
            continue
        if name in shapes:
            shape = [int(extent) for extent in shapes[name].split("x")]
        elif shape and not isinstance(shape[0], int):
            shape = [1, *shape[1:]]
        if shape is None or not all(isinstance(extent, int) for extent in shape):
            raise SystemExit(
                f"error: input '{name}' has open dims; give --shape {name}=…"
            )
        if dtype in ("f32", "f64"):
            inputs[name] = random.uniform(-1, 1, shape).astype(DTYPES[dtype])
        elif dtype == "i64" and "mask" in name:
            inputs[name] = np.ones(shape, np.int64)
        elif dtype == "i64":
            inputs[name] = random.integers(0, 1000, shape)
        else:
            flag = "--freeze" if dtype == "string" else "--input"
            raise SystemExit(
                f"error: input '{name}' is {dtype}; give {flag} {name}=@file.npy"
            )
    return inputs


def disagreement(outputs, reference) -> float:
    """Over the outputs that both name; a reference may know one tensor by several names."""
    shared = outputs.keys() & reference.keys()
    if len(shared) < min(len(outputs), len(reference)):
        return float("inf")
    return max(err(outputs[name], reference[name]) for name in shared)


def open_all(stack, arguments, shapes, folder, threads, untuned, openings=1):
    """Ours, the untuned one where it is asked for, the peers; the stack closes them. What is said of their first answers
    are medians over so many processes each, in turns that another begins each time: memory that nobody has used for long
    is slow to get, and who begins gets it."""
    ways = {}
    for name in ("opencompiler", "untuned") if untuned else ("opencompiler",):
        library = compile_library(arguments, shapes, threads, name == "untuned")
        ways[name] = ("opencompiler", {"library": library})
    for peer in filter(None, arguments.against.split(",")):
        ways[peer] = (peer, {"model": arguments.model})

    def open_one(name):
        kind, paths = ways[name]
        return Contestant(name, kind, arguments, folder, threads, **paths)

    first = {name: [] for name in ways}
    names = list(ways)
    for turn in range(1, openings):
        first_of_turn = turn % len(names)
        for name in names[first_of_turn:] + names[:first_of_turn]:
            passing = open_one(name)
            passing.close()
            first[name].append(passing.about)
    opened = []
    for name in ways:
        opened.append(open_one(name))
        stack.callback(opened[-1].close)
        first[name].append(opened[-1].about)
        for key in ("first_result_ms", "peak_rss_mb"):
            opened[-1].about[key] = statistics.median(each[key] for each in first[name])
    return opened


def scaling(contestants, serial):
    """Time on one thread / time on all, the median over the rounds, of each that runs on both."""
    alone = {each.name: each.medians for each in serial}
    return {
        each.name: float(np.median(np.divide(alone[each.name], each.medians)))
        for each in contestants
        if each.name in alone
    }


def compare(arguments, contestants, serial, limits):
    """Rounds until the intervals of the ratios to the first are narrow or the time is up; rows for the table."""
    random = np.random.default_rng(0)
    first = contestants[0]
    everyone = contestants + serial
    longest = arguments.time or LONGEST
    # Half the time for the rounds that are due anyhow, the rest for more of them.
    span = longest / 2 / (MIN_ROUNDS * len(everyone))
    timed, result = 0.0, {}
    while True:
        for contestant in everyone:
            time.sleep(SETTLE)
            started = time.monotonic()
            contestant.time(span)
            timed += time.monotonic() - started
        for limit in limits:
            limit.time()
        if len(first.medians) < MIN_ROUNDS:
            continue
        result = {
            other.name: interval(np.divide(other.medians, first.medians), random)
            for other in contestants
        }
        widest = max((high - low) / mid for mid, low, high in result.values())
        if widest <= WIDTH or timed >= longest:
            return result, widest > WIDTH


def print_change(file, arguments, rows):
    """Our time and the peers' against what `--save` wrote; the peers show what the machine itself has changed."""
    earlier = json.loads(pathlib.Path(file).read_text())
    if earlier["threads"] != arguments.threads:
        print(f"{file} has {earlier['threads']} thread(s): the ratios say nothing")
    known = {row["name"]: row["milliseconds"] for row in earlier["rows"]}
    print(f"earlier time / time now, earlier from {file}")
    for row in rows:
        if row["name"] in known:
            ratio = known[row["name"]] / row["milliseconds"]
            print(f"{row['name']:14} {known[row['name']]:11.3f}   {ratio:6.3f}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--against", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--time", type=float, help="seconds of runs at most; at least 15 rounds"
    )
    parser.add_argument("--target", default="host")
    parser.add_argument("--shape", action="append", default=[])
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        help="NAME=@file.npy, NAME=@file.npz, NAME=1x3xf32=0.5, or NAME=NUMBER for a scalar",
    )
    parser.add_argument(
        "--freeze",
        action="append",
        default=[],
        help="an input that our library has as a constant; values as those of --input",
    )
    parser.add_argument("--db")
    parser.add_argument(
        "--no-shipped",
        action="store_true",
        help="without the schedules that ship with the compiler",
    )
    parser.add_argument(
        "--untuned",
        action="store_true",
        help="also time the model compiled without a database",
    )
    parser.add_argument(
        "--scaling",
        action="store_true",
        help="with several threads: also time everyone on one, in the same rounds",
    )
    parser.add_argument(
        "--limit",
        action="store_true",
        help="measure the FMA peak and the read bandwidth in the same rounds",
    )
    parser.add_argument(
        "--cold", type=int, default=0, help="bytes each contestant reads between runs"
    )
    parser.add_argument(
        "--openings",
        type=int,
        default=1,
        help="processes each that open the model for the figures of the first answer",
    )
    parser.add_argument("--json", "--save", help="write the figures here")
    parser.add_argument("--compare", help="figures that were written earlier")
    return parser.parse_args()


class Figures:
    """Of one run: rows by contestant, the limits, whether the intervals stayed wide."""

    def __init__(self, contestants, serial, limits, errors, ratios, noisy):
        scales = scaling(contestants, serial)
        self.rounds = len(contestants[0].medians)
        self.noisy = noisy
        self.limit = limits[0] if limits else None
        self.limits_scaling = {}  # the limits themselves, from one thread to all
        if len(limits) > 1:
            for name in ("flops", "bandwidth"):
                self.limits_scaling[name] = limits[0].over(limits[1], name)
        self.rows = []
        for each in contestants:
            mid, low, high = ratios[each.name]
            self.rows.append(
                {
                    "name": each.name,
                    "milliseconds": statistics.median(each.medians),
                    "ratio": mid,
                    "interval": [low, high],
                    "err": errors[each.name],
                    "scaling": scales.get(each.name),
                    **each.about,
                }
            )

    def print(self):
        print("contestant      ms (median)   its time / ours (95 %)       err")
        for row in self.rows:
            wrong = "  WRONG OUTPUT, its time does not count" * (row["err"] > TOLERANCE)
            low, high = row["interval"]
            scale = f"   {row['scaling']:.2f} x one thread" if row["scaling"] else ""
            print(
                f"{row['name']:14} {row['milliseconds']:11.3f}   {row['ratio']:6.3f} ({low:.3f} to {high:.3f})   {row['err']:9.1e}{scale}{wrong}"
            )
        if self.limit:
            print(
                f"limit: {self.limit.median('flops') / 1e9:.0f} GFLOP/s f32, {self.limit.median('bandwidth') / 1e9:.1f} GB/s"
            )
        if self.noisy:
            print("noisy: an interval is still wider than 4 %")

    def as_json(self, arguments):
        return {
            "model": arguments.model,
            "machine": doctor("--no-measure")["cpu"],
            "threads": arguments.threads,
            "target": arguments.target,
            "cold": arguments.cold,
            "peak_flops": self.limit and self.limit.median("flops"),
            "bandwidth": self.limit and self.limit.median("bandwidth"),
            "limits_scaling": self.limits_scaling,
            "rounds": self.rounds,
            "noisy": self.noisy,
            "rows": self.rows,
        }


def measure(arguments, folder) -> Figures:
    inputs = make_inputs(arguments)
    np.savez(folder / "inputs.npz", **inputs)
    shapes = {key: value.shape for key, value in inputs.items()}
    with contextlib.ExitStack() as stack:
        contestants = open_all(
            stack,
            arguments,
            shapes,
            folder,
            arguments.threads,
            arguments.untuned,
            arguments.openings,
        )
        serial = []
        if arguments.scaling and arguments.threads != 1:
            serial = open_all(stack, arguments, shapes, folder, 1, untuned=False)
        named = {each.name: each for each in contestants}
        reference = named.get(REFERENCE, contestants[-1]).outputs()
        errors = {
            each.name: disagreement(each.outputs(), reference) for each in contestants
        }
        counts = [arguments.threads] + [1] * bool(serial)
        limits = [Limit(arguments.target, n) for n in counts if arguments.limit]
        ratios, noisy = compare(arguments, contestants, serial, limits)
    return Figures(contestants, serial, limits, errors, ratios, noisy)


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as name:
        figures = measure(arguments, pathlib.Path(name))
    print(f"{arguments.model}, {arguments.threads} thread(s), {arguments.target}")
    figures.print()
    if arguments.compare:
        print_change(arguments.compare, arguments, figures.rows)
    if arguments.json:
        text = json.dumps(figures.as_json(arguments), indent=2)
        pathlib.Path(arguments.json).write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
