"""Recurrent layers against torch and onnxruntime, and through programs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mho
from mho.errors import NetworkError
from mho.network.graph import Network
from mho.number import run_float
from mho.program import Write
from tests.hand_sized import hand_chip
from tests.strategies import ALONE, GREEDY

torch = pytest.importorskip("torch")
nn = torch.nn


def imported(module: Any, *example: Any) -> Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Network.from_torch(module.eval(), example)


def assert_like_torch(module: Any, *example: Any) -> Network:
    """Import a module and compare all its outputs with torch's in float64, to 1e-6 of the largest."""
    network = imported(module, *example)
    got = run_float(network, tuple(each.numpy() for each in example))
    with torch.no_grad():
        wanted = module.double()(*(each.double() for each in example))
    flat: list[Any] = []

    def flatten(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            flat.append(value.numpy())
        else:
            for each in value:
                flatten(each)

    flatten(wanted)
    assert len(network.outputs) == len(flat)
    for name, want in zip(network.outputs, flat, strict=True):
        assert got[name].shape == want.shape
        np.testing.assert_allclose(got[name], want, rtol=0, atol=1e-6 * max(1.0, np.abs(want).max()))
    return network


class Loop(nn.Module):  # type: ignore[misc, name-defined]
    """Cells called in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.plain = nn.LSTMCell(3, 4), nn.GRUCell(4, 5), nn.RNNCell(5, 2, nonlinearity="relu")
        self.head = nn.Linear(2, 3)

    def forward(self, x: Any) -> Any:
        h, c, g, r = (torch.zeros(x.shape[0], size) for size in (4, 4, 5, 2))
        if x.dtype == torch.float64:
            h, c, g, r = h.double(), c.double(), g.double(), r.double()
        for step in range(x.shape[1]):
            h, c = self.lstm(x[:, step], (h, c))
            g = self.gru(h, g)
            r = self.plain(g, r)
        return self.head(r)


MODULES: dict[str, tuple[Callable[[], Any], tuple[tuple[int, ...], ...]]] = {
    "lstm": (lambda: nn.LSTM(3, 4), ((5, 2, 3),)),
    "lstm of two layers": (lambda: nn.LSTM(3, 4, 2, batch_first=True), ((2, 5, 3),)),
    "lstm both ways": (lambda: nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True), ((1, 5, 3),)),
    "lstm without bias": (lambda: nn.LSTM(3, 4, bias=False), ((5, 1, 3),)),
    "lstm with projection": (lambda: nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True), ((5, 2, 3),)),
    "lstm of no batch": (lambda: nn.LSTM(3, 4), ((5, 3),)),
    "gru": (lambda: nn.GRU(3, 4, batch_first=True), ((2, 5, 3),)),
    "gru both ways": (lambda: nn.GRU(3, 4, 2, bidirectional=True), ((5, 2, 3),)),
    "gru without bias": (lambda: nn.GRU(3, 4, bias=False), ((5, 1, 3),)),
    "gru with a state": (lambda: nn.GRU(3, 4), ((5, 2, 3), (1, 2, 4))),
    "plain": (lambda: nn.RNN(3, 4, batch_first=True), ((2, 5, 3),)),
    "plain, rectified, both ways": (lambda: nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True), ((5, 2, 3),)),
    "cells in a loop": (Loop, ((2, 4, 3),)),
}


@pytest.mark.parametrize("case", MODULES)
def test_a_recurrent_module_computes_what_torch_computes(case: str) -> None:
    make, shapes = MODULES[case]
    torch.manual_seed(1)
    assert_like_torch(make(), *(torch.randn(*shape) for shape in shapes))


def test_a_state_of_an_lstm_may_be_given() -> None:
    class Given(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 4, bidirectional=True)
            self.start = nn.Parameter(torch.randn(2, 1, 4))

        def forward(self, x: Any, cell: Any) -> Any:
            return self.lstm(x, (self.start, cell))

    torch.manual_seed(0)
    assert_like_torch(Given(), torch.randn(3, 1, 3), torch.randn(2, 1, 4))


def test_the_last_step_alone_needs_no_sequence_of_all() -> None:
    class Last(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.lstm(x)[0][:, -1]

    torch.manual_seed(0)
    network = assert_like_torch(Last(), torch.randn(1, 4, 3))
    assert not any(layer.kind == "concatenate" for layer in network.layers)


@pytest.mark.parametrize("steps", [2, 7])
def test_weights_are_counted_once_whatever_the_steps(steps: int) -> None:
    torch.manual_seed(0)
    network = imported(nn.LSTM(3, 4, batch_first=True), torch.randn(1, steps, 3))
    assert network.weights == 4 * 4 * (3 + 4)
    assert [layer.name for layer in network.weighted] == ["lstm.l0.input", "lstm.l0.1.hidden"]
    assert len(network.matrix_layers) == 1 + (steps - 1)
    assert imported(Loop(), torch.randn(1, steps, 3)).weights == 16 * 7 + 15 * 9 + 2 * 7 + 6
    with torch.device("meta"):
        shapes = imported(nn.GRU(3, 4), torch.randn(steps, 1, 3))
        loop = imported(Loop(), torch.randn(1, steps, 3))
    assert (shapes.weights, loop.weights) == (12 * 7, 16 * 7 + 15 * 9 + 2 * 7 + 6)


def test_dropout_between_layers_and_packed_sequences_are_refused() -> None:
    module = nn.LSTM(3, 4, 2, dropout=0.5).train()
    with warnings.catch_warnings(), pytest.raises(NetworkError, match="dropout between recurrent layers"):
        warnings.simplefilter("ignore")
        Network.from_torch(module, torch.randn(2, 1, 3))


@pytest.mark.parametrize("schedule", ALONE)
@pytest.mark.parametrize("tiles", [3, 40])
def test_an_unrolled_network_is_exact_through_its_program(schedule: str, tiles: int) -> None:
    """On a chip that it fits and on one that it does not, which writes its weights once all the same."""

    class Word(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.front, self.lstm, self.head = (
                nn.Linear(3, 5),
                nn.GRU(5, 4, bidirectional=True, batch_first=True),
                nn.Linear(8, 2),
            )

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(torch.relu(self.front(x)))[0][:, -1])

    torch.manual_seed(0)
    network = imported(Word(), torch.randn(1, 4, 3))
    samples = np.random.default_rng(0).standard_normal((6, 4, 3)).astype(np.float32)
    program = mho.compile(
        mho.number.quantise(network, samples), hand_chip(tiles=tiles), GREEDY.with_(schedule=schedule)
    )
    assert bool(program.setup) == (tiles == 40)
    assert program.mapping.count == 15
    verification = mho.verify(program, samples[:2])
    assert verification.ok, str(verification)
    if schedule == "overlap":
        assert sum(each.blocks[1] - each.blocks[0] for each in program.instructions if isinstance(each, Write)) == 15
