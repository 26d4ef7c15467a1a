"""Both importers know the same operators, and the documentation says which."""

from __future__ import annotations

from pathlib import Path

from mho.network import onnx_reader, torch
from mho.network.operators import ALONE, TWINS, table, twins

KNOWN = {*onnx_reader.HANDLERS, *onnx_reader.STRUCTURE}


def test_each_operator_of_torch_has_its_twin_in_onnx() -> None:
    assert set(twins()) == set(torch.HANDLERS)
    unknown = {name: [other for other in others if other not in KNOWN] for name, others in twins().items()}
    assert {name: others for name, others in unknown.items() if others} == {}


def test_each_operator_of_onnx_has_its_twin_in_torch_or_says_why_not() -> None:
    paired = {name for others in twins().values() for name in others}
    alone = [name for names in ALONE for name in names.split()]
    assert set(alone) == KNOWN - paired
    assert len(alone) == len(set(alone))


def test_no_operator_stands_in_the_table_twice() -> None:
    names = [name for names in TWINS for name in names.split()]
    assert len(names) == len(set(names))


def test_the_documentation_is_what_the_registries_say() -> None:
    assert (Path(__file__).parents[1] / "docs" / "operators.md").read_text() == table()
