"""Exports a PyTorch model to ONNX: export.py NAME OUT [ARGUMENT …]. Runs in fetch.py's torch environment.

efficientnet_lite0 takes the folder with its packages and the file of its weights, whisper_tiny_en_* the file of its
weights. The others are transformers architectures with random weights from a fixed seed: they are about shapes and ops.

The torch.export based exporter writes Conv, Clip, Add, ReduceMean and Gemm only; the TorchScript one leaves each
static padding as a chain of Shape arithmetic.
"""

import io
import pathlib
import re
import struct
import sys

import numpy as np
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


class DecodingFromStart(torch.nn.Module):
    """Logits after each of the tokens so far, which look at what an encoder made of a clip."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, encoder_hidden_states):
        return self.model(
            encoder_outputs=(encoder_hidden_states,),
            decoder_input_ids=input_ids,
            use_cache=False,
        ).logits


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


# Each returns the module, example inputs by name, names of the outputs and, where they have any, the inputs' open dims.


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


WHISPER_TINY = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "num_mel_bins": 80,
}
WHISPER_TINY_EN = WHISPER_TINY | {
    "decoder_layers": 4,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 1536,
    "vocab_size": 51864,
}


def exported_encoder(model):
    return (
        FirstOutput(model),
        {"input_features": torch.zeros(1, 80, 3000)},
        ["last_hidden_state"],
    )


def whisper_tiny_encoder():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return exported_encoder(randomise(WhisperEncoder(WhisperConfig(**WHISPER_TINY))))


def ctranslate2_variables(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a model.bin, its settings, which are scalars, among them.

    u32 version, specification, u32 its revision; u32 count, then of each variable its name, u8 rank, u32 dims, u8 type,
    u32 bytes, the bytes; u32 count, then pairs of an alias and a variable. A string is u16 bytes and those, the last 0.
    """
    dtypes = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
    file = io.BytesIO(pathlib.Path(path).read_bytes())

    def number(kind):
        return struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0]

    def string():
        return file.read(number("H"))[:-1].decode()

    version, specification, _ = number("I"), string(), number("I")
    if (version, specification) != (6, "WhisperSpec"):
        raise SystemExit(f"{path} is version {version} of {specification}")
    variables = {}
    for _ in range(number("I")):
        name = string()
        dims = [number("I") for _ in range(number("B"))]
        dtype, values = dtypes[number("B")], file.read(number("I"))
        array = np.frombuffer(values, dtype).reshape(dims)
        variables[name] = torch.from_numpy(array.copy())
    for _ in range(number("I")):
        alias = string()
        variables[alias] = variables[string()]
    return variables


# CTranslate2's names in a layer or a half of Whisper → transformers'; of linear layers that it joins, in their order.
WHISPER_PARTS = {
    "self_attention/layer_norm": ["self_attn_layer_norm"],
    "self_attention/linear_0": [f"self_attn.{each}_proj" for each in "qkv"],
    "self_attention/linear_1": ["self_attn.out_proj"],
    "attention/layer_norm": ["encoder_attn_layer_norm"],
    "attention/linear_0": ["encoder_attn.q_proj"],
    "attention/linear_1": [f"encoder_attn.{each}_proj" for each in "kv"],
    "attention/linear_2": ["encoder_attn.out_proj"],
    "ffn/layer_norm": ["final_layer_norm"],
    "ffn/linear_0": ["fc1"],
    "ffn/linear_1": ["fc2"],
    "conv1": ["conv1"],
    "conv2": ["conv2"],
    "layer_norm": ["layer_norm"],
    "embeddings": ["embed_tokens"],
    "position_encodings": ["embed_positions"],
}
WHISPER_KINDS = {"gamma": "weight", "beta": "bias", "encodings": "weight"}


def whisper_tiny_en(weights: str):
    """transformers' model with every parameter from CTranslate2's file."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    variables = ctranslate2_variables(weights)
    state = {"proj_out.weight": variables.pop("decoder/projection/weight").float()}
    tensors = {name: each for name, each in variables.items() if each.dim() > 0}
    for name, tensor in tensors.items():
        half, layer, part, kind = re.fullmatch(
            r"(encoder|decoder)/(?:layer_(\d+)/)?(.+)/(\w+)", name
        ).groups()
        inside = f"model.{half}." + (f"layers.{layer}." if layer else "")
        kind, parts = WHISPER_KINDS.get(kind, kind), WHISPER_PARTS[part]
        for to, piece in zip(parts, tensor.float().chunk(len(parts)), strict=True):
            state[f"{inside}{to}.{kind}"] = piece
    # Joined with layers that have a bias, keys have one of zeros.
    for name in [each for each in state if each.endswith("k_proj.bias")]:
        if state.pop(name).any():
            raise SystemExit(f"{weights}: {name} is not zero")
    model = WhisperForConditionalGeneration(WhisperConfig(**WHISPER_TINY_EN))
    model.load_state_dict(state)  # refuses a name too many or too few
    return model.eval()


def whisper_tiny_en_encoder(weights):
    return exported_encoder(whisper_tiny_en(weights).get_encoder())


def whisper_tiny_en_decoder(weights):
    model = whisper_tiny_en(weights)
    inputs = {
        "input_ids": torch.zeros(1, 8, dtype=torch.long),
        "encoder_hidden_states": torch.zeros(1, 1500, 384),
    }
    tokens = torch.export.Dim("tokens", max=model.config.max_target_positions)
    return DecodingFromStart(model), inputs, ["logits"], ({1: tokens}, None)


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


MODELS = (
    efficientnet_lite0,
    resnet50,
    bert_base,
    whisper_tiny_encoder,
    whisper_tiny_en_encoder,
    whisper_tiny_en_decoder,
    gpt2_step,
)


def main(name: str, out: str, *arguments: str) -> None:
    torch.manual_seed(SEED)
    make = {each.__name__: each for each in MODELS}[name]
    model, inputs, outputs, *dynamic = make(*arguments)
    torch.onnx.export(
        model.eval(), tuple(inputs.values()), out, dynamo=True, opset_version=18, input_names=list(inputs),
        output_names=outputs, external_data=False, dynamic_shapes=dynamic[0] if dynamic else None,
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
