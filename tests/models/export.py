"""Exports a PyTorch model to ONNX: export.py NAME OUT [ARGUMENT …]. Runs in fetch.py's torch environment.

efficientnet_lite0 takes the folder with its packages and the file of its weights. The others are transformers
architectures with random weights from a fixed seed: they are about shapes and ops.

The torch.export based exporter writes Conv, Clip, Add, ReduceMean and Gemm only; the TorchScript one leaves each
static padding as a chain of Shape arithmetic.
"""

import sys

import onnx
import torch

SEED = 20240229
PAST = 127  # tokens that a decoding step looks back on


class DecodingStep(torch.nn.Module):
    """One token through a causal model with flat caches of keys and values in and out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, *past):
        from transformers.cache_utils import DynamicCache

        cache = DynamicCache(list(zip(past[0::2], past[1::2], strict=True)))
        result = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=True,
        )
        layers = result.past_key_values.layers
        return result.logits, *(
            t for layer in layers for t in (layer.keys, layer.values)
        )


class FirstOutput(torch.nn.Module):
    """The first of the outputs that a transformers model returns as a structure."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return self.model(*inputs)[0]


def randomise(model):
    """Biases that start as 0 and scales that start as 1 would be folded away."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.02 * torch.randn_like(parameter)
    return model


# Each returns the module, example inputs by name, names of the outputs.


def efficientnet_lite0(packages, weights):
    sys.path.insert(0, packages)
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    return model, {"input": torch.zeros(1, 3, 224, 224)}, ["output"]


def resnet50():
    from transformers import ResNetConfig, ResNetForImageClassification

    model = randomise(ResNetForImageClassification(ResNetConfig(num_labels=1000)))
    return FirstOutput(model), {"pixel_values": torch.zeros(1, 3, 224, 224)}, ["logits"]


def bert_base():
    from transformers import BertConfig, BertModel

    model = randomise(BertModel(BertConfig(), add_pooling_layer=False))
    inputs = {
        "input_ids": torch.zeros(1, 128, dtype=torch.long),
        "attention_mask": torch.ones(1, 128, dtype=torch.long),
    }
    return FirstOutput(model), inputs, ["last_hidden_state"]


def whisper_tiny_encoder():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = WhisperConfig(
        d_model=384,
        encoder_layers=4,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
        num_mel_bins=80,
    )
    model = randomise(WhisperEncoder(config))
    return (
        FirstOutput(model),
        {"input_features": torch.zeros(1, 80, 3000)},
        ["last_hidden_state"],
    )


def gpt2_step():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config()
    model = randomise(GPT2LMHeadModel(config))
    names = [
        f"{kind}.{layer}"
        for layer in range(config.n_layer)
        for kind in ("key", "value")
    ]
    cache = torch.zeros(1, config.n_head, PAST, config.n_embd // config.n_head)
    inputs = {
        "input_ids": torch.zeros(1, 1, dtype=torch.long),
        "attention_mask": torch.ones(1, PAST + 1, dtype=torch.long),
    }
    inputs |= {f"past.{name}": cache.clone() for name in names}
    return (
        DecodingStep(model),
        inputs,
        ["logits", *(f"present.{name}" for name in names)],
    )


MODELS = (efficientnet_lite0, resnet50, bert_base, whisper_tiny_encoder, gpt2_step)


def main(name: str, out: str, *arguments: str) -> None:
    torch.manual_seed(SEED)
    make = {each.__name__: each for each in MODELS}[name]
    model, inputs, outputs = make(*arguments)
    torch.onnx.export(
        model.eval(), tuple(inputs.values()), out, dynamo=True, opset_version=18, input_names=list(inputs),
        output_names=outputs, external_data=False,
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
