"""The zoo: published sizes, seeded weights that are repeatable, files that are checked, and the decoder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mho.errors import OptionError, WeightError
from mho.network import Network, zoo
from mho.network.layers import Activation, Array, ChannelAffine, Convolution, Embedding, Normalise
from mho.network.zoo import modules
from mho.network.zoo.decoder import PRESETS, DecoderConfiguration, decoder, tensors
from mho.network.zoo.shapes import KEPT, kept
from mho.network.zoo.weights import Metadata
from mho.number import run_float

TINY = DecoderConfiguration(layers=2, hidden=32, heads=4, key_value_heads=2, intermediate=48, vocabulary=50, sequence=7)


def windows(network: Network) -> int:
    return sum(layer.windows for layer in network.matrix_layers)


# Weights of matrix layers in millions and windows of one inference: counted from the published layer shapes.
@pytest.mark.parametrize(
    ("name", "weights", "total"),
    [
        ("vgg16", 138.34, 137791),
        ("resnet50", 25.50, 61398),
        ("densenet161", 28.46, 89573),
        ("bert-base", 84.93, 9216),
        ("bert-large", 301.99, 18432),
    ],
)
def test_published_models_have_their_weights_and_windows(name: str, weights: float, total: int) -> None:
    network = zoo.load(name)
    assert network.weights / 1e6 == pytest.approx(weights, abs=0.005)
    assert windows(network) == total
    assert not network.has_values and network.origin == "none (shapes only)"
    assert not any(isinstance(layer, ChannelAffine) for layer in network.layers) or name == "densenet161"


def parameters(name: str) -> int:
    """Every parameter that is trained: weights, biases, scales and offsets of normalisations."""
    module = modules._build(name, zoo.IMAGE_SIZES[name], Metadata(), shapes_only=True)
    return sum(parameter.numel() for parameter in module.parameters())


# Parameters and thousands of millions of multiply-accumulates, as torchvision states them of its models.
@pytest.mark.parametrize(
    ("name", "wanted", "macs"),
    [
        ("resnet18", 11_689_512, 1.814),
        ("resnet34", 21_797_672, 3.664),
        ("resnet50", 25_557_032, 4.089),
        ("densenet121", 7_978_856, 2.834),
        ("densenet161", 28_681_000, 7.728),
    ],
)
def test_networks_for_imagenet_have_the_published_size(name: str, wanted: int, macs: float) -> None:
    assert parameters(name) == wanted
    assert round(zoo.load(name).macs / 1e9, 3) == macs


# Millions of parameters: He et al. 2016, table 6; DenseNet-40: Liu et al. 2017 (network slimming), table 1 (Huang et al.
# 2017, table 2: 1.0). Multiply-accumulates follow from the sizes of the layers in those papers.
@pytest.mark.parametrize(
    ("name", "depth", "wanted"), [("resnet20", 3, 0.27), ("resnet32", 5, 0.46), ("resnet56", 9, 0.85)]
)
def test_residual_networks_for_cifar_have_the_published_size(name: str, depth: int, wanted: float) -> None:
    assert round(parameters(name) / 1e6, 2) == wanted
    # Each stage halves the pixels of a side and doubles the channels; its first convolution reads half as many channels.
    full = 16 * 16 * 9 * 32 * 32
    assert zoo.load(name).macs == 3 * 16 * 9 * 32 * 32 + (6 * depth - 1) * full + 64 * 10


def test_the_dense_network_for_cifar_is_the_plain_one_of_growth_12() -> None:
    assert round(parameters("densenet40") / 1e6, 2) == 1.02
    macs, channels = 3 * 16 * 9 * 32 * 32, 16
    for pixels in (32, 16, 8):
        macs += sum((channels + 12 * index) * 12 * 9 * pixels**2 for index in range(12))
        channels += 12 * 12
        macs += channels * channels * pixels**2 if pixels > 8 else channels * 10
    network = zoo.load("densenet40")
    assert network.macs == macs
    assert 2 * macs == pytest.approx(5.33e8, rel=0.01)  # Operations, Liu et al. 2017, table 1.
    assert len(network.matrix_layers) == 40


@pytest.mark.parametrize(
    ("name", "options", "output"),
    [
        ("mobilenet_v2", {"input_size": 32}, (1, 1000)),
        ("resnet18", {"input_size": 64, "batch": 3}, (3, 1000)),
        ("resnet50", {"input_size": 64}, (1, 1000)),
        pytest.param("densenet161", {"input_size": 32}, (1, 1000), marks=pytest.mark.nightly),  # with weights, below
        ("vgg16", {"input_size": 32}, (1, 1000)),
        ("resnet44", {}, (1, 10)),
        ("densenet40", {"input_size": 16}, (1, 10)),
        ("bert-base", {"sequence": 16}, (1, 16, 768)),
        ("gpt2", {"sequence": 16, "batch": 2}, (2, 16, 768)),
        ("vit-b16", {"input_size": 32}, (1, 1000)),
        ("llama3-8b", {"sequence": 5}, (1, 5, 128256)),
    ],
)
def test_sizes_can_be_chosen(name: str, options: dict[str, int], output: tuple[int, ...]) -> None:
    network = zoo.load(name, **options)
    assert network.by_name[network.outputs[0]].shape == output
    assert network.batch == options.get("batch", 1)
    full = zoo.load(name) if name in ("mobilenet_v2", "bert-base") else network
    assert full.weights == network.weights


def test_transformers_show_their_attention_and_their_activations() -> None:
    for name, gelu in (("bert-base", "gelu"), ("gpt2", "gelu_tanh"), ("vit-b16", "gelu")):
        network = zoo.load(name)
        kinds = [layer.kind for layer in network.layers]
        assert kinds.count("matrix product") == 24 and kinds.count("softmax") == 12
        functions = [layer.function for layer in network.layers if isinstance(layer, Activation)]
        assert functions.count(gelu) == 12


@pytest.mark.parametrize(
    ("name", "size"), [("resnet18", 32), ("densenet161", 32), ("mobilenet_v2", 32), ("resnet56", 32)]
)
def test_seeded_weights_keep_activations_in_range(name: str, size: int) -> None:
    network = zoo.load(name, weights="seeded", seed=1, input_size=size)
    assert network.origin == "seeded 1 (synthetic)" and network.has_values
    assert network.by_name[network.outputs[0]].shape == (1, 10 if name in ("resnet56", "densenet40") else 1000)
    random = np.random.default_rng(0)
    x = random.standard_normal(network.inputs[0].shape)
    watched = [layer.name for layer in network.matrix_layers]
    found = run_float(network, x, watched, single=True)
    sizes = [float(found[name].std()) for name in watched]
    assert min(sizes) > 0.05 and max(sizes) < 30


def test_seeded_weights_depend_on_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (zoo.load("resnet20", weights="seeded", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b, c in zip(first.matrix_layers, again.matrix_layers, other.matrix_layers, strict=True):
        assert np.array_equal(a.weight.real(), b.weight.real())
        assert not np.array_equal(a.weight.real(), c.weight.real())


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet56"])
def test_trained_files_agree_with_their_onnx_twins_on_raw_pixels(data: Path, name: str) -> None:
    network = zoo.load(name, weights=data / "cifar10" / f"{name}.safetensors")
    twin = Network.from_onnx(data / "cifar10" / f"{name}.onnx")
    assert network.origin == f"file {name}.safetensors"
    assert isinstance(network.layers[1], ChannelAffine) and network.layers[1].name == "normalise"
    with np.load(data / "cifar10" / "test_a.npz") as file:
        pixels = file["x"][:1].transpose(0, 3, 1, 2).astype(np.float32)
    found = run_float(network, pixels)[network.outputs[0]]
    np.testing.assert_allclose(found, run_float(twin, pixels)[twin.outputs[0]], atol=1e-3)
    assert found.shape == (1, 10)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Seeded weights of a ResNet-20 as a file without metadata."""
    from mho.network.zoo.convolutional import CifarResNet
    from mho.network.zoo.weights import fill_seeded

    module = CifarResNet(3)
    fill_seeded(module, 0)
    save_file(module.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_a_file_gives_the_weights_that_were_stored(stored: Path) -> None:
    network = zoo.load("resnet20", weights=stored)
    seeded = zoo.load("resnet20", weights="seeded", seed=0)
    assert network.origin == "file weights.safetensors"
    assert [layer.name for layer in network.layers] == [layer.name for layer in seeded.layers]
    for a, b in zip(network.matrix_layers, seeded.matrix_layers, strict=True):
        assert np.array_equal(a.weight.real(), b.weight.real())


def test_files_that_do_not_fit_are_refused_with_the_tensor(stored: Path) -> None:
    good = load_file(stored)
    cases = {
        "missing": {key: value for key, value in good.items() if key != "layer1.0.conv1.weight"},
        "not part": good | {"layer9.weight": torch.zeros(1)},
        "has shape": good | {"conv1.weight": torch.zeros(16, 3, 5, 5)},
        "not finite": good | {"bn1.bias": torch.full((16,), torch.nan)},
    }
    for words, tensors_ in cases.items():
        save_file(tensors_, stored)
        with pytest.raises(WeightError, match=words):
            zoo.load("resnet20", weights=stored)
    save_file({key: value for key, value in good.items() if "num_batches" not in key}, stored)
    zoo.load("resnet20", weights=stored)
    for metadata in ({"mean": "[1, 2, 3]"}, {"mean": "[0]", "std": "[0]"}, {"mean": "x", "std": "y"}):
        save_file(good, stored, metadata)
        with pytest.raises(WeightError, match="metadata"):
            zoo.load("resnet20", weights=stored)
    stored.write_bytes(b"nonsense")
    with pytest.raises(WeightError, match="not a readable"):
        zoo.load("resnet20", weights=stored)
    with pytest.raises(WeightError, match="not a readable"):
        zoo.load("resnet20", weights=stored.parent / "absent.safetensors")


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(OptionError, match="resnet50"):
        zoo.load("resnet5O")
    for name, options in (
        ("resnet50", {"sequence": 4}),
        ("bert-base", {"input_size": 32}),
        ("resnet50", {"batch": 0}),
        ("resnet50", {"input_size": -3}),
        ("bert-base", {"sequence": 513}),
        ("gpt2", {"sequence": 1025}),
        ("vit-b16", {"input_size": 40}),
    ):
        with pytest.raises(OptionError, match=name.split("-")[0].split("2")[0].upper() + "|" + name):
            zoo.load(name, **options)


def test_every_name_is_listed_once_and_sorted() -> None:
    assert list(zoo.names()) == sorted(set(zoo.names()))
    assert {"vgg16", "llama3-70b", "bert-large", "resnet20"} <= set(zoo.names())


def test_decoders_have_the_published_number_of_parameters() -> None:
    assert PRESETS["llama3-8b"].parameters == 8_030_261_248
    assert PRESETS["llama3-70b"].parameters == 70_553_706_496
    network = zoo.load("llama3-70b", batch=2)
    embeddings = sum(layer.table.size for layer in network.layers if isinstance(layer, Embedding))
    norms = sum(layer.scale.size for layer in network.layers if isinstance(layer, Normalise) and layer.scale)
    assert network.weights + embeddings + norms == 70_553_706_496
    assert not network.has_values


def test_describing_a_decoder_needs_neither_torch_nor_memory() -> None:
    program = (
        "import sys, tracemalloc; from mho.network import zoo; tracemalloc.start(); n = zoo.load('llama3-70b');"
        "assert 'torch' not in sys.modules; assert tracemalloc.get_traced_memory()[1] < 20e6"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_decoder_computes_what_transformers_computes(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    configuration = LlamaConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        vocab_size=50,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        attn_implementation="eager",
        use_cache=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(configuration).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0 if parameter.dim() > 1 else 1.3)
    save_file({key: value.clone() for key, value in model.state_dict().items()}, tmp_path / "tiny.safetensors")
    tokens = np.random.default_rng(0).integers(0, 50, (3, 7))
    with torch.no_grad():
        wanted = model(torch.from_numpy(tokens)).logits.numpy()
    network = decoder(TINY, weights=tmp_path / "tiny.safetensors", batch=3)
    np.testing.assert_allclose(run_float(network, tokens)[network.outputs[0]], wanted, atol=2e-5, rtol=1e-4)
    imported = Network.from_torch(model, torch.from_numpy(tokens))
    np.testing.assert_allclose(run_float(imported, tokens)[imported.outputs[0]], wanted, atol=2e-5, rtol=1e-4)
    assert imported.weights == network.weights


def test_a_seeded_decoder_is_repeatable_and_causal() -> None:
    network = decoder(TINY, weights="seeded", seed=3)
    assert network.origin == "seeded 3 (synthetic)"
    tokens = np.arange(7)[None] % 5
    first = run_float(network, tokens)[network.outputs[0]]
    assert np.array_equal(first, run_float(decoder(TINY, weights="seeded", seed=3), tokens)[network.outputs[0]])
    changed = tokens.copy()
    changed[0, 5] = 9
    second = run_float(network, changed)[network.outputs[0]]
    np.testing.assert_allclose(second[:, :5], first[:, :5], atol=1e-9)
    assert np.abs(second[:, 5:] - first[:, 5:]).max() > 1e-3


def test_a_tied_decoder_shares_its_table() -> None:
    from dataclasses import replace

    tied = replace(TINY, tied=True)
    assert TINY.parameters - tied.parameters == 50 * 32
    assert "lm_head.weight" not in tensors(tied)
    network = decoder(tied, weights="seeded")
    table = next(layer.table for layer in network.layers if isinstance(layer, Embedding))
    assert network.matrix_layers[-1].weight is table


@pytest.mark.parametrize(
    "wrong",
    [{"layers": 0}, {"heads": 3}, {"key_value_heads": 3}, {"epsilon": 0.0}, {"sequence": 1.5}, {"heads": 32}],
)
def test_impossible_decoders_are_refused(wrong: dict[str, float]) -> None:
    sizes = {"layers": 1, "hidden": 32, "heads": 4, "key_value_heads": 2, "intermediate": 8, "vocabulary": 9}
    with pytest.raises(OptionError, match="decoder"):
        DecoderConfiguration(**(sizes | wrong))


def test_depthwise_convolutions_have_one_matrix_for_each_channel() -> None:
    network = zoo.load("mobilenet_v2", input_size=32)
    deep = [layer for layer in network.matrix_layers if isinstance(layer, Convolution) and layer.groups > 1]
    assert len(deep) == 17 and all((layer.rows, layer.columns) == (9, 1) for layer in deep)


def told(network: Network) -> list[object]:
    """All that a network is, with each array as the place of the first of its layers' that is the same one."""
    arrays: dict[int, int] = {}

    def plain(value: object) -> object:
        if isinstance(value, Array):
            values = None if value.values is None else (value.values.dtype, value.values.tolist())
            return arrays.setdefault(id(value), len(arrays)), value.shape, values
        return type(value), dict(value) if isinstance(value, Mapping) else value

    layers = [
        (type(layer), [(item.name, plain(getattr(layer, item.name))) for item in fields(layer)])
        for layer in network.layers
    ]
    return [network.name, network.origin, network.outputs, dict(network.returned), dict(network.codes), layers]


@pytest.mark.parametrize("name", [name for name in KEPT if name not in ("bert-large", "densenet161", "densenet121")])
def test_a_model_that_is_kept_as_a_file_is_what_torch_makes_of_its_module(name: str) -> None:
    network = zoo.load(name)
    assert network.layers == zoo.load(name).layers
    module = modules.load_module(name, weights="none", seed=0, batch=1, size=KEPT[name])
    assert told(network) == told(module)


def test_every_module_of_the_zoo_is_kept_for_its_usual_size_alone() -> None:
    assert set(KEPT) == set(modules._MAKERS)
    for name, size in KEPT.items():
        assert kept(name, 1, size) is not None
        assert kept(name, 2, size) is None
        assert kept(name, 1, size + 32) is None


def test_known_shapes_need_no_torch() -> None:
    code = "import sys, mho; mho.simulate(mho.compile(mho.zoo.load('resnet50'), 'aras', 'overlap')).latency_s; "
    code += "assert not {'torch', 'transformers', 'scipy.optimize'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
