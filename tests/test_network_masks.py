"""Integers, truths and masks: what torch and onnxruntime make of them, in the float network, in integers and in cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import mho
from mho.number.reference import run_float, run_reference
from tests.strategies import GREEDY

IDS = torch.tensor([[1, 0, 3, -2], [4, 2, 0, 0]])
TRUE = IDS != 0
PLACES = torch.tensor([[0, 1, 1, 0], [2, 0, 1, 1]])
X = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32))
WIDE = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32))
attend = torch.nn.functional.scaled_dot_product_attention

CASES: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    "cast": (lambda i: i.to(torch.float) * 2, (IDS,)),
    "product with a comparison": (lambda i, x: x * (i != 0), (IDS, X)),
    "inverted mask": (lambda i, x: (1 - i.float()) * -1e4 + x, (IDS, X)),
    "where": (lambda b, x: torch.where(b, x, -float("inf")).softmax(-1), (TRUE, X)),
    "masked fill": (lambda b, x: x.masked_fill(~b, -1e9).softmax(-1), (TRUE, X)),
    "count": (lambda b: b.sum(-1), (TRUE,)),
    "mean over a mask": (lambda b, x: (x * b).sum(-1) / b.sum(-1), (TRUE, X)),
    "quotients": (lambda i: (i // 3, torch.div(i, 3, rounding_mode="trunc"), i / 3, i % 3), (IDS,)),
    "power of integers": (lambda i: i**2, (IDS,)),
    "positions": (lambda i: (torch.cumsum(i.ne(0).int(), 1).type_as(i) * i.ne(0)).long() + 1, (IDS,)),
    "two indices": (lambda x, i: x[torch.arange(2)[:, None], i], (WIDE, PLACES)),
    "two known indices": (lambda x: x[:, torch.tensor([0, 2]), torch.tensor([1, 3])], (WIDE,)),
    "two indices apart": (lambda x: x[torch.tensor([0, 1]), :, torch.tensor([1, 3])], (WIDE,)),
    "last token": (lambda x, i: x[torch.arange(2), (i != 0).sum(1) - 1], (WIDE.transpose(1, 2), PLACES)),
    "gather": (lambda x, i: torch.gather(x, 1, i[:, :3].abs() % 3), (X, PLACES)),
    "argmax": (lambda x: x.argmax(-1), (X,)),
    "any and all": (lambda b: (b.any(-1), b.all(-1)), (TRUE,)),
    "logic": (lambda b, i: (b & (i > 0)) | ~b ^ (i == 1), (TRUE, IDS)),
    "attention": (lambda x, b: attend(x, x, x, attn_mask=b[:, None, :3]), (WIDE, TRUE)),
    "clamp of integers": (lambda i: i.clamp(min=0, max=2), (IDS,)),
    "triangle": (lambda x: x.tril(), (WIDE,)),
    "one hot": (lambda i: torch.nn.functional.one_hot(i.abs(), 9).float(), (IDS,)),
    "signs": (lambda i: (-i).abs(), (IDS,)),
    "integers and reals": (lambda i: i + 1.5, (IDS,)),
    "remainder": (lambda x: torch.remainder(x, 0.7), (X,)),
    "comparison with reals": (lambda i: (i > 0.5) & (i <= 3), (IDS,)),
}


class Plain(torch.nn.Module):
    """A module around a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *given: torch.Tensor) -> Any:
        return self.function(*given)


