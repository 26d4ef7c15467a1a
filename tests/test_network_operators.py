"""Both importers know the same operators, and the documentation says which."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch as torch_library
from onnx import TensorProto, helper
from torch import nn

from mho.errors import NetworkError
from mho.network import Network, onnx_reader, torch
from mho.network.operators import ALONE, TWINS, table
from mho.number import run_float
from tests.test_network_onnx import save
from tests.test_network_torch import Function

KNOWN = {*onnx_reader.HANDLERS, *onnx_reader.STRUCTURE}
ONNX_OF = {name: tuple(onnx.split()) for names, onnx in TWINS.items() for name in names.split()}
"""Each torch operator's ONNX operators."""


def test_each_operator_of_torch_has_its_twin_in_onnx() -> None:
    assert set(ONNX_OF) == set(torch.HANDLERS)
    unknown = {name: [other for other in others if other not in KNOWN] for name, others in ONNX_OF.items()}
    assert {name: others for name, others in unknown.items() if others} == {}


def test_each_operator_of_onnx_has_its_twin_in_torch_or_says_why_not() -> None:
    paired = {name for others in ONNX_OF.values() for name in others}
    alone = [name for names in ALONE for name in names.split()]
    assert set(alone) == KNOWN - paired
    assert len(alone) == len(set(alone))


def test_no_operator_stands_in_the_table_twice() -> None:
    names = [name for names in TWINS for name in names.split()]
    assert len(names) == len(set(names))


def test_the_documentation_is_what_the_registries_say() -> None:
    assert (Path(__file__).parents[1] / "docs" / "operators.md").read_text() == table()


_W = torch_library.randn(3, 5, 6, generator=torch_library.Generator().manual_seed(0))
BOTH: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "decoder": (
        nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.GroupNorm(2, 4), nn.ConvTranspose2d(4, 3, 4, 2, 1)),
        (1, 2, 8, 8),
    ),
    "resizing": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2, 3, 3)), (1, 2, 5, 5)),
    "nearest": (nn.Sequential(nn.Upsample(size=(7, 9)), nn.InstanceNorm2d(2, affine=True)), (1, 2, 5, 5)),
    "reflection": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (1, 2, 5, 5)),
    "local response": (nn.Sequential(nn.Conv2d(2, 6, 3), nn.LocalResponseNorm(3)), (1, 2, 5, 5)),
    "volume": (nn.Sequential(nn.Conv3d(1, 2, 3), nn.AvgPool3d(2)), (1, 1, 6, 6, 6)),
    "experts": (Function(lambda x: torch_library.einsum("bemk,ekn->bemn", x, _W).relu() @ _W.mT), (1, 3, 4, 5)),
    "shuffle": (nn.Sequential(nn.PixelShuffle(2), nn.ReflectionPad2d(1)), (1, 8, 3, 3)),
    "functions": (
        nn.Sequential(nn.Hardswish(), nn.Mish(), nn.PReLU(4), nn.Softplus(), nn.LogSigmoid(), nn.CELU(2.0), nn.GLU(1)),
        (1, 4, 4),
    ),
}


@pytest.mark.parametrize("case", BOTH)
def test_a_module_and_its_file_are_the_same_network(case: str, tmp_path: Path) -> None:
    module, shape = BOTH[case]
    module = module.eval()
    x = torch_library.randn(shape, generator=torch_library.Generator().manual_seed(1))
    file = tmp_path / "module.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_library.onnx.export(module, (x,), str(file), dynamo=False, input_names=["x"], opset_version=17)
    direct, read = Network.from_torch(module, (x,)), Network.from_onnx(file)
    assert (direct.weights, direct.macs) == (read.weights, read.macs)
    first, second = (run_float(network, x.numpy())[network.outputs[0]] for network in (direct, read))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_an_if_runs_the_branch_that_is_known_and_is_refused_where_none_is(tmp_path: Path) -> None:
    def branch(name: str, operator: str) -> object:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, ["x"], [name])], name, [], [value])

    chosen = helper.make_node(
        "If", ["c"], ["y"], name="the If", then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg")
    )
    x = np.array([[-1.0, 2.0]], np.float32)
    for condition, wanted in ((True, np.maximum(x, 0.0)), (False, -x)):
        file = save(tmp_path / "m.onnx", [chosen], {"c": np.array(condition)}, {"x": x.shape})
        network = Network.from_onnx(file)
        np.testing.assert_array_equal(run_float(network, x)["y"], wanted)
    compared = helper.make_node("Greater", ["x", "x"], ["c"])
    with pytest.raises(NetworkError, match=r"the If.*must be known when the file is read"):
        Network.from_onnx(save(tmp_path / "n.onnx", [compared, chosen], {}, {"x": (1, 1)}))
