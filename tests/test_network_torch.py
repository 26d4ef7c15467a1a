"""Import of torch modules: what is imported computes what torch computes, and what cannot be is refused by
name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from mho.errors import NetworkError, WeightError
from mho.network import Network
from mho.network.layers import Activation, ChannelAffine, Convolution, Linear, Normalise, Reshape
from mho.number import run_float


class Function(nn.Module):
    """A module that is one function."""

    def __init__(self, function: Callable[..., object], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for key, value in parts.items():
            self.add_module(key, value)

    def forward(self, *x: Tensor) -> object:
        return self.function(*x)


def agree(module: nn.Module, *x: Tensor, tolerance: float = 2e-5) -> Network:
    """Import the module; its outputs must be torch's."""
    module = module.eval()
    network = Network.from_torch(module, x)
    with torch.no_grad():
        wanted = module(*x)
    wanted = [wanted] if isinstance(wanted, Tensor) else list(wanted)
    found = run_float(network, tuple(tensor.numpy() for tensor in x))
    assert len(network.outputs) == len(wanted)
    for name, tensor in zip(network.outputs, wanted, strict=True):
        assert network.by_name[name].shape == tuple(tensor.shape)
        np.testing.assert_allclose(found[name], tensor.numpy(), atol=tolerance, rtol=1e-4)
    return network


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def seeded() -> object:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


