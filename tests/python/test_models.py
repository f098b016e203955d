"""Real models through the command line against onnxruntime."""

import pytest
from harness import LARGE, SHAPES, TARGETS, TOLERANCE, reference


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "name", [*SHAPES, *(pytest.param(name, marks=pytest.mark.long) for name in LARGE)]
)
def test_agrees_with_onnxruntime(name, target, tmp_path):
    expected = reference(name, tmp_path)
    assert expected.error_of(tmp_path, expected.model, "--target", target) <= TOLERANCE
