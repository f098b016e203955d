"""One contestant of a comparison, a process of its own: opens a model, then times spans on demand.

Reads JSON lines from stdin, answers one JSON line each: {"span": seconds} → {"nanoseconds": [per run]}.
The first answer comes after opening and one run: {"version": …, "settings": …, "first_result_ms": time of both,
"peak_rss_mb": resident memory they added}; imports and the inputs count for neither.
Everybody's runs are calls with inputs and outputs bound before, so that no arrays are made or handed over meanwhile.
With --cold, what a run left in the caches is pushed out before the next: a buffer of that size is read, then the inputs,
which a model's previous kernel would have left there. The weights are not: in a model many others come between.
"""

import argparse
import importlib
import json
import pathlib
import re
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


def open_opencompiler(_opencompiler, arguments, inputs):
    module = _opencompiler.Module(arguments.library)
    session = _opencompiler.Session(module, arguments.threads)
    ordered = [np.ascontiguousarray(inputs[name]) for name, _, _ in module.inputs]
    outputs = {n: np.empty(shape, DTYPES[d]) for n, d, shape in module.outputs}
    arrays = list(outputs.values())

    def run():
        session.run(ordered, arrays)

    run()
    return outputs, run, "this checkout", {"threads": session.num_threads}


def open_onnxruntime(onnxruntime, arguments, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        arguments.model, options, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, inputs), strict=True))
    bound = session.io_binding()
    for name, array in inputs.items():
        value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        bound.bind_ortvalue_input(name, value)
    for name, array in outputs.items():
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty_like(array))
        bound.bind_ortvalue_output(name, value)

    def run():
        session.run_with_iobinding(bound)

    settings = {"intra_op_num_threads": arguments.threads, "inter_op_num_threads": 1}
    return outputs, run, onnxruntime.__version__, settings


def open_openvino(openvino, arguments, inputs):
    core = openvino.Core()
    model = core.read_model(arguments.model)
    model.reshape({name: list(value.shape) for name, value in inputs.items()})
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": arguments.threads,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    for name, array in inputs.items():
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))

    def run():
        request.start_async()
        request.wait()

    run()
    # A tensor may go by several names; the model's is one of them.
    outputs = {
        name: request.get_tensor(port).data.copy()
        for port in request.model_outputs
        for name in port.get_names()
    }
    return outputs, run, openvino.__version__, settings


def open_torch(torch, arguments, inputs):
    import torch_op  # needs torch

    torch.set_num_threads(arguments.threads)
    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    with torch.inference_mode():
        compute, name = torch_op.load(arguments.model, tensors)
    ordered = list(tensors.values())

    def run():
        with torch.inference_mode():
            return compute(*ordered)

    outputs = {name: run().numpy()}
    settings = {"num_threads": torch.get_num_threads(), "mkldnn": True}
    return outputs, run, torch.__version__, settings


OPENERS = {
    "opencompiler": ("_opencompiler", open_opencompiler),
    "onnxruntime": ("onnxruntime", open_onnxruntime),
    "openvino": ("openvino", open_openvino),
    "torch": ("torch", open_torch),
}


def peak_rss_mb():
    """Of this process since the peak was last reset (Linux's VmHWM)."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def cooler(size, inputs):
    """Empties the caches of all but the inputs by reading `size` bytes; nothing for 0."""
    if size == 0:
        return lambda: None
    buffer = np.ones(size // 4, np.float32)

    def cool():
        buffer.max()
        for array in inputs.values():
            array.max()

    return cool


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=OPENERS)
    parser.add_argument("--model")
    parser.add_argument("--library")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--inputs", required=True, help="npz")
    parser.add_argument("--outputs", required=True, help="npz, written")
    parser.add_argument("--cold", type=int, default=0, help="bytes read between runs")
    arguments = parser.parse_args()
    inputs = dict(np.load(arguments.inputs))
    package, opener = OPENERS[arguments.kind]
    module = importlib.import_module(package)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    memory, started = peak_rss_mb(), time.perf_counter()
    outputs, run, version, settings = opener(module, arguments, inputs)
    about = {
        "version": version,
        "settings": settings,
        "first_result_ms": 1e3 * (time.perf_counter() - started),
        "peak_rss_mb": peak_rss_mb() - memory,
    }
    np.savez(arguments.outputs, **outputs)
    print(json.dumps(about), flush=True)
    cool = cooler(arguments.cold, inputs)
    for line in sys.stdin:
        span = json.loads(line)["span"]
        run()
        nanoseconds = []
        end = time.perf_counter_ns() + int(span * 1e9)
        while not nanoseconds or time.perf_counter_ns() < end:
            cool()
            started = time.perf_counter_ns()
            run()
            nanoseconds.append(time.perf_counter_ns() - started)
        print(json.dumps({"nanoseconds": nanoseconds}), flush=True)


if __name__ == "__main__":
    main()