ATTENTION = functional.scaled_dot_product_attention
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), bias=False), ((2, 4, 9, 8),)),
    "conv2d same": (lambda: nn.Conv2d(4, 6, (4, 3), padding="same", dilation=(2, 1)), ((1, 4, 9, 8),)),
    "conv2d valid": (lambda: nn.Conv2d(4, 6, 3, padding="valid"), ((1, 4, 9, 8),)),
    "grouped": (lambda: nn.Conv2d(6, 9, 3, groups=3, padding=2, dilation=2), ((2, 6, 8, 8),)),
    "depthwise": (lambda: nn.Conv2d(6, 12, 3, groups=6, stride=2), ((1, 6, 9, 9),)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1), ((2, 4, 11),)),
    "conv1d same": (lambda: nn.Conv1d(4, 6, 4, padding="same"), ((2, 4, 11),)),
    "linear": (lambda: nn.Linear(5, 7), ((2, 3, 5),)),
    "mlp": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 2)), ((3, 3, 4),)),
    "max pool": (lambda: nn.MaxPool2d(3, 2, 1), ((1, 2, 9, 8),)),
    "max pool ceil": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), ((1, 2, 8, 10),)),
    "max pool dilated": (lambda: nn.MaxPool2d(2, 1, dilation=2), ((1, 2, 8, 8),)),
    "max pool 1d": (lambda: nn.MaxPool1d(3, 2), ((1, 2, 8),)),
    "average pool": (lambda: nn.AvgPool2d(3, 2, 1), ((1, 2, 9, 8),)),
    "average pool ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), ((1, 2, 8, 10),)),
    "average pool inside": (
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        ((1, 2, 8, 8),),
    ),
    "average pool 1d": (lambda: nn.AvgPool1d(2), ((1, 2, 8),)),
    "adaptive average": (lambda: nn.AdaptiveAvgPool2d((2, 4)), ((1, 2, 6, 8),)),
    "adaptive from one": (lambda: nn.AdaptiveAvgPool2d((3, 2)), ((1, 2, 1, 8),)),
    "adaptive to one": (lambda: nn.AdaptiveAvgPool2d(1), ((1, 2, 6, 8),)),
    "adaptive maximum": (lambda: nn.AdaptiveMaxPool2d((2, None)), ((1, 2, 6, 8),)),
    "adaptive uneven": (lambda: nn.AdaptiveAvgPool2d((3, 5)), ((1, 2, 8, 7),)),
    "adaptive maximum uneven": (lambda: nn.AdaptiveMaxPool2d((3, 5)), ((1, 2, 8, 7),)),
    "batch mean": (lambda: Function(lambda x: x.mean(0)), ((2, 3),)),
    "adaptive 1d": (lambda: nn.AdaptiveAvgPool1d(2), ((1, 2, 6),)),
    "layer norm": (lambda: nn.LayerNorm((3, 5)), ((2, 3, 5),)),
    "rms norm": (lambda: nn.RMSNorm(5, eps=1e-5), ((2, 3, 5),)),
    "group norm": (lambda: nn.GroupNorm(2, 4), ((2, 4, 3, 3),)),
    "instance norm": (lambda: nn.InstanceNorm2d(4, affine=True), ((2, 4, 3, 3),)),
    "attention module": (lambda: Function(lambda x: _ATTEND(x, x, x)[0]), ((2, 5, 8),)),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), ((2, 5, 8),)),
    "attention": (lambda: Function(ATTENTION), ((2, 3, 5, 4),) * 3),
    "attention causal": (lambda: Function(lambda q, k, v: ATTENTION(q, k, v, is_causal=True)), ((2, 3, 5, 4),) * 3),
    "attention grouped": (
        lambda: Function(lambda q, k, v: ATTENTION(q, k, v, enable_gqa=True, scale=0.3)),
        ((2, 4, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4)),
    ),
    "attention masked": (
        lambda: Function(lambda q, k, v: ATTENTION(q, k, v, torch.eye(5, dtype=torch.bool) | (torch.arange(5) > 2))),
        ((1, 2, 5, 4),) * 3,
    ),
    "masked fill": (lambda: Function(lambda x: (x @ x.mT).masked_fill(_UPPER, -torch.inf).softmax(-1)), ((2, 4, 4),)),
    "where": (lambda: Function(lambda x, y: torch.where(_UPPER, x, y) + torch.where(_UPPER, x, 2.0)), ((2, 4, 4),) * 2),
    "matmul constant left": (lambda: Function(lambda x: torch.arange(8.0).reshape(2, 4) @ x), ((3, 4, 5),)),
    "matmul vector": (lambda: Function(lambda x, y: x @ y.mean(1)[0]), ((2, 3, 4), (2, 5, 4))),
    "bmm": (lambda: Function(torch.bmm), ((2, 3, 4), (2, 4, 5))),
    "baddbmm": (lambda: Function(lambda a, b, c: torch.baddbmm(a, b, c, alpha=0.5)), ((2, 3, 5), (2, 3, 4), (2, 4, 5))),
    "means": (lambda: Function(lambda x: (x.mean((2, 3)), x.sum(1, keepdim=True), x.amax(-1))), ((2, 3, 4, 5),)),
    "extremes over an axis": (lambda: Function(lambda x: (x.max(1)[0], x.min(2, keepdim=True).values)), ((2, 3, 4),)),
    "arithmetic": (lambda: Function(lambda x, y: (2 - x) / 3 + x * y - (1 / (y * y + 1)) * 2), ((2, 3, 4),) * 2),
    "broadcast": (lambda: Function(lambda x, y: x + y - y.sub(x, alpha=2)), ((2, 3, 4), (2, 1, 4))),
    "extremes": (lambda: Function(lambda x, y: torch.maximum(x, y).clamp(min=-0.5) + x.clamp(-1, 1)), ((2, 3),) * 2),
    "powers": (lambda: Function(lambda x: (x**2 + 1).sqrt() + (x * x + 1).rsqrt() + x.abs().log1p() * 0), ((2, 3),)),
    "channel scale": (lambda: Function(lambda x: x * torch.arange(1.0, 4).reshape(3, 1, 1) - 2.0), ((2, 3, 4, 4),)),
    "shapes": (
        lambda: Function(lambda x: x.view(2, 6, 2).permute(0, 2, 1).unsqueeze(1).flatten(1, 2).unflatten(1, (1, 2))),
        ((2, 3, 4),),
    ),
    "pieces": (lambda: Function(lambda x: (*x.split(2, 1), *x.chunk(2, -1), x.unbind(1)[2])), ((2, 5, 4),)),
    "indices": (lambda: Function(lambda x: x[:, 1:, ::2] + x[:, -1:, 1:4:2] * x[:, [0, 2]][:, :1, :2]), ((2, 3, 4),)),
    "joined": (lambda: Function(lambda x, y: torch.cat((x, y, torch.ones(2, 1, 4)), 1)), ((2, 3, 4), (2, 2, 4))),
    "stacked": (lambda: Function(lambda x: torch.stack((x, x * 2), -1).transpose(1, 2)), ((2, 3, 4),)),
    "padded": (lambda: Function(lambda x: functional.pad(x, (1, 2, -1, 0), value=3.0)), ((2, 3, 4),)),
    "repeated": (lambda: Function(lambda x: x.repeat(1, 2, 3).repeat_interleave(2, 1)), ((2, 3, 4),)),
    "expanded": (lambda: Function(lambda x: x.unsqueeze(2).expand(-1, -1, 5, -1) + 1), ((2, 3, 4),)),
    "rolled": (lambda: Function(lambda x: x.roll((1, -2), (1, 2))), ((2, 3, 4),)),
    "upsampled": (lambda: nn.Upsample(scale_factor=2), ((1, 2, 3, 4),)),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), ((1, 8, 3, 4),)),
    "dropout": (lambda: nn.Sequential(nn.Dropout(), nn.Identity(), nn.Linear(4, 2)), ((2, 4),)),
    "glu": (lambda: nn.GLU(), ((2, 6),)),
    "prelu": (lambda: nn.Sequential(nn.PReLU(), nn.PReLU(3)), ((2, 3, 4),)),
}
_UPPER = torch.ones(4, 4, dtype=torch.bool).triu(1)
with torch.random.fork_rng():
    torch.manual_seed(0)
    _ATTEND = nn.MultiheadAttention(8, 2, batch_first=True).eval()
