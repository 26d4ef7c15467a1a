"""Products of any rank: Einstein sums and batched products are numpy's, and known operands are weights on crossbars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NetworkError
from mho.machine.analog.spec import Analog
from mho.network import Network, contraction
from mho.network.arrays import Affine, Array
from mho.network.builder import Builder
from mho.network.layers import GroupedLinear, Linear
from mho.number import run_float
from tests.strategies import GREEDY
from tests.test_network_onnx import agree as agree_onnx
from tests.test_network_onnx import node, save
from tests.test_network_torch import Function
from tests.test_network_torch import agree as agree_torch

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}


def network_of(builder: Builder, made: str) -> Network:
    return Network("drawn", tuple(builder.layers.values()), (made,), "drawn")


@st.composite
def sums(draw: st.DrawFn) -> tuple[str, list[np.ndarray], list[bool]]:
    """An equation, its operands and which of them are known; axes may be broadcast, summed alone or on a diagonal."""
    count = draw(st.integers(1, 3))
    terms = [draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=3)) for _ in range(count)]
    known = [draw(st.booleans()) for _ in range(count)]
    assume(not all(known))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    arrays = []
    for term in terms:
        narrow = draw(st.sampled_from(["", *term]))
        shape = [1 if label == narrow and term.count(label) == 1 else SIZES[label] for label in term]
        arrays.append(generator.standard_normal(shape).astype(np.float32))
    letters = sorted({label for term in terms for label in term})
    result = draw(st.lists(st.sampled_from(letters), unique=True, max_size=4))
    return f"{','.join(map(''.join, terms))}->{''.join(result)}", arrays, known


@given(sums())
@settings(max_examples=80)
def test_an_einstein_sum_is_that_of_torch(case: tuple[str, list[np.ndarray], list[bool]]) -> None:
    equation, arrays, known = case
    try:
        wanted = torch.einsum(equation, *map(torch.from_numpy, arrays)).numpy()
    except RuntimeError:
        assume(False)  # a broadcast diagonal
    builder = Builder()
    values: list[str | Array] = []
    for i, (array, fixed) in enumerate(zip(arrays, known, strict=True)):
        builder.scope = f"x{i}"
        values.append(Array.of(array) if fixed else builder.input(array.shape))
    builder.scope = "sum"
    try:
        made = contraction.einsum(builder, equation, values)
    except NetworkError as error:
        assume("batch axis" not in str(error))
        raise
    network = network_of(builder, made)
    assert network.by_name[made].shape == wanted.shape
    given_arrays = [array for array, fixed in zip(arrays, known, strict=True) if not fixed]
    leads = {array.shape[0] for array in given_arrays}
    assume(len(leads) == 1)  # inputs of unequal first axes are no batch
    np.testing.assert_allclose(run_float(network, given_arrays)[made], wanted, rtol=1e-4, atol=1e-4)


@given(st.lists(st.sampled_from([1, 2, 3]), max_size=3), st.data())
@settings(max_examples=40)
def test_a_batched_product_with_known_weights_is_numpys_and_holds_each_weight_once(
    lead: list[int], data: st.DataObject
) -> None:
    def narrowed() -> list[int]:
        short = data.draw(st.integers(0, len(lead)))
        return [data.draw(st.sampled_from([1, n])) for n in lead[short:]]

    x_shape, w_shape = (*narrowed(), 2, 5), (*narrowed(), 5, 3)
    left = data.draw(st.booleans())
    generator = np.random.default_rng(0)
    x, w = (generator.standard_normal(shape).astype(np.float32) for shape in (x_shape, w_shape))
    bias = None if left or data.draw(st.booleans()) else generator.standard_normal(3).astype(np.float32)
    builder = Builder()
    builder.scope = "x"
    tensor = builder.input(np.swapaxes(x, -1, -2).shape if left else x_shape)
    builder.scope = "y"
    weight = Array.of(np.swapaxes(w, -1, -2) if left else w)
    made = contraction.matmul(
        builder, *((weight, tensor) if left else (tensor, weight)), None if bias is None else Array.of(bias)
    )
    network = network_of(builder, made)
    assert network.weights == w.size
    (layer,) = network.matrix_layers
    wanted = x @ w if bias is None else x @ w + bias
    assert layer.macs == wanted.size * 5
    given_x = np.swapaxes(x, -1, -2) if left else x
    np.testing.assert_allclose(
        run_float(network, given_x)[made], np.swapaxes(wanted, -1, -2) if left else wanted, rtol=1e-4, atol=1e-5
    )


def test_shared_inputs_make_one_wide_matrix_and_batches_make_several() -> None:
    torch.manual_seed(0)
    weights = torch.randn(4, 5, 6)
    shared = agree_torch(Function(lambda x: x @ weights), torch.randn(2, 1, 3, 5))
    (layer,) = shared.matrix_layers
    assert type(layer) is Linear and (layer.rows, layer.columns, layer.windows) == (5, 24, 6)
    apart = agree_torch(Function(lambda x: x @ weights), torch.randn(2, 4, 3, 5))
    (layer,) = apart.matrix_layers
    assert isinstance(layer, GroupedLinear)
    assert (layer.groups, layer.rows, layer.columns, layer.windows) == (4, 5, 6, 6)


_W = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(1))
_B = torch.randn(3, 1, 6, generator=torch.Generator().manual_seed(2))
TORCH = {
    "leading one": (lambda x: x @ _W[:1], (2, 3, 5), 30),
    "batched": (lambda x: x @ _W, (1, 3, 4, 5), 90),
    "bmm": (lambda x: torch.bmm(x, _W), (3, 4, 5), 90),
    "weights on the left": (lambda x: _W.mT @ x, (1, 3, 5, 4), 90),
    "baddbmm": (lambda x: torch.baddbmm(_B, x, _W), (3, 4, 5), 90),
    "baddbmm scaled": (lambda x: torch.baddbmm(_B, x, _W, beta=2, alpha=0.5), (3, 4, 5), 90),
    "experts by einsum": (lambda x: torch.einsum("bemk,ekn->bemn", x, _W), (2, 3, 4, 5), 90),
    "all experts of one token": (lambda x: torch.einsum("...k,ekn->...en", x, _W), (2, 4, 5), 90),
    "vector": (lambda x: x @ _W[0, :, 0], (2, 4, 5), 5),
    "mv": (lambda x: torch.mv(x, _W[0, :, 0]), (4, 5), 5),
}


@pytest.mark.parametrize("case", TORCH)
def test_known_weights_from_torch_sit_on_crossbars(case: str) -> None:
    function, shape, weights = TORCH[case]
    network = agree_torch(Function(function), torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert network.weights == weights
    assert all(layer.kind != "matrix product" for layer in network.layers)


ONNX = {
    "leading one": ("MatMul", "x w", (2, 3, 5), (1, 5, 4), {}, 20),
    "batched": ("MatMul", "x w", (1, 3, 4, 5), (3, 5, 6), {}, 90),
    "left": ("MatMul", "w x", (1, 3, 5, 4), (3, 6, 5), {}, 90),
    "einsum": ("Einsum", "x w", (2, 3, 4, 5), (3, 5, 6), {"equation": "bemk,ekn->bemn"}, 90),
    "gemm left": ("Gemm", "w x", (5, 4), (3, 5), {"alpha": 0.5}, 15),
}


@pytest.mark.parametrize("case", ONNX)
def test_known_weights_from_onnx_sit_on_crossbars(case: str, tmp_path: Path) -> None:
    operator, names, x, w, attributes, weights = ONNX[case]
    generator = np.random.default_rng(0)
    stored = {"w": generator.standard_normal(w).astype(np.float32)}
    file = save(tmp_path / "m.onnx", [node(operator, names, **attributes)], stored, {"x": x})
    network = agree_onnx(file, generator.standard_normal(x).astype(np.float32))
    assert network.weights == weights
    assert all(layer.kind != "matrix product" for layer in network.layers)


@pytest.mark.parametrize("per_channel", [False, True])
def test_experts_are_bit_exact_on_the_chip(per_channel: bool) -> None:
    network = Network.from_torch(Function(lambda x: torch.baddbmm(_B, x, _W).relu() @ _W.mT), (torch.zeros(3, 4, 5),))
    samples = np.random.default_rng(0).standard_normal((6, 4, 5)).astype(np.float32)
    quantised = mho.number.quantise(network, samples, per_channel=per_channel)
    assert quantised.matrices[network.matrix_layers[0].name].codes.shape == (3, 5, 6)
    program = mho.compile(quantised, mho.Chip.load("aras"), GREEDY)
    verdict = mho.verify(program, samples)
    assert verdict.exact, verdict
    wide = Analog().override({"adc.bits": 22})
    for name, values in mho.execute(program, samples, analog=wide).items():
        np.testing.assert_array_equal(values, mho.execute(program, samples)[name])


def test_codes_of_a_quantised_file_follow_their_outputs() -> None:
    scale = np.arange(1.0, 4.0)
    code = Affine(scale, np.zeros(3, dtype=np.int64), -128, 127, axis=0)
    weight = Array.of(np.arange(90, dtype=np.int8).reshape(3, 5, 6), code)
    builder = Builder()
    builder.scope = "x"
    made = contraction.matmul(builder, builder.input((1, 3, 4, 5)), weight)
    (layer,) = network_of(builder, made).matrix_layers
    assert layer.weight.code is not None and layer.weight.code.axis == 0
    np.testing.assert_array_equal(layer.matrix(layer.weight.real()), weight.real())
    builder.scope = "z"
    with pytest.raises(NetworkError, match="no axis of outputs"):
        contraction.matmul(builder, builder.input((1, 4, 3)), Array.of(np.zeros((3, 6), dtype=np.int8), code))


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ij->kk", "ij->il", "i1->i", "ijk->i", "...i...->i"])
def test_an_equation_that_does_not_fit_is_refused(equation: str) -> None:
    with pytest.raises(NetworkError):
        contraction.parse(equation, [(2, 3)])