class Encoder(torch.nn.Module):
    """Tokens looked up, one encoder layer that pays no attention to padding, and the sum of the rest."""

    def __init__(self, *, inside: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.inside = inside
        self.table = torch.nn.Embedding(9, 8)
        self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.eval()

    def forward(self, tokens: torch.Tensor, *mask: torch.Tensor) -> torch.Tensor:
        padding = tokens == 0 if self.inside else mask[0] == 0
        made = self.layer(self.table(tokens), src_key_padding_mask=padding)
        return (made * (~padding)[..., None]).sum(1)


def agree(found: dict[str, np.ndarray], wanted: Any) -> None:
    """Values, shapes and types of integers and truths are torch's."""
    tensors = wanted if isinstance(wanted, tuple) else (wanted,)
    assert len(found) == len(tensors)
    for array, tensor in zip(found.values(), tensors, strict=True):
        assert array.dtype == (np.float64 if tensor.is_floating_point() else tensor.numpy().dtype)
        assert array.shape == tuple(tensor.shape)
        np.testing.assert_allclose(array, tensor.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_torch_on_integers_and_truths(case: str) -> None:
    function, given = CASES[case]
    module = Plain(function)
    agree(run_float(mho.Network.from_torch(module, given), [each.numpy() for each in given]), module(*given))


@pytest.mark.parametrize("way", ["torch", "onnx"])
@pytest.mark.parametrize("inside", [True, False])
def test_an_encoder_with_padding_is_the_same_everywhere(way: str, inside: bool, tmp_path: Path) -> None:
    module = Encoder(inside=inside)
    tokens = torch.tensor([[3, 1, 8, 0, 0]])
    given = (tokens,) if inside else (tokens, (tokens != 0).long())
    network = mho.Network.from_torch(module, given)
    if way == "onnx":
        path = tmp_path / "encoder.onnx"
        torch.onnx.export(module, given, str(path), opset_version=17, dynamo=False, input_names=["tokens", "mask"])
        network = mho.Network.from_onnx(path)
        session = onnxruntime.InferenceSession(str(path))
        assert list(network.outputs) == [item.name for item in session.get_outputs()]
    agree(run_float(network, [each.numpy() for each in given]), module(*given))
    # Other padding than that of the example, so that no mask can have been taken for known.
    rows = np.random.default_rng(2).integers(1, 9, (6, 5))
    for length, row in enumerate(rows):
        row[max(1, length) :] = 0
    arrays = (rows,) if inside else (rows, (rows != 0).astype(np.int64))
    real = run_float(network, arrays)
    agree(real, module(*map(torch.from_numpy, arrays)))
    program = mho.compile(mho.number.quantise(network, arrays), "aras", GREEDY)
    (coded,) = run_reference(program.quantised, arrays).values()
    assert np.abs(coded - next(iter(real.values()))).max() < 0.1
    assert mho.verify(program, arrays).ok
    report = mho.simulate(program)
    assert sum(report.account.by("kind").values()) == pytest.approx(report.energy_j, rel=1e-12)


def test_integers_and_truths_are_never_coded() -> None:
    network = mho.Network.from_torch(Encoder(inside=True), torch.tensor([[3, 1, 8, 0, 0]]))
    quantised = mho.number.quantise(network, np.random.default_rng(0).integers(0, 9, (8, 5)))
    whole = {name for name, kind in network.types.items() if kind != "real"}
    assert whole and not whole & set(quantised.codes)


def test_integers_and_truths_take_their_bytes_of_the_buffer() -> None:
    """A mask of truths 1 byte an element, integers that are computed with 4; indices that are only looked up none."""
    tokens = torch.tensor([[3, 1, 8, 0, 0]])
    network = mho.Network.from_torch(Encoder(inside=False), (tokens, (tokens != 0).long()))
    drawn = np.random.default_rng(0).integers(1, 9, (8, 5))
    program = mho.compile(mho.number.quantise(network, (drawn, (drawn > 2).astype(np.int64))), "aras", GREEDY)
    sizes = {network.layers[use.layer].name: use.size for use in program.buffers}
    ids, mask = (layer.name for layer in network.inputs)
    truths = [name for name, kind in network.types.items() if kind == "bool" and name in sizes]
    assert ids not in sizes and sizes[mask] == 4 * 5
    assert truths and all(sizes[name] == network.by_name[name].size for name in truths)


def test_values_of_a_wrong_type_are_refused() -> None:
    network = mho.Network.from_torch(Plain(lambda b, x: x * b), (TRUE, X))
    with pytest.raises(mho.errors.NumberError, match="truths"):
        run_float(network, [TRUE.numpy().astype(np.int64), X.numpy()])
