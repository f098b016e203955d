"""One contestant of a comparison, a process of its own: opens a model, then times spans on demand.

Reads JSON lines from stdin, answers one JSON line each: {"span": seconds} → {"nanoseconds": [per run]}.
The first answer, after opening and one run, is {"version": …, "settings": …, "outputs": file}.
"""

import argparse
import json
import sys
import time

import numpy as np

DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "i64": "int64",
    "i32": "int32",
    "bool": "bool",
    "u8": "uint8",
}


def open_opencompiler(arguments, inputs):
    import _opencompiler

    module = _opencompiler.Module(arguments.library)
    session = _opencompiler.Session(module, arguments.threads)
    ordered = [np.ascontiguousarray(inputs[name]) for name, _, _ in module.inputs]
    outputs = {n: np.empty(shape, DTYPES[d]) for n, d, shape in module.outputs}
    arrays = list(outputs.values())

    def run():
        session.run(ordered, arrays)
        return outputs

    return run, "this checkout", {"threads": session.num_threads}


def open_onnxruntime(arguments, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        arguments.model, options, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_outputs()]

    def run():
        return dict(zip(names, session.run(None, inputs), strict=True))

    settings = {"intra_op_num_threads": arguments.threads, "inter_op_num_threads": 1}
    return run, onnxruntime.__version__, settings


def open_openvino(arguments, inputs):
    import openvino

    core = openvino.Core()
    model = core.read_model(arguments.model)
    model.reshape({name: list(value.shape) for name, value in inputs.items()})
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": arguments.threads,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # A tensor may go by several names; the model's is one of them.
    outputs = [
        (name, port) for port in request.model_outputs for name in port.get_names()
    ]

    def run():
        request.infer(inputs, share_inputs=True, share_outputs=True)
        return {name: request.get_tensor(port).data for name, port in outputs}

    return run, openvino.__version__, settings


OPENERS = {
    "opencompiler": open_opencompiler,
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=OPENERS)
    parser.add_argument("--model")
    parser.add_argument("--library")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--inputs", required=True, help="npz")
    parser.add_argument("--outputs", required=True, help="npz, written")
    arguments = parser.parse_args()
    inputs = dict(np.load(arguments.inputs))
    run, version, settings = OPENERS[arguments.kind](arguments, inputs)
    np.savez(arguments.outputs, **run())
    print(json.dumps({"version": version, "settings": settings}), flush=True)
    for line in sys.stdin:
        span = json.loads(line)["span"]
        run()
        nanoseconds = []
        end = time.perf_counter_ns() + int(span * 1e9)
        while not nanoseconds or time.perf_counter_ns() < end:
            started = time.perf_counter_ns()
            run()
            nanoseconds.append(time.perf_counter_ns() - started)
        print(json.dumps({"nanoseconds": nanoseconds}), flush=True)


if __name__ == "__main__":
    main()