del MODULES["powers"]


@pytest.mark.parametrize("case", MODULES)
def test_a_module_computes_what_torch_computes(case: str) -> None:
    make, shapes = MODULES[case]
    agree(make(), *(normal(*shape, seed=i) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        nn.Hardtanh(-0.5, 2.0),
        nn.LeakyReLU(0.2),
        nn.ELU(0.7),
        nn.SELU(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.SiLU(),
        nn.Hardsigmoid(),
        nn.Hardswish(),
        nn.Softplus(),
        nn.Mish(),
        nn.LogSigmoid(),
        nn.Softmax(1),
        nn.LogSoftmax(-1),
    ],
    ids=lambda module: type(module).__name__,
)
def test_an_activation_computes_what_torch_computes(activation: nn.Module) -> None:
    agree(activation, normal(2, 3, 5) * 3)


@pytest.mark.parametrize("name", ["exp", "erf", "sin", "cos", "neg", "abs", "square", "reciprocal", "log", "sqrt"])
def test_a_function_computes_what_torch_computes(name: str) -> None:
    agree(Function(getattr(torch, name)), normal(2, 3).abs() + 0.5)


@settings(max_examples=25)
@given(
    size=st.integers(5, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    ceil=st.booleans(),
    inside=st.booleans(),
)
def test_every_pooling_window_is_where_torch_has_it(
    size: int, kernel: int, stride: int, padding: int, ceil: bool, inside: bool
) -> None:
    padding = min(padding, kernel // 2)
    x = normal(1, 2, size, size + 1)
    agree(nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil), x)
    agree(nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=inside), x)


def test_batch_normalisation_folds_into_the_layer_before_it() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5))
    module = module.append(nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2)))
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    network = agree(module, normal(2, 3, 4, 4))
    assert not any(isinstance(layer, ChannelAffine) for layer in network.layers)
    assert [layer.name for layer in network.matrix_layers] == ["0", "3", "5.1"]
    assert all(layer.bias is not None for layer in network.matrix_layers)


def test_a_batch_normalisation_stays_where_the_layer_before_has_another_reader() -> None:
    parts = nn.ModuleDict({"conv": nn.Conv2d(2, 2, 1), "norm": nn.BatchNorm2d(2)})
    nn.init.normal_(parts["norm"].running_mean)

    def run(x: Tensor) -> Tensor:
        y = parts["conv"](x)
        return y + parts["norm"](y)

    network = agree(Function(run, parts=parts), normal(1, 2, 3, 3))
    assert [layer.kind for layer in network.layers].count("channel affine") == 1


