"""The detector's architecture, of stock `transformers` classes, and its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    CLIPTokenizer,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
)

from demo_model.detector.vocabulary import every_text
from demo_model.model import CONFIG

FOLDER = CONFIG.parent / "detector"  # what ships
SIDE, PATCH = 192, 16  # pixels
GRID = SIDE // PATCH  # tokens a side
WIDTH = 128
TEXT_LENGTH = 16  # tokens, begin and end among them
_TOKENS = 640
_BEGIN, _END, _PAD = "<|startoftext|>", "<|endoftext|>", "!"


def build(vocabulary: int) -> Owlv2ForObjectDetection:
    """The network with the library's own initial weights."""
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1}
    common = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "hidden_act": "relu"}
    text = common | ends | {
        "vocab_size": vocabulary,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TEXT_LENGTH,
    }  # fmt: skip
    vision = common | {
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    # The class head multiplies what it makes of the picture with projected words: both have the words' width.
    return Owlv2ForObjectDetection(Owlv2Config(text_config=text, vision_config=vision, projection_dim=WIDTH))


def build_processor() -> Owlv2Processor:
    """Pictures to pixel values and words to token numbers, as the library does it."""
    pictures = Owlv2ImageProcessor(size={"height": SIDE, "width": SIDE})
    return Owlv2Processor(image_processor=pictures, tokenizer=build_tokenizer())


def build_tokenizer() -> CLIPTokenizer:
    """CLIP's kind of tokenizer with byte pairs of this vocabulary's words.

    The padding is number 0, which the library takes for a missing query where it stands in front. The end of the text
    is the last number: the text is pooled at its highest. Which of two pairs that are equally frequent comes first
    differs from process to process, so the tokenizer that ships is kept where there is one.
    """
    if (FOLDER / "tokenizer.json").exists():
        kept: CLIPTokenizer = CLIPTokenizer.from_pretrained(FOLDER, local_files_only=True)
        return kept
    learnt = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learnt.normalizer = normalizers.Lowercase()
    learnt.pre_tokenizer = pre_tokenizers.Whitespace()
    learnt.train_from_iterator(
        every_text(), trainers.BpeTrainer(vocab_size=_TOKENS, end_of_word_suffix="</w>", show_progress=False)
    )
    merges = _merges(learnt)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [
        _PAD,
        *(letter for letter in letters if letter != _PAD),
        *(f"{letter}</w>" for letter in letters),
    ]
    pieces += [first + second for first, second in merges]
    pieces = [*dict.fromkeys(pieces), _BEGIN, _END]
    return CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges,
        pad_token=_PAD,
        model_max_length=TEXT_LENGTH,
    )


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    stored = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(pair) for pair in stored]


def encode_text(model: Owlv2ForObjectDetection, ids: Tensor, mask: Tensor) -> Tensor:
    """Query embeddings (N, width) of token numbers (N, L), as the library's forward makes them."""
    pooled = model.owlv2.text_model(input_ids=ids, attention_mask=mask).pooler_output
    projected: Tensor = model.owlv2.text_projection(pooled)
    return F.normalize(projected, dim=-1)


def encode_pictures(model: Owlv2ForObjectDetection, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, tokens, width) of pixel values (B, 3, side, side), as the library's `image_embedder` makes them, and
    what they are halfway."""
    vision = model.owlv2.vision_model
    hidden = vision.pre_layernorm(vision.embeddings(pixels))
    halfway = hidden
    for number, layer in enumerate(vision.encoder.layers, start=1):
        hidden = layer(hidden, None)
        if 2 * number == len(vision.encoder.layers):
            halfway = hidden
    hidden = vision.post_layernorm(hidden)
    features: Tensor = model.layer_norm(hidden[:, 1:] * hidden[:, :1])
    return features, halfway[:, 1:]


def load(folder: Path = FOLDER) -> tuple[Owlv2ForObjectDetection, Owlv2Processor]:
    """A shipped detector in single precision, and its processor."""
    model = Owlv2ForObjectDetection.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model.eval(), Owlv2Processor.from_pretrained(folder, local_files_only=True)


def notes(folder: Path = FOLDER) -> dict[str, str]:
    """What a shipped detector says of itself: how it was trained and what it reaches."""
    with safe_open(folder / "model.safetensors", "pt") as stored:
        return dict(stored.metadata() or {})
