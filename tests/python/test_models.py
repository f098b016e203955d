"""Real models against onnxruntime: through the command line, and at many shapes through one session."""

import numpy as np
import onnx
import onnxruntime
import opencompiler as oc
import pytest
from harness import LARGE, MODELS, SHAPES, TARGETS, TOLERANCE, err, feed, reference


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "name", [*SHAPES, *(pytest.param(name, marks=pytest.mark.long) for name in LARGE)]
)
def test_agrees_with_onnxruntime(name, target, tmp_path):
    expected = reference(name, tmp_path)
    assert expected.error_of(tmp_path, expected.model, "--target", target) <= TOLERANCE


def images(*sizes, name="x"):
    return [{name: (count, 3, height, width)} for count, height, width in sizes]


def tokens(*sizes):
    return [{"input_ids": size, "attention_mask": size} for size in sizes]


def chunks(*sizes):
    """Of silero: the rate decides how many samples a chunk has."""
    return [
        {"input": (count, rate * 36 // 1000), "state": (2, count, 128), "sr": rate}
        for count, rate in sizes
    ]


def written(shape):
    """Pictures with a line of strokes on them: a detector answers noise alone with zeros."""
    height, width = shape[2:]
    random, picture = np.random.default_rng(0), np.ones((height, width), np.float32)
    top = height // 2 - 8
    for left in range(4, width - 12, 12):
        skipped = random.integers(0, 3)
        picture[top : top + 16, left + 1 : left + 3] = -1
        for y in range(top + 2 + 5 * skipped, top + 16, 5):
            picture[y : y + 2, left + 1 : left + 9] = -1
    noise = random.normal(scale=0.05, size=shape)
    return (np.broadcast_to(picture, shape) + noise).astype(np.float32)


# A number is the value of an input, not its shape.
SHAPED = {
    "cls": images((1, 48, 192), (3, 48, 100), (2, 48, 33)),
    "det": images((1, 64, 96), (2, 32, 160), (1, 224, 96)),
    "rec": images((1, 48, 33), (3, 48, 100), (1, 48, 320)),
    "minilm_l3": tokens((1, 7), (3, 33), (17, 3)),
    "silero_vad": chunks((1, 16000), (3, 16000), (7, 8000)),
    "ddddocr_det": images((1, 416, 416), (1, 224, 320), (3, 96, 64), name="images"),
    "efficientnet_lite0": images(
        (1, 224, 224), (1, 96, 160), (1, 33, 47), name="input"
    ),
    "resnet50": images((1, 64, 64), (1, 96, 160), (1, 33, 47), name="pixel_values"),
}
# Those whose inputs are fixed though their nodes take any size. Those of BERT, GPT-2 and Whisper are fixed inside too.
FIXED = ("ddddocr_det", "efficientnet_lite0", "resnet50")
QUICK = ("minilm_l3", "silero_vad")


def opened(name):
    """The model with all dims of its inputs and outputs open but for channels."""
    model = onnx.load(MODELS / f"{name}.onnx")
    if name in FIXED:
        del model.graph.value_info[:]
        for value in [*model.graph.input, *model.graph.output]:
            dims = value.type.tensor_type.shape.dim
            for i in range(len(dims)):
                if i != 1 or value in model.graph.output:
                    dims[i].dim_param = f"{value.name}_{i}"
    return model.SerializeToString()


def values_for(name, session, shapes):
    given = {k: np.array(v, np.int64) for k, v in shapes.items() if isinstance(v, int)}
    if name == "det":
        given["x"] = written(shapes["x"])
    return feed(session, dict.fromkeys(given, ()) | shapes) | given


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
        for name in SHAPED
    ],
)
def test_one_session_agrees_with_onnxruntime_at_many_shapes(name):
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    model = opened(name)
    ours = oc.InferenceSession(model)
    theirs = onnxruntime.InferenceSession(model, quiet)
    for shapes in [*SHAPED[name], SHAPED[name][0]]:
        values = values_for(name, theirs, shapes)
        results = (session.run(None, values) for session in (ours, theirs))
        for mine, expected in zip(*results, strict=True):
            assert mine.shape == expected.shape
            assert err(mine, expected) <= TOLERANCE