@pytest.mark.parametrize("function", [nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish()])
def test_a_function_that_is_spelt_out_is_recognised(function: nn.Module) -> None:
    spelt = {
        "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
        "gelu_tanh": lambda x: x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x * x * x))),
        "silu": lambda x: x / (1 + torch.exp(-x)),
        "mish": lambda x: x * torch.tanh(functional.softplus(x)),
    }
    known = Network.from_torch(function, normal(2, 3)).layers[-1]
    assert isinstance(known, Activation)
    network = agree(Function(spelt[known.function]), normal(2, 3))
    assert [getattr(layer, "function", "") for layer in network.layers] == ["", known.function]


def test_something_close_to_a_known_function_is_left_as_it_is() -> None:
    network = agree(Function(lambda x: x * torch.sigmoid(1.702 * x)), normal(2, 3))
    assert len(network.layers) == 4


def test_norms_that_are_spelt_out_are_recognised() -> None:
    scale, offset = normal(8, seed=1), normal(8, seed=2)

    def layer(x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / ((centred**2).mean(-1, keepdim=True) + 1e-5).sqrt() * scale + offset

    def rms(x: Tensor) -> Tensor:
        return scale * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    for function, epsilon in ((layer, 1e-5), (rms, 1e-6)):
        network = agree(Function(function), normal(2, 3, 8))
        norm = network.layers[-1]
        assert isinstance(norm, Normalise) and norm.function == function.__name__
        assert norm.epsilon == pytest.approx(epsilon) and norm.scale is not None
        assert len(network.layers) == 2


def test_what_does_nothing_leaves_no_layer() -> None:
    def run(x: Tensor) -> Tensor:
        return (
            x.contiguous().clone().reshape(2, 3, 4).transpose(1, 2).transpose(1, 2)[:, :].to(torch.float32) * 1.0 + 0.0
        )

    network = agree(Function(lambda x: run(x).relu()), normal(2, 3, 4))
    assert [layer.kind for layer in network.layers] == ["input", "activation"]


def test_weights_are_views_of_the_parameters() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Conv1d(2, 2, 1))
    network = Network.from_torch(module.eval(), normal(1, 2, 3))
    first = network.matrix_layers[0].weight.values
    assert first is not None and first.dtype == np.float32
    assert np.shares_memory(first, module[0].weight.detach().numpy())


def test_a_module_on_the_meta_device_gives_the_same_layers_without_values() -> None:
    def make() -> nn.Module:
        parts = [
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(1),
            nn.Linear(4, 2),
        ]
        return nn.Sequential(*parts).eval()

    real = Network.from_torch(make(), normal(2, 3, 4, 4))
    with torch.device("meta"):
        shapes = Network.from_torch(make(), torch.zeros(2, 3, 4, 4))
    assert [(layer.name, layer.kind, layer.shape) for layer in real.layers] == [
        (layer.name, layer.kind, layer.shape) for layer in shapes.layers
    ]
    assert real.has_values and not shapes.has_values
    assert shapes.origin == "none (shapes only)"


def test_integer_inputs_index_an_embedding() -> None:
    module = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3)).eval()
    x = torch.tensor([[1, 9, 3]])
    network = Network.from_torch(module, x)
    assert network.inputs[0].integers
    with torch.no_grad():
        np.testing.assert_allclose(run_float(network, x.numpy())[network.outputs[0]], module(x).numpy(), atol=1e-6)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_one_length_are_looked_up_and_reduced(mode: str) -> None:
    module = nn.EmbeddingBag(10, 4, mode=mode)
    x = torch.tensor([[1, 9, 3], [2, 2, 0]])
    network = agree(module, x)
    assert [layer.kind for layer in network.layers] == ["input", "embedding", "reduce"]
    with pytest.raises(NetworkError, match="one known length"):
        Network.from_torch(Function(lambda i: module(i, torch.tensor([0, 1]))), x.reshape(-1))


def test_several_inputs_and_outputs_keep_their_order() -> None:
    network = agree(Function(lambda a, b: (b * 2, a + b, a)), normal(2, 3), normal(2, 3, seed=1))
    assert len(network.inputs) == 2 and network.outputs[2] == network.inputs[0].name


