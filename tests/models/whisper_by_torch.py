"""What torch makes of a clip: whisper_by_torch.py WEIGHTS SOUND.npy OUT.npz. Runs in fetch.py's torch environment.

OUT: `features`, `encoded`, `tokens` from the start of the transcript on, `logits` of each step, `text`.
"""

import pathlib
import sys

import numpy as np
import tokenizers
import torch
import transformers
from export import whisper_tiny_en

START = [50257, 50362]  # <|startoftranscript|>, <|notimestamps|>
END = 50256  # <|endoftext|>
MAX_TOKENS = 48


@torch.no_grad()
def main(weights: str, sound: str, out: str) -> None:
    model = whisper_tiny_en(weights)
    extract = transformers.WhisperFeatureExtractor()
    heard = extract(np.load(sound), sampling_rate=16000, return_tensors="pt")
    features = heard.input_features
    encoded = model.get_encoder()(features)[0]
    tokens, logits = list(START), []
    while tokens[-1] != END and len(tokens) < MAX_TOKENS:
        given = torch.tensor([tokens])
        result = model(encoder_outputs=(encoded,), decoder_input_ids=given)
        logits.append(result.logits[0, -1].numpy())
        tokens.append(int(logits[-1].argmax()))
    tokenizer = tokenizers.Tokenizer.from_file(
        str(pathlib.Path(weights).with_name("tokenizer.json"))
    )
    np.savez(
        out,
        features=features.numpy(),
        encoded=encoded.numpy(),
        tokens=tokens,
        logits=logits,
        text=tokenizer.decode(tokens),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
