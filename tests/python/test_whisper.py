"""Whisper tiny.en transcribes a synthesised clip as torch does."""

import numpy as np
import opencompiler
import pytest
from fetch import torch_python, unpack_whisper
from harness import MODELS, ROOT, TARGETS, TOLERANCE, err, run
from speech import TEXT, log_mel, speak

pytestmark = pytest.mark.long
START = 2  # tokens given before the first that is heard


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    sound, out = folder / "sound.npy", folder / "out.npz"
    np.save(sound, speak())
    script = ROOT / "tests/models/whisper_by_torch.py"
    run(torch_python(), script, *unpack_whisper(), sound, out)
    return dict(np.load(out))


def session(name, target):
    options = opencompiler.SessionOptions(target=target)
    return opencompiler.InferenceSession(MODELS / f"{name}.onnx", options)


def test_torch_hears_what_was_said(expected):
    assert str(expected["text"]).strip() == TEXT


def test_the_spectrogram_is_whispers(expected):
    assert np.max(np.abs(log_mel(speak()) - expected["features"])) <= 1e-4


@pytest.mark.parametrize("target", TARGETS)
def test_transcribes_as_torch_does(expected, target):
    encoder = session("whisper_tiny_en_encoder", target)
    decoder = session("whisper_tiny_en_decoder", target)
    (encoded,) = encoder.run(None, {"input_features": log_mel(speak())})
    assert err(encoded, expected["encoded"]) <= TOLERANCE
    tokens = expected["tokens"].tolist()
    heard = tokens[:START]
    for token, logits in zip(tokens[START:], expected["logits"], strict=True):
        given = {"input_ids": np.array([heard]), "encoder_hidden_states": encoded}
        ours = decoder.run(None, given)[0][0, -1]
        assert err(ours, logits) <= TOLERANCE
        heard.append(int(ours.argmax()))
        assert heard[-1] == token, f"{heard} of {tokens}: {expected['text']}"