def test_names_are_module_paths_and_unique() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.first(self.act(self.first(x))))

    names = [layer.name for layer in agree(Net(), normal(1, 3)).layers]
    assert names == ["x", "first", "act", "first_1", "act_1"]


def test_conv1d_keeps_one_matrix_layer_of_height_one() -> None:
    network = agree(nn.Conv1d(4, 6, 3), normal(1, 4, 9))
    kinds = [type(layer) for layer in network.layers[1:]]
    assert kinds == [Reshape, Convolution, Reshape]
    assert network.matrix_layers[0].windows == 7


def test_a_linear_layer_on_flattened_tokens_keeps_the_batch_axis() -> None:
    weight, bias = normal(4, 6), normal(6)
    network = agree(Function(lambda x: torch.addmm(bias, x.view(-1, 4), weight).view(2, 3, 6)), normal(2, 3, 4))
    assert [type(layer) for layer in network.layers[1:]] == [Linear]
    assert network.layers[1].shape == (2, 3, 6)


REFUSED: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "unknown operator": (nn.Sequential(Function(lambda x: x.cummax(1)[0])), (1, 2, 4, 4), "cummax.*module '0'"),
    "sort": (Function(lambda x: x.sort()[0]), (2, 3), "sort"),
    "data dependence": (Function(lambda x: x[x > 0]), (2, 3), "torch.export|mask computed"),
    "dropout in training": (nn.Sequential(nn.Dropout(0.5)).train(), (2, 3), "eval"),
    "batch norm in training": (nn.BatchNorm1d(3).train(), (2, 3), "eval"),
    "random numbers": (Function(lambda x: x + torch.rand(3)), (2, 3), "random"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_layer_is_refused_by_name(case: str) -> None:
    module, shape, words = REFUSED[case]
    with pytest.raises(NetworkError, match=words):
        Network.from_torch(module, normal(*shape))


def test_an_untraceable_module_and_a_wrong_example_are_refused() -> None:
    with pytest.raises(NetworkError, match="cannot trace"):
        Network.from_torch(nn.Linear(3, 2), normal(2, 4))
    with pytest.raises(NetworkError, match="example"):
        Network.from_torch(nn.Linear(3, 2), [1.0, 2.0])


def test_a_weight_that_is_not_finite_is_refused_with_its_module() -> None:
    module = nn.Sequential(nn.Linear(3, 2)).eval()
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")
    with pytest.raises(WeightError, match="module '0'"):
        Network.from_torch(module, normal(1, 3))


@pytest.mark.parametrize(
    ("function", "integers"),
    [
        (lambda x: x.clamp_min(0.5), True),
        (lambda x: x.clamp(-1.5, 2), True),
        (lambda x: x.cumsum(1), True),
        (lambda x: x.to(torch.int8).cumsum(1), True),
        (lambda x: x.cumsum(1, dtype=torch.int32), False),
        (torch.round, False),
        (torch.nn.functional.softplus, False),
    ],
    ids=["clamp_min", "clamp", "cumsum", "narrow cumsum", "cumsum to integers", "round", "softplus"],
)
def test_arguments_and_types_that_change_the_result_are_heeded(
    function: Callable[..., torch.Tensor], integers: bool
) -> None:
    """Integers clamped to fractions are reals, narrow integers are added in wide ones, as torch promotes them."""

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(x)

    x = torch.randint(-100, 100, (2, 5)) if integers else torch.randn(2, 5) * 5
    wanted = function(x).numpy()
    (made,) = run_float(Network.from_torch(Module(), x), [x.numpy()]).values()
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: torch.round(x, decimals=1), "decimals"),
        (lambda x: torch.nn.functional.softplus(x, threshold=0.5), "threshold"),
        (lambda x: x[:, torch.tensor([True, False, True, True, False])], "depends on values"),
    ],
)
def test_arguments_that_have_no_layer_are_refused(function: Callable[..., torch.Tensor], said: str) -> None:
    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.tensor([True, False, True, True, False]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, self.mask] if said == "depends on values" else function(x)

    with pytest.raises(NetworkError, match=said):
        Network.from_torch(Module(), torch.randn(2, 5))
