"""A clip of synthesised speech and its log-mel spectrogram, as Whisper takes it. numpy only; the same every time."""

import numpy as np

RATE = 16000
WINDOW, HOP, MELS = 400, 160, 80
CLIP = 30 * RATE  # samples that Whisper hears

# Milliseconds, loudness and the first three formants in Hz, which the voice has reached by then: from line to line they
# glide. Vowels but "ax": men's in Peterson and Barney, "Control methods used in a study of the vowels", 1952.
SOUNDS = {
    "w": (90, 0.5, 300, 650, 2200),
    "y": (80, 0.5, 270, 2250, 3000),
    "iy": (110, 0.9, 270, 2290, 3010),
    "ih": (80, 0.9, 390, 1990, 2550),
    "eh": (90, 1.0, 530, 1840, 2480),
    "er": (110, 0.8, 490, 1350, 1690),
    "ax": (70, 0.7, 560, 1350, 2450),
    "ao": (120, 1.0, 570, 840, 2410),
    "uh": (90, 0.9, 440, 1020, 2240),
    "g": (60, 0.04, 250, 2000, 2150),
    ".": (120, 0.0, 500, 1500, 2500),
}
SENTENCE = ". w iy . w er . ax w eh ih . ax y ih er . ax g ao uh . . . w iy . w er . ax w eh ih ."
TEXT = "We were away a year ago. We were away."
BANDWIDTHS = (60, 90, 120, 180, 250)
UPPER = (3500, 4500)  # formants that hardly move


def tracks(sentence: str) -> list[np.ndarray]:
    """Sample by sample: loudness and the formants of `sentence`, which lists SOUNDS."""
    sounds = [SOUNDS[each] for each in sentence.split()]
    times = np.cumsum([each[0] for each in sounds]) * RATE // 1000
    at = np.arange(times[-1])
    return [np.interp(at, times, [each[i] for each in sounds]) for i in range(1, 5)]


def speak(sentence: str = SENTENCE, pitch: float = 120) -> np.ndarray:
    """Every harmonic of a falling pitch, as loud as the formants let it through."""
    loudness, *formants = tracks(sentence)
    formants += [np.full_like(loudness, each) for each in UPPER]
    progress = np.linspace(0, 1, len(loudness))
    f0 = pitch * (1.1 - 0.3 * progress + 0.05 * np.sin(9 * progress))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    sound = np.zeros_like(loudness)
    for harmonic in range(1, int(0.45 * RATE / f0.max())):
        f = harmonic * f0
        # The voice falls by 12 dB an octave, the lips give 6 back.
        response = 1 / harmonic
        for centre, width in zip(formants, BANDWIDTHS, strict=True):
            response = response * centre**2 / (centre**2 - f**2 + 1j * f * width)
        sound += np.abs(response) * np.sin(harmonic * phase + np.angle(response))
    return (0.5 * loudness * sound / np.abs(sound).max()).astype(np.float32)


def mel_filters() -> np.ndarray:
    """[mels, bins]: triangles of equal area on Slaney's scale, linear to 1 kHz and logarithmic above."""
    step = np.log(6.4) / 27
    edges = np.linspace(0, 15 + np.log(RATE / 2 / 1000) / step, MELS + 2)
    hz = np.where(edges < 15, edges * 200 / 3, 1000 * np.exp(step * (edges - 15)))
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    low, middle, high = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    rise, fall = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)


def log_mel(sound: np.ndarray) -> np.ndarray:
    """[1, 80, 3000] of the sound and the silence after it, as Whisper's feature extraction has it."""
    padded = np.zeros(CLIP)
    padded[: len(sound)] = sound
    padded = np.pad(padded, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:-1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    log = np.log10(np.maximum(mel_filters() @ power.T, 1e-10))
    log = (np.maximum(log, log.max() - 8) + 4) / 4
    return log[None].astype(np.float32)
