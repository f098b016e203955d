"""A suite of comparisons: `suites/NAME.json` says what is timed, compare.py how. Prints a table and writes JSON.

Each case is compared in a run of its own; "better" is the faster of the peers whose outputs agree, the ratio its time /
ours. The share is of the FMA peak that is measured in the same rounds.
"""

import argparse
import datetime
import hashlib
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from compare import CLI, HERE, INTERPRETERS, REFERENCE, TOLERANCE, doctor
from contestant import DTYPES
from onnx import helper, numpy_helper

ROOT = HERE.parent
MODELS = ROOT / ".cache/models"
OURS = ("opencompiler", "untuned")
BETTER = ("onnxruntime", "openvino")  # the peers that ours is to be faster than


def names():
    return sorted(path.stem for path in (HERE / "suites").glob("*.json"))


def load(suite):
    """What is timed: {"about": …, "cases": [{"name": …, …}]}."""
    return json.loads((HERE / "suites" / f"{suite}.json").read_text())


def value(name, shape, dtype="f32"):
    element = helper.np_dtype_to_tensor_dtype(np.dtype(DTYPES[dtype]))
    return helper.make_tensor_value_info(name, element, shape)


def save(path, nodes, inputs, output, constants):
    graph = helper.make_graph(nodes, "case", inputs, [output], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)


def write_gemm(case, path):
    a, b, dtype = case["a"], case["b"], case.get("dtype", "f32")
    inputs, constants = [value("a", a, dtype)], []
    if case["constant"]:
        data = np.random.default_rng(1).normal(size=b) / math.sqrt(b[-2])
        constants = [numpy_helper.from_array(data.astype(DTYPES[dtype]), "b")]
    else:
        inputs.append(value("b", b, dtype))
    nodes, right, n = [], "b", b[-1]
    if case.get("transposed"):
        perm = [*range(len(b) - 2), len(b) - 1, len(b) - 2]
        nodes = [helper.make_node("Transpose", ["b"], ["bt"], perm=perm)]
        right, n = "bt", b[-2]
    nodes.append(helper.make_node("MatMul", ["a", right], ["y"]))
    save(path, nodes, inputs, value("y", [*a[:-1], n], dtype), constants)
    # The peak that is measured is that of f32.
    return 2 * math.prod(a) * n if dtype == "f32" else None


# What a row of the suite of convolutions need not say.
CONV_DEFAULTS = {"dilation": 1, "group": 1, "op": "Conv"}


def per_axis(given, rank):
    """A number stands for that number on every axis."""
    return given if isinstance(given, list) else [given] * rank


