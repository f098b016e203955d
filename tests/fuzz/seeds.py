"""Writes the models of ONNX's node tests into a folder: seeds beside those of corpus/. Usage: seeds.py FOLDER"""

import pathlib
import sys

from onnx.backend.test.case.node import collect_testcases

LARGEST = 4096  # bytes: longer inputs are slow to vary


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for case in collect_testcases(None):
        model = case.model.SerializeToString()
        if len(model) <= LARGEST:
            (folder / f"{case.name}.onnx").write_bytes(model)


if __name__ == "__main__":
    main()
