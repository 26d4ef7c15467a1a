"""Transformers of the zoo, from configurations of the transformers library, without weights.

BERT (Devlin et al. 2019) without the pooler; GPT-2 (Radford et al. 2019, the smallest) without the output head;
ViT-B/16 (Dosovitskiy et al. 2021) with its classifier. Attention is spelt out ("eager"), so that its products are seen.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch import nn

from mho.errors import OptionError


def bert(sequence: int, *, layers: int, hidden: int, heads: int) -> nn.Module:
    """BERT's encoder: tokens (B, sequence) to (B, sequence, hidden)."""
    from transformers import BertConfig, BertModel

    _within("BERT", sequence, 512)
    configuration = BertConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        attn_implementation="eager",
        use_cache=False,
    )
    model: nn.Module = BertModel(configuration, add_pooling_layer=False)
    return model


def gpt2(sequence: int) -> nn.Module:
    """GPT-2's decoder: tokens (B, sequence) to (B, sequence, 768)."""
    from transformers import GPT2Config, GPT2Model

    _within("GPT-2", sequence, 1024)
    model: nn.Module = GPT2Model(GPT2Config(attn_implementation="eager", use_cache=False))
    return model


def vit_b16(size: int) -> nn.Module:
    """ViT-B/16: images (B, 3, size, size) to 1000 logits."""
    from transformers import ViTConfig, ViTForImageClassification

    if size % 16:
        raise OptionError(f"vit-b16 cuts the image into 16x16 patches; input_size must be a multiple of 16, not {size}")
    configuration = ViTConfig(image_size=size, num_labels=1000, attn_implementation="eager")
    model: nn.Module = ViTForImageClassification(configuration)
    return model


def without_values() -> AbstractContextManager[Any]:
    """Build modules of the transformers library without initial values."""
    from transformers.initialization import no_init_weights

    context: AbstractContextManager[Any] = no_init_weights()
    return context


def _within(name: str, sequence: int, limit: int) -> None:
    if sequence > limit:
        raise OptionError(f"{name} has {limit} positions; sequence {sequence} is too long")
