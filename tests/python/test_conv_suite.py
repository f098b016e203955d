"""The conv suite has every distinct convolution of the models that it names, and what it adds on purpose."""

import json

import distinct_convs
import pytest
import suite
from harness import MODELS, ROOT

SUITE = json.loads((ROOT / "benchmarks/suites/conv.json").read_text())
# Cases that stand for a kind of convolution, not for one of a model.
EXTRA = {
    "dilated 64-64 3x3 d2 56",
    "grouped 128-128 3x3 g32 28",
    "64-64 5x5 28",
    "64-128 7x7/2 56",
    "1-D 80-384 3 3000",
    "1-D 384-384 3/2 3000",
    "transposed 64-32 4x4/2 28",
}
# By the word that the names of its rows begin with: the file, the shapes of its inputs.
FILES = {
    "resnet": ("resnet50.onnx", {}),
    "efficientnet": ("efficientnet_lite0.onnx", {}),
    "det": ("det.onnx", {"x": [1, 3, 640, 640]}),
}


def suite_keys():
    return {distinct_convs.key(case): case["name"] for case in SUITE["cases"]}


def conv(channels, extent, out, kernel, stride=1, group=1):
    case = {"x": [1, channels, extent, extent], "out_channels": out}
    case |= {"kernel": [kernel] * 2, "stride": stride, "pads": [kernel // 2] * 4}
    return distinct_convs.complete(case | {"group": group})


def mobilenet():
    """Table 2 of "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (Sandler et al., 2018), 224 x 224."""
    found = [conv(3, 224, 32, 3, stride=2)]
    channels, extent = 32, 112
    for expansion, out, repeats, first_stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for stride in [first_stride] + [1] * (repeats - 1):
            wide = channels * expansion
            if expansion > 1:
                found.append(conv(channels, extent, wide, 1))
            found.append(conv(wide, extent, wide, 3, stride, group=wide))
            extent //= stride
            found.append(conv(wide, extent, out, 1))
            channels = out
    return [*found, conv(320, 7, 1280, 1)]


@pytest.mark.parametrize("model", FILES)
def test_the_suite_has_every_convolution_of_a_model(model):
    file, shapes = FILES[model]
    if not (MODELS / file).exists():
        pytest.skip(f"{MODELS / file} is not there; tests/models/fetch.py --all")
    found = distinct_convs.distinct(MODELS / file, shapes)
    missing = [c for c in found if distinct_convs.key(c) not in suite_keys()]
    assert missing == []
    # One may have been named after a model that had it first, but none after a model that has it not.
    own = {distinct_convs.key(case) for case in found}
    named = {k: name for k, name in suite_keys().items() if name.startswith(model)}
    assert [name for k, name in named.items() if k not in own] == []


def test_the_suite_has_every_convolution_of_mobilenet_v2():
    own = {distinct_convs.key(case) for case in mobilenet()}
    assert [k for k in own if k not in suite_keys()] == []
    named = {k: n for k, n in suite_keys().items() if n.startswith("mobilenet")}
    assert [name for k, name in named.items() if k not in own] == []


def test_a_case_is_there_once_and_belongs_to_a_model_or_is_extra():
    names = [case["name"] for case in SUITE["cases"]]
    assert len(suite_keys()) == len(set(names)) == len(names)
    models = (*FILES, "mobilenet")
    others = {name for name in names if name.split()[0] not in models}
    assert others == EXTRA


def test_the_model_of_a_case_is_what_its_row_says(tmp_path):
    strided = {"name": "uneven", "x": [1, 4, 9, 20], "out_channels": 6, "pads": [0] * 4}
    strided |= {"kernel": [1, 3], "stride": [1, 2], "dilation": [1, 3], "group": 2}
    for case in [*SUITE["cases"], strided]:
        suite.write_conv(case, tmp_path / "case.onnx")
        (found,) = distinct_convs.distinct(tmp_path / "case.onnx", {})
        assert distinct_convs.key(found) == distinct_convs.key(case)


def test_names_say_what_tells_rows_apart():
    uneven = {"x": [1, 4, 9, 20], "out_channels": 6, "kernel": [1, 3], "pads": [0] * 4}
    uneven |= {"stride": [1, 2], "dilation": [1, 3], "group": 2}
    assert distinct_convs.name("m", uneven) == "m 4-6 1x3/1x2 d1x3 g2 9x20"
