"""Exports EfficientNet-Lite0 to ONNX: export_efficientnet.py PACKAGES WEIGHTS OUT. Runs in fetch.py's torch environment.

The torch.export based exporter writes Conv, Clip, Add, ReduceMean and Gemm only; the TorchScript one leaves each
static padding as a chain of Shape arithmetic.
"""

import sys

import onnx
import torch


def main(packages: str, weights: str, out: str) -> None:
    sys.path.insert(0, packages)
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=weights
    ).eval()
    example = torch.zeros(1, 3, 224, 224)
    torch.onnx.export(
        model, (example,), out, dynamo=True, opset_version=18, input_names=["input"], output_names=["output"],
        external_data=False,
    )  # fmt: skip
    exported = onnx.load(out)
    # Stack traces and source paths differ from machine to machine; without them the file is reproducible.
    for item in [
        exported,
        exported.graph,
        *exported.graph.node,
        *exported.graph.value_info,
    ]:
        item.doc_string = ""
        del item.metadata_props[:]
    onnx.save(exported, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
