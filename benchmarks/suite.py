"""A suite of comparisons: `suites/NAME.json` says what is timed, compare.py how. Prints a table and writes JSON.

Each case is compared in a run of its own; "better" is the faster of the peers whose outputs agree, the ratio its time /
ours. The share is of the FMA peak that `opencompiler doctor` measures before the first case.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
CLI = ROOT / ".venv/bin/opencompiler"
MODELS = ROOT / ".cache/models"
TOLERANCE = 1e-3
OURS = ("opencompiler", "untuned")


def value(name, shape, dtype="f32"):
    element = {"f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE}[dtype]
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
        numbers = data.astype({"f32": np.float32, "f64": np.float64}[dtype])
        constants = [numpy_helper.from_array(numbers, "b")]
    else:
        inputs.append(value("b", b, dtype))
    nodes, right, n = [], "b", b[-1]
    if case.get("transposed"):
        perm = [*range(len(b) - 2), len(b) - 1, len(b) - 2]
        nodes = [helper.make_node("Transpose", ["b"], ["bt"], perm=perm)]
        right, n = "bt", b[-2]
    nodes.append(helper.make_node("MatMul", ["a", right], ["y"]))
    save(path, nodes, inputs, value("y", [*a[:-1], n], dtype), constants)
    return 2 * math.prod(a) * n


def write_conv(case, path):
    x, out, kernel = case["x"], case["out_channels"], case["kernel"]
    group, rank = case.get("group", 1), len(case["kernel"])
    dilation, stride = case.get("dilation", 1), case["stride"]
    transposed = case.get("op") == "ConvTranspose"
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
        case.get("op", "Conv"),
        ["x", "w", "b"],
        ["y"],
        strides=[stride] * rank,
        pads=case["pads"],
        dilations=[dilation] * rank,
        group=group,
    )
    spatial = []
    for i, extent in enumerate(x[2:]):
        pads = case["pads"][i] + case["pads"][i + rank]
        reach = dilation * (kernel[i] - 1) + 1
        if transposed:
            spatial.append((extent - 1) * stride - pads + reach)
        else:
            spatial.append((extent + pads - reach) // stride + 1)
    save(path, [node], [value("x", x)], value("y", [x[0], out, *spatial]), constants)
    return 2 * w.size * math.prod(x[2:] if transposed else spatial) * x[0]


def prepare(suite, case, folder):
    """The case's model file, its options for compare.py, its floating-point operations (None: not known)."""
    if suite == "models":
        shapes = [f"{k}={'x'.join(map(str, v))}" for k, v in case["shapes"].items()]
        return MODELS / case["file"], [w for s in shapes for w in ("--shape", s)], None
    path = folder / "case.onnx"
    flops = {"gemm": write_gemm, "conv": write_conv}[suite](case, path)
    return path, [], flops


def peak_flops(threads):
    """Of f32 multiply-adds: one thread's, measured now, times the threads."""
    command = [CLI, "doctor", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return threads * json.loads(done.stdout)["measured"]["flops"]


def tune(arguments, model, options):
    command = [CLI, "tune", model, *options, "--threads", str(arguments.threads)]
    command += ["--time", arguments.tune, "--target", arguments.target]
    if arguments.db:
        command += ["--db", arguments.db]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)


def run_case(arguments, case, folder):
    model, options, flops = prepare(arguments.suite, case, folder)
    if arguments.tune:
        tune(arguments, model, options)
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    command = [sys.executable, HERE / "compare.py", model, *options]
    command += ["--threads", str(arguments.threads), "--target", arguments.target]
    command += ["--against", arguments.against, "--time", str(arguments.time)]
    command += ["--json", figures] + (["--db", arguments.db] if arguments.db else [])
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if not figures.exists():
        return {"name": case["name"], "failed": done.stderr.strip().splitlines()[-1:]}
    result = json.loads(figures.read_text())
    rows = {row["name"]: row for row in result["rows"]}
    # Outputs are compared with the last contestant's: if only we differ, only our time does not count.
    peers = [r for n, r in rows.items() if n not in OURS and r["err"] <= TOLERANCE]
    best = min(peers, key=lambda row: row["ratio"])
    return {
        "name": case["name"],
        "flops": flops,
        "wrong": rows["opencompiler"]["err"] > TOLERANCE,
        "ratio": best["ratio"],
        "interval": best["interval"],
        "better": best["name"],
        "noisy": result["noisy"],
        "rows": result["rows"],
    }


def print_case(result, peak):
    if "failed" in result:
        print(f"{result['name']:36} failed: {' '.join(result['failed'])}", flush=True)
        return
    ours = result["rows"][0]["milliseconds"]
    share = ""
    if result["flops"]:
        result["share"] = result["flops"] / (ours / 1e3) / peak
        share = f"{100 * result['share']:5.0f} %"
    low, high = result["interval"]
    notes = " WRONG" * result["wrong"] + " noisy" * result["noisy"]
    ratio = f"{result['ratio']:6.3f} ({low:.3f} to {high:.3f})"
    better = result["better"]
    print(
        f"{result['name']:36} {ours:9.3f} {share:>7}  {ratio} {better}{notes}",
        flush=True,
    )


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    names = sorted(path.stem for path in (HERE / "suites").glob("*.json"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=names)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", default="host")
    parser.add_argument("--against", default="onnxruntime,openvino")
    parser.add_argument("--time", type=float, default=6.0, help="seconds a case")
    parser.add_argument("--tune", help="tune each case this long first: 30s, 5m")
    parser.add_argument("--db", help="the tuning database")
    parser.add_argument("--json", help="write all figures here")
    arguments = parser.parse_args()
    cases = json.loads((HERE / "suites" / f"{arguments.suite}.json").read_text())
    chosen = [c for c in cases["cases"] if arguments.only in c["name"]]
    if not chosen:
        raise SystemExit(f"bench: no case of {arguments.suite} has '{arguments.only}'")
    peak = peak_flops(arguments.threads)
    print(f"{arguments.suite}: {cases['about']}")
    print(
        f"{arguments.threads} thread(s), {arguments.target}, peak {peak / 1e9:.0f} GFLOP/s"
    )
    print(f"{'case':36} {'ms':>9} {'of peak':>7}  better peer's time / ours (95 %)")
    results = []
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as name:
        for case in chosen:
            results.append(run_case(arguments, case, pathlib.Path(name)))
            print_case(results[-1], peak)
    counted = [r for r in results if "failed" not in r and not r["wrong"]]
    if counted:
        ratios = [r["ratio"] for r in counted]
        print(
            f"geomean {geomean(ratios):.3f}, lowest {min(ratios):.3f}, {len(counted)} of {len(results)} cases"
        )
    if arguments.json:
        whole = {"suite": arguments.suite, "threads": arguments.threads}
        whole |= {"target": arguments.target, "peak_flops": peak, "cases": results}
        pathlib.Path(arguments.json).write_text(json.dumps(whole, indent=2) + "\n")
    return 0 if len(counted) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
