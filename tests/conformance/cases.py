"""The cases of ONNX's backend suites, and what comes of running one on a session."""

import dataclasses
import glob
import json
import pathlib
import re
from collections.abc import Callable

import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.backend.test.runner import Runner
from onnx.reference import ReferenceEvaluator
from opencompiler import Refusal
from opencompiler.backend import Backend
from outcome import Outcome

HERE = pathlib.Path(__file__).parent
SUITES = ("node", "light", "simple", "pytorch-converted", "pytorch-operator")
EXCLUDED = json.loads((HERE / "excluded.json").read_text())  # name → why
# Where rounding of the stored values is more than the suite allows: name → rtol, atol, why.
TOLERANCES = json.loads((HERE / "tolerances.json").read_text())
PASSING = HERE / "passing.txt"


@dataclasses.dataclass(frozen=True)
class Case:
    suite: str
    name: str
    op: str  # that a node test is about
    load: Callable  # → model, [(inputs, outputs), …], both as arrays
    rtol: float
    atol: float

    @property
    def full_name(self) -> str:
        return f"{self.suite}/{self.name}"


def _array(value):
    return (
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    )


def _node_cases():
    cases = collect_testcases(None)
    op_of = {case.name: case.model.graph.node[0].op_type for case in cases}
    for case in cases:
        base = re.sub(r"_expanded.*", "", case.name)

        def load(case=case):
            data = [
                tuple([_array(v) for v in part] for part in s) for s in case.data_sets
            ]
            return case.model, data

        op = op_of.get(base, op_of[case.name])
        yield Case("node", case.name, op, load, case.rtol, case.atol)


def _stored(folder, kind, declared):
    """Tensors, and what else a suite has, as `<kind>_<i>.pb`."""
    values = []
    for i in range(len(glob.glob(f"{folder}/{kind}_*.pb"))):
        Runner._load_proto(None, f"{folder}/{kind}_{i}.pb", values, declared[i].type)
    return values


def _folder_cases(suite):
    for case in load_model_tests(kind=suite):

        def load(case=case):
            model = onnx.load(f"{case.model_dir}/model.onnx")
            data = [
                (
                    _stored(folder, "input", model.graph.input),
                    _stored(folder, "output", model.graph.output),
                )
                for folder in sorted(glob.glob(f"{case.model_dir}/test_data_set*"))
            ]
            return model, data

        yield Case(suite, case.name, "", load, case.rtol, case.atol)


def _light_cases():
    """Real architectures with made-up weights; the inputs are those of ONNX's runner."""
    for case in load_model_tests(kind="real"):
        file = pathlib.Path(DATA_DIR, "light", pathlib.Path(case.url).name)

        def load(file=file):
            model = onnx.load(file)
            weights = {each.name for each in model.graph.initializer}
            feeds = {
                each.name: Runner.generate_dummy_data(each)
                for each in model.graph.input
                if each.name not in weights
            }
            stored = file.with_name(f"{file.stem}_output_0.pb")
            if stored.exists():
                outputs = [numpy_helper.to_array(onnx.load_tensor(stored))]
            else:
                outputs = ReferenceEvaluator(model).run(None, feeds)
            return model, [(list(feeds.values()), outputs)]

        yield Case("light", case.name, "", load, case.rtol, case.atol)


def all_cases() -> list[Case]:
    """In the order of SUITES, each by name; without those excluded."""
    found = [*_node_cases(), *_light_cases()]
    for suite in SUITES[2:]:
        found += _folder_cases(suite)
    found = [case for case in found if case.full_name not in EXCLUDED]
    for i, case in enumerate(found):
        if own := TOLERANCES.get(case.full_name):
            found[i] = dataclasses.replace(case, rtol=own["rtol"], atol=own["atol"])
    return sorted(found, key=lambda case: (SUITES.index(case.suite), case.name))


def passing() -> list[str]:
    """Full names of the cases that passed when the runner last wrote the list."""
    return PASSING.read_text().splitlines()


def _held(values):
    """How long each sequence is, None for what is none, and all tensors: the runner compares no lengths and takes
    sequences apart row by row."""
    lengths = [len(each) if isinstance(each, list | tuple) else None for each in values]
    tensors = []
    for each, length in zip(values, lengths, strict=True):
        tensors += [each] if length is None else each
    return lengths, tensors


def judge(case: Case) -> Outcome:
    model, data = case.load()
    try:
        prepared = Backend.prepare(model)
        results = [prepared.run(inputs) for inputs, _ in data]
    except Refusal as error:
        return Outcome("refused", str(error))
    except (RuntimeError, ValueError) as error:  # any other ends the process
        return Outcome("wrong", f"{type(error).__name__}: {error}")
    try:
        for got, (_, outputs) in zip(results, data, strict=True):
            (lengths, wanted), (lengths_got, tensors) = _held(outputs), _held(got)
            assert lengths_got == lengths, f"lengths {lengths_got}, not {lengths}"
            Runner.assert_similar_outputs(wanted, tensors, case.rtol, case.atol)
    except AssertionError as error:
        return Outcome("wrong", str(error))
    return Outcome("passed")
