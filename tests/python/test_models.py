"""Real models through the command line against onnxruntime."""

import pytest
from harness import SHAPES, TARGETS, TOLERANCE, reference


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", list(SHAPES))
def test_agrees_with_onnxruntime(name, target, tmp_path):
    expected = reference(name, tmp_path)
    assert expected.error_of(tmp_path, expected.model, "--target", target) <= TOLERANCE
