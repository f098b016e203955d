"""Compares what each kernel of a model makes with a reference, in the order of execution, to find where they part.

A kernel's output stands under the name that the model has for it; what is fused into the kernel is not seen, and values
that a pass has given another shape are left out. An error is max |a − b| / max(|b|, 0.1·max|b|), b the reference.
The exit status is 1 when an error is above the tolerance.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from compare import CLI, TOLERANCE, err, make_inputs


def our_values(arguments, inputs, folder) -> dict[str, np.ndarray]:
    """By name, in the order of execution; the model's outputs last."""
    frozen = {text.split("=", 1)[0] for text in arguments.freeze}
    own = {name: value for name, value in inputs.items() if name not in frozen}
    np.savez(folder / "inputs.npz", **own)
    command = [CLI, "run", arguments.model, "--all-values"]
    command += ["--output", f"@{folder / 'ours.npz'}"]
    for name in own:
        command += ["--input", f"{name}=@{folder / 'inputs.npz'}"]
    for text in arguments.freeze:
        command += ["--freeze", text]
    command += ["--threads", str(arguments.threads), "--target", arguments.target]
    command += ["--db", arguments.db] if arguments.db else []
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    with np.load(folder / "ours.npz") as stored:
        return {name: stored[name] for name in stored.files}


def their_values(arguments, names, inputs, folder):
    """What nodes of the main graph make, of these names; the nodes by output; the names of the model's outputs."""
    model = onnx.load(arguments.model)
    nodes = {name: node for node in model.graph.node for name in node.output}
    outputs = {output.name for output in model.graph.output}
    for name in names:
        if name in nodes and name not in outputs:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    wanted = [output.name for output in model.graph.output]
    file = folder / "exposed.onnx"
    onnx.save(model, file, save_as_external_data=True, location="exposed.data")
    if arguments.against == "reference":
        from onnx.reference import ReferenceEvaluator

        values = ReferenceEvaluator(str(file)).run(wanted, inputs)
    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        off = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = off
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        values = session.run(wanted, inputs)
    return dict(zip(wanted, values, strict=True)), nodes, outputs


def rows_of(ours, theirs, nodes, outputs):
    """Per value that both have in one shape; an output of the model that they have not, or in another, is all wrong."""
    rows = []
    for name, value in ours.items():
        comparable = name in theirs and np.shape(theirs[name]) == value.shape
        if not comparable and name not in outputs:
            continue
        node = nodes.get(name)
        rows.append(
            {
                "name": name,
                "op": node.op_type if node else "",
                "node": node.name if node else "",
                "shape": list(value.shape),
                "err": err(value, theirs[name]) if comparable else float("inf"),
            }
        )
    return rows


def print_rows(rows, all_values, tolerance):
    print("      err  value (the node that makes it in the model)")
    for row in rows:
        flag = "  <-- above" if row["err"] > tolerance else ""
        shape = "x".join(map(str, row["shape"])) or "scalar"
        print(
            f"{row['err']:9.1e}  {row['name']} ({row['op']} {row['node']}) {shape}{flag}"
        )
    print(f"{len(rows)} of {all_values} values compared")
    above = [row for row in rows if row["err"] > tolerance]
    if above:
        first = above[0]
        print(
            f"{len(above)} above {tolerance:g}, the first: {first['name']} ({first['op']} {first['node']})"
        )


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument(
        "--against", choices=("onnxruntime", "reference"), default="onnxruntime"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", default="host")
    parser.add_argument("--shape", action="append", default=[])
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--freeze", action="append", default=[])
    parser.add_argument("--db")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    parser.add_argument("--json", help="write the rows here")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    inputs = make_inputs(arguments)
    with tempfile.TemporaryDirectory(prefix="opencompiler-") as name:
        folder = pathlib.Path(name)
        ours = our_values(arguments, inputs, folder)
        theirs, nodes, outputs = their_values(arguments, list(ours), inputs, folder)
    rows = rows_of(ours, theirs, nodes, outputs)
    print_rows(rows, len(ours), arguments.tolerance)
    if arguments.json:
        text = json.dumps({"against": arguments.against, "rows": rows}, indent=2)
        pathlib.Path(arguments.json).write_text(text + "\n")
    return any(row["err"] > arguments.tolerance for row in rows)


if __name__ == "__main__":
    sys.exit(main())
