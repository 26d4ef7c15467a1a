"""Operators of torch that are several layers compute what torch computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from mho.errors import NetworkError
from mho.network import Network
from tests.test_network_torch import Function, agree

_M = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
CASES: dict[str, tuple[Callable[..., object], tuple[tuple[int, ...], ...]]] = {
    "norms": (
        lambda x: (
            torch.linalg.vector_norm(x, dim=-1),
            x.norm(p=1, dim=1, keepdim=True),
            torch.linalg.vector_norm(x, ord=torch.inf, dim=(1, 2)),
        ),
        ((2, 3, 4),),
    ),
    "normalised": (lambda x: functional.normalize(x, dim=1), ((2, 3, 4),)),
    "log of sums": (lambda x: (x.logsumexp(1), x.logsumexp((1, 2), keepdim=True)), ((2, 3, 4),)),
    "deviations": (lambda x: (x.var(1), x.std((1, 2), keepdim=True), x.var(2, correction=0)), ((2, 3, 4),)),
    "similarity": (lambda x, y: functional.cosine_similarity(x, y, dim=1), ((2, 3, 4), (2, 3, 4))),
    "tensordot": (lambda x, y: torch.tensordot(x, y, dims=([1], [1])), ((2, 3, 4), (2, 3, 4))),
    "tensordot known": (lambda x: torch.tensordot(x, _M, dims=1), ((2, 3, 4),)),
    "inner": (lambda x: torch.inner(x, _M.T), ((2, 3, 4),)),
    "outer": (lambda x: torch.outer(x[0], _M[0]), ((2, 3),)),
    "combined": (
        lambda x, y: torch.addcmul(x, y, y, value=2) + torch.addcdiv(x, y, y * y + 1) + torch.lerp(x, y, 0.3),
        ((2, 3), (2, 3)),
    ),
    "logarithms": (lambda x: (x.exp() + 1).log2() + x.exp().log10() + x.abs().log1p(), ((2, 3),)),
    "exponentials": (lambda x: x.expm1() + x.exp2(), ((2, 3),)),
    "cut": (lambda x: (x * 3).trunc(), ((2, 3),)),
    "thresholds": (lambda x: functional.threshold(x, 0.2, 0.0) + functional.threshold(x, -0.1, 7.0), ((2, 3),)),
    "channels": (lambda x: functional.channel_shuffle(x, 3), ((2, 6, 2, 2),)),
    "windows": (lambda x: functional.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=2), ((2, 3, 6, 7),)),
    "folded windows": (
        lambda x: functional.fold(x, (6, 7), (2, 3), dilation=(2, 1), padding=1, stride=(2, 1)), ((2, 18, 21),)
    ),
    "windows of an axis": (lambda x: (x.unfold(1, 3, 2), x.unfold(2, 2, 1)), ((2, 7, 4),)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_function_computes_what_torch_computes(case: str) -> None:
    function, shapes = CASES[case]
    generator = torch.Generator().manual_seed(0)
    agree(Function(function), *(torch.randn(shape, generator=generator) for shape in shapes))


def test_known_weights_of_a_tensordot_sit_on_crossbars() -> None:
    network = Network.from_torch(Function(lambda x: torch.tensordot(x, _M, dims=1)), (torch.zeros(2, 3, 4),))
    assert network.weights == 20


def test_norms_of_other_orders_are_refused() -> None:
    with pytest.raises(NetworkError, match="order 3 is not known; known: 1, 2, infinity"):
        Network.from_torch(Function(lambda x: torch.linalg.vector_norm(x, ord=3, dim=1)), (torch.zeros(2, 3),))