def write_conv(case, path):
    case = CONV_DEFAULTS | case
    x, out, kernel = case["x"], case["out_channels"], case["kernel"]
    group, rank = case["group"], len(case["kernel"])
    dilations = per_axis(case["dilation"], rank)
    strides = per_axis(case["stride"], rank)
    transposed = case["op"] == "ConvTranspose"
    shape = [x[1], out // group] if transposed else [out, x[1] // group]
    random = np.random.default_rng(1)
    w = random.normal(size=[*shape, *kernel]) / math.sqrt(
        x[1] / group * math.prod(kernel)
    )
    constants = [
        numpy_helper.from_array(w.astype(np.float32), "w"),
        numpy_helper.from_array(random.normal(size=out).astype(np.float32), "b"),
    ]
    node = helper.make_node(
        case["op"],
        ["x", "w", "b"],
        ["y"],
        strides=strides,
        pads=case["pads"],
        dilations=dilations,
        group=group,
    )
    spatial = []
    for i, extent in enumerate(x[2:]):
        pads = case["pads"][i] + case["pads"][i + rank]
        reach = dilations[i] * (kernel[i] - 1) + 1
        if transposed:
            spatial.append((extent - 1) * strides[i] - pads + reach)
        else:
            spatial.append((extent + pads - reach) // strides[i] + 1)
    save(path, [node], [value("x", x)], value("y", [x[0], out, *spatial]), constants)
    return 2 * w.size * math.prod(x[2:] if transposed else spatial) * x[0]


def present(against):
    """Those of the peers that can be started; of the others it is said how to get them."""
    found = []
    for peer in against:
        if not INTERPRETERS.get(peer, HERE).exists():
            print(
                f"without {peer}: {INTERPRETERS[peer]} is not there; tests/models/fetch.py --all makes it"
            )
        else:
            found.append(peer)
    return found


def prepare(suite, case, folder):
    """The case's model file, its options for compare.py, its f32 operations (None: not known, or of another dtype)."""
    if suite == "models":
        shapes = [f"{k}={'x'.join(map(str, v))}" for k, v in case["shapes"].items()]
        return MODELS / case["file"], [w for s in shapes for w in ("--shape", s)], None
    path = folder / "case.onnx"
    flops = {"gemm": write_gemm, "conv": write_conv}[suite](case, path)
    return path, [], flops


def flags(arguments):
    """What every verb is told of how to compile."""
    given = ["--threads", str(arguments.threads), "--target", arguments.target]
    return given + (["--db", arguments.db] if arguments.db else [])


def tune(arguments, model, options):
    command = [CLI, "tune", model, *options, *flags(arguments)]
    command += ["--time", arguments.tune]
    command += [] if arguments.shipped else ["--no-shipped"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)


def limit_of_kernels(arguments, case, model, options, environment):
    """Milliseconds that the machine would need for the model's kernels, each alone, by what it can do at best."""
    command = [CLI, "profile", model, *options, *flags(arguments)]
    command += ["--json", "--time", "0.5"]
    for name, number in case.get("inputs", {}).items():
        command += ["--input", f"{name}=i64={number}"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, env=environment)
    if done.returncode != 0:  # it has said why; the case's times are worth keeping
        return {}
    steps = json.loads(done.stdout)["steps"]
    nanoseconds = sum(step.get("limit_nanoseconds", 0) for step in steps)
    return {"limit_ms": nanoseconds / 1e6}


def cold_compile(arguments, case, model, options, environment):
    """Seconds that the compiler takes with an empty cache, beside what is asked for."""
    wanted = case["cold_compile"]
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as folder:
        command = [CLI, "compile", model, *options, *flags(arguments), "-o", folder]
        command += ["--jobs", str(wanted["jobs"])]
        empty = environment | {"OPENCOMPILER_CACHE": f"{folder}/cache"}
        started = time.monotonic()
        done = subprocess.run(
            command, check=False, stdout=subprocess.DEVNULL, env=empty
        )
        seconds = time.monotonic() - started
    failed = done.returncode != 0  # it has said why
    return {} if failed else {"cold_compile": wanted | {"seconds": seconds}}


def compare_command(arguments, case, model, options, flops, figures):
    command = [sys.executable, HERE / "compare.py", model, *options, *flags(arguments)]
    for name, number in case.get("inputs", {}).items():
        command += ["--input", f"{name}={number}"]
    able = case.get("against", arguments.against)
    against = ",".join(peer for peer in arguments.against if peer in able)
    command += ["--against", against, "--time", str(arguments.time)]
    command += ["--untuned", "--cold", str(arguments.cold), "--json", figures]
    command += ["--limit"] if flops or arguments.threads > 1 else []
    command += ["--scaling", "--openings", "3"] if arguments.suite == "models" else []
    return command


def run_case(arguments, case, folder):
    model, options, flops = prepare(arguments.suite, case, folder)
    if arguments.tune:
        tune(arguments, model, options)
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    command = compare_command(arguments, case, model, options, flops, figures)
    environment = dict(os.environ)
    if arguments.record:  # what ships, not what this machine's user has tuned
        environment["OPENCOMPILER_DB"] = str(folder / "none.db")
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    result = {"name": case["name"], "flops": flops}
    if not figures.exists():
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return result | {"failed": " ".join(lines[-1:])}
    measured = json.loads(figures.read_text())
    del measured["model"]  # a file of this machine; the case has a name
    if arguments.limit:
        result |= limit_of_kernels(arguments, case, model, options, environment)
    if "cold_compile" in case:
        result |= cold_compile(arguments, case, model, options, environment)
    return result | measured


def row(result, name):
    return next(row for row in result["rows"] if row["name"] == name)


def agrees(row):
    return row["err"] <= TOLERANCE


def better_peer(result):
    """The row of the faster of those peers whose outputs agree with the reference, compare.py's."""
    peers = [r for r in result["rows"] if r["name"] in BETTER and agrees(r)]
    return min(peers, key=lambda each: each["ratio"])


def untuned_ratio(result):
    """The better peer's time / that of our untuned library."""
    return better_peer(result)["ratio"] / row(result, "untuned")["ratio"]


def share_of_peak(result):
    seconds = row(result, "opencompiler")["milliseconds"] / 1e3
    return result["flops"] / seconds / result["peak_flops"]


def counts(result):
    """Whether the case has a time of ours."""
    return "failed" not in result and agrees(row(result, "opencompiler"))


def print_case(result):
    if "failed" in result:
        print(f"{result['name']:36} failed: {result['failed']}", flush=True)
        return
    ours, better = row(result, "opencompiler"), better_peer(result)
    share = f"{100 * share_of_peak(result):5.0f} %" if result["flops"] else ""
    low, high = better["interval"]
    notes = " noisy" * result["noisy"] + " WRONG" * (not counts(result))
    if "limit_ms" in result:
        notes += (
            f" {100 * result['limit_ms'] / ours['milliseconds']:.0f} % of the limit"
        )
    print(
        f"{result['name']:36} {ours['milliseconds']:9.3f} {share:>7}  "
        f"{better['ratio']:6.3f} ({low:.3f} to {high:.3f}) {untuned_ratio(result):7.3f}  {better['name']}{notes}",
        flush=True,
    )


def machine_id():
    """Names this machine among those that results and shipped schedules come from."""
    return doctor("--no-measure")["machine"][:8]


def build_id():
    """What decides how fast our libraries are: the sources of kernels, Halide, the schedules that ship."""
    shipped = hashlib.sha256()
    for file in sorted((ROOT / "tuning_db/system").glob("*.jsonl")):
        shipped.update(file.read_bytes())
    toolchain = doctor("--no-measure")["toolchain"]
    return f"{toolchain} shipped-{shipped.hexdigest()[:16]}"


def record_path(arguments):
    name = f"{arguments.suite}-{arguments.threads}-{arguments.target}.json"
    return HERE / "results" / machine_id() / name


def cold_bytes(suite):
    """What is read between runs, twice the last cache as when the tuner times: in a model weights come from memory."""
    machine = doctor("--no-measure")
    return 2 * machine["caches"]["l3"] if suite.get("cold_weights") else 0


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=names())
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", default="host")
    parser.add_argument("--against", help="peers with commas; default: the suite's own")
    parser.add_argument(
        "--time",
        type=float,
        help="seconds of runs a case at most; default: the suite's own",
    )
    parser.add_argument("--tune", help="tune each case this long first: 30s, 5m")
    parser.add_argument(
        "--limit",
        action="store_true",
        help="models: also what the machine would need at best for the kernels",
    )
    parser.add_argument("--db", help="the tuning database")
    parser.add_argument("--json", help="write all figures here")
    parser.add_argument(
        "--record",
        action="store_true",
        help="with the shipped schedules alone, into results/ for report.py",
    )
    arguments = parser.parse_args()
    if arguments.record and (arguments.only or arguments.tune or arguments.db):
        parser.error("--record goes with neither --only, --tune nor --db")
    if arguments.limit and arguments.suite != "models":
        parser.error("--limit is for models; the others have their share of the peak")
    cases = load(arguments.suite)
    arguments.cold = cold_bytes(cases)
    arguments.shipped = True
    arguments.time = arguments.time or cases["seconds"]
    arguments.against = present(
        arguments.against.split(",") if arguments.against else cases["against"]
    )
    if REFERENCE not in arguments.against:
        parser.error(f"--against needs {REFERENCE}, whose outputs are the reference")
    chosen = [c for c in cases["cases"] if arguments.only in c["name"]]
    if not chosen:
        raise SystemExit(f"bench: no case of {arguments.suite} has '{arguments.only}'")
    print(f"{arguments.suite}: {cases['about']}")
    print(f"{arguments.threads} thread(s), {arguments.target}")
    print(
        f"{'case':36} {'ms':>9} {'of peak':>7}  better peer's time / ours (95 %), / ours untuned"
    )
    results = []
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as name:
        for case in chosen:
            results.append(run_case(arguments, case, pathlib.Path(name)))
            print_case(results[-1])
    counted = [result for result in results if counts(result)]
    if counted:
        ratios = [better_peer(result)["ratio"] for result in counted]
        print(
            f"geomean {geomean(ratios):.3f}, lowest {min(ratios):.3f}, {len(counted)} of {len(results)} cases"
        )
    whole = {
        "suite": arguments.suite,
        "about": cases["about"],
        "threads": arguments.threads,
        "target": arguments.target,
        "seconds": arguments.time,
        "build": build_id(),
        "recorded": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cases": results,
    }
    files = [pathlib.Path(arguments.json)] if arguments.json else []
    if arguments.record:
        files.append(record_path(arguments))
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(whole, indent=1) + "\n")
    return 0 if len(counted) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
