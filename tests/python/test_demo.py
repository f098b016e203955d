"""The demo's program reads a page of random words that nobody has looked at before."""

import importlib.util
import random
import shutil
import subprocess

from harness import CLI, MODELS, ROOT

WORDS = "kernel vector tensor layout cache stride branch buffer thread module packet signal random window output"


def load_draw():
    spec = importlib.util.spec_from_file_location("draw", ROOT / "demo/draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    return draw.draw


def test_reads_a_page_of_random_words(tmp_path):
    chosen = random.Random()
    lines = [" ".join(chosen.sample(WORDS.split(), 2)) for _ in range(8)]
    load_draw()(tmp_path / "page.png", lines)
    shapes = {"det": "x=1x3x640x640", "rec": "x=1x3x48x640"}
    for name, shape in shapes.items():
        model = MODELS / f"{name}.onnx"
        command = [CLI, "compile", model, "-o", tmp_path, "--name", name]
        subprocess.run([*command, "--shape", shape, "--threads", "1"], check=True)
    shutil.copy(ROOT / "demo/ocr.cpp", tmp_path)
    subprocess.run(
        "c++ -std=c++20 -O1 -I. ocr.cpp libdet.a librec.a -lpng -lm -lpthread -o ocr",
        check=True,
        cwd=tmp_path,
        shell=True,
    )
    done = subprocess.run(
        ["./ocr", "page.png"], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    # Letters only: the recogniser drops or doubles some gaps between words.
    read = [line.replace(" ", "") for line in done.stdout.splitlines()]
    assert read == [line.replace(" ", "") for line in lines]
