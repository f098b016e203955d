"""Runs the importer over ONNX's own node tests: `node_suite.py <node_suite program>`.

Every case whose ops can be imported must give the suite's values; a case may be refused with a reason, never be wrong.
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

LEAST_PASSED = 1728
# Cases whose stored outputs are not the operator's text to 1e-4.
INEXACT = {
    # rounded to four digits
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    # its zeros have the other sign, which is seen when bytes are compared
    "test_quantizelinear_float4e2m1",
}
# Nor these, and those that are random.
EXCLUDED = pathlib.Path(__file__).parents[1] / "conformance/excluded.json"


def write(cases, root):
    excluded = json.loads(EXCLUDED.read_text())
    for case in cases:
        if case.model is None or case.name in INEXACT:
            continue
        if f"node/{case.name}" in excluded:
            continue
        inputs, outputs = case.data_sets[0]
        values = [*inputs, *outputs]
        if any(
            not isinstance(v, (numpy.ndarray, numpy.generic, onnx.TensorProto))
            for v in values
        ):
            continue
        folder = root / case.name
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for i, array in enumerate(arrays):
                tensor = (
                    array
                    if isinstance(array, onnx.TensorProto)
                    else numpy_helper.from_array(numpy.asarray(array))
                )
                (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def main():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        write(collect_testcases(None), root)
        lines = subprocess.run(
            [sys.argv[1], root], check=True, capture_output=True, text=True
        ).stdout.splitlines()
    counts = collections.Counter(line.split("\t")[1].split()[0] for line in lines)
    verbose = "-v" in sys.argv
    for line in lines:
        if "\twrong" in line or "\tbroken" in line or (verbose and "\trefused" in line):
            print(line)
    print(dict(counts))
    return (
        1 if counts["wrong"] or counts["broken"] or counts["ok"] < LEAST_PASSED else 0
    )


if __name__ == "__main__":
    sys.exit(main())
